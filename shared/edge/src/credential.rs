//! Finds the one credential that a request carries. Whether it is good is another's question.

use http::{HeaderMap, header};

/// What a request presents, as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented<'a> {
    pub carrier: Carrier,
    pub value: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// `Authorization: Bearer`.
    Bearer,
    /// `Authorization: DPoP` (RFC 9449 §7.1).
    Dpop,
    /// `X-API-Key` or `X-Goog-Api-Key`.
    Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCredential {
    #[error("The request carries several different credentials")]
    Ambiguous,
    #[error("Missing Authorization header, X-API-Key, or X-Goog-Api-Key")]
    Missing,
}

/// Several carriers must agree, since two readers may look at two of them. What is bound to a key
/// comes by itself: another carrier beside it would say that it is not.
///
/// # Errors
/// There is none, or not just one. The texts are for the caller.
pub fn presented(headers: &HeaderMap) -> Result<Presented<'_>, NoCredential> {
    let authorization = headers.get_all(header::AUTHORIZATION).iter();
    let authorization = authorization.map(|value| {
        let value = value.to_str().ok()?;
        if let Some(value) = value.strip_prefix("Bearer ") {
            return Some(Presented {
                carrier: Carrier::Bearer,
                value,
            });
        }
        let (scheme, value) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("DPoP").then_some(Presented {
            carrier: Carrier::Dpop,
            value,
        })
    });
    let keys = ["x-api-key", "x-goog-api-key"];
    let keys = keys.iter().flat_map(|name| headers.get_all(*name));
    let keys = keys.map(|value| {
        let value = value.to_str().ok()?;
        Some(Presented {
            carrier: Carrier::Key,
            value,
        })
    });
    let mut found = authorization.chain(keys).flatten();
    let first = found.next().ok_or(NoCredential::Missing)?;
    let differs = |other: Presented<'_>| {
        let alone = first.carrier == Carrier::Dpop || other.carrier == Carrier::Dpop;
        alone || other.value != first.value
    };
    if found.any(differs) {
        return Err(NoCredential::Ambiguous);
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(headers: &[(&'static str, &'static str)]) -> Result<(String, Carrier), NoCredential> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        presented(&map).map(|found| (found.value.to_owned(), found.carrier))
    }

    #[test]
    fn carriers_must_agree() {
        use Carrier::{Bearer, Dpop, Key};
        assert_eq!(of(&[]), Err(NoCredential::Missing));
        assert_eq!(
            of(&[("authorization", "bearer a")]),
            Err(NoCredential::Missing)
        );
        assert_eq!(
            of(&[("authorization", "Bearer a")]),
            Ok(("a".into(), Bearer))
        );
        assert_eq!(of(&[("authorization", "DPoP a")]), Ok(("a".into(), Dpop)));
        assert_eq!(of(&[("authorization", "dpop a")]), Ok(("a".into(), Dpop)));
        let basic = [("authorization", "Basic x"), ("x-api-key", "a")];
        assert_eq!(of(&basic), Ok(("a".into(), Key)));
        let same = [("authorization", "Bearer a"), ("x-api-key", "a")];
        assert_eq!(of(&same), Ok(("a".into(), Bearer)));
        for other in [
            [("authorization", "Bearer a"), ("authorization", "Bearer b")],
            [("authorization", "Bearer a"), ("x-goog-api-key", "b")],
            [("x-api-key", "a"), ("x-api-key", "b")],
            [("authorization", "DPoP a"), ("x-api-key", "a")],
            [("authorization", "DPoP a"), ("authorization", "DPoP a")],
            [("authorization", "Bearer a"), ("authorization", "DPoP a")],
        ] {
            assert_eq!(of(&other), Err(NoCredential::Ambiguous));
        }
    }
}
