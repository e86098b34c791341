use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

use crate::token::{KeyKind, SigningKey};

use super::*;

const NOW: i64 = 1_790_000_000;
const TOKEN: &str = "ah5t_a.b.c";

struct Holder {
    key: SigningKey,
    kind: KeyKind,
}

impl Holder {
    fn new(kind: KeyKind) -> Self {
        Self {
            key: SigningKey::generate(kind),
            kind,
        }
    }

    fn header(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": self.key.alg(), "jwk": self.key.public_jwk()})
    }

    fn claims() -> Value {
        json!({
            "htm": "POST", "htu": "https://ah5.example/v1/vault/execute", "iat": NOW, "jti": "one",
            "ath": URL_SAFE_NO_PAD.encode(sha256(TOKEN.as_bytes())), "nonce": "n",
        })
    }

    /// Whatever the header says.
    fn sign(&self, header: &Value, claims: &Value) -> String {
        let private = self.key.private().expose();
        let (key, algorithm) = match self.kind {
            KeyKind::Agent => (EncodingKey::from_ed_der(private), Algorithm::EdDSA),
            KeyKind::User => (EncodingKey::from_ec_der(private), Algorithm::ES256),
        };
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
        format!("{message}.{signature}")
    }

    fn check(&self, header: &Value, claims: &Value) -> Result<Proof, ProofError> {
        check(&self.sign(header, claims))
    }
}

fn check(jws: &str) -> Result<Proof, ProofError> {
    let origins = ["https://ah5.example".to_owned()];
    let asked = Asked {
        method: "POST",
        origins: &origins,
        path: "/v1/vault/execute",
        token: Some(TOKEN),
        now: NOW,
    };
    verify(jws, &asked)
}

fn with(mut value: Value, name: &str, member: Value) -> Value {
    value[name] = member;
    value
}

#[test]
fn accepts_a_proof_of_either_kind_of_key() {
    for kind in [KeyKind::Agent, KeyKind::User] {
        let holder = Holder::new(kind);
        let proof = holder.check(&holder.header(), &Holder::claims()).unwrap();
        assert_eq!(
            Some(proof.thumbprint),
            thumbprint_from(holder.key.kid()),
            "a key's id is its thumbprint"
        );
        assert_eq!(
            (proof.expires, proof.nonce.as_deref()),
            (NOW + 60, Some("n"))
        );
    }
}

#[test]
fn refuses_what_is_no_proof_by_its_header() {
    let holder = Holder::new(KeyKind::User);
    let own = holder.header();
    let private = with(own["jwk"].clone(), "d", json!("AAAA"));
    let edwards = Holder::new(KeyKind::Agent).header()["jwk"].clone();
    for (name, member) in [
        ("typ", json!("JWT")),
        ("typ", json!("at+jwt")),
        ("typ", json!("DPoP+JWT")),
        ("alg", json!("EdDSA")),
        ("alg", json!("HS256")),
        ("alg", json!("none")),
        ("crit", json!(["exp"])),
        ("jwk", private),
        ("jwk", edwards),
        ("jwk", json!({"kty": "oct", "k": "AAAA"})),
        ("jwk", json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"})),
    ] {
        let header = with(own.clone(), name, member);
        let refused = holder.check(&header, &Holder::claims());
        assert_eq!(refused, Err(ProofError::Malformed), "{header}");
    }
    for junk in ["", "..", "a.b.c", &"x".repeat(5000)] {
        assert_eq!(check(junk), Err(ProofError::Malformed));
    }
}

#[test]
fn refuses_a_signature_of_another_key() {
    let (holder, thief) = (Holder::new(KeyKind::User), Holder::new(KeyKind::User));
    let forged = thief.check(&holder.header(), &Holder::claims());
    assert_eq!(forged, Err(ProofError::Signature));
    let good = holder.sign(&holder.header(), &Holder::claims());
    let (signed, _) = good.rsplit_once('.').unwrap();
    assert_eq!(check(&format!("{signed}.")), Err(ProofError::Signature));
}

#[test]
fn refuses_another_request_token_time_or_id() {
    let holder = Holder::new(KeyKind::Agent);
    let mut bare = Holder::claims();
    bare.as_object_mut().unwrap().remove("ath");
    let mut cases = vec![(bare, ProofError::Token)];
    for (name, member, error) in [
        ("htm", json!("GET"), ProofError::Method),
        ("htm", json!("post"), ProofError::Method),
        ("ath", json!("AAAA"), ProofError::Token),
        ("iat", json!(NOW - 61), ProofError::Time),
        ("iat", json!(NOW + 61), ProofError::Time),
        ("iat", json!("now"), ProofError::Time),
        ("iat", json!(i64::MIN), ProofError::Time),
        ("jti", json!(""), ProofError::Id),
        ("jti", json!("x".repeat(257)), ProofError::Id),
        ("jti", json!(7), ProofError::Signature),
    ] {
        cases.push((with(Holder::claims(), name, member), error));
    }
    for (claims, error) in cases {
        let refused = holder.check(&holder.header(), &claims);
        assert_eq!(refused, Err(error), "{claims}");
    }
    for iat in [NOW - 60, NOW + 60] {
        let claims = with(Holder::claims(), "iat", json!(iat));
        assert!(holder.check(&holder.header(), &claims).is_ok(), "{iat}");
    }
}

#[test]
fn the_url_is_the_configured_origin_and_the_path_to_the_byte() {
    let holder = Holder::new(KeyKind::Agent);
    let at = |htu: &str| {
        let claims = with(Holder::claims(), "htu", json!(htu));
        holder.check(&holder.header(), &claims).is_ok()
    };
    for good in [
        "https://ah5.example/v1/vault/execute?x=1#y",
        "HTTPS://AH5.example:443/v1/vault/execute",
    ] {
        assert!(at(good), "{good}");
    }
    for bad in [
        "http://ah5.example/v1/vault/execute",
        "https://ah5.example:8443/v1/vault/execute",
        "https://ah5.example.evil.example/v1/vault/execute",
        "https://evil@ah5.example/v1/vault/execute",
        "https://ah5.example/v1/vault/execute/",
        "https://ah5.example/v1/x/../vault/execute",
        "https://ah5.example/v1/vault/%65xecute",
        "https://ah5.example/V1/vault/execute",
        "https://ah5.example",
        "/v1/vault/execute",
        "",
    ] {
        assert!(!at(bad), "{bad}");
    }
}

#[test]
fn the_id_is_of_the_key_and_the_jti_alone() {
    let (one, other) = (Holder::new(KeyKind::User), Holder::new(KeyKind::User));
    let id = |holder: &Holder, jti: &str, iat: i64| {
        let claims = with(Holder::claims(), "jti", json!(jti));
        let claims = with(claims, "iat", json!(iat));
        holder.check(&holder.header(), &claims).unwrap().id
    };
    assert_eq!(id(&one, "a", NOW), id(&one, "a", NOW - 1));
    assert_ne!(id(&one, "a", NOW), id(&one, "b", NOW));
    assert_ne!(id(&one, "a", NOW), id(&other, "a", NOW));
}
