use serde_json::json;

use super::*;
use crate::body::Body;

fn holds(condition: &Value, body: &str, need: Need) -> bool {
    let compiled = Condition::compile(condition, "c", &mut Patterns::default());
    let body = Reading::new(Body::new(body.as_bytes(), None));
    compiled.unwrap().holds(&body, &body, need)
}

#[test]
fn operators_mean_what_the_language_says() {
    for (op, value, body, expected) in [
        ("eq", json!("x"), "{\"a\":\"x\"}", true),
        ("eq", json!("x"), "{\"a\":\"X\"}", false),
        ("eq", json!(5), "{\"a\":5.0}", true),
        ("eq", json!(5), "{\"a\":\"5\"}", false),
        ("eq", json!(true), "{\"a\":true}", true),
        ("eq", json!(["x"]), "{\"a\":[\"x\"]}", false),
        ("neq", json!("x"), "{\"a\":1}", true),
        ("neq", json!("x"), "{}", true),
        ("neq", json!("x"), "{\"a\":\"x\"}", false),
        ("neq", json!(["x"]), "{\"a\":\"x\"}", true),
        ("in", json!(["5", "true", "null"]), "{\"a\":5}", true),
        ("in", json!(["5", "true", "null"]), "{\"a\":true}", true),
        ("in", json!(["5", "true", "null"]), "{\"a\":null}", true),
        ("in", json!(["undefined"]), "{}", false),
        ("in", json!(["[object Object]"]), "{\"a\":{}}", false),
        ("not_in", json!(["x"]), "{}", true),
        ("not_in", json!(["x"]), "{\"a\":\"x\"}", false),
        ("contains", json!("A.b"), "{\"a\":\"xa.By\"}", true),
        ("contains", json!("a.b"), "{\"a\":\"axb\"}", false),
        ("contains", json!(""), "{\"a\":\"\"}", true),
        ("contains", json!(5), "{\"a\":\"5\"}", false),
        ("matches", json!("^x"), "{\"a\":\"xy\"}", true),
        ("matches", json!("^x"), "{\"a\":7}", false),
    ] {
        let condition = json!({"path": "a", "op": op, "value": value});
        for need in [Need::May, Need::Surely] {
            assert_eq!(
                holds(&condition, body, need),
                expected,
                "{condition} on {body} {need:?}"
            );
        }
    }
    let present = json!({"path": "a", "op": "exists"});
    let unequal = json!({"path": "a", "op": "neq"});
    let missing = json!({"path": "a", "op": "eq"});
    for (body, there) in [("{\"a\":null}", true), ("{\"a\":[]}", true), ("{}", false)] {
        assert_eq!(holds(&present, body, Need::Surely), there);
        assert_eq!(holds(&unequal, body, Need::Surely), there);
        assert_eq!(holds(&missing, body, Need::Surely), !there);
    }
}

#[test]
fn what_surely_holds_may_hold() {
    let bodies = [
        "{}",
        "{\"a\":\"x\"}",
        "{\"a\":[\"x\",\"y\"]}",
        "{\"a\":[]}",
        "{\"A\":\"x\"}",
        "{\"a\":{\"b\":\"x\"}}",
        "[{\"a\":\"x\"}]",
        "{\"a\":\"y\",\"A\":\"x\"}",
        "{\"a\":\"\u{200b}x\"}",
    ];
    for op in ["eq", "neq", "contains", "matches", "exists", "in", "not_in"] {
        let value = match op {
            "in" | "not_in" => json!(["x"]),
            "exists" => json!(true),
            _ => json!("x"),
        };
        let condition = json!({"path": "a", "op": op, "value": value});
        for body in bodies {
            let surely = holds(&condition, body, Need::Surely);
            assert!(
                !surely || holds(&condition, body, Need::May),
                "{condition} on {body}"
            );
        }
    }
}
