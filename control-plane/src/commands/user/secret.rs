//! A password for somebody: taken from standard input, or made here and shown once. Never an argument.

use std::io::Read as _;

use ah5_security::secret::SecretText;
use ah5_security::{password, random};
use anyhow::{Context as _, bail};

use crate::routes::sign_up::password_fault;

pub struct Given {
    pub hashed: String,
    pub shown: Shown,
}

/// A password that was made here is shown once; one that was given is not.
pub struct Shown(Option<SecretText>);

// === impl Shown ===

impl Shown {
    pub fn line(&self) -> String {
        match &self.0 {
            Some(password) => format!("password: {}\n", password.expose()),
            None => String::new(),
        }
    }
}

pub fn new_password(from_stdin: bool) -> anyhow::Result<Given> {
    let given = if from_stdin {
        read_password()?
    } else {
        random::token("")
    };
    if password_fault(&given).is_some() {
        bail!("a password has 8 to 128 characters");
    }
    Ok(Given {
        hashed: password::hash(&given)?,
        shown: Shown((!from_stdin).then_some(given)),
    })
}

/// The first line of standard input. An argument would be seen by everybody on the machine.
fn read_password() -> anyhow::Result<SecretText> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(MAX_INPUT);
    input
        .read_to_string(&mut text)
        .context("no password on standard input")?;
    let text = SecretText::new(text);
    let line = text.expose().lines().next().unwrap_or_default();
    Ok(SecretText::new(line.to_owned()))
}

const MAX_INPUT: u64 = 4096;
