use ah5_contracts::id::{AgentId, SessionId, UserId, WorkspaceId};

use super::*;

const NOW: i64 = 1_790_000_000;
const ISSUER: &str = "http://localhost:8080";

fn agent_claims() -> AgentClaims {
    AgentClaims {
        sub: AgentClaims::subject(AgentId::random()),
        wid: WorkspaceId::random(),
        epoch: 1,
        jti: "j".into(),
        iss: ISSUER.into(),
        aud: AGENT_TOKEN_AUDIENCE.into(),
        iat: NOW,
        exp: NOW + 7200,
        nbf: None,
        cnf: None,
    }
}

fn user_claims() -> UserClaims {
    UserClaims {
        sub: UserId::random(),
        wid: WorkspaceId::random(),
        roles: vec!["owner".into()],
        scp: vec!["*".into()],
        sid: SessionId::random(),
        jti: "j".into(),
        platform_role: "user".into(),
        iss: "web".into(),
        aud: USER_TOKEN_AUDIENCE.into(),
        iat: NOW,
        nbf: NOW,
        exp: NOW + 300,
    }
}

fn pair(kind: KeyKind) -> (SigningKey, VerificationKey) {
    let signing = SigningKey::generate(kind);
    let verification =
        VerificationKey::from_jwk(kind, signing.kid(), signing.public_jwk()).unwrap();
    (signing, verification)
}

fn bare(token: &str) -> &str {
    token.strip_prefix(AGENT_TOKEN_PREFIX).unwrap()
}

#[test]
fn an_agent_token_verifies_until_it_expires() {
    let (signing, verification) = pair(KeyKind::Agent);
    let claims = agent_claims();
    let token = signing.sign_agent(&claims).unwrap();
    assert_eq!(peek_kid(bare(&token)).as_deref(), Some(signing.kid()));
    assert_eq!(
        verification.verify_agent(bare(&token), ISSUER, NOW),
        Ok(claims.clone())
    );
    let late = verification.verify_agent(bare(&token), ISSUER, claims.exp);
    assert_eq!(late, Err(TokenError::Expired));
}

#[test]
fn refuses_another_issuer_audience_and_key() {
    let (signing, verification) = pair(KeyKind::Agent);
    let refused = |claims: AgentClaims| {
        let token = signing.sign_agent(&claims).unwrap();
        verification
            .verify_agent(bare(&token), ISSUER, NOW)
            .unwrap_err()
    };
    assert_eq!(
        refused(AgentClaims {
            iss: "http://evil".into(),
            ..agent_claims()
        }),
        TokenError::Invalid
    );
    assert_eq!(
        refused(AgentClaims {
            aud: "api".into(),
            ..agent_claims()
        }),
        TokenError::Invalid
    );
    assert_eq!(
        refused(AgentClaims {
            sub: "user".into(),
            ..agent_claims()
        }),
        TokenError::Invalid
    );
    let stranger = SigningKey::generate(KeyKind::Agent)
        .sign_agent(&agent_claims())
        .unwrap();
    assert!(
        verification
            .verify_agent(bare(&stranger), ISSUER, NOW)
            .is_err()
    );
}

#[test]
fn refuses_times_that_we_would_not_write() {
    let (signing, verification) = pair(KeyKind::Agent);
    let verified = |claims: AgentClaims| {
        let token = signing.sign_agent(&claims).unwrap();
        verification
            .verify_agent(bare(&token), ISSUER, NOW)
            .map(drop)
    };
    let at = |iat: i64, exp: i64| AgentClaims {
        iat,
        exp,
        ..agent_claims()
    };
    assert_eq!(verified(at(NOW + CLOCKS, NOW + 100)), Ok(()));
    assert_eq!(
        verified(at(NOW + CLOCKS + 1, NOW + 100)),
        Err(TokenError::Expired)
    );
    let longest = MAX_AGENT_TOKEN_SECONDS;
    assert_eq!(verified(at(NOW, NOW + longest)), Ok(()));
    assert_eq!(
        verified(at(NOW, NOW + longest + 1)),
        Err(TokenError::Invalid)
    );
    assert_eq!(verified(at(i64::MIN, i64::MAX)), Err(TokenError::Invalid));
    let later = AgentClaims {
        nbf: Some(NOW + 1),
        ..agent_claims()
    };
    assert_eq!(verified(later), Err(TokenError::Expired));
}

#[test]
fn refuses_a_header_with_more_in_it_than_we_write() {
    let (signing, verification) = pair(KeyKind::User);
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some(USER_TOKEN_TYPE.to_owned());
    header.kid = Some(signing.kid().to_owned());
    let signed = |header: &Header| {
        let token = jsonwebtoken::encode(header, &user_claims(), &signing.encoding).unwrap();
        verification.verify_user(&token, "web", NOW).map(drop)
    };
    assert_eq!(signed(&header), Ok(()));
    let critical = Header {
        crit: Some(vec!["exp".to_owned()]),
        ..header.clone()
    };
    let elsewhere = Header {
        jku: Some("https://evil.example/keys".to_owned()),
        ..header.clone()
    };
    let chain = Header {
        x5c: Some(vec![String::new()]),
        ..header
    };
    for odd in [critical, elsewhere, chain] {
        assert_eq!(signed(&odd), Err(TokenError::Invalid), "{odd:?}");
    }
}

#[test]
fn what_a_token_is_bound_to_is_told_and_an_unknown_bond_is_refused() {
    let (signing, verification) = pair(KeyKind::Agent);
    let read = |claims: &Value| {
        let token = signing.sign(KeyKind::Agent, claims).unwrap();
        verification.verify_agent(&token, ISSUER, NOW)
    };
    let mut claims = serde_json::to_value(agent_claims()).unwrap();
    claims["cnf"] = json!({"jkt": "x"});
    let bound = read(&claims).unwrap().cnf;
    assert_eq!(bound.map(|cnf| cnf.jkt), Some("x".to_owned()));
    for cnf in [
        json!({"x5t#S256": "x"}),
        json!({"jkt": "x", "jwk": {}}),
        json!({}),
        json!("x"),
    ] {
        claims["cnf"] = cnf;
        assert_eq!(read(&claims), Err(TokenError::Claims), "{claims}");
    }
}

#[test]
fn no_kind_of_key_signs_or_verifies_the_other_kind() {
    let (user, user_verification) = pair(KeyKind::User);
    let (agent, agent_verification) = pair(KeyKind::Agent);
    assert!(user.sign_agent(&agent_claims()).is_err());
    assert!(agent.sign_user(&user_claims()).is_err());
    let token = user.sign_user(&user_claims()).unwrap();
    assert!(user_verification.verify_user(&token, "web", NOW).is_ok());
    assert!(user_verification.verify_agent(&token, "web", NOW).is_err());
    assert!(agent_verification.verify_user(&token, "web", NOW).is_err());
}

#[test]
fn refuses_alg_none_and_an_altered_signature() {
    let (signing, verification) = pair(KeyKind::User);
    let token = signing.sign_user(&user_claims()).unwrap();
    let (_, rest) = token.split_once('.').unwrap();
    let none = format!(
        "{}.{rest}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#)
    );
    assert!(verification.verify_user(&none, "web", NOW).is_err());
    let cut = &token[..token.len() - 4];
    assert!(verification.verify_user(cut, "web", NOW).is_err());
}

#[test]
fn a_stored_key_comes_back_the_same() {
    let signing = SigningKey::generate(KeyKind::User);
    let copy = SecretBytes::new(signing.private().expose().to_vec());
    assert_eq!(
        SigningKey::from_stored(KeyKind::User, copy).unwrap().kid(),
        signing.kid()
    );
    let jwk = signing.public_jwk();
    assert!(VerificationKey::from_jwk(KeyKind::User, "another", jwk).is_err());
    assert!(jwk.get("d").is_none());
}
