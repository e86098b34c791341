//! As much of submission (RFC 6409, RFC 4954) as it takes to log in.

use ah5_contracts::connection::{MailSecurity, MailServer};
use ah5_security::secret::SecretText;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::conversation::{Conversation, plain};
use crate::{Fault, Way};

pub(crate) async fn log_in(
    way: Way<'_>,
    server: &MailServer,
    password: &SecretText,
) -> Result<(), Fault> {
    let mut talk = Conversation::open(way, server).await?;
    reply(&mut talk).await?.expect(220)?;
    let mut offers = greet(&mut talk).await?;
    if server.security == MailSecurity::StartTls {
        if !offers.iter().any(|offer| offer == "STARTTLS") {
            return Err(Fault::said("the server does not offer STARTTLS"));
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
        return Err(Fault::said("the server takes no passwords"));
    };
    verdict.let_in()?;
    // It is of no matter what the server says to that.
    let _ = talk.send("QUIT").await;
    Ok(())
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
        let code: u16 = code.ok_or_else(|| Fault::said("the server does not speak SMTP"))?;
        let more = line.as_bytes().get(3) == Some(&b'-');
        lines.push(line.get(4..).unwrap_or_default().to_owned());
        if !more {
            return Ok(Reply { code, lines });
        }
        if lines.len() > MAX_LINES {
            return Err(Fault::said("the server says too much"));
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
        assert_eq!(said(454), Err(Fault::Failed("454 4.7.0 later".to_owned())));
    }
}
