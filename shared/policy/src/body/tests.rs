use super::*;

fn view<'a>(text: &'a str, content_type: Option<&'a str>) -> View<'a> {
    Body::new(text.as_bytes(), content_type).read()
}

#[test]
fn what_cannot_be_read_in_one_certain_way_is_opaque() {
    let json = Some("application/json");
    let form = Some("application/x-www-form-urlencoded");
    for (text, content_type) in [
        ("{\"a\":1,\"a\":2}", json),
        ("{'a':1}", json),
        ("a=1", json),
        ("{\"a\":1}", form),
        ("{\"a\":1}", Some("text/plain")),
        ("a=1", Some("text/plain")),
        ("{\"a\":1}", Some("application/json; charset=utf-16")),
        ("<a/>", Some("application/xml")),
        ("--x\r\n", Some("multipart/form-data; boundary=x")),
        ("{\"a\":1", None),
        ("<a>1</a>", None),
        ("a: 1\nb: 2", None),
    ] {
        let view = view(text, content_type);
        assert!(
            matches!(view, View::Opaque(_)),
            "{text} {content_type:?}: {view:?}"
        );
    }
    let encoded = Body::new(b"{}", json).encoded();
    assert_eq!(encoded.read(), View::Opaque(BodyError::Encoded));
    let folded = Body::new(b"{\"a\":1,\"A\":2}", json).fold_keys();
    assert!(matches!(
        folded.read(),
        View::Opaque(BodyError::Duplicate(_))
    ));
    let bytes = Body::new(b"\xff", json);
    assert_eq!(bytes.read(), View::Opaque(BodyError::NotUtf8));
}

#[test]
fn json_and_forms_are_read_and_words_have_no_members() {
    for content_type in [
        None,
        Some("application/json"),
        Some("Application/JSON; Charset=\"UTF-8\""),
        Some("application/vnd.api+json"),
    ] {
        let view = view("{\"a\":1}", content_type);
        assert!(
            matches!(view, View::Data(Json::Object(_))),
            "{content_type:?}: {view:?}"
        );
    }
    for content_type in [None, Some("application/x-www-form-urlencoded")] {
        let View::Data(data) = view("text=x", content_type) else {
            panic!("a form is read");
        };
        assert_eq!(data.member("text").and_then(Json::as_text), Some("x"));
    }
    assert_eq!(view("some words", None), View::Words("some words"));
    assert_eq!(view("words", Some("text/plain")), View::Words("words"));
    assert_eq!(view("", Some("application/json")), View::Absent);
}

#[test]
fn the_whole_body_is_shown_as_javascript_would() {
    let text = "{\"b\":1e5,\"2\":null,\"1\":\"a\\u0001\\n\\\"é\\/\",\"l\":[true,1.50]}";
    let body = Reading::new(Body::new(text.as_bytes(), None));
    let expected = "{\"1\":\"a\\u0001\\n\\\"é/\",\"2\":null,\"b\":100000,\"l\":[true,1.5]}";
    assert_eq!(body.compact(), Some(expected));
    assert_eq!(body.loose(), None);
}

#[test]
fn a_loose_text_shows_numbers_and_every_name_of_a_member() {
    let body = Reading::new(Body::new(b"{\"max_tokens\":\"99999\"}", None));
    assert!(body.loose().unwrap().starts_with("{\"max_tokens\":99999,"));
    let body = Reading::new(Body::new(b"{\"maxOutputTokens\":5}", None));
    assert!(body.loose().unwrap().contains("\"max_tokens\":5"));
}
