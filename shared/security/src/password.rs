//! Password hashes: Argon2id (RFC 9106) in PHC string format. Slow on purpose and hungry for
//! memory: callers run these on blocking threads, a bounded number at a time.

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};

use crate::secret::SecretText;

/// Longest password taken, in bytes: hashing must not be a lever for the sender.
pub const MAX_BYTES: usize = 512;

/// # Errors
/// The password is too long or the parameters are refused.
pub fn hash(password: &SecretText) -> Result<String, HashError> {
    if password.expose().len() > MAX_BYTES {
        return Err(HashError);
    }
    let hash = argon2()
        .hash_password(password.expose().as_bytes())
        .map_err(|_| HashError)?;
    Ok(hash.to_string())
}

/// Whether the password is the one behind `stored`. A malformed hash matches nothing.
#[must_use]
pub fn verify(password: &SecretText, stored: &str) -> bool {
    if password.expose().len() > MAX_BYTES {
        return false;
    }
    let Ok(stored) = PasswordHash::new(stored) else {
        return false;
    };
    argon2()
        .verify_password(password.expose().as_bytes(), &stored)
        .is_ok()
}

/// A hash that no known password has. Verifying against it costs what a real one costs, so that
/// the time of an answer doesn't tell whether an account exists.
#[must_use]
pub fn dummy() -> &'static str {
    static DUMMY: LazyLock<String> =
        LazyLock::new(|| hash(&crate::random::token("")).unwrap_or_default());
    &DUMMY
}

#[derive(Debug, thiserror::Error)]
#[error("the password cannot be hashed")]
pub struct HashError;

// OWASP's recommendation for Argon2id: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("these parameters are legal");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_verifies() {
        let stored = hash(&SecretText::new("correct horse".into())).unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert!(verify(&SecretText::new("correct horse".into()), &stored));
        assert!(!verify(&SecretText::new("battery staple".into()), &stored));
        assert!(!verify(&SecretText::new("x".into()), "nonsense"));
        assert!(!verify(&SecretText::new("x".into()), dummy()));
    }
}
