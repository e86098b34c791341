use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use super::*;
use crate::token::{KeyKind, SigningKey};

const NOW: i64 = 1_900_000_000;

struct Party {
    key: SigningKey,
}

impl Party {
    fn new() -> Self {
        Self {
            key: SigningKey::generate(KeyKind::User),
        }
    }

    fn keys(&self) -> IssuerKeys {
        let mut jwk = self.key.public_jwk().clone();
        jwk["kid"] = "k1".into();
        jwk["alg"] = "ES256".into();
        IssuerKeys::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap()
    }

    fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = kid.map(str::to_owned);
        let key = EncodingKey::from_ec_der(self.key.private().expose());
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }
}

fn claims(patch: &Value) -> Value {
    let mut claims = json!({"iss": "https://id.example", "sub": "s", "aud": "client",
        "exp": NOW + 300, "nonce": "n", "email": "a@b.c", "email_verified": "true"});
    let patch = patch.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(patch);
    claims
}

fn expected() -> Expected<'static> {
    Expected {
        issuer: Issuer::Exact("https://id.example"),
        client_id: "client",
        nonce: "n",
        now: NOW,
    }
}

#[test]
fn a_token_of_the_issuer_for_us_verifies() {
    let party = Party::new();
    for patch in [
        json!({}),
        json!({"aud": ["client"]}),
        json!({"aud": ["client", "x"], "azp": "client"}),
        json!({"exp": NOW - 59}),
    ] {
        let jws = party.sign(Some("k1"), &claims(&patch));
        let verified = party.keys().verify(&jws, expected()).unwrap();
        assert_eq!(verified.text("email"), Some("a@b.c"));
        assert!(verified.is_true("email_verified") && !verified.is_true("other"));
    }
    let unnamed = party.sign(None, &claims(&json!({})));
    assert!(party.keys().verify(&unnamed, expected()).is_ok());
}

#[test]
fn each_claim_that_is_off_is_refused() {
    let party = Party::new();
    for (patch, why) in [
        (json!({"iss": "https://id.example/"}), IdTokenError::Issuer),
        (json!({"sub": ""}), IdTokenError::Issuer),
        (json!({"aud": "other"}), IdTokenError::Audience),
        (json!({"aud": ["client", "x"]}), IdTokenError::Audience),
        (json!({"azp": "x"}), IdTokenError::Audience),
        (json!({"aud": 5}), IdTokenError::Audience),
        (json!({"exp": NOW - 61}), IdTokenError::Times),
        (json!({"exp": "later"}), IdTokenError::Times),
        (json!({"nbf": NOW + 61}), IdTokenError::Times),
        (json!({"nonce": "m"}), IdTokenError::Nonce),
        (json!({"nonce": null}), IdTokenError::Nonce),
    ] {
        let jws = party.sign(Some("k1"), &claims(&patch));
        let refused = party.keys().verify(&jws, expected()).unwrap_err();
        assert_eq!(refused, why, "{patch}");
    }
}

#[test]
fn a_signature_by_anybody_else_is_refused() {
    let (party, other) = (Party::new(), Party::new());
    let good = claims(&json!({}));
    let verify = |jws: &str| party.keys().verify(jws, expected()).unwrap_err();
    assert_eq!(
        verify(&other.sign(Some("k1"), &good)),
        IdTokenError::Signature
    );
    assert_eq!(
        verify(&party.sign(Some("k2"), &good)),
        IdTokenError::UnknownKey
    );

    // The public key taken for a shared secret, and no signature at all.
    let secret = party.key.public_jwk().to_string();
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("k1".into());
    let key = EncodingKey::from_secret(secret.as_bytes());
    let forged = jsonwebtoken::encode(&header, &good, &key).unwrap();
    assert_eq!(verify(&forged), IdTokenError::Signature);
    let parts: Vec<&str> = forged.split('.').collect();
    let none = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    assert_eq!(verify(&none), IdTokenError::Signature);
}

#[test]
fn shared_secrets_and_sealing_keys_in_a_set_are_not_keys() {
    let set = json!({"keys": [
        {"kty": "oct", "k": "AAAA", "kid": "k1", "alg": "HS256"},
        {"kty": "RSA", "use": "enc", "kid": "k2", "n": "AQAB", "e": "AQAB"},
        {"kty": "??"},
    ]});
    let keys = IssuerKeys::parse(set.to_string().as_bytes()).unwrap();
    assert!(keys.0.is_empty());
    let key = EncodingKey::from_secret(&[0, 0, 0]);
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("k1".into());
    let jws = jsonwebtoken::encode(&header, &claims(&json!({})), &key).unwrap();
    let refused = keys.verify(&jws, expected()).unwrap_err();
    assert_eq!(refused, IdTokenError::Signature);
}

#[test]
fn a_tenant_speaks_for_itself_only() {
    let party = Party::new();
    let mut expected = expected();
    expected.issuer = Issuer::PerTenant("https://login.example/{tenantid}/v2.0");
    let tenant = "11111111-2222-4333-8444-555555555555";
    let verify = |issuer: &str, tenant: &str| {
        let jws = party.sign(Some("k1"), &claims(&json!({"iss": issuer, "tid": tenant})));
        party.keys().verify(&jws, expected).map(drop)
    };
    let own = format!("https://login.example/{tenant}/v2.0");
    assert_eq!(verify(&own, tenant), Ok(()));
    let other = "99999999-2222-4333-8444-555555555555";
    assert_eq!(verify(&own, other), Err(IdTokenError::Issuer));
    assert_eq!(
        verify("https://login.example/x/v2.0", "x"),
        Err(IdTokenError::Issuer)
    );
}
