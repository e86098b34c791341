use std::collections::BTreeSet;
use std::path::Path;

use super::*;

#[test]
fn the_document_has_exactly_the_routes_of_the_table() {
    let of_table: BTreeSet<String> = table()
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    let described: Vec<&str> = operations::EVERY.iter().map(|it| it.route).collect();
    let unique: BTreeSet<String> = described.iter().map(|it| (*it).to_owned()).collect();
    assert_eq!(unique.len(), described.len(), "a route is described twice");
    let undescribed: Vec<_> = of_table.difference(&unique).collect();
    assert!(
        undescribed.is_empty(),
        "describe in openapi/operations.rs: {undescribed:?}"
    );
    assert_eq!(unique, of_table);
}

#[test]
fn who_may_call_is_what_the_table_says() {
    let document = document();
    let mut ids = BTreeSet::new();
    for route in table() {
        let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
        assert!(
            ids.insert(operation["operationId"].to_string()),
            "{}",
            route.path
        );
        let schemes = operation["security"].as_array().unwrap();
        let names: Vec<&str> = schemes
            .iter()
            .flat_map(|it| it.as_object().unwrap().keys())
            .map(String::as_str)
            .collect();
        let mut expected = match route.right {
            Right::AgentOnly(_) => vec!["agentToken"],
            Right::Open => vec![],
            Right::Session(_) => vec!["userToken"],
            Right::User(..) => vec!["userToken", "personalToken"],
            Right::Agent(..) => vec!["userToken", "personalToken", "agentToken"],
        };
        expected.extend(route.cookie.then_some("sessionCookie"));
        assert_eq!(names, expected, "{} {}", route.method, route.path);
    }
}

#[test]
fn every_reference_leads_to_a_schema() {
    let document = document();
    let text = document.to_string();
    let named = text.split("#/components/schemas/").skip(1);
    let named: BTreeSet<&str> = named.filter_map(|rest| rest.split('"').next()).collect();
    assert!(named.len() > 5);
    for name in named {
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name}"
        );
    }
}

#[test]
fn the_checked_in_document_is_the_one_that_is_served() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    // In what order the members come depends on how serde_json was built.
    let kept: Value = serde_json::from_str(&kept).unwrap_or_default();
    assert!(
        kept == document(),
        "run: cargo run -p ah5-control-plane -- openapi > control-plane/openapi.json"
    );
}
