//! Puts the credential into its slot: the last change that a request undergoes. The caller has
//! filtered the headers by then; what is left of the slot's own name is the agent's, and refused.

use ah5_contracts::connection::Auth;
use ah5_security::secret::SecretText;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use zeroize::Zeroizing;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    /// The caller sent what only we may send: 400.
    #[error("the request already carries {0}, which this connection sets itself")]
    Conflict(String),
    /// The stored credential or its slot is not legal: the connection is at fault.
    #[error("the connection's credential cannot be sent")]
    Unsendable,
    /// The caller's path has no place for it: 400.
    #[error("the path must begin with /{0}…/, where this connection puts its credential")]
    NoPlace(String),
}

/// # Errors
/// [`InjectError::Conflict`] if the request has a header or parameter of the slot's name,
/// [`InjectError::NoPlace`] if its path has no segment that the credential belongs into.
pub fn inject(auth: &Auth, secret: &SecretText, parts: &mut Parts) -> Result<(), InjectError> {
    let secret = secret.expose();
    match auth {
        Auth::Basic { username } => {
            let value = basic(username, secret);
            set(parts, AUTHORIZATION, &value)
        }
        Auth::Bearer => {
            let value = Zeroizing::new(format!("Bearer {secret}"));
            set(parts, AUTHORIZATION, &value)
        }
        Auth::Header { name } => {
            let name = HeaderName::from_bytes(name.as_bytes());
            set(parts, name.map_err(|_| InjectError::Unsendable)?, secret)
        }
        Auth::Mail => Err(InjectError::Unsendable),
        Auth::Path { prefix } => fill_segment(parts, prefix, secret),
        Auth::Query { name } => add_parameter(parts, name, secret),
        Auth::QueryPair { first, second } => {
            let (one, two) = secret.split_once('\n').ok_or(InjectError::Unsendable)?;
            add_parameter(parts, first, one)?;
            add_parameter(parts, second, two)
        }
    }
}

/// The whole value of `Authorization` for a user name and password.
pub(crate) fn basic(username: &str, secret: &str) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{username}:{secret}"));
    let mut value = Zeroizing::new(String::with_capacity(pair.len() * 4 / 3 + 12));
    value.push_str("Basic ");
    STANDARD.encode_string(pair.as_bytes(), &mut value);
    value
}

fn set(parts: &mut Parts, name: HeaderName, value: &str) -> Result<(), InjectError> {
    if parts.headers.contains_key(&name) {
        return Err(InjectError::Conflict(name.as_str().to_owned()));
    }
    let mut value = HeaderValue::from_str(value).map_err(|_| InjectError::Unsendable)?;
    value.set_sensitive(true);
    parts.headers.insert(name, value);
    Ok(())
}

fn add_parameter(parts: &mut Parts, name: &str, secret: &str) -> Result<(), InjectError> {
    let query = parts.uri.query().unwrap_or_default();
    // Providers differ in how they fold names; whatever may be the same name is refused.
    let taken = query
        .split('&')
        .map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name))
        .any(|found| decode(found).eq_ignore_ascii_case(name.as_bytes()));
    if taken {
        return Err(InjectError::Conflict(name.to_owned()));
    }
    let mut target = Zeroizing::new(String::with_capacity(
        parts.uri.path().len() + query.len() + name.len() + 3 * secret.len() + 3,
    ));
    target.push_str(parts.uri.path());
    target.push('?');
    if !query.is_empty() {
        target.push_str(query);
        target.push('&');
    }
    percent(&mut target, name);
    target.push('=');
    percent(&mut target, secret);
    set_target(parts, &target)
}

/// Whatever the caller wrote behind the prefix gives way to the secret.
fn fill_segment(parts: &mut Parts, prefix: &str, secret: &str) -> Result<(), InjectError> {
    let path = parts.uri.path();
    let mut start = 1;
    let segment = path.split('/').skip(1).take(2).find(|segment| {
        let is_it = segment.starts_with(prefix);
        start += if is_it { 0 } else { segment.len() + 1 };
        is_it
    });
    let segment = segment.ok_or_else(|| InjectError::NoPlace(prefix.to_owned()))?;
    let whole = parts.uri.path_and_query().map_or("", PathAndQuery::as_str);
    let mut target = Zeroizing::new(String::with_capacity(whole.len() + 3 * secret.len()));
    target.push_str(&whole[..start + prefix.len()]);
    for part in secret.split_inclusive(':') {
        percent(&mut target, part.trim_end_matches(':'));
        if part.ends_with(':') {
            target.push(':');
        }
    }
    target.push_str(&whole[start + segment.len()..]);
    set_target(parts, &target)
}

fn set_target(parts: &mut Parts, target: &str) -> Result<(), InjectError> {
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    let target = PathAndQuery::try_from(target).map_err(|_| InjectError::Unsendable)?;
    uri.path_and_query = Some(target);
    parts.uri = http::Uri::from_parts(uri).map_err(|_| InjectError::Unsendable)?;
    Ok(())
}

/// RFC 3986 §2.3.
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986: everything but the unreserved characters is encoded.
fn percent(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

fn decode(name: &str) -> Vec<u8> {
    let bytes = name.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
        let escaped = || u8::try_from(digit(i + 1)? * 16 + digit(i + 2)?).ok();
        match bytes[i] {
            b'%' => match escaped() {
                Some(byte) => {
                    out.push(byte);
                    i += 2;
                }
                None => out.push(b'%'),
            },
            b'+' => out.push(b' '),
            byte => out.push(byte),
        }
        i += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(uri: &str) -> Parts {
        Request::get(uri).body(()).unwrap().into_parts().0
    }

    fn put(auth: &Auth, secret: &str, parts: &mut Parts) -> Result<(), InjectError> {
        inject(auth, &SecretText::new(secret.to_owned()), parts)
    }

    #[test]
    fn each_kind_fills_its_slot_and_is_sensitive() {
        let mut bearer = parts("https://h.example/a");
        put(&Auth::Bearer, "topsecret", &mut bearer).unwrap();
        assert_eq!(bearer.headers[AUTHORIZATION], "Bearer topsecret");
        assert!(bearer.headers[AUTHORIZATION].is_sensitive());

        let mut basic = parts("https://h.example/a");
        let auth = Auth::Basic {
            username: "Aladdin".into(),
        };
        put(&auth, "open sesame", &mut basic).unwrap();
        assert_eq!(
            basic.headers[AUTHORIZATION],
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );

        let mut header = parts("https://h.example/a");
        let auth = Auth::Header {
            name: "X-Api-Key".into(),
        };
        put(&auth, "topsecret", &mut header).unwrap();
        assert_eq!(header.headers["x-api-key"], "topsecret");

        let mut query = parts("https://h.example/a?b=1");
        let auth = Auth::Query { name: "key".into() };
        put(&auth, "to p&s=é", &mut query).unwrap();
        assert_eq!(query.uri, "https://h.example/a?b=1&key=to%20p%26s%3D%C3%A9");
        let mut bare = parts("https://h.example/a");
        put(&auth, "topsecret", &mut bare).unwrap();
        assert_eq!(bare.uri, "https://h.example/a?key=topsecret");
    }

    #[test]
    fn a_slot_that_the_caller_filled_is_refused() {
        let auth = Auth::Query { name: "key".into() };
        for uri in ["/?key=x", "/?a=1&KEY", "/?%6bey=x", "/?%4Bey"] {
            let mut taken = parts(&format!("https://h.example{uri}"));
            let error = put(&auth, "topsecret", &mut taken).unwrap_err();
            assert_eq!(error, InjectError::Conflict("key".into()), "{uri}");
            assert!(!taken.uri.to_string().contains("topsecret"));
        }
        let mut taken = parts("https://h.example/");
        taken
            .headers
            .insert(AUTHORIZATION, HeaderValue::from_static("Bearer mine"));
        assert!(put(&Auth::Bearer, "topsecret", &mut taken).is_err());
        assert_eq!(taken.headers[AUTHORIZATION], "Bearer mine");
    }

    #[test]
    fn a_token_in_the_path_stands_where_the_caller_left_room() {
        let auth = Auth::Path {
            prefix: "bot".into(),
        };
        for (uri, sent) in [
            ("/bot/getMe", "/bot12:a%2Fb/getMe"),
            ("/bot%7Btoken%7D/getMe?a=bot", "/bot12:a%2Fb/getMe?a=bot"),
            ("/file/botX:y/photos/bot", "/file/bot12:a%2Fb/photos/bot"),
            ("/bot/bot", "/bot12:a%2Fb/bot"),
        ] {
            let mut parts = parts(&format!("https://h.example{uri}"));
            put(&auth, "12:a/b", &mut parts).unwrap();
            assert_eq!(parts.uri.to_string(), format!("https://h.example{sent}"));
        }
        for uri in ["/", "/getMe", "/a/b/bot1/getMe", "/?x=/bot/y"] {
            let mut parts = parts(&format!("https://h.example{uri}"));
            let refused = put(&auth, "12:ab", &mut parts).unwrap_err();
            assert_eq!(refused, InjectError::NoPlace("bot".into()), "{uri}");
        }
    }

    #[test]
    fn a_pair_fills_both_parameters_or_none() {
        let auth = Auth::QueryPair {
            first: "key".into(),
            second: "token".into(),
        };
        let mut both = parts("https://h.example/1/cards?fields=name");
        put(&auth, "app&1\nuser-2", &mut both).unwrap();
        assert_eq!(
            both.uri,
            "https://h.example/1/cards?fields=name&key=app%261&token=user-2"
        );
        for uri in ["/?key=x", "/?Token=x", "/?%74oken"] {
            let mut taken = parts(&format!("https://h.example{uri}"));
            let refused = put(&auth, "app1\nuser-2", &mut taken).unwrap_err();
            assert!(matches!(refused, InjectError::Conflict(_)), "{uri}");
        }
        let mut single = parts("https://h.example/");
        assert!(put(&auth, "only-one", &mut single).is_err());
    }

    #[test]
    fn a_secret_that_breaks_a_header_is_not_sent() {
        let mut head = parts("https://h.example/");
        assert_eq!(
            put(&Auth::Bearer, "a\r\nb", &mut head),
            Err(InjectError::Unsendable)
        );
    }
}
