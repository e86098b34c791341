use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn ring() -> KeyRing {
    let folder = std::env::temp_dir().join(format!("ah5-ring-{}", WorkspaceId::random()));
    KeyRing::create(&folder).unwrap();
    let ring = KeyRing::load(&folder).unwrap();
    assert!(KeyRing::create(&folder).is_err(), "must not overwrite");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(KeyRing::load(&folder), Err(RingError::TooOpen(_))));
    std::fs::remove_file(&folder).unwrap();
    ring
}

#[test]
fn a_data_key_unwraps_for_its_own_workspace_only() {
    let (ring, home) = (ring(), WorkspaceId::random());
    let key = DataKey::generate();
    let wrapped = ring.wrap(home, &key);
    let again = ring
        .unwrap(home, &wrapped.ring_key_id, &wrapped.bytes)
        .unwrap();
    assert_eq!(again.bytes(), key.bytes());
    assert!(
        ring.unwrap(WorkspaceId::random(), &wrapped.ring_key_id, &wrapped.bytes)
            .is_err()
    );
    assert!(ring.unwrap(home, "other", &wrapped.bytes).is_err());
}

#[test]
fn private_keys_and_macs_are_bound_to_their_row() {
    let ring = ring();
    let sealed = ring.seal_private("a", &SecretBytes::new(vec![1, 2, 3]));
    assert_eq!(ring.open_private("a", &sealed).unwrap().expose(), [1, 2, 3]);
    assert!(ring.open_private("b", &sealed).is_err());
    let (mail, other) = (Uuid::new_v4(), Uuid::new_v4());
    let sealed = ring.seal_mail(mail, &SecretBytes::new(vec![4]));
    assert_eq!(ring.open_mail(mail, &sealed).unwrap().expose(), [4]);
    assert!(ring.open_mail(other, &sealed).is_err());
    let jwk = serde_json::json!({"kty":"OKP","crv":"Ed25519","x":"AA"});
    let row = PublicKeyRow {
        kid: "a",
        kind: "agent",
        alg: "EdDSA",
        public_jwk: &jwk,
    };
    let tag = ring.mac_public_key(&row);
    assert!(ring.check_public_key(&row, &tag));
    assert!(!ring.check_public_key(
        &PublicKeyRow {
            kind: "user",
            ..row
        },
        &tag
    ));
}
