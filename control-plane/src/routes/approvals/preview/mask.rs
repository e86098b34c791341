//! Takes out of a preview what looks like a password or key, by the name it stands under or by the
//! words before it.

use std::borrow::Cow;
use std::sync::LazyLock;

use ah5_policy::body::Json;
use ah5_policy::pii::{PiiType, Recognisers};

#[derive(Default)]
pub struct Mask {
    /// How many values were masked.
    pub count: usize,
}

// === impl Mask ===

impl Mask {
    pub fn value(&mut self, name: &str, value: &str) -> String {
        let is_name = is_secret(name) && !value.is_empty();
        let masked = match is_name {
            true => Some(MASKED.to_owned()),
            false => CODES.redact(value, Some(name), MASKED),
        };
        match masked {
            Some(masked) => {
                self.count += 1;
                masked
            }
            None => value.to_owned(),
        }
    }

    /// The body's text, unchanged where nothing is masked.
    pub fn body(&mut self, text: &str, json: Option<&Json<'_>>) -> String {
        let before = self.count;
        let Some(json) = json else {
            let text = self.pairs(text);
            return self.value("", &text);
        };
        let mut masked = json.clone();
        self.json("", &mut masked);
        match self.count == before {
            true => text.to_owned(),
            false => String::from_utf8_lossy(&masked.to_bytes()).into_owned(),
        }
    }

    /// As of a form, which what is no JSON may be.
    fn pairs(&mut self, text: &str) -> String {
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=')?;
            let decoded = url::form_urlencoded::parse(name.as_bytes()).next();
            let decoded = decoded.map(|(name, _)| name).unwrap_or_default();
            let hides = is_secret(&decoded) && !value.is_empty();
            hides.then(|| format!("{name}={MASKED}"))
        };
        let mut pairs = Vec::new();
        for text in text.split('&') {
            let masked = pair(text);
            self.count += usize::from(masked.is_some());
            pairs.push(masked.map_or(Cow::Borrowed(text), Cow::Owned));
        }
        pairs.join("&")
    }

    fn json(&mut self, name: &str, json: &mut Json<'_>) {
        match json {
            Json::List(items) => items.iter_mut().for_each(|item| self.json(name, item)),
            Json::Object(members) => {
                for (name, value) in members {
                    self.json(name, value);
                }
            }
            Json::Text(text) => *text = Cow::Owned(self.value(name, text)),
            Json::Bool(_) | Json::Null | Json::Number(_) => {}
        }
    }
}

fn is_secret(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let name: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    let is_place = PLACES.iter().any(|end| name.ends_with(end));
    !is_place && SECRET.iter().any(|end| name.ends_with(end))
}

pub const MASKED: &str = "[masked]";
const SECRET: [&str; 16] = [
    "apikey",
    "assertion",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "otp",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "secret",
    "sessionid",
    "token",
];
/// Tokens that say where a list goes on and open nothing.
const PLACES: [&str; 3] = ["continuationtoken", "pagetoken", "synctoken"];
static CODES: LazyLock<Recognisers> = LazyLock::new(|| {
    let codes = PiiType {
        name: "secret_code",
        pattern: None,
    };
    Recognisers::compile([codes]).unwrap_or_default()
});
