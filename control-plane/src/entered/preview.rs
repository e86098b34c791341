//! What people may see of a credential, to tell it from another.

use serde_json::{Value, json};

pub fn preview(label: &str, secret: &str) -> Value {
    json!({"primaryLabel": label, "primaryMasked": mask(secret)})
}

/// Half of a short one would be much of it.
pub fn mask(secret: &str) -> String {
    let secret: Vec<char> = secret.trim().chars().collect();
    let text = |part: &[char]| part.iter().collect::<String>();
    if secret.len() < LONG {
        return text(secret.get(..2).unwrap_or_default()) + "...";
    }
    text(&secret[..4]) + "..." + &text(&secret[secret.len() - 4..])
}

const LONG: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_short_secret_next_to_nothing_is_shown() {
        assert_eq!(mask("123456789"), "12...");
        assert_eq!(mask("0123456789abcde"), "01...");
        assert_eq!(mask("0123456789abcdef"), "0123...cdef");
        assert_eq!(mask(" é "), "...");
    }
}
