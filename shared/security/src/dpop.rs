//! Proofs of possession (DPoP, RFC 9449): a small token, signed for one request by the key that an
//! access token is bound to. Everything in a proof is chosen by its sender, the key included; it
//! proves something only together with a token that names that key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use crate::assertion::{AgentPublicKey, number};
use crate::hash::{equal, sha256, sha256_of};

pub mod nonce;

/// The algorithms of proofs, as challenges name them.
pub const ALGORITHMS: &str = "EdDSA ES256";
/// Seconds by which a proof may be younger or older than now.
pub const WINDOW: i64 = 60;

/// The request that a proof must be about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a str,
    /// Every spelling of our public origin. The request's own word on where it went proves nothing.
    pub origins: &'a [String],
    /// As it came over the wire, without its query.
    pub path: &'a str,
    /// The access token beside the proof; none where one is asked for.
    pub token: Option<&'a str>,
    /// Seconds since 1970-01-01 UTC.
    pub now: i64,
}

/// A proof that is good for this request. Its nonce has yet to be found ours and its id unused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Of the key that made it (RFC 7638).
    pub thumbprint: [u8; 32],
    /// Of the key and its `jti`: no other key can use it up.
    pub id: [u8; 32],
    /// The last second at which it is good, since 1970-01-01 UTC.
    pub expires: i64,
    pub nonce: Option<String>,
}

/// What is wrong with a proof. The texts are for its sender, who knows all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("the proof's jti is missing, or too long")]
    Id,
    #[error(
        "the proof must be a JWT of type dpop+jwt with a public key of EdDSA or ES256 in its header"
    )]
    Malformed,
    #[error("the proof is for another method")]
    Method,
    #[error("the proof's signature does not verify")]
    Signature,
    #[error("the proof's iat is not within a minute of now: compare the two clocks")]
    Time,
    #[error("the proof is for another access token")]
    Token,
    #[error("the proof is for another URL: htu is our public origin and the path")]
    Url,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    jwk: Value,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    htm: String,
    htu: String,
    iat: Value,
    jti: String,
    ath: Option<String>,
    nonce: Option<String>,
}

/// # Errors
/// RFC 9449 §4.3, but for the nonce and for being used once, which take a memory.
pub fn verify(jws: &str, asked: &Asked<'_>) -> Result<Proof, ProofError> {
    let key = key(jws).ok_or(ProofError::Malformed)?;
    let claims: Claims = key.open(jws).ok_or(ProofError::Signature)?;
    if claims.htm != asked.method {
        return Err(ProofError::Method);
    }
    if !is_at(&claims.htu, asked) {
        return Err(ProofError::Url);
    }
    let iat = number(&claims.iat).ok_or(ProofError::Time)?;
    if iat.abs_diff(asked.now) > WINDOW.unsigned_abs() {
        return Err(ProofError::Time);
    }
    if let Some(token) = asked.token {
        let hash = URL_SAFE_NO_PAD.encode(sha256(token.as_bytes()));
        let claimed = claims.ath.unwrap_or_default();
        if !equal(claimed.as_bytes(), hash.as_bytes()) {
            return Err(ProofError::Token);
        }
    }
    if claims.jti.is_empty() || claims.jti.len() > MAX_ID {
        return Err(ProofError::Id);
    }
    let thumbprint = thumbprint_from(&key.thumbprint()).ok_or(ProofError::Malformed)?;
    Ok(Proof {
        id: sha256_of(&[&thumbprint, claims.jti.as_bytes()]),
        thumbprint,
        expires: iat + WINDOW,
        nonce: claims.nonce,
    })
}

/// A thumbprint out of its text (`jkt`).
#[must_use]
pub fn thumbprint_from(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// The text (`jkt`) of a thumbprint.
#[must_use]
pub fn thumbprint_text(thumbprint: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(thumbprint)
}

/// The key in the header, if the header is one of a proof. Its algorithm is the key's own, whatever
/// the header says.
fn key(jws: &str) -> Option<AgentPublicKey> {
    if jws.len() > MAX_LENGTH {
        return None;
    }
    let header = URL_SAFE_NO_PAD.decode(jws.split('.').next()?).ok()?;
    let header: Header = serde_json::from_slice(&header).ok()?;
    let is_private = PRIVATE.iter().any(|name| header.jwk.get(*name).is_some());
    if header.typ != "dpop+jwt" || header.crit.is_some() || is_private {
        return None;
    }
    let key = AgentPublicKey::from_jwk(&header.jwk).ok()?;
    (key.alg() == header.alg).then_some(key)
}

/// RFC 9449 §4.3: query and fragment don't count. Scheme and host are compared like those of URLs,
/// the path byte by byte: what two readers may read as two paths is no match.
fn is_at(htu: &str, asked: &Asked<'_>) -> bool {
    let htu = htu.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = htu.split_once("://") else {
        return false;
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let default = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(default).unwrap_or(&authority);
    let origin = format!("{scheme}://{authority}");
    let path = if path.is_empty() { "/" } else { path };
    path == asked.path && asked.origins.contains(&origin)
}

/// Members of private and of shared keys (RFC 7518 §6).
const PRIVATE: [&str; 8] = ["d", "dp", "dq", "k", "oth", "p", "q", "qi"];
const MAX_ID: usize = 256;
const MAX_LENGTH: usize = 4096;

#[cfg(test)]
mod tests;
