//! What we write to people. The texts are files under `letters/`; the first line is the subject.
//! Nothing that a stranger chose is put into them but links of ours: whoever signs up with somebody
//! else's address must not be able to speak to him through us. Only who has asked for a channel's
//! messages, by a code that we mailed him, gets words of an agent, and no link made of them.

use ah5_edge::Origin;
use ah5_security::secret::SecretText;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, Mailbox, MessageBuilder};
use url::Url;

use crate::channels::message::Message;

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

    /// Somebody may join a workspace. Who and which is not said: it would be a stranger's words.
    pub fn invited(ours: &Origin, to: &str) -> Self {
        Self::notice(to, INVITED, ours)
    }

    /// Lets the reader prove that he wants a channel's messages.
    pub fn channel_code(ours: &Origin, to: &str, code: &SecretText) -> Self {
        Self {
            text: fill(CHANNEL_CODE, ours).replace("{code}", code.expose()),
            to: to.to_owned(),
            life_minutes: CODE_MINUTES,
        }
    }

    /// A channel's message.
    pub fn channel(ours: &Origin, to: &str, message: &Message) -> Self {
        let page = message.page(ours).map(|page| format!("\n{page}\n"));
        let (heading, said) = (message.heading(), unlinked(&message.said()));
        Self {
            text: format!("{heading}\n\n{said}\n{}", page.unwrap_or_default()),
            to: to.to_owned(),
            life_minutes: NOTICE_MINUTES,
        }
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
        let message = MessageBuilder::new()
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

/// Readers of mail make links of whatever looks like one.
fn unlinked(text: &str) -> String {
    text.replace("://", "[://]")
        .replace('.', "[.]")
        .replace('@', "[@]")
}

/// How long a code of a channel is good.
pub const CODE_MINUTES: i32 = 15;
const CHANNEL_CODE: &str = include_str!("letters/channel_code.txt");
const INVITED: &str = include_str!("letters/invited.txt");
const LINKED: &str = include_str!("letters/linked.txt");
const PASSWORD_CHANGED: &str = include_str!("letters/password_changed.txt");
const RESET: &str = include_str!("letters/reset.txt");
const TAKEN: &str = include_str!("letters/taken.txt");
const VERIFY: &str = include_str!("letters/verify.txt");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::message::tests::hostile;

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
            Letter::invited(&ours, "ann@example.com"),
            Letter::channel_code(&ours, "ann@example.com", &token),
        ] {
            let text = String::from_utf8(other.write(&from).unwrap()).unwrap();
            assert!(text.contains("Subject: ") && !text.contains('{'), "{text}");
        }
        let hostile = Letter::channel(&ours, "ann@example.com", &hostile());
        assert!(
            hostile
                .text
                .starts_with("A call waits for your approval\n\n")
        );
        let text = hostile.text.replace("[://]", "");
        assert_eq!(text.matches("://").count(), 1, "{text}");
        assert!(text.contains("https://ah5.example/dashboard/approvals/0191d2c0-"));
        assert!(!text.contains("evil.example"), "{text}");
        let nobody = Letter::taken(&ours, "a@b\r\nBcc: x@y.example");
        assert!(nobody.write(&from).is_none());
    }
}
