//! Tokens by which other parties vouch for a workload (RFC 8693 §2.1): Kubernetes' for a service
//! account, a CI system's for a job. Everything in one is chosen by its sender until its signature
//! has verified under the issuer's own keys.

use jsonwebtoken::errors::Result as DecodeResult;
use serde::Deserialize;
use serde_json::Value;

use crate::assertion::number;
use crate::encode::Fields;
use crate::hash::sha256;
use crate::id_token::{IdTokenError, IssuerKeys};

/// Longest life of a token, in seconds.
pub const MAX_LIFETIME: i64 = 3600;
/// Seconds by which clocks may differ.
const TOLERANCE: i64 = 60;
/// Longer ones are not looked at.
const MAX_LENGTH: usize = 16 * 1024;

/// What a token says of itself, before anything is verified. It has one audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub issuer: String,
    pub subject: String,
    pub audience: String,
}

/// A verified token; its id has yet to be found unused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    pub id: [u8; 32],
    /// The last second at which it verifies, since 1970-01-01 UTC.
    pub expires: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    #[error("the subject token says otherwise once it is verified")]
    Claims,
    #[error("the subject token must have iat and exp, at most an hour apart")]
    Lifetime,
    #[error("the subject token's signature does not verify")]
    Signature,
    #[error("the subject token has expired or is not valid yet")]
    Times,
    /// Fetching the issuer's keys anew may help.
    #[error("the subject token is signed with a key that its issuer does not publish")]
    UnknownKey,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    exp: Option<Value>,
    iat: Option<Value>,
    nbf: Option<Value>,
    jti: Option<String>,
}

/// `None` for what is no such token: also one for several audiences, of which another could use it
/// here.
#[must_use]
pub fn peek(jws: &str) -> Option<Claimed> {
    if jws.len() > MAX_LENGTH {
        return None;
    }
    let typ = jsonwebtoken::decode_header(jws).ok()?.typ;
    // RFC 8725 §3.11: what says to be of another kind was not made to be shown to us.
    let typ = typ.map(|typ| typ.to_ascii_lowercase());
    if !matches!(
        typ.as_deref(),
        None | Some("jwt" | "at+jwt" | "application/at+jwt")
    ) {
        return None;
    }
    let claims: DecodeResult<Claims> = jsonwebtoken::dangerous::insecure_decode_claims(jws);
    claims.ok()?.claimed()
}

// === impl IssuerKeys ===

impl IssuerKeys {
    /// # Errors
    /// In the order of the checks: key, signature, claims, life, times. `now` in seconds since
    /// 1970-01-01 UTC.
    pub fn vouch(&self, jws: &str, claimed: &Claimed, now: i64) -> Result<Vouched, SubjectError> {
        let claims: Claims = self.open(jws).map_err(|error| match error {
            IdTokenError::UnknownKey => SubjectError::UnknownKey,
            _ => SubjectError::Signature,
        })?;
        if claims.claimed().as_ref() != Some(claimed) {
            return Err(SubjectError::Claims);
        }
        let exp = claims.check_times(now)?;
        // What is signed, not the signature: of some kinds anybody can make a second one of a first.
        let signed = jws.rsplit_once('.').map_or(jws, |(signed, _)| signed);
        let name = claims.jti.filter(|jti| !jti.is_empty());
        let id = Fields::new("ah5.subject-token.v1")
            .text(&claimed.issuer)
            .optional(name.as_deref().map(str::as_bytes));
        let id = if name.is_none() { id.text(signed) } else { id };
        Ok(Vouched {
            id: sha256(&id.finish()),
            expires: exp.saturating_add(TOLERANCE),
        })
    }
}

// === impl Claims ===

impl Claims {
    fn claimed(&self) -> Option<Claimed> {
        let audience = match &self.aud {
            Value::String(one) => one,
            Value::Array(list) => match list.as_slice() {
                [Value::String(one)] => one,
                _ => return None,
            },
            _ => return None,
        };
        Some(Claimed {
            issuer: self.iss.clone(),
            subject: self.sub.clone(),
            audience: audience.clone(),
        })
    }

    fn check_times(&self, now: i64) -> Result<i64, SubjectError> {
        let seconds = |claim: &Option<Value>| claim.as_ref().and_then(number);
        let (iat, exp) = seconds(&self.iat)
            .zip(seconds(&self.exp))
            .ok_or(SubjectError::Lifetime)?;
        if exp.saturating_sub(iat) > MAX_LIFETIME {
            return Err(SubjectError::Lifetime);
        }
        // A claim that is there and no number is no limit that we could hold it to.
        let nbf = self.nbf.as_ref().map(number);
        let soon = now.saturating_add(TOLERANCE);
        let started = iat <= soon && nbf.is_none_or(|nbf| nbf.is_some_and(|nbf| nbf <= soon));
        if started && exp.saturating_add(TOLERANCE) > now {
            Ok(exp)
        } else {
            Err(SubjectError::Times)
        }
    }
}

#[cfg(test)]
mod tests;
