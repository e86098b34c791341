//! People's addresses: as agents write them, and as letters have them.

use lettre::message::Mailbox as Written;
use mail_parser::Address;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use crate::smtp::Path;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    #[serde(default)]
    pub name: String,
    pub address: String,
}

// === impl Named ===

impl Named {
    /// # Errors
    /// 400: it cannot be written to, or would end a line.
    pub fn check(&self, field: &str) -> Result<(), Answer> {
        let is_short = self.name.len() <= MAX_NAME;
        let legal = !self.name.contains(char::is_control) && is_short;
        match self.path().filter(|_| legal && self.written().is_some()) {
            Some(_) => Ok(()),
            None => Err(Answer::bad(&format!("{field} has no valid address"))),
        }
    }

    pub fn path(&self) -> Option<Path> {
        Path::parse(&self.address)
    }

    pub fn written(&self) -> Option<Written> {
        let name = Some(self.name.clone()).filter(|name| !name.is_empty());
        Some(Written::new(name, self.address.parse().ok()?))
    }

    pub fn is(&self, address: &str) -> bool {
        self.address.eq_ignore_ascii_case(address)
    }
}

/// Those of a letter's header, groups resolved.
pub fn read(header: Option<&Address<'_>>) -> Vec<Named> {
    let all = header.into_iter().flat_map(Address::iter);
    let named = all.filter_map(|one| {
        Some(Named {
            name: one.name().unwrap_or_default().to_owned(),
            address: one.address()?.to_owned(),
        })
    });
    named.take(MOST).collect()
}

const MAX_NAME: usize = 256;
/// A letter may name more; nobody reads on.
const MOST: usize = 500;
