//! As much of submission (RFC 6409, RFC 4954) as it takes to log in and to hand a letter in.

use ah5_contracts::connection::{MailSecurity, MailServer};
use ah5_security::secret::SecretText;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::conversation::{Conversation, plain};
use crate::{Fault, Way};

/// A session that is logged in.
pub(crate) struct Submission(Conversation);

/// An address that can stand in a command: nothing in it ends one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(String);

pub(crate) async fn log_in(
    way: Way<'_>,
    server: &MailServer,
    password: &SecretText,
) -> Result<Submission, Fault> {
    let mut talk = Conversation::open(way, server).await?;
    reply(&mut talk).await?.expect(220)?;
    let mut offers = greet(&mut talk).await?;
    if server.security == MailSecurity::StartTls {
        if !offers.iter().any(|offer| offer == "STARTTLS") {
            return Err(Fault::Failed("the server does not offer STARTTLS"));
        }
        talk.send("STARTTLS").await?;
        reply(&mut talk).await?.expect(220)?;
        talk = talk.start_tls().await?;
        // What was offered before came from anybody.
        offers = greet(&mut talk).await?;
    }
    let ways = offers.iter().find_map(|offer| offer.strip_prefix("AUTH "));
    let can = |way: &str| ways.is_some_and(|ways| ways.split(' ').any(|it| it == way));
    let verdict = if can("PLAIN") {
        let shown = plain(&server.username, password);
        let command = Zeroizing::new(format!("AUTH PLAIN {}", shown.as_str()));
        talk.send(&command).await?;
        reply(&mut talk).await?
    } else if can("LOGIN") {
        two_questions(&mut talk, server, password).await?
    } else {
        return Err(Fault::Failed("the server takes no passwords"));
    };
    verdict.let_in()?;
    Ok(Submission(talk))
}

// === impl Submission ===

impl Submission {
    /// To all of them or to nobody. A server that answers at all has answered: nothing is said twice.
    pub(crate) async fn hand_in(
        mut self,
        from: &Path,
        to: &[Path],
        letter: &[u8],
    ) -> Result<(), Fault> {
        let talk = &mut self.0;
        talk.send(&format!("MAIL FROM:<{}>", from.0)).await?;
        reply(talk).await?.expect(250)?;
        for path in to {
            talk.send(&format!("RCPT TO:<{}>", path.0)).await?;
            let said = reply(talk).await?;
            // 251: it will be forwarded.
            if said.code != 251 {
                said.expect(250)?;
            }
        }
        talk.send("DATA").await?;
        reply(talk).await?.expect(354)?;
        talk.send_bytes(&stuffed(letter)).await?;
        reply(talk).await?.expect(250)?;
        // It is of no matter what the server says to that.
        let _ = talk.send("QUIT").await;
        Ok(())
    }
}

// === impl Path ===

impl Path {
    /// `None` for what cannot be said without quotes or in ASCII (RFC 5321 §4.1.2).
    #[must_use]
    pub fn parse(address: &str) -> Option<Self> {
        let (local, domain) = address.rsplit_once('@')?;
        let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
        let label = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        let dots = |text: &str| text.starts_with('.') || text.ends_with('.') || text.contains("..");
        let fits = (1..=64).contains(&local.len()) && (1..=253).contains(&domain.len());
        let legal = local.bytes().all(atom) && domain.bytes().all(label);
        (fits && legal && !dots(local) && !dots(domain)).then(|| Self(address.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A line that begins with a dot gets one more, and what is no end of a line is made one: so that no
/// line of the letter is taken for its end (RFC 5321 §4.5.2, §2.3.8).
fn stuffed(letter: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(letter.len() + letter.len() / 50 + 8);
    let mut at_start = true;
    let mut bytes = letter.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' | b'\n' => {
                if byte == b'\r' {
                    bytes.next_if_eq(&b'\n');
                }
                out.extend_from_slice(b"\r\n");
                at_start = true;
                continue;
            }
            b'.' if at_start => out.extend_from_slice(b".."),
            byte => out.push(byte),
        }
        at_start = false;
    }
    if !at_start {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// What it offers, in capitals.
async fn greet(talk: &mut Conversation) -> Result<Vec<String>, Fault> {
    talk.send("EHLO [127.0.0.1]").await?;
    let said = reply(talk).await?;
    let offers = said.lines.iter().skip(1).map(|line| line.to_uppercase());
    let offers = offers.collect();
    said.expect(250)?;
    Ok(offers)
}

/// The old way, which some servers have alone.
async fn two_questions(
    talk: &mut Conversation,
    server: &MailServer,
    password: &SecretText,
) -> Result<Reply, Fault> {
    talk.send("AUTH LOGIN").await?;
    for answer in [server.username.as_str(), password.expose()] {
        let asked = reply(talk).await?;
        if asked.code != 334 {
            return Ok(asked);
        }
        let answer = Zeroizing::new(STANDARD.encode(answer));
        talk.send(&answer).await?;
    }
    reply(talk).await
}

struct Reply {
    code: u16,
    lines: Vec<String>,
}

async fn reply(talk: &mut Conversation) -> Result<Reply, Fault> {
    let mut lines = Vec::new();
    loop {
        let line = talk.line().await?;
        let code = line.get(..3).and_then(|code| code.parse().ok());
        let code: u16 = code.ok_or(Fault::Failed("the server does not speak SMTP"))?;
        let more = line.as_bytes().get(3) == Some(&b'-');
        lines.push(line.get(4..).unwrap_or_default().to_owned());
        if !more {
            return Ok(Reply { code, lines });
        }
        if lines.len() > MAX_LINES {
            return Err(Fault::Failed("the server says too much"));
        }
    }
}

// === impl Reply ===

impl Reply {
    fn expect(self, code: u16) -> Result<(), Fault> {
        if self.code == code {
            return Ok(());
        }
        Err(Fault::said(&format!(
            "{} {}",
            self.code,
            self.lines.join(" ")
        )))
    }

    /// A passing trouble (4xx) has refused nobody.
    fn let_in(self) -> Result<(), Fault> {
        match self.code {
            500..=599 => Err(Fault::Login),
            _ => self.expect(235),
        }
    }
}

const MAX_LINES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passing_trouble_has_not_refused_the_password() {
        let said = |code| {
            let lines = vec!["4.7.0 later".to_owned()];
            Reply { code, lines }.let_in()
        };
        assert_eq!(said(235), Ok(()));
        assert_eq!(said(535), Err(Fault::Login));
        assert_eq!(said(454), Err(Fault::Refused("454 4.7.0 later".to_owned())));
    }

    #[test]
    fn no_line_of_a_letter_ends_it() {
        for (letter, sent) in [
            (
                "a\r\n.\r\nMAIL FROM:<x>\r\n",
                "a\r\n..\r\nMAIL FROM:<x>\r\n.\r\n",
            ),
            ("a\n.\nb", "a\r\n..\r\nb\r\n.\r\n"),
            ("a\r.\rb", "a\r\n..\r\nb\r\n.\r\n"),
            ("a\r\r\n.b", "a\r\n\r\n..b\r\n.\r\n"),
            (".", "..\r\n.\r\n"),
            ("", ".\r\n"),
        ] {
            let stuffed = String::from_utf8(stuffed(letter.as_bytes())).unwrap();
            assert_eq!(stuffed, sent, "{letter:?}");
        }
    }

    #[test]
    fn an_address_ends_no_command() {
        for good in ["ann@acme.example", "a.b+c@x", "o'neil@acme.example"] {
            assert!(Path::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "ann",
            "@x",
            "a@",
            "a b@x",
            "a@x>",
            "a@x\r\nRCPT TO:<b@x>",
            "<a@x",
            "\"a b\"@x",
            "a@x y",
            "ü@x",
            "a@ü",
            "a@@x",
            "a,b@x",
            ".a@x",
            "a..b@x",
        ] {
            assert!(Path::parse(bad).is_none(), "{bad:?}");
        }
    }
}
