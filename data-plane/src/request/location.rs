//! Redirects within a connection: they lead back through us.

use ah5_policy::CanonicalUrl;
use http::header::{HeaderMap, HeaderValue, LOCATION};

use super::parse::Form;
use super::unseal::Exchange;

/// A redirect within the connection leads back through us; one out of it leads nowhere.
pub fn point_at_us(headers: &mut HeaderMap, exchange: &Exchange) {
    let Some(location) = headers.remove(LOCATION) else {
        return;
    };
    let target = location
        .to_str()
        .ok()
        .and_then(|text| resolve(text, &exchange.url));
    let Some(target) = target.filter(|target| target.is_below(&exchange.base)) else {
        return;
    };
    let base = exchange.base.path().trim_end_matches('/').len();
    let rest = &target.path_and_query()[base..];
    let route = match exchange.form {
        Form::Llm(_) => "vault/llm",
        Form::Download | Form::Envelope | Form::Proxy | Form::Raw => "proxy",
    };
    let ours = format!("/v1/{route}/{}{rest}", exchange.key.connection);
    if let Ok(ours) = HeaderValue::from_str(&ours) {
        headers.insert(LOCATION, ours);
    }
}

/// RFC 3986 §5.2, as far as redirects need it: absolute, from the root, or beside the target.
fn resolve(reference: &str, target: &CanonicalUrl) -> Option<CanonicalUrl> {
    let reference = reference.split('#').next().unwrap_or_default();
    if let Ok(absolute) = CanonicalUrl::parse(reference) {
        return Some(absolute);
    }
    let path = match reference.as_bytes() {
        [] | [b'/', b'/', ..] => return None,
        [b'/', ..] => reference.to_owned(),
        [b'?', ..] => format!("{}{reference}", target.path()),
        _ => {
            let folder = target.path().rfind('/');
            let folder = folder.map_or("/", |at| &target.path()[..=at]);
            format!("{folder}{reference}")
        }
    };
    CanonicalUrl::parse(&format!("{}{path}", target.origin())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_resolved_like_a_browser_does() {
        let target = CanonicalUrl::parse("https://a.example/v2/users/1?x=1").unwrap();
        for (reference, expected) in [
            ("https://a.example/v2/b#f", "https://a.example/v2/b"),
            ("/v2/c?y=2", "https://a.example/v2/c?y=2"),
            ("2", "https://a.example/v2/users/2"),
            ("../groups", "https://a.example/v2/groups"),
            ("?page=2", "https://a.example/v2/users/1?page=2"),
        ] {
            assert_eq!(resolve(reference, &target).unwrap().to_string(), expected);
        }
        for bad in ["", "//b.example/", "/a/%2e%2e/%2e%2e", "/a\\b"] {
            assert_eq!(resolve(bad, &target), None, "{bad}");
        }
    }
}
