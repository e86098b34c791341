use super::*;

fn parse(text: &str) -> Result<Json<'_>, BodyError> {
    Json::parse(text, false)
}

#[test]
fn reads_what_the_grammar_allows() {
    let read = parse(" { \"a\" : [ 1, -2.5e+3 , true,false,null,\"\\u0041\\uD83D\\uDE00\\n\" ] } ");
    let items = vec![
        Json::Number("1"),
        Json::Number("-2.5e+3"),
        Json::Bool(true),
        Json::Bool(false),
        Json::Null,
        Json::Text("A😀\n".into()),
    ];
    assert_eq!(
        read,
        Ok(Json::Object(vec![("a".into(), Json::List(items))]))
    );
    assert_eq!(parse("{}"), Ok(Json::Object(vec![])));
    assert_eq!(parse("\"x\""), Ok(Json::Text("x".into())));
}

#[test]
fn refuses_what_two_readers_might_read_differently() {
    for text in [
        "",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "NaN",
        "tru",
        "\"a",
        "\"\n\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "{} {}",
        "[1 2]",
        "{\"a\" 1}",
        "//x\n1",
        "\u{feff}{}",
        "--1",
        "-",
    ] {
        assert!(parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn refuses_a_member_named_twice() {
    let twice = BodyError::Duplicate("a".to_owned());
    assert_eq!(parse("{\"a\":1,\"\\u0061\":2}"), Err(twice.clone()));
    let many: Vec<String> = (0..50).map(|i| format!("\"k{i}\":{i}")).collect();
    assert!(parse(&format!("{{{}}}", many.join(","))).is_ok());
    let many = format!("{{{},\"a\":1,\"a\":2}}", many.join(","));
    assert_eq!(parse(&many), Err(twice.clone()));
    assert!(parse("{\"a\":1,\"A\":2}").is_ok());
    assert!(Json::parse("{\"a\":1,\"A\":2}", true).is_err());
}

#[test]
fn bounds_depth_values_and_digits() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(parse(&deep(MAX_DEPTH)).is_ok());
    assert_eq!(parse(&deep(MAX_DEPTH + 2)), Err(BodyError::TooComplex));
    let wide = format!("[{}0]", "0,".repeat(MAX_VALUES));
    assert_eq!(parse(&wide), Err(BodyError::TooComplex));
    assert_eq!(parse(&"1".repeat(500)), Err(BodyError::TooComplex));
}
