//! The custom HTTP service: any base URL that a workspace names. Everything here is a tenant's
//! input; what passes is safe to pin calls to and to carry a credential in.

use ah5_contracts::connection::Auth;
use ah5_policy::CanonicalUrl;
use ah5_policy::header::{is_never, is_token};
use ah5_security::secret::SecretText;

use crate::inject::is_unreserved;

pub const PROVIDER: &str = "custom";
pub const SERVICE: &str = "custom-http";
/// The same by OAuth: see [`crate::oauth::OAuth::check_own`].
pub const OAUTH_SERVICE: &str = "custom-oauth";
pub const DISPLAY_NAME: &str = "Custom HTTP";

const MIN_SECRET_BYTES: usize = 8;
const MAX_SECRET_BYTES: usize = 8192;
const MAX_NAME_BYTES: usize = 128;

/// A checked connection: the only base URL its calls may go to, and the credential's slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custom {
    pub base_url: CanonicalUrl,
    pub auth: Auth,
}

/// The field at fault, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {why}")]
pub struct Fault {
    pub field: &'static str,
    pub why: String,
}

// === impl Custom ===

impl Custom {
    /// `plain_http` says for which host and port `http://` will do: the operator's exemptions.
    ///
    /// # Errors
    /// The first field that won't do.
    pub fn check(
        base_url: &str,
        auth: Auth,
        secret: &SecretText,
        plain_http: impl Fn(&str, u16) -> bool,
    ) -> Result<Self, Fault> {
        let base = CanonicalUrl::parse(base_url).map_err(|why| fault("baseUrl", why))?;
        if base.query().is_some() {
            return Err(fault("baseUrl", "must not have a query"));
        }
        if !base.is_https() && !plain_http(base.host(), base.port()) {
            return Err(fault("baseUrl", "must use https"));
        }
        check_auth(&auth)?;
        check_secret(secret, &auth)?;
        Ok(Self {
            base_url: base,
            auth,
        })
    }
}

fn check_auth(auth: &Auth) -> Result<(), Fault> {
    let name = auth.name();
    if name.len() > MAX_NAME_BYTES {
        return Err(fault("auth", "has a name that is too long"));
    }
    match auth {
        Auth::Bearer => Ok(()),
        // RFC 7617 §2: the first colon ends the user name.
        Auth::Basic { .. } if name.contains(':') || name.chars().any(char::is_control) => {
            Err(fault(
                "auth/username",
                "must not hold a colon or control characters",
            ))
        }
        Auth::Basic { .. } => Ok(()),
        Auth::Header { .. } if !is_token(name) => Err(fault("auth/name", "is not a header name")),
        Auth::Header { .. } if is_never(name) => Err(fault(
            "auth/name",
            "is a header that may not carry a credential",
        )),
        Auth::Header { .. } => Ok(()),
        Auth::Query { .. } if name.is_empty() || !name.bytes().all(is_unreserved) => {
            Err(fault("auth/name", "must be letters, digits and -._~"))
        }
        Auth::Query { .. } => Ok(()),
        Auth::Mail | Auth::Path { .. } | Auth::QueryPair { .. } => {
            Err(fault("auth/kind", "must be basic, bearer, header or query"))
        }
    }
}

fn check_secret(secret: &SecretText, auth: &Auth) -> Result<(), Fault> {
    let text = secret.expose();
    if !(MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&text.len()) {
        return Err(fault("apiKey", "must be 8 to 8192 bytes long"));
    }
    // RFC 9110 §5.5, without leading or trailing blanks; a query or password may hold more.
    let legal = |b: u8| (0x20..0x7f).contains(&b);
    let header = matches!(auth, Auth::Bearer | Auth::Header { .. });
    if text.trim() != text
        || text.chars().any(char::is_control)
        || (header && !text.bytes().all(legal))
    {
        return Err(fault("apiKey", "holds characters that cannot be sent"));
    }
    Ok(())
}

fn fault(field: &'static str, why: impl std::fmt::Display) -> Fault {
    Fault {
        field,
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base_url: &str, auth: Auth, secret: &str) -> Result<Custom, &'static str> {
        let secret = SecretText::new(secret.to_owned());
        let exempt = |host: &str, port| host == "localhost" && port == 9000;
        Custom::check(base_url, auth, &secret, exempt).map_err(|fault| fault.field)
    }

    fn header(name: &str) -> Auth {
        Auth::Header {
            name: name.to_owned(),
        }
    }

    #[test]
    fn takes_https_and_exempt_plain_http_only() {
        assert!(check("https://api.example.com/v2", Auth::Bearer, "0123456789").is_ok());
        assert!(check("http://localhost:9000/", Auth::Bearer, "0123456789").is_ok());
        for bad in [
            "http://api.example.com/",
            "http://localhost:9001/",
            "ftp://example.com/",
            "/v2",
            "https://user:pass@example.com/",
            "https://example.com/?a=b",
            "https://example.com/#x",
            "",
        ] {
            assert_eq!(
                check(bad, Auth::Bearer, "0123456789"),
                Err("baseUrl"),
                "{bad}"
            );
        }
    }

    #[test]
    fn refuses_slots_that_would_steer_the_request() {
        assert!(check("https://a.example/", header("X-Api-Key"), "0123456789").is_ok());
        for bad in [
            "Host",
            "Cookie",
            "X-HTTP-Method-Override",
            "x-ah5-audit-id",
            "X-Forwarded-For",
            "Transfer-Encoding",
            "Proxy-Authorization",
            "a b",
            "",
            "a\r\nb",
        ] {
            assert_eq!(
                check("https://a.example/", header(bad), "0123456789"),
                Err("auth/name"),
                "{bad}"
            );
        }
        let query = |name: &str| Auth::Query {
            name: name.to_owned(),
        };
        assert!(check("https://a.example/", query("key"), "0123456789").is_ok());
        assert_eq!(
            check("https://a.example/", query("k&x"), "0123456789"),
            Err("auth/name")
        );
        let basic = Auth::Basic {
            username: "a:b".into(),
        };
        assert_eq!(
            check("https://a.example/", basic, "0123456789"),
            Err("auth/username")
        );
    }

    #[test]
    fn refuses_secrets_that_are_short_or_break_a_header() {
        for bad in [
            "1234567",
            "12345678\r\nx: y",
            " 12345678",
            "schl\u{fc}ssel-123",
        ] {
            assert_eq!(
                check("https://a.example/", Auth::Bearer, bad),
                Err("apiKey"),
                "{bad}"
            );
        }
    }
}
