use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;

const SECRET: &str = "sk/live+\"secret\"=é&<1>";

fn scrubber(auth: &Auth, secret: &str) -> Scrubber {
    Scrubber::new(auth, &SecretText::new(secret.to_owned()))
}

fn scrub_whole(text: &str) -> String {
    let out = scrubber(&Auth::Bearer, SECRET)
        .push(text.to_owned().into(), true)
        .unwrap();
    String::from_utf8(out.to_vec()).unwrap()
}

fn spellings() -> Vec<String> {
    let hex: String = SECRET.bytes().map(|b| format!("{b:02x}")).collect();
    let escapes = SECRET
        .bytes()
        .map(|b| format!("%{b:02X}"))
        .collect::<String>();
    let unicode = SECRET
        .encode_utf16()
        .map(|u| format!("\\u{u:04x}"))
        .collect::<String>();
    vec![
        SECRET.to_owned(),
        hex.to_uppercase(),
        hex,
        escapes.to_lowercase(),
        escapes,
        unicode,
        "sk%2Flive%2B%22secret%22%3D%C3%A9%26%3C1%3E".into(),
        "sk%2flive%2b%22secret%22%3d%c3%a9%26%3c1%3e".into(),
        r#"sk/live+\"secret\"=é&<1>"#.into(),
        r#"sk\/live+\"secret\"=é&<1>"#.into(),
    ]
}

#[test]
fn every_spelling_is_removed_whole() {
    for spelling in spellings() {
        let out = scrub_whole(&format!("a {spelling} b"));
        assert_eq!(out, format!("a {} b", "*".repeat(spelling.len())));
    }
}

#[test]
fn base64_is_recognised_at_every_alignment() {
    for before in 0..6 {
        for after in 0..4 {
            let plain = format!("{}{SECRET}{}", "x".repeat(before), "y".repeat(after));
            for coded in [STANDARD.encode(&plain), URL_SAFE.encode(&plain)] {
                let out = scrub_whole(&format!("<{coded}>"));
                assert_eq!(out.len(), coded.len() + 2);
                let rest = out.replace('*', "");
                assert!(
                    rest.len() <= coded.len() - SECRET.len() * 8 / 6 + 4,
                    "{rest}"
                );
            }
        }
    }
}

#[test]
fn the_basic_composite_is_removed() {
    let auth = Auth::Basic {
        username: "user".into(),
    };
    let mut scrubber = scrubber(&auth, "0123456789abcdef");
    let sent = crate::inject::basic("user", "0123456789abcdef");
    let out = scrubber.push(format!("[{}]", *sent).into(), true).unwrap();
    let masked = "*".repeat(sent.trim_end_matches('=').len() - "Basic ".len());
    assert!(out.starts_with(format!("[Basic {masked}").as_bytes()));
    assert_eq!(out.len(), sent.len() + 2);
    assert_eq!(scrubber.hits(), 1);
}

#[test]
fn long_texts_are_searched_as_well_as_short_ones() {
    for spelling in spellings() {
        let filler = "sk/".repeat(2 * SHORT);
        let out = scrub_whole(&format!("{filler}{spelling}{filler}{spelling}"));
        assert!(!out.contains(&spelling), "{spelling}");
        assert_eq!(out.matches('*').count(), 2 * spelling.len());
    }
}

#[test]
fn what_javascript_makes_of_a_secret_is_found() {
    let mut scrubber = scrubber(&Auth::Bearer, "it's/(a)+secret*!");
    let text = "key=it's%2F(a)%2Bsecret*!;";
    let out = scrubber.push(text.into(), true).unwrap();
    assert_eq!(out, format!("key={};", "*".repeat(text.len() - 5)));
}

#[test]
fn headers_are_searched_as_a_client_would_read_them() {
    let mut scrubber = scrubber(&Auth::Bearer, "topsecret-0123456789");
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("location", "/a?key=tops%65cret-0123456789"),
        ("link", "<https://a.example/topsecret-0123456789>"),
        ("etag", "\"1%2\""),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    scrubber.scrub_headers(&mut headers).unwrap();
    let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    assert_eq!((left, scrubber.hits()), (vec!["etag"], 2));
}

#[test]
fn many_matches_cost_no_more_than_one_pass() {
    let secret = "topsecret-0123456789";
    let text = secret.repeat(100_000);
    // Searching all of the rest after each match would take minutes.
    let out = scrubber(&Auth::Bearer, secret)
        .push(text.into(), true)
        .unwrap();
    assert!(out.iter().all(|&byte| byte == b'*'));
}

#[test]
fn a_short_secret_refuses_the_answer() {
    let mut short = scrubber(&Auth::Bearer, "12345678");
    assert_eq!(
        short.push(Bytes::from_static(b"all well"), false).unwrap(),
        "all well"
    );
    assert_eq!(
        short.push(Bytes::from_static(b"key=1234"), false).unwrap(),
        "key="
    );
    assert_eq!(short.push(Bytes::from_static(b"5678"), true), Err(Echoed));
}

#[test]
fn innocent_pieces_pass_without_delay_or_copy() {
    let mut scrubber = scrubber(&Auth::Bearer, "sk-0123456789");
    let piece = Bytes::from_static(b"data: {\"delta\":\"hello\"}\n\n");
    let out = scrubber.push(piece.clone(), false).unwrap();
    assert_eq!(out.as_ptr(), piece.as_ptr());
    // Only what may be the start of the credential waits.
    assert_eq!(
        scrubber.push(Bytes::from_static(b"ask-01"), false).unwrap(),
        "a"
    );
    assert_eq!(
        scrubber.push(Bytes::from_static(b"x"), false).unwrap(),
        "sk-01x"
    );
    assert_eq!(
        scrubber.push(Bytes::from_static(b"sk"), true).unwrap(),
        "sk"
    );
    assert_eq!(scrubber.hits(), 0);
}

proptest! {
    #[test]
    fn cuts_make_no_difference(
        picks in prop::collection::vec((0_usize..10, "[a-z/+%\\\\\"]{0,8}"), 1..5),
        cuts in prop::collection::vec(1_usize..20, 0..40),
    ) {
        let known = spellings();
        let text: String = picks.iter().map(|(i, noise)| format!("{noise}{}", known[*i])).collect();
        let whole = scrub_whole(&text);
        let mut scrubber = scrubber(&Auth::Bearer, SECRET);
        let mut out = Vec::new();
        let mut rest = text.as_bytes();
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            out.extend(scrubber.push(Bytes::copy_from_slice(piece), false).unwrap());
            rest = after;
        }
        out.extend(scrubber.push(Bytes::copy_from_slice(rest), true).unwrap());
        let out = String::from_utf8(out).unwrap();
        prop_assert_eq!(&out, &whole);
        for spelling in known {
            prop_assert!(!out.contains(&spelling));
        }
    }
}
