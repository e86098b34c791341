use serde_json::json;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn config() -> Config {
    Config {
        rotate_after: Some(90 * DAY),
        publication: Duration::from_secs(3900),
    }
}

fn ring() -> KeyRing {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    KeyRing::create(&path).unwrap();
    KeyRing::load(&path).unwrap()
}

/// A user key that has signed for so long.
fn key(ring: &KeyRing, signed_for: Duration) -> StoredKey {
    let key = SigningKey::generate(KeyKind::User);
    let row = PublicKeyRow {
        kid: key.kid(),
        kind: "user",
        alg: key.alg(),
        public_jwk: key.public_jwk(),
    };
    StoredKey {
        kid: key.kid().to_owned(),
        kind: "user".to_owned(),
        alg: key.alg().to_owned(),
        public_jwk: key.public_jwk().clone(),
        sealed_private: Some(ring.seal_private(key.kid(), key.private())),
        mac: ring.mac_public_key(&row).to_vec(),
        signs_in: Duration::ZERO,
        signed_for,
        token_seconds: 300,
        is_over: false,
    }
}

fn waiting(ring: &KeyRing) -> StoredKey {
    StoredKey {
        signs_in: Duration::from_secs(5),
        ..key(ring, Duration::ZERO)
    }
}

#[test]
fn a_key_is_followed_after_its_days_and_by_one_only() {
    let ring = ring();
    let due = |keys: &[StoredKey]| due(&ring, &config(), keys);
    assert_eq!(due(&[key(&ring, 89 * DAY)]), []);
    let old = key(&ring, 90 * DAY);
    assert_eq!(
        due(std::slice::from_ref(&old)),
        [Step::Publish(KeyKind::User)]
    );
    assert_eq!(due(&[waiting(&ring), old.clone()]), []);
    let never = Config {
        rotate_after: None,
        ..config()
    };
    assert_eq!(super::due(&ring, &never, &[old]), []);
}

#[test]
fn an_old_key_goes_once_another_signs_and_then_its_last_token_is_over() {
    let ring = ring();
    let due = |keys: &[StoredKey]| due(&ring, &config(), keys);
    let (new, mut old) = (key(&ring, Duration::ZERO), key(&ring, 90 * DAY));
    assert_eq!(
        due(&[new.clone(), old.clone()]),
        [Step::Replace(old.kid.clone())]
    );
    old.sealed_private = None;
    assert_eq!(due(&[new.clone(), old.clone()]), []);
    old.is_over = true;
    assert_eq!(due(&[new, old.clone()]), [Step::Retire(old.kid)]);
}

#[test]
fn a_key_that_nobody_vouches_for_pushes_none_aside() {
    let ring = ring();
    let ours = key(&ring, DAY);
    let mut theirs = key(&ring, Duration::ZERO);
    theirs.public_jwk["x"] = json!("AAAA");
    assert_eq!(due(&ring, &config(), &[theirs, ours]), []);
}
