//! Finds the one credential that a request carries. Whether it is good is another's question.

use http::{HeaderMap, header};

/// What a request presents, as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented<'a> {
    /// Sent as `Authorization: Bearer`, rather than in an API-key header.
    pub bearer: bool,
    pub value: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCredential {
    #[error("The request carries several different credentials")]
    Ambiguous,
    #[error("Missing Authorization header, X-API-Key, or X-Goog-Api-Key")]
    Missing,
}

/// Several carriers must agree, since two readers may look at two of them.
///
/// # Errors
/// There is none, or not just one. The texts are for the caller.
pub fn presented(headers: &HeaderMap) -> Result<Presented<'_>, NoCredential> {
    let bearer = headers.get_all(header::AUTHORIZATION).iter().map(|value| {
        let value = value.to_str().ok()?.strip_prefix("Bearer ")?;
        Some(Presented {
            bearer: true,
            value,
        })
    });
    let keys = ["x-api-key", "x-goog-api-key"];
    let keys = keys.iter().flat_map(|name| headers.get_all(*name));
    let keys = keys.map(|value| {
        let value = value.to_str().ok()?;
        Some(Presented {
            bearer: false,
            value,
        })
    });
    let mut found = bearer.chain(keys).flatten();
    let first = found.next().ok_or(NoCredential::Missing)?;
    if found.any(|other| other.value != first.value) {
        return Err(NoCredential::Ambiguous);
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(headers: &[(&'static str, &'static str)]) -> Result<(String, bool), NoCredential> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        presented(&map).map(|found| (found.value.to_owned(), found.bearer))
    }

    #[test]
    fn carriers_must_agree() {
        assert_eq!(of(&[]), Err(NoCredential::Missing));
        assert_eq!(
            of(&[("authorization", "bearer a")]),
            Err(NoCredential::Missing)
        );
        assert_eq!(of(&[("authorization", "Bearer a")]), Ok(("a".into(), true)));
        let basic = [("authorization", "Basic x"), ("x-api-key", "a")];
        assert_eq!(of(&basic), Ok(("a".into(), false)));
        let same = [("authorization", "Bearer a"), ("x-api-key", "a")];
        assert_eq!(of(&same), Ok(("a".into(), true)));
        for other in [
            [("authorization", "Bearer a"), ("authorization", "Bearer b")],
            [("authorization", "Bearer a"), ("x-goog-api-key", "b")],
            [("x-api-key", "a"), ("x-api-key", "b")],
        ] {
            assert_eq!(of(&other), Err(NoCredential::Ambiguous));
        }
    }
}
