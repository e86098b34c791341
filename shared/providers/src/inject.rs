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
}

/// # Errors
/// [`InjectError::Conflict`] if the request has a header or parameter of the slot's name.
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
        Auth::Query { name } => add_parameter(parts, name, secret),
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
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    let target = PathAndQuery::try_from(target.as_str()).map_err(|_| InjectError::Unsendable)?;
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
    fn a_secret_that_breaks_a_header_is_not_sent() {
        let mut head = parts("https://h.example/");
        assert_eq!(
            put(&Auth::Bearer, "a\r\nb", &mut head),
            Err(InjectError::Unsendable)
        );
    }
}
