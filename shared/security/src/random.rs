//! Random bytes from the operating system.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::secret::SecretText;

/// `N` random bytes. Panics if the operating system has none to give, as nothing could go on.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// `prefix` and 32 random bytes in base64url: 43 characters after the prefix.
#[must_use]
pub fn token(prefix: &str) -> SecretText {
    let bytes = Zeroizing::new(bytes::<32>());
    let mut text = prefix.to_owned();
    URL_SAFE_NO_PAD.encode_string(*bytes, &mut text);
    SecretText::new(text)
}
