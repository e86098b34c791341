//! What binds a sign-in elsewhere to the browser that began it: a state that travels in URLs and a
//! secret that stays in the browser's cookie. Verifier (PKCE, RFC 7636) and nonce follow from both,
//! so that neither a URL nor the database gives them away.

use ah5_security::secret::SecretText;
use ah5_security::{hash, random};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub struct Proof {
    pub state: SecretText,
    /// The cookie's value.
    pub browser: SecretText,
}

// === impl Proof ===

impl Proof {
    pub fn new() -> Self {
        Self {
            state: random::token(""),
            browser: random::token(""),
        }
    }

    pub fn of(state: &str, browser: &str) -> Self {
        Self {
            state: SecretText::new(state.to_owned()),
            browser: SecretText::new(browser.to_owned()),
        }
    }

    /// What is stored of state and browser.
    pub fn hashes(&self) -> ([u8; 32], [u8; 32]) {
        let hashed = |text: &SecretText| hash::sha256(text.expose().as_bytes());
        (hashed(&self.state), hashed(&self.browser))
    }

    pub fn verifier(&self) -> SecretText {
        SecretText::new(self.derive("ah5.pkce.v1"))
    }

    pub fn challenge(&self) -> String {
        let verifier = self.verifier();
        URL_SAFE_NO_PAD.encode(hash::sha256(verifier.expose().as_bytes()))
    }

    pub fn nonce(&self) -> String {
        self.derive("ah5.nonce.v1")
    }

    fn derive(&self, purpose: &str) -> String {
        let (browser, state) = (self.browser.expose(), self.state.expose());
        let lengths = [browser.len(), state.len()].map(|length| length.to_string());
        let pieces = [purpose, &lengths[0], ":", browser, &lengths[1], ":", state];
        URL_SAFE_NO_PAD.encode(hash::sha256_of(&pieces.map(str::as_bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifier_and_nonce_need_both_halves() {
        let proof = Proof::of("s", "b");
        assert_eq!(proof.nonce(), Proof::of("s", "b").nonce());
        assert_eq!(proof.verifier().expose().len(), 43);
        let all = [
            proof.nonce(),
            proof.verifier().expose().to_owned(),
            Proof::of("s", "c").nonce(),
            Proof::of("t", "b").nonce(),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
