use jsonwebtoken::{EncodingKey, Header};

use crate::token::{KeyKind, SigningKey};

use super::*;

const NOW: i64 = 1_790_000_000;

struct Agent {
    id: AgentId,
    key: SigningKey,
}

impl Agent {
    fn new() -> Self {
        Self {
            id: AgentId::random(),
            key: SigningKey::generate(KeyKind::User),
        }
    }

    fn claims(&self) -> Value {
        json!({"iss": self.id, "sub": self.id, "aud": "http://localhost:8080",
               "iat": NOW, "exp": NOW + 60, "jti": "one"})
    }

    fn check(&self, claims: &Value) -> Result<Assertion, AssertionError> {
        let key = EncodingKey::from_ec_der(self.key.private().expose());
        let jws = jsonwebtoken::encode(&Header::new(Algorithm::ES256), claims, &key).unwrap();
        let audiences = [
            "http://localhost:8080".to_owned(),
            "http://127.0.0.1:8080".to_owned(),
        ];
        let public = AgentPublicKey::from_jwk(self.key.public_jwk()).unwrap();
        public.verify(&jws, self.id, &audiences, NOW)
    }

    fn check_with(&self, name: &str, value: Value) -> Result<Assertion, AssertionError> {
        let mut claims = self.claims();
        claims[name] = value;
        self.check(&claims)
    }
}

#[test]
fn accepts_a_good_assertion_for_either_audience() {
    let agent = Agent::new();
    assert_eq!(agent.check(&agent.claims()).unwrap().jti, "one");
    assert!(
        agent
            .check_with("aud", json!(["x", "http://127.0.0.1:8080"]))
            .is_ok()
    );
}

#[test]
fn refuses_wrong_audience_issuer_time_lifetime_and_jti() {
    let agent = Agent::new();
    let cases = [
        (
            "aud",
            json!("http://localhost:8080/"),
            AssertionError::Invalid,
        ),
        ("iss", json!(AgentId::random()), AssertionError::Invalid),
        ("sub", json!(AgentId::random()), AssertionError::Invalid),
        ("exp", json!(NOW - 6), AssertionError::ClockSkew),
        ("nbf", json!(NOW + 6), AssertionError::ClockSkew),
        ("iat", json!(NOW - 1), AssertionError::Lifetime),
        ("exp", Value::Null, AssertionError::Lifetime),
        ("iat", Value::Null, AssertionError::Lifetime),
        ("jti", json!(""), AssertionError::MissingJti),
        ("jti", json!(7), AssertionError::MissingJti),
    ];
    for (name, value, expected) in cases {
        assert_eq!(
            agent.check_with(name, value.clone()),
            Err(expected),
            "{name} = {value}"
        );
    }
    let mut far = agent.claims();
    (far["iat"], far["exp"]) = (json!(NOW + 1000), json!(NOW + 1060));
    assert_eq!(agent.check(&far), Err(AssertionError::ClockSkew));
}

#[test]
fn refuses_another_agents_key() {
    let (agent, other) = (Agent::new(), Agent::new());
    let forged = Agent {
        id: agent.id,
        key: other.key,
    };
    let key = EncodingKey::from_ec_der(forged.key.private().expose());
    let header = Header::new(Algorithm::ES256);
    let jws = jsonwebtoken::encode(&header, &agent.claims(), &key).unwrap();
    let public = AgentPublicKey::from_jwk(agent.key.public_jwk()).unwrap();
    let audiences = ["http://localhost:8080".to_owned()];
    assert_eq!(
        public.verify(&jws, agent.id, &audiences, NOW),
        Err(AssertionError::Invalid)
    );
    assert_eq!(peek_subject(&jws).unwrap(), Some(agent.id.to_string()));
    assert!(peek_subject("nonsense").is_err());
}

#[test]
fn takes_only_public_keys_on_p256() {
    let agent = Agent::new();
    let good = agent.key.public_jwk().clone();
    let with = |name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        AgentPublicKey::from_jwk(&jwk).is_ok()
    };
    assert!(AgentPublicKey::from_jwk(&good).is_ok());
    assert!(
        with("use", json!("sig")),
        "further members are dropped, not refused"
    );
    for (name, value) in [
        ("d", json!("AAAA")),
        ("crv", json!("P-384")),
        ("kty", json!("RSA")),
        ("x", json!(good["y"])),
        ("y", json!("AAAA")),
    ] {
        assert!(!with(name, value.clone()), "{name} = {value}");
    }
}

#[test]
fn a_key_is_verified_by_its_own_algorithm_only() {
    let (id, key) = (AgentId::random(), SigningKey::generate(KeyKind::Agent));
    let public = AgentPublicKey::from_jwk(key.public_jwk()).unwrap();
    assert_eq!(public.stored()["crv"], "Ed25519");
    let own = EncodingKey::from_ed_der(key.private().expose());
    let claims = Agent { id, key }.claims();
    let sign = |algorithm, key: &EncodingKey| {
        let jws = jsonwebtoken::encode(&Header::new(algorithm), &claims, key).unwrap();
        public.verify(&jws, id, &["http://localhost:8080".to_owned()], NOW)
    };
    assert_eq!(sign(Algorithm::EdDSA, &own).unwrap().jti, "one");
    let Agent { key, .. } = Agent::new();
    let other = EncodingKey::from_ec_der(key.private().expose());
    assert_eq!(sign(Algorithm::ES256, &other), Err(AssertionError::Invalid));
    let x = public.stored()["x"].as_str().unwrap().as_bytes().to_vec();
    let shared = EncodingKey::from_secret(&x);
    assert_eq!(
        sign(Algorithm::HS256, &shared),
        Err(AssertionError::Invalid)
    );
}

#[test]
fn takes_only_public_ed25519_keys() {
    let key = SigningKey::generate(KeyKind::Agent);
    let good = key.public_jwk().clone();
    for (name, value) in [
        ("d", json!("AAAA")),
        ("crv", json!("X25519")),
        ("crv", json!("P-256")),
        ("x", json!("AAAA")),
        ("x", Value::Null),
    ] {
        let mut jwk = good.clone();
        jwk[name] = value.clone();
        let refused = AgentPublicKey::from_jwk(&jwk).err();
        assert_eq!(refused, Some(BadKey::Ed25519), "{name} = {value}");
    }
}
