use super::*;

const ID: &str = "0191d2c0-0000-4000-8000-000000000002";

fn parse(text: &str) -> Result<Envelope<'_>, String> {
    Envelope::parse(text.as_bytes()).map_err(|refusal| {
        assert_eq!(refusal.status.as_u16(), 400);
        refusal.error.into_owned()
    })
}

fn with(members: &str) -> String {
    format!(
        r#"{{"model":"B","connectionId":"{ID}","method":"GET","url":"https://a.example/"{members}}}"#
    )
}

#[test]
fn faults_are_named_in_the_contracts_order() {
    for (text, expected) in [
        (
            "",
            "Body is not valid JSON but content-type is set to 'application/json'",
        ),
        (
            "{",
            "Body is not valid JSON but content-type is set to 'application/json'",
        ),
        ("[1]", "body must be object"),
        ("{}", "body must have required property 'model'"),
        (
            r#"{"model":"C"}"#,
            "body/model must be equal to one of the allowed values",
        ),
        (r#"{"model":1}"#, "body/model must be string"),
        (
            r#"{"model":"B"}"#,
            "Either connectionId or service must be provided",
        ),
        (
            r#"{"model":"B","connectionId":"urn:uuid:0191d2c0-0000-4000-8000-000000000002"}"#,
            "body/connectionId must match format \"uuid\"",
        ),
        (
            r#"{"model":"B","service":"openai"}"#,
            "Model B requires method and url",
        ),
    ] {
        assert_eq!(parse(text).err().as_deref(), Some(expected), "{text}");
    }
    for (members, expected) in [
        (r#","model":"B""#, "body/model is given twice"),
        (r#","stream":1"#, "body/stream must be boolean"),
        (r#","query":[]"#, "body/query must be object"),
        (r#","query":{"a":{}}"#, "body/query/a must be string"),
        (r#","query":{"a":["b","c"]}"#, "body/query/a must be string"),
        (
            r#","query":{"a":"1","\u0061":"2"}"#,
            "body/query/a is given twice",
        ),
        (
            r#","approvalId":"x""#,
            "body/approvalId must match format \"uuid\"",
        ),
    ] {
        assert_eq!(
            parse(&with(members)).err().as_deref(),
            Some(expected),
            "{members}"
        );
    }
}

#[test]
fn scalars_are_taken_for_their_text() {
    let text = with(r#","query":{"a":1,"b":null,"c":["x"],"d":true,"e":"é"},"stream":"true""#);
    let envelope = parse(&text).unwrap();
    let pairs: Vec<_> = envelope
        .query
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(pairs, ["a=1", "b=", "c=x", "d=true", "e=é"]);
    assert!(envelope.stream && !envelope.download);
}

#[test]
fn the_providers_body_stays_as_it_was_written() {
    let text = with(r#","body": {"b":1.00, "a":[ ]} ,"unknown":{"a":1}"#);
    let envelope = parse(&text).unwrap();
    assert_eq!(envelope.body.unwrap().get(), r#"{"b":1.00, "a":[ ]}"#);
    assert!(parse(&with(r#","body":null"#)).unwrap().body.is_none());
}
