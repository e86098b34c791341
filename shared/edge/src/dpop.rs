//! What both planes ask of a request with a token that is bound to a key, and what they say when it
//! won't do (RFC 9449 §7).

use ah5_security::dpop::{self, ALGORITHMS, Asked, Proof};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::credential::Carrier;

pub const PROOF: HeaderName = HeaderName::from_static("dpop");
pub const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Why a request is refused. The texts are for its sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A new proof, with this nonce, will do.
    #[error("Send a new proof with the nonce of the DPoP-Nonce header")]
    Nonce(String),
    #[error("{0}")]
    Proof(String),
    #[error("{0}")]
    Token(&'static str),
}

/// The proof beside a token that is bound to the key of this thumbprint; none beside one that is
/// bound to none.
///
/// # Errors
/// The token doesn't come the way it must, or the proof is none for it.
pub fn check(
    headers: &HeaderMap,
    carrier: Carrier,
    bound_to: Option<&[u8; 32]>,
    asked: &Asked<'_>,
) -> Result<Option<Proof>, Fault> {
    let Some(key) = bound_to else {
        return if carrier == Carrier::Dpop {
            Err(Fault::Token(
                "The token is bound to no key: send it as Bearer",
            ))
        } else {
            Ok(None)
        };
    };
    if carrier != Carrier::Dpop {
        let text = "The token is bound to a key: send it as Authorization: DPoP, with a proof";
        return Err(Fault::Token(text));
    }
    let proof = shown(headers, asked)?;
    let proof = proof.ok_or_else(|| Fault::proof("the DPoP header is missing"))?;
    if proof.thumbprint == *key {
        Ok(Some(proof))
    } else {
        let text = "The token is bound to another key than the proof's";
        Err(Fault::Token(text))
    }
}

/// The proof that a request shows, if it shows one.
///
/// # Errors
/// There are several, or it is none for this request.
pub fn shown(headers: &HeaderMap, asked: &Asked<'_>) -> Result<Option<Proof>, Fault> {
    let mut proofs = headers.get_all(PROOF).iter();
    let Some(jws) = proofs.next() else {
        return Ok(None);
    };
    if proofs.next().is_some() {
        return Err(Fault::proof("there is more than one DPoP header"));
    }
    let jws = jws.to_str().unwrap_or_default();
    let proof = dpop::verify(jws, asked).map_err(Fault::proof)?;
    Ok(Some(proof))
}

// === impl Fault ===

impl Fault {
    pub fn proof(why: impl std::fmt::Display) -> Self {
        Self::Proof(format!("The DPoP proof is refused: {why}"))
    }

    /// Whoever repeats a proof: it may be a thief's.
    #[must_use]
    pub fn used() -> Self {
        Self::proof("it was used before")
    }

    /// As the standard calls it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Nonce(_) => "use_dpop_nonce",
            Self::Proof(_) => "invalid_dpop_proof",
            Self::Token(_) => "invalid_token",
        }
    }

    /// The value of `WWW-Authenticate`. None of the texts holds a quote.
    #[must_use]
    pub fn challenge(&self) -> HeaderValue {
        let code = self.code();
        let text =
            format!("DPoP error=\"{code}\", error_description=\"{self}\", algs=\"{ALGORITHMS}\"");
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("DPoP"))
    }

    /// The value of `DPoP-Nonce`.
    #[must_use]
    pub fn nonce(&self) -> Option<HeaderValue> {
        match self {
            Self::Nonce(nonce) => HeaderValue::try_from(nonce).ok(),
            Self::Proof(_) | Self::Token(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked<'_> = Asked {
        method: "GET",
        origins: &[],
        path: "/",
        token: None,
        now: 0,
    };

    fn refused(headers: &HeaderMap, carrier: Carrier, key: Option<&[u8; 32]>) -> &'static str {
        check(headers, carrier, key, &ASKED).map_or_else(|fault| fault.code(), |_| "passes")
    }

    #[test]
    fn a_token_comes_the_way_that_it_is_bound() {
        let (none, key) = (HeaderMap::new(), [7; 32]);
        for carrier in [Carrier::Bearer, Carrier::Key] {
            assert_eq!(refused(&none, carrier, None), "passes");
            assert_eq!(refused(&none, carrier, Some(&key)), "invalid_token");
        }
        assert_eq!(refused(&none, Carrier::Dpop, None), "invalid_token");
        assert_eq!(
            refused(&none, Carrier::Dpop, Some(&key)),
            "invalid_dpop_proof"
        );
    }

    #[test]
    fn there_is_one_proof_at_most() {
        let mut headers = HeaderMap::new();
        assert_eq!(shown(&headers, &ASKED), Ok(None));
        headers.append(PROOF, HeaderValue::from_static("a.b.c"));
        headers.append(PROOF, HeaderValue::from_static("a.b.c"));
        let fault = shown(&headers, &ASKED).unwrap_err();
        assert!(fault.to_string().contains("more than one"), "{fault}");
    }

    #[test]
    fn a_challenge_names_the_fault_and_the_algorithms() {
        let fault = Fault::Nonce("n".to_owned());
        let text = fault.challenge();
        let text = text.to_str().unwrap();
        assert!(text.starts_with("DPoP error=\"use_dpop_nonce\", error_description="));
        assert!(text.ends_with("algs=\"EdDSA ES256\""), "{text}");
        assert_eq!(text.matches('"').count(), 6);
        assert_eq!(fault.nonce(), Some(HeaderValue::from_static("n")));
        assert_eq!(Fault::used().nonce(), None);
    }
}
