//! What we write to people. The texts are files under `letters/`; the first line is the subject.
//! Nothing that a stranger chose is put into them but links of ours: whoever signs up with somebody
//! else's address must not be able to speak to him through us.

use ah5_edge::Origin;
use ah5_security::secret::SecretText;
use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, Mailbox};
use url::Url;

/// Minutes that a mailed link works.
pub const LINK_MINUTES: i32 = 60;
const NOTICE_MINUTES: i32 = 24 * 60;

pub struct Letter {
    to: String,
    text: String,
    /// How long it makes sense to send it.
    pub life_minutes: i32,
}

// === impl Letter ===

impl Letter {
    /// Asks to confirm that the address is the reader's.
    pub fn verify(ours: &Origin, to: &str, token: &SecretText, return_to: &str) -> Self {
        let mut link = page(ours, "/api/auth/verify-email");
        link.query_pairs_mut()
            .append_pair("token", token.expose())
            .append_pair("callbackURL", return_to);
        Self::with_link(to, VERIFY, ours, &link)
    }

    /// Lets the reader choose a new password.
    pub fn reset(ours: &Origin, to: &str, token: &SecretText, return_to: &str) -> Self {
        let path = format!("/api/auth/reset-password/{}", token.expose());
        let mut link = page(ours, &path);
        link.query_pairs_mut().append_pair("callbackURL", return_to);
        Self::with_link(to, RESET, ours, &link)
    }

    /// Somebody signed up under the address of an existing account.
    pub fn taken(ours: &Origin, to: &str) -> Self {
        Self::notice(to, TAKEN, ours)
    }

    pub fn password_changed(ours: &Origin, to: &str) -> Self {
        Self::notice(to, PASSWORD_CHANGED, ours)
    }

    /// Another way to sign in was added.
    pub fn linked(ours: &Origin, to: &str) -> Self {
        Self::notice(to, LINKED, ours)
    }

    /// The whole message as it goes over the wire; `None` if the address can't be written to.
    pub fn write(&self, from: &Mailbox) -> Option<Vec<u8>> {
        let (subject, text) = self.text.split_once('\n')?;
        let text = text.trim_start().replace('\n', "\r\n");
        // As it is, so that a link stays in one piece whatever reads it (RFC 5322 §2.1.1).
        let plain = text.is_ascii() && text.lines().all(|line| line.len() <= 998);
        let body = if plain {
            let encoding = ContentTransferEncoding::SevenBit;
            Body::dangerous_pre_encoded(text.into_bytes(), encoding)
        } else {
            Body::new(text)
        };
        let message = Message::builder()
            .from(from.clone())
            .to(self.to.parse().ok()?)
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(body)
            .ok()?;
        Some(message.formatted())
    }

    fn with_link(to: &str, template: &str, ours: &Origin, link: &Url) -> Self {
        Self {
            text: fill(template, ours).replace("{link}", link.as_str()),
            to: to.to_owned(),
            life_minutes: LINK_MINUTES,
        }
    }

    fn notice(to: &str, template: &str, ours: &Origin) -> Self {
        Self {
            text: fill(template, ours),
            to: to.to_owned(),
            life_minutes: NOTICE_MINUTES,
        }
    }
}

fn fill(template: &str, ours: &Origin) -> String {
    template.replace("{origin}", &ours.text)
}

fn page(ours: &Origin, path: &str) -> Url {
    // An origin was parsed as a URL, and paths here are ours.
    Url::parse(&format!("{}{path}", ours.text)).expect("an origin and a path are a URL")
}

const LINKED: &str = include_str!("letters/linked.txt");
const PASSWORD_CHANGED: &str = include_str!("letters/password_changed.txt");
const RESET: &str = include_str!("letters/reset.txt");
const TAKEN: &str = include_str!("letters/taken.txt");
const VERIFY: &str = include_str!("letters/verify.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_subject_text_and_a_link_in_one_piece() {
        let ours = Origin::parse("https://ah5.example").unwrap();
        let token = SecretText::new("t".repeat(43));
        let from = "Ah5 <a@ah5.example>".parse().unwrap();
        let letter = Letter::verify(&ours, "ann@example.com", &token, "/login?verified=true");
        let text = String::from_utf8(letter.write(&from).unwrap()).unwrap();
        let link = format!(
            "https://ah5.example/api/auth/verify-email?token={}&callbackURL=%2Flogin%3Fverified%3Dtrue",
            "t".repeat(43)
        );
        for piece in ["To: ann@example.com\r\n", "Subject: Confirm", &link] {
            assert!(text.contains(piece), "{piece}: {text}");
        }
        for other in [
            Letter::reset(&ours, "ann@example.com", &token, "/"),
            Letter::taken(&ours, "ann@example.com"),
            Letter::password_changed(&ours, "ann@example.com"),
            Letter::linked(&ours, "ann@example.com"),
        ] {
            let text = String::from_utf8(other.write(&from).unwrap()).unwrap();
            assert!(text.contains("Subject: ") && !text.contains('{'), "{text}");
        }
        let nobody = Letter::taken(&ours, "a@b\r\nBcc: x@y.example");
        assert!(nobody.write(&from).is_none());
    }
}
