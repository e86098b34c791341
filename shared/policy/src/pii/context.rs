//! Words near a number that say what it is. A weak look (nine digits) counts only next to one.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::kind::{Kind, Kinds};

/// The kinds that the last few words of `before` speak of. Only the bytes given are looked at, so
/// the caller bounds the work.
pub(super) fn spoken_of(before: &[u8]) -> Kinds {
    let words = &before[last_words(before)..];
    let hits = MATCHER.0.find_overlapping_iter(words);
    hits.fold(Kinds::NONE, |kinds, hit| {
        kinds.union(MATCHER.1[hit.pattern().as_usize()])
    })
}

/// The kinds that a member's name speaks of. Here words must be whole: names are short and
/// `shippingTotal` is about neither a pin nor an IP address.
pub(super) fn named_by(name: &str) -> Kinds {
    let parts = if name.len() <= LONGEST_NAME {
        parts_of(name)
    } else {
        Vec::new()
    };
    let is_meant = |word: &str| parts.iter().any(|part| part.eq_ignore_ascii_case(word));
    WORDS
        .iter()
        .filter(|(_, words)| words.iter().any(|word| is_meant(word)))
        .fold(Kinds::NONE, |kinds, (kind, _)| kinds.with(*kind))
}

/// Where the last words start.
fn last_words(text: &[u8]) -> usize {
    let (mut left, mut in_word) = (WORDS_BACK, false);
    for (i, byte) in text.iter().enumerate().rev() {
        let is_gap = byte.is_ascii_whitespace() || b",;:!?.()[]{}\"'".contains(byte);
        if is_gap && in_word {
            left -= 1;
            if left == 0 {
                return i;
            }
        }
        in_word = !is_gap;
    }
    0
}

/// `taxPayerID` and `tax_payer_id` are three words each.
fn parts_of(name: &str) -> Vec<&str> {
    let bytes = name.as_bytes();
    let mut parts = Vec::new();
    let mut start = 0;
    for (i, c) in name.char_indices() {
        let is_hump = c.is_ascii_uppercase() && i > 0 && bytes[i - 1].is_ascii_lowercase();
        if is_hump {
            parts.push(&name[start..i]);
            start = i;
        } else if !c.is_alphanumeric() {
            parts.push(&name[start..i]);
            start = i + c.len_utf8();
        }
    }
    parts.push(&name[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// How far back context may stand; streams keep this much.
pub(super) const BACK: usize = 256;
const LONGEST_NAME: usize = 80;
const WORDS_BACK: usize = 5;

static MATCHER: LazyLock<(AhoCorasick, Vec<Kinds>)> = LazyLock::new(|| {
    let pairs = || {
        let of = |(kind, words): &'static (Kind, &'static [&'static str])| {
            words.iter().map(move |word| (*word, Kinds::one(*kind)))
        };
        WORDS.iter().flat_map(of)
    };
    let matcher = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(pairs().map(|(word, _)| word))
        // A constant list far below every limit of the builder; a test runs it.
        .expect("the list of words builds");
    (matcher, pairs().map(|(_, kinds)| kinds).collect())
});

const WORDS: &[(Kind, &[&str])] = &[
    (
        Kind::CreditCard,
        &[
            "credit",
            "card",
            "visa",
            "mastercard",
            "mc",
            "amex",
            "discover",
            "jcb",
            "diners",
            "maestro",
            "cc",
        ],
    ),
    (
        Kind::CryptoWallet,
        &[
            "bitcoin",
            "btc",
            "wallet",
            "ethereum",
            "eth",
            "crypto",
            "blockchain",
            "address",
            "portafoglio",
        ],
    ),
    (
        Kind::DateOfBirth,
        &[
            "born",
            "birth",
            "birthday",
            "dob",
            "nascita",
            "geburtsdatum",
        ],
    ),
    (
        Kind::MacAddress,
        &["mac", "address", "hardware", "ethernet", "nic"],
    ),
    (
        Kind::SecretCode,
        &[
            "pin",
            "puk",
            "cvv",
            "cvc",
            "unlock",
            "passcode",
            "password",
            "pwd",
            "secret",
            "sim",
            "card",
            "bank",
            "debit",
            "credit",
            "atm",
            "voicemail",
            "alarm",
            "safe",
            "lock",
            "code",
            "otp",
            "codice",
            "codigo",
            "parola",
            "contraseña",
            "passwort",
            "wachtwoord",
        ],
    ),
    (
        Kind::Phone,
        &[
            "phone",
            "telephone",
            "cell",
            "mobile",
            "call",
            "fax",
            "tel",
            "contact",
            "dial",
            "telefono",
            "cellulare",
            "chiama",
            "téléphone",
            "portable",
            "appel",
            "telefon",
            "handy",
            "anruf",
            "rufnummer",
        ],
    ),
    (Kind::UsSsn, &["social", "security", "ssn", "ssns", "ssid"]),
    (
        Kind::UsItin,
        &[
            "individual",
            "taxpayer",
            "itin",
            "tax",
            "payer",
            "taxid",
            "tin",
        ],
    ),
    (Kind::UsPassport, &["passport", "passaporto", "pasaporte"]),
    (
        Kind::UsDriverLicense,
        &["driver", "license", "licence", "dl", "driving", "patente"],
    ),
    (
        Kind::UsBankRouting,
        &["routing", "aba", "transit", "bank", "wire"],
    ),
    (Kind::UsNpi, &["npi", "cms"]),
    (Kind::UkNhs, &["nhs"]),
    (Kind::UkNino, &["nino"]),
    (
        Kind::ItFiscalCode,
        &["cf", "fiscal", "fiscale", "codice", "contribuente"],
    ),
    (Kind::ItVat, &["vat", "iva"]),
    (Kind::ItPassport, &["passaporto", "passport"]),
    (Kind::ItIdentityCard, &["cie"]),
    (Kind::ItDriverLicense, &["patente"]),
    (Kind::InAadhaar, &["aadhaar", "aadhar", "uidai", "uid"]),
    (Kind::InPan, &["pan"]),
    (Kind::EsNif, &["dni", "nif", "fiscal", "identificación"]),
    (Kind::EsNie, &["nie", "extranjero"]),
    (Kind::AuTfn, &["tfn"]),
    (Kind::AuAbn, &["abn"]),
    (Kind::PlPesel, &["pesel"]),
    (Kind::FiPic, &["hetu", "henkilötunnus", "personbeteckning"]),
    (Kind::ThTnin, &["tnin"]),
    (Kind::KrRrn, &["주민등록번호"]),
    (Kind::SgFin, &["fin", "nric", "singapore"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_counts_inside_another_and_only_the_last_five_count() {
        assert!(spoken_of(b"myssnfield ").has(Kind::UsSsn));
        assert!(spoken_of(b"SSN a b c d ").has(Kind::UsSsn));
        assert!(!spoken_of(b"ssn a b c d e ").has(Kind::UsSsn));
        assert!(spoken_of("henkilötunnus: ".as_bytes()).has(Kind::FiPic));
        assert_eq!(spoken_of(b""), Kinds::NONE);
    }

    #[test]
    fn a_members_name_counts_by_whole_words() {
        assert!(named_by("userSSN").has(Kind::UsSsn));
        assert!(named_by("credit_card_number").has(Kind::CreditCard));
        assert!(!named_by("shippingTotal").has(Kind::SecretCode));
    }
}
