//! What is tried against every kind of token that is a JWS (RFC 7515, RFC 8725).

mod keys;
mod members;
mod texts;

use crate::forge::{Forge, Genuine};

pub use texts::with_unused_bits;

/// A name and the forged JWS.
pub type Attack = (String, String);

pub fn common(genuine: &Genuine<'_>, forge: &Forge) -> Vec<Attack> {
    let mut table = Vec::new();
    table.extend(keys::algorithms(genuine, forge));
    table.extend(keys::keys(genuine, forge));
    table.extend(members::headers(genuine));
    table.extend(members::claims(genuine, forge));
    table.extend(texts::texts(genuine));
    table.extend(texts::signatures(genuine, forge));
    table
}
