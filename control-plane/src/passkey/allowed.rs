//! The passkeys that an authentication may use. Before signing in, the list for an address must not
//! tell whether anybody has it, so it is filled up with ids that belong to nobody.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use ah5_security::ring::KeyRing;
use ah5_store::passkeys::Passkey;

/// All of a person's own, for somebody who has proved to be him once.
pub fn own(passkeys: &[Passkey]) -> Vec<Value> {
    let descriptor = |key: &Passkey| {
        json!({"type": "public-key", "id": base64url(&key.credential_id),
               "transports": key.transports})
    };
    passkeys.iter().map(descriptor).collect()
}

/// The ids behind an address among decoys: always a full round of them, in no telling order, and
/// the same ones each time.
pub fn for_address(ring: &KeyRing, email: &str, mut ids: Vec<Vec<u8>>) -> Vec<Value> {
    let full = ids.len().next_multiple_of(ROUND).max(ROUND);
    for number in ids.len()..full {
        ids.push(decoy(ring, email, number));
    }
    ids.sort_unstable();
    let descriptor = |id: &Vec<u8>| json!({"type": "public-key", "id": base64url(id)});
    ids.iter().map(descriptor).collect()
}

/// Bytes as WebAuthn writes them.
pub fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn decoy(ring: &KeyRing, email: &str, number: usize) -> Vec<u8> {
    let half = |which: &str| ring.decoy(format!("passkey {which} {number} {email}").as_bytes());
    let bytes = [half("first"), half("second")].concat();
    // Of a length that authenticators in use give their ids.
    let length = LENGTHS[usize::from(half("length")[0]) % LENGTHS.len()];
    bytes[..length].to_vec()
}

const ROUND: usize = 4;
const LENGTHS: [usize; 4] = [16, 20, 32, 64];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_nobody_has_looks_like_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring.json");
        KeyRing::create(&path).unwrap();
        let ring = KeyRing::load(&path).unwrap();
        let list = |email, ids| for_address(&ring, email, ids);
        let nobody = list("nobody@example.com", vec![]);
        assert_eq!(nobody.len(), ROUND);
        assert_eq!(nobody, list("nobody@example.com", vec![]), "asked again");
        assert_ne!(nobody, list("nobody2@example.com", vec![]));
        let real = vec![7; 32];
        let somebody = list("somebody@example.com", vec![real.clone()]);
        assert_eq!(somebody.len(), ROUND);
        assert!(somebody.iter().any(|entry| entry["id"] == base64url(&real)));
        let shape = |list: &[Value]| list.iter().all(|e| e.as_object().unwrap().len() == 2);
        assert!(shape(&nobody) && shape(&somebody));
        assert_eq!(list("x", vec![vec![1; 16]; 5]).len(), 2 * ROUND);
    }
}
