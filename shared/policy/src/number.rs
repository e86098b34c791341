//! JSON numbers, kept as they were written: their shortest decimal text, and whether two are equal.

use std::borrow::Cow;

/// As a JavaScript reader would print it; whole numbers keep every digit.
pub(crate) fn text(raw: &str) -> Cow<'_, str> {
    if is_whole(raw) {
        return Cow::Borrowed(if raw == "-0" { "0" } else { raw });
    }
    match raw.parse::<f64>() {
        Ok(number) if number.is_finite() => Cow::Owned(shortest(number)),
        _ => Cow::Borrowed(raw),
    }
}

/// Whether two numbers, as written, are the same number.
pub(crate) fn equal(a: &str, b: &str) -> bool {
    if is_whole(a) && is_whole(b) {
        return text(a) == text(b);
    }
    matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
}

/// JSON has no leading zeros and no plus sign, so one whole number has one spelling.
fn is_whole(raw: &str) -> bool {
    raw.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

fn shortest(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if (1e-6..1e21).contains(&size) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    if size >= 1e21 {
        text.replace('e', "e+")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_has_one_text() {
        for (raw, expected) in [
            ("5", "5"),
            ("-0", "0"),
            ("0.0", "0"),
            ("1e5", "100000"),
            ("5.0", "5"),
            ("1.50", "1.5"),
            ("1E21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("1e-7", "1e-7"),
            ("0.000001", "0.000001"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("1e999", "1e999"),
        ] {
            assert_eq!(text(raw), expected, "{raw}");
        }
    }

    #[test]
    fn equality_is_by_value_and_exact_for_whole_numbers() {
        assert!(equal("5", "5.0"));
        assert!(equal("1e5", "100000"));
        assert!(equal("-0", "0"));
        assert!(!equal("9007199254740993", "9007199254740992"));
        assert!(!equal("1", "2"));
    }
}
