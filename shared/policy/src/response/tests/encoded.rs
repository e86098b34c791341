//! Text inside encodings.

use super::{quote, redact, rule, run};

#[test]
fn text_inside_base64_is_redacted_and_encoded_again() {
    for (data, left) in [
        (
            "SGVsbG8gdGhlcmUsIHBsZWFzZSBjb250YWN0IGpvaG5AZXhhbXBsZS5jb20gYWJvdXQgdGhlIHRoaW5nLg",
            "SGVsbG8gdGhlcmUsIHBsZWFzZSBjb250YWN0IFtSRURBQ1RFRF0gYWJvdXQgdGhlIHRoaW5nLg",
        ),
        (
            "fn5+SGVsbG8gdGhlcmUsIHBsZWFzZSBjb250YWN0IGpvaG5AZXhhbXBsZS5jb20gYWJvdXQgdGhlIHRoaW5nLn5+",
            "fn5-SGVsbG8gdGhlcmUsIHBsZWFzZSBjb250YWN0IFtSRURBQ1RFRF0gYWJvdXQgdGhlIHRoaW5nLn5-",
        ),
        // Twice encoded.
        (
            "U0dWc2JHOGdkR2hsY21Vc0lIQnNaV0Z6WlNCamIyNTBZV04wSUdwdmFHNUFaWGhoYlhCc1pTNWpiMjBnWVdKdmRYUWdkR2hsSUhSb2FXNW5MZw",
            "[REDACTED]",
        ),
        // With line breaks, as in mails.
        (
            "SGVsbG8gdGhlcmUsIHBs\\nZWFzZSBjb250YWN0IGpvaG5AZXhhbXBsZS5jb20gYWJvdXQgdGhlIHRoaW5nLg==",
            "[REDACTED]",
        ),
        // In a data URL.
        (
            "data:text/plain;base64,SGVsbG8sIHdyaXRlIHRvIGpvaG5AZXhhbXBsZS5jb20u",
            "[REDACTED]",
        ),
        // Short.
        ("YWxpY2VAZXhhbXBsZS5jb20", "W1JFREFDVEVEXQ"),
    ] {
        assert_eq!(redact(&format!("\"{data}\"")), format!("\"{left}\""));
    }
}

#[test]
fn a_mails_encoded_parts_are_seen_through() {
    let mail = "From: x@y.io\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        SGVsbG8gdGhlcmUsIHBsZWFzZSBjb250YWN0IGpvaG5AZXhh\r\n\
        bXBsZS5jb20gYWJvdXQgdGhlIHRoaW5nLg==\r\n--b\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\nwrite al=\r\nice=40example.com\r\n";
    let rules = || vec![rule(None, None, &["email"])];
    let left = run(rules(), Some("message/rfc822"), mail.as_bytes()).unwrap();
    assert!(left.contains("write [REDACTED]\r\n"), "{left}");
    assert!(left.contains("From: [REDACTED]\r\n"), "{left}");
    assert!(!left.contains("IGpvaG5AZXhh"), "{left}");
    let inside = redact(&String::from_utf8(quote(mail)).unwrap());
    assert!(inside.contains("write [REDACTED]") && !inside.contains("IGpvaG5AZXhh"));
}
