use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const LINK: &str = "https://ah5.example.com/reset-password?token=Zm9vYmFyYmF6";

fn links() -> Arc<OwnLinks> {
    Arc::new(OwnLinks::new(&["https://ah5.example.com"]))
}

fn masked_text(text: &str) -> String {
    let masked = links().mask(text.as_bytes());
    masked.map_or_else(|| text.to_owned(), |m| String::from_utf8(m).unwrap())
}

/// Wrapped as mail does it.
fn mime(text: &str) -> String {
    let encoded = STANDARD.encode(text);
    let lines = encoded.as_bytes().chunks(76);
    lines
        .map(|line| String::from_utf8(line.to_vec()).unwrap() + "\r\n")
        .collect()
}

fn mail(body: &str) -> String {
    format!(
        "From: a@b.io\r\nSubject: Your password\r\nContent-Type: text/html\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--x--\r\n",
        mime(body)
    )
}

/// Of every layer of base64 that is in it.
fn opened(text: &str, layers: u8) -> String {
    let mut all = text.to_owned();
    let mut at = 0;
    while layers > 0
        && let Some(run) = Run::next(text.as_bytes(), at, 24)
    {
        at = run.end;
        let decoded = runs::decode(&text.as_bytes()[run.start..run.end], 0);
        all += &opened(&String::from_utf8_lossy(&decoded), layers - 1);
    }
    all
}

fn through_guard(text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut guard = LinkGuard::new(links());
    let (mut out, mut from) = (Vec::new(), 0);
    for cut in cuts {
        let cut = (*cut).clamp(from, text.len());
        out.extend(guard.push(Bytes::copy_from_slice(&text[from..cut]), false));
        from = cut;
    }
    out.extend(guard.push(Bytes::copy_from_slice(&text[from..]), true));
    assert!(!guard.holds_back());
    out
}

/// A text around the link in every form that a provider sends it in.
fn forms() -> Vec<String> {
    let html = format!("<p>Hello Ann,</p><a href=\"{LINK}\">Choose a new one</a> é");
    let quoted = "<a href=3D\"https://ah5.exam=\r\nple.com/reset-pass=\r\nword?token=3DZm9vYmFyYmF6\">go</a>";
    let tracked = "https://safe.example/?url=https%3A%2F%2Fah5.example.com%2Freset-password%3F\
                   token%3DZm9vYmFyYmF6&data=1";
    vec![
        format!("Go to {LINK} now."),
        serde_json::json!({"a": [1, LINK], "html": html}).to_string(),
        r#"{"a":"https:\/\/ah5.example.com\/reset-password?token\u003dZm9vYmFyYmF6\u0026x"}"#
            .into(),
        format!("see {tracked} there"),
        "at https://ah5.example.com/reset-<WBR />pass\u{200b}word?token=Zm9v<wbr>YmFyYmF6 now"
            .into(),
        format!("Content-Transfer-Encoding: quoted-printable\r\n\r\n{quoted}"),
        serde_json::json!({"raw": quoted}).to_string(),
        serde_json::json!({"data": URL_SAFE_NO_PAD.encode(&html)}).to_string(),
        serde_json::json!({"raw": URL_SAFE_NO_PAD.encode(mail(&html))}).to_string(),
        serde_json::json!({"raw": URL_SAFE_NO_PAD.encode(quoted), "b": "c"}).to_string(),
        mail(&html),
        serde_json::json!({"mime": mail(&html)}).to_string(),
        serde_json::json!({"raw": STANDARD.encode(mail(&mail(&html)))}).to_string(),
        format!("{}\n{LINK}", "x".repeat(9000)),
        serde_json::json!({"raw": STANDARD.encode(mail(&("filler ".repeat(3000) + &html)))})
            .to_string(),
    ]
}

#[test]
fn no_form_of_an_acting_link_passes_and_every_answer_keeps_its_length() {
    for form in forms() {
        let masked = masked_text(&form);
        assert_eq!(masked.len(), form.len());
        let opened = opened(&masked, 4);
        for trace in ["reset-pass", "Zm9vYmFyYmF6", "YmFyYmF6"] {
            assert!(!opened.contains(trace), "{trace} of {form} is in {opened}");
        }
        assert!(opened.contains("removed-link"), "{opened}");
        if form.starts_with('{') {
            serde_json::from_str::<serde_json::Value>(&masked).unwrap();
        }
    }
}

#[test]
fn what_does_not_act_or_is_not_ours_passes_as_it_is() {
    for text in [
        "https://ah5.example.com/docs and https://ah5.example.com",
        "https://ah5.example.com.evil.test/reset-password?token=a",
        "https://notah5.example.com/reset-password?token=a",
        "https://ah5.example.com:8443/reset-password?token=a",
        "ah5.example.com is a nice place for an invitation",
        "{\"id\":\"0123456789abcdef0123456789abcdef\",\"raw\":\"iVBORw0KGgoAAAANSUhEUgAAAAUA\"}",
    ] {
        assert_eq!(masked_text(text), text);
    }
    let all = OwnLinks::new(&["http://localhost:8080", "http://127.0.0.1:8080"]);
    assert!(all.mask(b"http://127.0.0.1:8080/?token=a").is_some());
    assert!(all.mask(b"http://127.0.0.1/?token=a").is_none());
}

#[test]
fn a_clean_piece_is_passed_on_at_once() {
    let mut guard = LinkGuard::new(links());
    for clean in [
        "data: {\"a\":\"b\"}\n\n",
        "{\"a\":1}\n",
        "line done.\n",
        "....",
        "data: {\"a\":\"see https://ah5.example.com/docs\"}\n\n",
    ] {
        assert_eq!(guard.push(Bytes::from(clean), false), clean);
        assert!(!guard.holds_back());
    }
}

#[test]
fn what_is_held_back_is_bounded_and_a_link_without_end_goes_all_the_same() {
    let mut guard = LinkGuard::new(links());
    let mut out = guard.push(Bytes::from(LINK), false).to_vec();
    for _ in 0..100 {
        out.extend(guard.push(Bytes::from(vec![b'A'; 1000]), false));
        assert!(guard.held.len() <= HOLD_AND_GROUP);
    }
    out.extend(guard.push(Bytes::from_static(b"A end"), true));
    assert_eq!(out.len(), LINK.len() + 100_005);
    assert!(out.ends_with(b"- end") && !out.contains(&b'A'));
}

#[test]
fn what_comes_out_does_not_depend_on_one_cut_anywhere() {
    for form in forms() {
        let whole = masked_text(&form);
        let step = 1 + form.len() / 1000 * 17;
        for cut in (0..form.len()).step_by(step) {
            let out = through_guard(form.as_bytes(), &[cut]);
            assert_eq!(String::from_utf8_lossy(&out), whole, "cut at {cut}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_comes_out_does_not_depend_on_many_cuts(
        form in 0..14_usize,
        sizes in prop::collection::vec(1..700_usize, 1..80),
    ) {
        let form = &forms()[form];
        let cuts: Vec<usize> = sizes.iter().scan(0, |at, size| { *at += size; Some(*at) }).collect();
        let out = through_guard(form.as_bytes(), &cuts);
        let opened = opened(&String::from_utf8_lossy(&out), 4);
        prop_assert_eq!(out.len(), form.len());
        for trace in ["reset-pass", "Zm9vYmFyYmF6", "YmFyYmF6"] {
            prop_assert!(!opened.contains(trace), "{} is in {}", trace, opened);
        }
    }
}

const HOLD_AND_GROUP: usize = 4096 + 4;
