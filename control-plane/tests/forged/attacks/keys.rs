//! The wrong algorithm, the wrong key, and where an attacker may want a key to be looked for.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::Attack;
use crate::forge::{Forge, Genuine, Key, changed, message};

/// No signature, another algorithm, the public key as a shared secret.
pub fn algorithms(genuine: &Genuine<'_>, forge: &Forge) -> Vec<Attack> {
    let [_, claims, signature] = genuine.parts();
    let mut table = Vec::new();
    let named = |alg: &Value| {
        let header = changed(&genuine.header, &json!({"alg": alg}));
        URL_SAFE_NO_PAD.encode(header.to_string())
    };
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = named(&alg.into());
        table.push((
            format!("alg {alg:?} without a signature"),
            format!("{header}.{claims}."),
        ));
        let token = format!("{header}.{claims}.{signature}");
        table.push((format!("alg {alg:?} with the signature"), token));
    }
    for alg in [
        "RS256", "PS256", "ES384", "ES512", "HS256", "EdDSA", "ES256", "Ed25519",
    ] {
        if genuine.header["alg"] != alg {
            let token = format!("{}.{claims}.{signature}", named(&alg.into()));
            table.push((format!("{alg} with the signature"), token));
        }
    }
    for alg in [json!(1), json!(["EdDSA"]), json!({}), json!(true)] {
        let token = format!("{}.{claims}.{signature}", named(&alg));
        table.push((format!("alg {alg}"), token));
    }
    let without = changed(&genuine.header, &json!({"alg": null}));
    table.push((
        "no alg".into(),
        genuine.key.token(&without, &genuine.claims),
    ));
    let jwk = genuine.key.public_jwk();
    let text = |name: &str| jwk[name].as_str().unwrap_or_default().to_owned();
    let point = [
        URL_SAFE_NO_PAD.decode(text("x")),
        URL_SAFE_NO_PAD.decode(text("y")),
    ];
    let point: Vec<u8> = point.into_iter().flatten().flatten().collect();
    let uncompressed = [&[4], point.as_slice()].concat();
    for (name, secret) in [
        ("its bytes", point),
        ("its point", uncompressed),
        ("its x", text("x").into_bytes()),
        ("its JWK", jwk.to_string().into_bytes()),
        ("its kid", genuine.key.kid().as_bytes().to_vec()),
        ("nothing", Vec::new()),
    ] {
        for (alg, algorithm) in [
            ("HS256", Algorithm::HS256),
            ("HS384", Algorithm::HS384),
            ("HS512", Algorithm::HS512),
        ] {
            let header = changed(&genuine.header, &json!({"alg": alg}));
            let message = message(&header.to_string(), &genuine.claims.to_string());
            let key = EncodingKey::from_secret(&secret);
            let mac = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
            table.push((
                format!("{alg} with the public key ({name})"),
                format!("{message}.{mac}"),
            ));
        }
    }
    // The key of the other kind of token, which is ours too.
    let other = forge.other(genuine.kind);
    let alg = if genuine.kind == "agent" {
        "ES256"
    } else {
        "EdDSA"
    };
    for (name, header) in [
        (
            "its own alg and kid",
            json!({"alg": alg, "kid": other.kid()}),
        ),
        ("its own alg, this kid", json!({"alg": alg})),
        ("this alg, its own kid", json!({"kid": other.kid()})),
        ("this alg and kid", json!({})),
    ] {
        let header = changed(&genuine.header, &header);
        let token = other.token(&header, &genuine.claims);
        table.push((format!("the other kind's key with {name}"), token));
    }
    table
}

/// A stranger's key, and everywhere that he may want it to be looked for.
pub fn keys(genuine: &Genuine<'_>, forge: &Forge) -> Vec<Attack> {
    let stranger = Key::new(genuine.kind);
    let jwk = stranger.public_jwk();
    let (long, url) = ("k".repeat(4000), "https://evil.example/keys");
    let mut table = Vec::new();
    for (name, header) in [
        ("our kid", json!({})),
        ("its own kid", json!({"kid": stranger.kid()})),
        ("no kid", json!({"kid": null})),
        ("its jwk", json!({"jwk": jwk})),
        (
            "its jwk and kid",
            json!({"jwk": jwk, "kid": stranger.kid()}),
        ),
        ("its jku", json!({"jku": url})),
        ("its x5u", json!({"x5u": url})),
        ("its x5c", json!({"x5c": ["AAAA"]})),
    ] {
        let token = stranger.token(&changed(&genuine.header, &header), &genuine.claims);
        table.push((format!("a stranger's key with {name}"), token));
    }
    for kid in [
        json!(null),
        json!(""),
        json!("unknown"),
        json!("../../../../dev/null"),
        json!("/etc/passwd"),
        json!("' or '1'='1"),
        json!("x'; drop table ah5.t_signing_keys; --"),
        json!("\u{0}"),
        json!("%00"),
        json!("https://evil.example/k"),
        json!(long),
        json!(1),
        json!([genuine.key.kid()]),
        json!({"$ne": ""}),
        json!(genuine.key.kid().to_uppercase()),
        json!(format!("{} ", genuine.key.kid())),
        json!(forge.other(genuine.kind).kid()),
    ] {
        let name: String = kid.to_string().chars().take(40).collect();
        table.push((
            format!("kid {name}"),
            genuine.with(&json!({"kid": kid}), &json!({})),
        ));
    }
    table
}
