//! The genuine token written otherwise, and signatures that are almost right.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::Attack;
use crate::forge::{Forge, Genuine, changed};

/// The genuine token, written otherwise.
pub fn texts(genuine: &Genuine<'_>) -> Vec<Attack> {
    let token = &genuine.token;
    let [header, claims, signature] = genuine.parts();
    let named = |(name, text): (&str, String)| (name.to_owned(), text);
    let mut table: Vec<Attack> = [
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{claims}")),
        ("no signature", format!("{header}.{claims}.")),
        ("no claims", format!("{header}..{signature}")),
        ("no header", format!(".{claims}.{signature}")),
        ("another part behind", format!("{token}.x")),
        ("an empty part behind", format!("{token}.")),
        ("another part in front", format!("x.{token}")),
        ("an empty part in front", format!(".{token}")),
        ("twice", format!("{token}.{token}")),
        ("a letter behind", format!("{token}A")),
        ("four letters behind", format!("{token}AAAA")),
        ("padded", format!("{token}==")),
        ("padded claims", format!("{header}.{claims}=.{signature}")),
        ("a comma and another", format!("{token},{token}")),
        ("quoted", format!("\"{token}\"")),
        (
            "parts in another order",
            format!("{claims}.{header}.{signature}"),
        ),
        (
            "five parts, as if encrypted",
            format!("{header}.x.x.{claims}.{signature}"),
        ),
    ]
    .into_iter()
    .map(named)
    .collect();
    if let Some(spelt) = with_unused_bits(signature) {
        table.push((
            "a signature that ends in unused bits".into(),
            format!("{header}.{claims}.{spelt}"),
        ));
    }
    let standard = token.replace('-', "+").replace('_', "/");
    if standard != *token {
        table.push(("the standard alphabet".into(), standard));
    }
    table
}

/// The claims of one token under the signature of another, and signatures that are almost right.
pub fn signatures(genuine: &Genuine<'_>, forge: &Forge) -> Vec<Attack> {
    let [header, claims, signature] = genuine.parts();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut table = Vec::new();
    let mut push = |name: String, bytes: &[u8]| {
        table.push((
            name,
            format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(bytes)),
        ));
    };
    for at in [0, 1, 31, 32, 33, 63] {
        for bit in [0_u8, 7] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            push(format!("bit {bit} of byte {at} flipped"), &flipped);
        }
    }
    push("zeros".into(), &[0; 64]);
    push("ones".into(), &[0xff; 64]);
    push("half of it".into(), &bytes[..32]);
    push(
        "the halves swapped".into(),
        &[&bytes[32..], &bytes[..32]].concat(),
    );
    push("a byte more".into(), &[bytes.as_slice(), &[0]].concat());
    push("a byte in front".into(), &[&[0], bytes.as_slice()].concat());
    push("written as DER".into(), &der(&bytes));
    let key = forge.key(genuine.kind);
    let later = key.token(
        &genuine.header,
        &changed(&genuine.claims, &json!({"jti": "other"})),
    );
    let (_, theirs) = later.rsplit_once('.').unwrap();
    table.push((
        "the signature of another token".into(),
        format!("{header}.{claims}.{theirs}"),
    ));
    let more = changed(&genuine.claims, &json!({"scp": ["*", "panic"]}));
    let more = URL_SAFE_NO_PAD.encode(more.to_string());
    table.push((
        "other claims under the signature".into(),
        format!("{header}.{more}.{signature}"),
    ));
    table
}

/// Another spelling of the same bytes, which only a lenient decoder takes.
pub fn with_unused_bits(part: &str) -> Option<String> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = part.chars().last()?;
    let at = alphabet.find(last)?;
    let next = alphabet.chars().nth(at | 1)?;
    (!part.len().is_multiple_of(4) && next != last)
        .then(|| format!("{}{next}", &part[..part.len() - 1]))
}

/// As X.509 writes an ECDSA signature.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| [&[2, 33, 0], half].concat();
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}
