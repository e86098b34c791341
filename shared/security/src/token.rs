//! Tokens that we sign and verify (JWS compact serialisation, RFC 7515). Each kind has its own key,
//! algorithm, `typ` and `aud`; a key verifies its own kind only. Time is passed in.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use ah5_contracts::claims::{
    AGENT_TOKEN_AUDIENCE, AGENT_TOKEN_PREFIX, AGENT_TOKEN_TYPE, AgentClaims,
    MAX_AGENT_TOKEN_SECONDS, USER_TOKEN_AUDIENCE, USER_TOKEN_SECONDS, USER_TOKEN_TYPE, UserClaims,
};

use crate::hash;
use crate::secret::SecretBytes;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// EdDSA over Ed25519 (RFC 8037).
    Agent,
    /// ES256 (RFC 7518 §3.4).
    User,
}

/// A private key and its public half.
pub struct SigningKey {
    kind: KeyKind,
    kid: String,
    public_jwk: Value,
    private: SecretBytes,
    encoding: EncodingKey,
}

/// A public key that verifies tokens of one kind.
#[derive(Clone)]
pub struct VerificationKey {
    kind: KeyKind,
    number: u64,
    decoding: DecodingKey,
    validation: Validation,
}

/// The key is not one of the kind it is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key is malformed or of another kind")]
pub struct BadKey;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token's claims are incomplete")]
    Claims,
    #[error("the token has expired or is not valid yet")]
    Expired,
    #[error("the token is not valid")]
    Invalid,
}

// === impl KeyKind ===

impl KeyKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::User => "user",
        }
    }

    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        match text {
            "agent" => Some(Self::Agent),
            "user" => Some(Self::User),
            _ => None,
        }
    }

    const fn algorithm(self) -> Algorithm {
        match self {
            Self::Agent => Algorithm::EdDSA,
            Self::User => Algorithm::ES256,
        }
    }

    const fn typ(self) -> &'static str {
        match self {
            Self::Agent => AGENT_TOKEN_TYPE,
            Self::User => USER_TOKEN_TYPE,
        }
    }
}

// === impl SigningKey ===

impl SigningKey {
    #[must_use]
    pub fn generate(kind: KeyKind) -> Self {
        let pkcs8 = match kind {
            KeyKind::Agent => Ed25519KeyPair::generate()
                .and_then(|pair| pair.to_pkcs8())
                .map(|der| der.as_ref().to_vec()),
            KeyKind::User => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|der| der.as_ref().to_vec()),
        };
        let private = SecretBytes::new(pkcs8.expect("the library generates key pairs"));
        Self::from_stored(kind, private).expect("a generated key pair is well formed")
    }

    /// # Errors
    /// The bytes are not a PKCS#8 key of this kind.
    pub fn from_stored(kind: KeyKind, private: SecretBytes) -> Result<Self, BadKey> {
        let (public_jwk, encoding) = match kind {
            KeyKind::Agent => {
                let pair = Ed25519KeyPair::from_pkcs8(private.expose()).map_err(|_| BadKey)?;
                let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
                let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
                (jwk, EncodingKey::from_ed_der(private.expose()))
            }
            KeyKind::User => {
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private.expose())
                        .map_err(|_| BadKey)?;
                // SEC 1 uncompressed point: 0x04, x, y.
                let point = pair.public_key().as_ref();
                let (x, y) = point
                    .get(1..)
                    .ok_or(BadKey)?
                    .split_at_checked(32)
                    .ok_or(BadKey)?;
                let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
                let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
                (jwk, EncodingKey::from_ec_der(private.expose()))
            }
        };
        let kid = thumbprint(&public_jwk);
        Ok(Self {
            kind,
            kid,
            public_jwk,
            private,
            encoding,
        })
    }

    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    #[must_use]
    pub const fn alg(&self) -> &'static str {
        match self.kind {
            KeyKind::Agent => "EdDSA",
            KeyKind::User => "ES256",
        }
    }

    #[must_use]
    pub const fn public_jwk(&self) -> &Value {
        &self.public_jwk
    }

    #[must_use]
    pub const fn private(&self) -> &SecretBytes {
        &self.private
    }

    /// `ah5t_` and the compact JWS.
    ///
    /// # Errors
    /// This is a key of another kind.
    pub fn sign_agent(&self, claims: &AgentClaims) -> Result<String, BadKey> {
        Ok(format!(
            "{AGENT_TOKEN_PREFIX}{}",
            self.sign(KeyKind::Agent, claims)?
        ))
    }

    /// # Errors
    /// This is a key of another kind.
    pub fn sign_user(&self, claims: &UserClaims) -> Result<String, BadKey> {
        self.sign(KeyKind::User, claims)
    }

    fn sign(&self, kind: KeyKind, claims: &impl Serialize) -> Result<String, BadKey> {
        if kind != self.kind {
            return Err(BadKey);
        }
        let mut header = Header::new(kind.algorithm());
        header.typ = Some(kind.typ().to_owned());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.encoding).map_err(|_| BadKey)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

// === impl VerificationKey ===

impl VerificationKey {
    /// # Errors
    /// The JWK is not a public key of this kind, or not the one that `kid` names.
    pub fn from_jwk(kind: KeyKind, kid: &str, jwk: &Value) -> Result<Self, BadKey> {
        let member = |name: &str| jwk.get(name).and_then(Value::as_str).ok_or(BadKey);
        let decoding = match kind {
            KeyKind::Agent => DecodingKey::from_ed_components(member("x")?),
            KeyKind::User => DecodingKey::from_ec_components(member("x")?, member("y")?),
        };
        if thumbprint(jwk) != kid {
            return Err(BadKey);
        }
        let audience = match kind {
            KeyKind::Agent => AGENT_TOKEN_AUDIENCE,
            KeyKind::User => USER_TOKEN_AUDIENCE,
        };
        let mut validation = Validation::new(kind.algorithm());
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        // Checked here against the time that the caller passes.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let digest = hash::sha256(kid.as_bytes());
        let number = digest.first_chunk().ok_or(BadKey)?;
        Ok(Self {
            kind,
            number: u64::from_le_bytes(*number),
            decoding: decoding.map_err(|_| BadKey)?,
            validation,
        })
    }

    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Another number for another key: short enough to go with everything that the key has verified.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Verifies what follows the `ah5t_` prefix. `now` in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// Any fault. A token bound to a key (`cnf`) is worth nothing yet: whoever takes it must ask for
    /// the proof ([`crate::dpop`]).
    pub fn verify_agent(
        &self,
        jws: &str,
        issuer: &str,
        now: i64,
    ) -> Result<AgentClaims, TokenError> {
        let claims: AgentClaims = self.verify(KeyKind::Agent, jws)?;
        if claims.iss != issuer || claims.agent().is_none() {
            return Err(TokenError::Invalid);
        }
        let life = Life {
            iat: claims.iat,
            nbf: claims.nbf,
            exp: claims.exp,
            longest: MAX_AGENT_TOKEN_SECONDS,
        };
        life.check(now).map(|()| claims)
    }

    /// # Errors
    /// Any fault.
    pub fn verify_user(&self, jws: &str, issuer: &str, now: i64) -> Result<UserClaims, TokenError> {
        let claims: UserClaims = self.verify(KeyKind::User, jws)?;
        if claims.iss != issuer {
            return Err(TokenError::Invalid);
        }
        let life = Life {
            iat: claims.iat,
            nbf: Some(claims.nbf),
            exp: claims.exp,
            longest: USER_TOKEN_SECONDS,
        };
        life.check(now).map(|()| claims)
    }

    fn verify<T: DeserializeOwned>(&self, kind: KeyKind, jws: &str) -> Result<T, TokenError> {
        if kind != self.kind {
            return Err(TokenError::Invalid);
        }
        let token = jsonwebtoken::decode::<T>(jws, &self.decoding, &self.validation).map_err(
            |e| match e.kind() {
                jsonwebtoken::errors::ErrorKind::Json(_)
                | jsonwebtoken::errors::ErrorKind::MissingRequiredClaim(_) => TokenError::Claims,
                _ => TokenError::Invalid,
            },
        )?;
        // RFC 8725 §3.11: explicit typing keeps one kind of token from passing as another. We write
        // no other members: neither extensions that one would have to understand (`crit`) nor keys.
        let plain = Header {
            typ: token.header.typ.clone(),
            kid: token.header.kid.clone(),
            ..Header::new(kind.algorithm())
        };
        let typ = token.header.typ.as_deref().unwrap_or_default();
        if typ.eq_ignore_ascii_case(kind.typ()) && token.header == plain {
            Ok(token.claims)
        } else {
            Err(TokenError::Invalid)
        }
    }
}

/// The times of a token, in seconds since 1970-01-01 UTC, and the longest life that we give one.
struct Life {
    iat: i64,
    nbf: Option<i64>,
    exp: i64,
    longest: i64,
}

// === impl Life ===

impl Life {
    fn check(&self, now: i64) -> Result<(), TokenError> {
        if self.exp.saturating_sub(self.iat) > self.longest {
            return Err(TokenError::Invalid);
        }
        let early = self.iat > now.saturating_add(CLOCKS) || self.nbf.is_some_and(|nbf| nbf > now);
        if self.exp <= now || early {
            return Err(TokenError::Expired);
        }
        Ok(())
    }
}

/// The `kid` a token names, before anything is verified.
#[must_use]
pub fn peek_kid(jws: &str) -> Option<String> {
    jsonwebtoken::decode_header(jws).ok()?.kid
}

/// RFC 7638, SHA-256, base64url. Only the required members count, in their fixed order.
#[must_use]
pub fn thumbprint(jwk: &Value) -> String {
    let member = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
    let names: &[&str] = match member("kty") {
        "EC" => &["crv", "kty", "x", "y"],
        _ => &["crv", "kty", "x"],
    };
    let members: Vec<String> = names
        .iter()
        .map(|name| format!("\"{name}\":{}", Value::from(member(name))))
        .collect();
    URL_SAFE_NO_PAD.encode(hash::sha256(
        format!("{{{}}}", members.join(",")).as_bytes(),
    ))
}

/// Seconds by which the clock of whoever signed a token may be ahead.
const CLOCKS: i64 = 60;

#[cfg(test)]
mod tests;
