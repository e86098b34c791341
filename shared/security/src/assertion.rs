//! Client assertions: how an agent proves at the token endpoint that it holds its enrolled key
//! (RFC 7523 §3; ES256 or Ed25519 by the key; at most 60 seconds, single use). Everything in an assertion is
//! chosen by whoever sends it.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use ah5_contracts::id::AgentId;

use crate::token::thumbprint;

/// Seconds by which clocks may differ.
pub const TOLERANCE: i64 = 5;
/// Longest life of an assertion, in seconds.
pub const MAX_LIFETIME: i64 = 60;
const MAX_JTI_BYTES: usize = 256;

/// An agent's enrolled public key: on P-256, or Ed25519. It decides by which algorithm an assertion is
/// verified, whatever the assertion says.
pub struct AgentPublicKey {
    /// Nothing but the members that make the key.
    jwk: Value,
    algorithm: Algorithm,
    decoding: DecodingKey,
}

/// A verified assertion; `jti` has yet to be found unused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    pub jti: String,
    /// Seconds since 1970-01-01 UTC.
    pub exp: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    #[error("the assertion's times are off: compare the two clocks")]
    ClockSkew,
    #[error("the assertion is not valid")]
    Invalid,
    #[error("Assertion lifetime must be 60 seconds or less")]
    Lifetime,
    #[error("Missing jti claim")]
    MissingJti,
}

/// Not the public half of a key that agents may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error("Invalid ES256 public key")]
    Es256,
    #[error("Invalid Ed25519 public key")]
    Ed25519,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    iat: Option<Value>,
    exp: Option<Value>,
    nbf: Option<Value>,
    jti: Option<Value>,
}

// === impl AgentPublicKey ===

impl AgentPublicKey {
    /// # Errors
    /// Another kind of key, a point that is not on the curve, or a private key: an agent that sends
    /// its private half must hear of it.
    pub fn from_jwk(jwk: &Value) -> Result<Self, BadKey> {
        match jwk.get("kty").and_then(Value::as_str) {
            Some("OKP") => Self::ed25519(jwk).ok_or(BadKey::Ed25519),
            _ => Self::p256(jwk).ok_or(BadKey::Es256),
        }
    }

    fn p256(jwk: &Value) -> Option<Self> {
        let member = |name: &str| jwk.get(name).and_then(Value::as_str);
        if member("kty") != Some("EC") || member("crv") != Some("P-256") || jwk.get("d").is_some() {
            return None;
        }
        let (x, y) = member("x").zip(member("y"))?;
        let point = [&[4_u8][..], &coordinate(x)?, &coordinate(y)?].concat();
        // Parsing checks that the point is on the curve.
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).ok()?;
        Some(Self {
            jwk: json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}),
            algorithm: Algorithm::ES256,
            decoding: DecodingKey::from_ec_components(x, y).ok()?,
        })
    }

    // A text that stands for no point verifies nothing.
    fn ed25519(jwk: &Value) -> Option<Self> {
        let member = |name: &str| jwk.get(name).and_then(Value::as_str);
        if member("crv") != Some("Ed25519") || jwk.get("d").is_some() {
            return None;
        }
        let x = member("x")?;
        ParsedPublicKey::new(&ED25519, coordinate(x)?).ok()?;
        Some(Self {
            jwk: json!({"kty": "OKP", "crv": "Ed25519", "x": x}),
            algorithm: Algorithm::EdDSA,
            decoding: DecodingKey::from_ed_components(x).ok()?,
        })
    }

    /// The name of the one algorithm that it verifies (RFC 7518 §3.1).
    #[must_use]
    pub const fn alg(&self) -> &'static str {
        match self.algorithm {
            Algorithm::EdDSA => "EdDSA",
            _ => "ES256",
        }
    }

    /// The claims of what this key has signed, none of them looked at.
    pub(crate) fn open<T: DeserializeOwned>(&self, jws: &str) -> Option<T> {
        let mut validation = Validation::new(self.algorithm);
        validation.validate_aud = false;
        validation.validate_exp = false;
        validation.set_required_spec_claims::<&str>(&[]);
        let token = jsonwebtoken::decode(jws, &self.decoding, &validation).ok()?;
        Some(token.claims)
    }

    /// The members that are kept.
    #[must_use]
    pub fn stored(&self) -> Value {
        self.jwk.clone()
    }

    #[must_use]
    pub fn thumbprint(&self) -> String {
        thumbprint(&self.jwk)
    }

    /// # Errors
    /// In the order of the checks: signature, issuer, subject and audience; clock; lifetime; jti.
    pub fn verify(
        &self,
        jws: &str,
        agent: AgentId,
        audiences: &[String],
        now: i64,
    ) -> Result<Assertion, AssertionError> {
        let mut validation = Validation::new(self.algorithm);
        validation.set_audience(audiences);
        validation.set_required_spec_claims(&["aud", "iss", "sub"]);
        validation.validate_exp = false;
        let token = jsonwebtoken::decode::<Claims>(jws, &self.decoding, &validation)
            .map_err(|_| AssertionError::Invalid)?;
        // An extension that must be understood (RFC 7515 §4.1.11): we understand none.
        if token.header.crit.is_some() {
            return Err(AssertionError::Invalid);
        }
        let claims = token.claims;
        let name = agent.to_string();
        if claims.iss.as_deref() != Some(&name) || claims.sub.as_deref() != Some(&name) {
            return Err(AssertionError::Invalid);
        }
        claims.check_times(now)
    }
}

// === impl Claims ===

impl Claims {
    fn check_times(&self, now: i64) -> Result<Assertion, AssertionError> {
        let seconds = |claim: &Option<Value>| claim.as_ref().and_then(number);
        let (iat, exp) = (seconds(&self.iat), seconds(&self.exp));
        if exp.is_some_and(|exp| exp <= now - TOLERANCE)
            || seconds(&self.nbf).is_some_and(|nbf| nbf > now + TOLERANCE)
        {
            return Err(AssertionError::ClockSkew);
        }
        let (iat, exp) = iat.zip(exp).ok_or(AssertionError::Lifetime)?;
        if exp.saturating_sub(iat) > MAX_LIFETIME {
            return Err(AssertionError::Lifetime);
        }
        // A far future would keep its jti on our books for as long.
        if exp > now + MAX_LIFETIME + TOLERANCE {
            return Err(AssertionError::ClockSkew);
        }
        let jti = self
            .jti
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or_default();
        if jti.is_empty() || jti.len() > MAX_JTI_BYTES {
            return Err(AssertionError::MissingJti);
        }
        Ok(Assertion {
            jti: jti.to_owned(),
            exp,
        })
    }
}

/// The agent that an assertion claims to come from, before anything is verified.
///
/// # Errors
/// Not a JWT at all.
pub fn peek_subject(jws: &str) -> Result<Option<String>, AssertionError> {
    let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(jws)
        .map_err(|_| AssertionError::Invalid)?;
    Ok(claims.sub)
}

// NumericDate may carry a fraction (RFC 7519 §2).
pub(crate) fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let seconds = value.as_f64().filter(|s| s.abs() < 1e15)?;
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the line above")]
        Some(seconds as i64)
    })
}

fn coordinate(text: &str) -> Option<[u8; 32]> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests;
