use std::fmt::Write as _;

use super::super::message;
use super::*;

fn tamed(letter: &str) -> Vec<u8> {
    let mut bytes = letter.as_bytes().to_vec();
    tame(&mut bytes).unwrap();
    bytes
}

#[test]
fn letters_in_letters_are_files_however_deep_they_lie() {
    let deep = |head: &str| head.repeat(100_000);
    let inner = deep("Content-Type: message/rfc822\r\n\r\n");
    let coded = base64_of(&deep("content-type:message/global\n\n"));
    let digests = (0..50).fold(String::new(), |text, i| {
        format!("{text}Content-Type: multipart/DIGEST; boundary=b{i}\n\n--b{i}\n\n")
    });
    for letter in [
        inner.clone(),
        deep("Con tent-Type:(x)\n (y) MESSAGE (z)\n\t/ Rfc822 ; a=b\n\n"),
        deep(":: Content-Type : message/rfc822\n\n"),
        format!(
            "Content-Type: multipart/mixed; boundary=b\n\n--bContent-Type: message/rfc822\n\n{inner}"
        ),
        format!("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{coded}"),
        digests,
    ] {
        let bytes = tamed(&letter);
        let letter = message::parse(&bytes).unwrap();
        let is_one = |part: &mail_parser::MessagePart<'_>| part.message().is_some();
        assert!(!letter.parts.iter().any(is_one));
    }
}

#[test]
fn a_letter_that_was_forwarded_in_another_is_had_as_it_was_sent() {
    let inner = "From: bob@x.example\r\nSubject: inner\r\nContent-Type: Message/GLOBAL; \
                 name=\"rfc822 Global\"\r\n\r\nFrom: c@x.example\r\n\r\ncore";
    let letter = format!(
        "From: ann@x.example\r\nSubject: On Content-Type: message/rfc822\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\
         It said Content-Type: message/rfc822 there.\r\n--b\r\n\
         Content-Type: message/rfc822; name=\"rfc822.eml\"\r\n\
         Content-Disposition: attachment\r\n\r\n{inner}\r\n--b--\r\n"
    );
    let bytes = tamed(&letter);
    let letter = message::parse(&bytes).unwrap();
    let subject = message::subject(&letter).unwrap();
    assert_eq!(subject, "On Content-Type: message/rfc822");
    let text = message::text(&letter).unwrap();
    assert!(text.contains("said Content-Type: message/rfc822 there"));
    assert_eq!(message::attachments(&letter).len(), 1);
    let file = message::attachment(&letter, 1).unwrap();
    assert_eq!(file.kind, "message/rfc822");
    assert_eq!(file.name.unwrap(), "rfc822.eml");
    assert_eq!(String::from_utf8(file.bytes).unwrap(), inner);
}

#[test]
fn a_letter_of_too_many_pieces_is_not_parsed() {
    let multipart = "Content-Type: multipart/mixed; boundary=b\n\n";
    let never = "Content-Type: multipart/x; boundary=q\n\n--b\n".repeat(50_000);
    let parameters = (0..200_000).fold(String::from("Content-Type: a/b"), |mut text, i| {
        _ = write!(text, ";a{i}*1=x");
        text
    });
    for letter in [
        "a:\n".repeat(1_000_000),
        format!("{multipart}{}", "--b\n\n\n".repeat(1_000_000)),
        format!("To: {}\n\nx", "a,".repeat(3_000_000)),
        format!("{multipart}--b\n{never}"),
        format!("{parameters}\n\nx"),
    ] {
        let refused = tame(&mut letter.into_bytes()).unwrap_err();
        assert_eq!(refused.status, 422);
    }
}

#[test]
fn memory_is_asked_for_by_what_is_in_a_letter() {
    let file = format!("{}\r\n", "QUJD".repeat(19)).repeat(100_000);
    let mut letter = format!(
        "From: ann@x.example\r\nContent-Type: application/pdf\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{file}"
    )
    .into_bytes();
    let size = letter.len();
    let room = tame(&mut letter).unwrap();
    assert!((2 * size..2 * size + 2000).contains(&room), "{room}");
    let mut letter = "a:\n".repeat(100_000).into_bytes();
    assert!(tame(&mut letter).unwrap() > 100_000 * 160);
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
