//! `Content-Disposition` for a file whose name a stranger chose (RFC 6266, RFC 8187).

use std::fmt::Write as _;

/// The name in ASCII for old readers, and as it is for all others.
pub fn attachment(name: Option<&str>) -> String {
    let name: String = name
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    // A name is no path.
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let name: String = name.chars().take(MAX_NAME).collect();
    if name.is_empty() {
        return "attachment".to_owned();
    }
    let plain = |c: char| (' '..='~').contains(&c) && !matches!(c, '"' | '\\' | '%');
    let fallback: String = name
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    let mut text = format!("attachment; filename=\"{fallback}\"");
    if fallback != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            match byte {
                b if b.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&b) => {
                    text.push(char::from(b));
                }
                // Into a string nothing fails to be written.
                b => _ = write!(text, "%{b:02X}"),
            }
        }
    }
    text
}

const MAX_NAME: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_within_its_quotes() {
        let plain = "attachment; filename=\"a b.pdf\"";
        assert_eq!(attachment(Some("a b.pdf")), plain);
        assert_eq!(
            attachment(Some("日本.txt")),
            "attachment; filename=\"__.txt\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.txt"
        );
        assert_eq!(
            attachment(Some("a\"; x=\"b\r\nset-cookie: y")),
            "attachment; filename=\"a_; x=_bset-cookie: y\"; \
             filename*=UTF-8''a%22%3B%20x%3D%22bset-cookie%3A%20y"
        );
        assert_eq!(
            attachment(Some("../../etc/passwd")),
            "attachment; filename=\"passwd\""
        );
        assert_eq!(
            attachment(Some("C:\\x\\y.exe")),
            "attachment; filename=\"y.exe\""
        );
        for nothing in [None, Some(""), Some("/"), Some("\r\n")] {
            assert_eq!(attachment(nothing), "attachment");
        }
    }
}
