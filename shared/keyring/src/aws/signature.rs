//! Signature Version 4, by which AWS knows who asks: an HMAC over what is sent, under a key that is
//! good for one day, one region and one service. For requests of `/` without a query, which is all
//! that the JSON protocol has.

use std::fmt::Write as _;

use ah5_security::secret::SecretText;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

pub struct Signer<'a> {
    pub access_key_id: &'a str,
    pub secret: &'a SecretText,
    pub region: &'a str,
    pub service: &'a str,
}

// === impl Signer ===

impl Signer<'_> {
    /// The value of `authorization`. The headers have small names and are in their order; among them
    /// are `host` and `x-amz-date`, which has this time.
    #[must_use]
    pub fn sign(&self, method: &str, headers: &[(&str, &str)], body: &[u8], time: &str) -> String {
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let mut canonical = Zeroizing::new(format!("{method}\n/\n\n"));
        for (name, value) in headers {
            let _ = writeln!(canonical, "{name}:{}", value.trim());
        }
        let _ = write!(canonical, "\n{names}\n{}", hex(&Sha256::digest(body)));

        let day = time.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let digest = hex(&Sha256::digest(canonical.as_bytes()));
        let text = format!("{ALGORITHM}\n{time}\n{scope}\n{digest}");
        let signature = hex(&*mac(&*self.key(day), &text));
        let id = self.access_key_id;
        format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
    }

    fn key(&self, day: &str) -> Tag {
        let secret = Zeroizing::new(format!("AWS4{}", self.secret.expose()));
        let parts = [day, self.region, self.service, "aws4_request"];
        let mut parts = parts.into_iter();
        let first = mac(secret.as_bytes(), parts.next().unwrap_or_default());
        parts.fold(first, |key, part| mac(&*key, part))
    }
}

type Tag = Zeroizing<[u8; 32]>;

fn mac(key: &[u8], text: &str) -> Tag {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn signer<'a>(secret: &'a SecretText, service: &'a str) -> Signer<'a> {
        Signer {
            access_key_id: "AKIDEXAMPLE",
            secret,
            region: "us-east-1",
            service,
        }
    }

    #[test]
    fn derives_the_key_of_the_documentation() {
        let secret = SecretText::new(SECRET.to_owned());
        let key = signer(&secret, "iam").key("20150830");
        let documented = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9";
        assert_eq!(hex(&*key), documented);
    }

    /// `get-vanilla`, `post-vanilla`, `post-x-www-form-urlencoded` of AWS's test suite.
    #[test]
    fn signs_as_the_test_suite_of_aws_has_it() {
        let secret = SecretText::new(SECRET.to_owned());
        let signer = signer(&secret, "service");
        let plain = [
            ("host", "example.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
        ];
        let typed = [
            ("content-type", "application/x-www-form-urlencoded"),
            plain[0],
            plain[1],
        ];
        let cases: [(_, &[_], &[u8], _); 3] = [
            ("GET", &plain, b"", GET_VANILLA),
            ("POST", &plain, b"", POST_VANILLA),
            ("POST", &typed, b"Param1=value1", POST_FORM),
        ];
        for (method, headers, body, signature) in cases {
            let signed = signer.sign(method, headers, body, "20150830T123600Z");
            assert!(
                signed.starts_with(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/\
                     aws4_request, SignedHeaders="
                ) && signed.ends_with(&format!(", Signature={signature}")),
                "{signed}"
            );
        }
    }

    const GET_VANILLA: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    const POST_VANILLA: &str = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
    const POST_FORM: &str = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a";
}
