//! No member may be named twice: of two, one reader takes the first and another the last.

use std::borrow::Cow;

use super::{BodyError, Json};

/// Refuses a member named twice. Few members are compared with each other, many are sorted.
pub(super) fn check(members: &[(Cow<'_, str>, Json<'_>)], fold: bool) -> Result<(), BodyError> {
    let same = |a: &str, b: &str| {
        if fold {
            a.to_lowercase() == b.to_lowercase()
        } else {
            a == b
        }
    };
    if members.len() <= 8 {
        for (i, (name, _)) in members.iter().enumerate() {
            if members[..i].iter().any(|(earlier, _)| same(earlier, name)) {
                return Err(BodyError::duplicate(name));
            }
        }
        return Ok(());
    }
    let key = |name: &Cow<'_, str>| {
        if fold {
            name.to_lowercase()
        } else {
            name.clone().into_owned()
        }
    };
    let mut names: Vec<String> = members.iter().map(|(name, _)| key(name)).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(BodyError::duplicate(&pair[0])),
        None => Ok(()),
    }
}
