use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::*;
use crate::token::{KeyKind, SigningKey};

const NOW: i64 = 1_900_000_000;
const ISSUER: &str = "https://kubernetes.default.svc";
const SUBJECT: &str = "system:serviceaccount:shop:buyer";
const AUDIENCE: &str = "https://ah5.example/agents/1";

struct Cluster(SigningKey);

impl Cluster {
    fn new() -> Self {
        Self(SigningKey::generate(KeyKind::User))
    }

    fn keys(&self) -> IssuerKeys {
        let mut jwk = self.0.public_jwk().clone();
        jwk["kid"] = "k1".into();
        IssuerKeys::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap()
    }

    fn sign(&self, kid: &str, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = None;
        header.kid = Some(kid.to_owned());
        let key = EncodingKey::from_ec_der(self.0.private().expose());
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }

    fn vouch(&self, jws: &str) -> Result<Vouched, SubjectError> {
        self.keys().vouch(jws, &claimed(), NOW)
    }

    fn vouch_with(&self, name: &str, value: Value) -> Result<Vouched, SubjectError> {
        let mut claims = claims();
        claims[name] = value;
        self.vouch(&self.sign("k1", &claims))
    }
}

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": SUBJECT, "aud": [AUDIENCE], "iat": NOW - 10, "nbf": NOW - 10,
           "exp": NOW + 590, "jti": "one", "kubernetes.io": {"namespace": "shop"}})
}

fn claimed() -> Claimed {
    Claimed {
        issuer: ISSUER.into(),
        subject: SUBJECT.into(),
        audience: AUDIENCE.into(),
    }
}

#[test]
fn a_projected_service_account_token_verifies() {
    let cluster = Cluster::new();
    let jws = cluster.sign("k1", &claims());
    assert_eq!(peek(&jws), Some(claimed()));
    assert_eq!(cluster.vouch(&jws).unwrap().expires, NOW + 650);
    assert!(cluster.vouch_with("aud", json!(AUDIENCE)).is_ok());
    assert!(cluster.vouch_with("exp", json!(NOW + 3590)).is_ok());
}

#[test]
fn refuses_other_claims_than_those_it_was_looked_up_by() {
    let cluster = Cluster::new();
    for (name, value) in [
        ("iss", json!("https://kubernetes.default.svc/")),
        ("iss", json!("https://evil.example")),
        ("sub", json!("system:serviceaccount:shop:buyer2")),
        ("aud", json!("https://ah5.example/agents/2")),
        ("aud", json!([AUDIENCE, "https://other.example"])),
        ("aud", json!([])),
        ("aud", json!({})),
    ] {
        let refused = cluster.vouch_with(name, value.clone());
        assert_eq!(refused, Err(SubjectError::Claims), "{name} {value}");
    }
}

#[test]
fn refuses_what_lives_too_long_or_is_not_in_its_time() {
    let cluster = Cluster::new();
    for (name, value, error) in [
        ("exp", json!(NOW + 3591), SubjectError::Lifetime),
        ("exp", Value::Null, SubjectError::Lifetime),
        ("exp", json!("soon"), SubjectError::Lifetime),
        ("iat", Value::Null, SubjectError::Lifetime),
        ("exp", json!(NOW - 60), SubjectError::Times),
        ("iat", json!(NOW + 61), SubjectError::Times),
        ("nbf", json!(NOW + 61), SubjectError::Times),
        ("nbf", json!("later"), SubjectError::Times),
    ] {
        let refused = cluster.vouch_with(name, value.clone());
        assert_eq!(refused, Err(error), "{name} {value}");
    }
    assert!(cluster.vouch_with("exp", json!(NOW - 59)).is_ok());
}

#[test]
fn refuses_a_strangers_signature_and_shared_secrets() {
    let (cluster, stranger) = (Cluster::new(), Cluster::new());
    let forged = stranger.sign("k1", &claims());
    assert_eq!(cluster.vouch(&forged), Err(SubjectError::Signature));
    let unknown = cluster.sign("k2", &claims());
    assert_eq!(cluster.vouch(&unknown), Err(SubjectError::UnknownKey));
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("k1".into());
    let secret = EncodingKey::from_secret(b"x");
    let shared = jsonwebtoken::encode(&header, &claims(), &secret).unwrap();
    assert_eq!(cluster.vouch(&shared), Err(SubjectError::Signature));
}

#[test]
fn looks_at_no_token_of_another_kind_or_for_several() {
    let cluster = Cluster::new();
    let with = |patch: fn(&mut Header)| {
        let mut header = Header::new(Algorithm::ES256);
        patch(&mut header);
        let key = EncodingKey::from_ec_der(cluster.0.private().expose());
        peek(&jsonwebtoken::encode(&header, &claims(), &key).unwrap()).is_some()
    };
    assert!(with(|header| header.typ = Some("at+JWT".into())));
    assert!(!with(|header| header.typ = Some("dpop+jwt".into())));
    assert!(!with(|header| header.typ = Some("logout+jwt".into())));
    let mut several = claims();
    several["aud"] = json!([AUDIENCE, "https://other.example"]);
    assert_eq!(peek(&cluster.sign("k1", &several)), None);
    for junk in ["", "a.b.c", &"x".repeat(17 * 1024)] {
        assert_eq!(peek(junk), None);
    }
}

#[test]
fn the_id_is_the_tokens_own_or_what_is_signed() {
    let cluster = Cluster::new();
    let id = |claims: &Value| cluster.vouch(&cluster.sign("k1", claims)).unwrap().id;
    let mut later = claims();
    later["exp"] = json!(NOW + 500);
    assert_eq!(id(&claims()), id(&later), "the same jti");
    let unnamed = |exp: i64| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove("jti");
        claims["exp"] = json!(exp);
        claims
    };
    // ES256 signs with fresh randomness: two signatures of the same text differ.
    assert_eq!(id(&unnamed(NOW + 500)), id(&unnamed(NOW + 500)));
    assert_ne!(id(&unnamed(NOW + 500)), id(&unnamed(NOW + 501)));
}
