//! Signed by the right key: headers and claims that we would not write.

use serde_json::json;

use super::Attack;
use crate::forge::{Forge, Genuine};

/// Signed by the right key, with a header that we would not write.
pub fn headers(genuine: &Genuine<'_>) -> Vec<Attack> {
    let url = "https://evil.example/keys";
    let other = if genuine.kind == "agent" {
        "JWT"
    } else {
        "at+jwt"
    };
    let mut table = Vec::new();
    for header in [
        json!({"typ": null}),
        json!({"typ": ""}),
        json!({"typ": other}),
        json!({"typ": "JOSE"}),
        json!({"typ": 1}),
        json!({"crit": ["exp"]}),
        json!({"crit": []}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"b64": false}),
        json!({"zip": "DEF"}),
        json!({"cty": "JWT"}),
        json!({"jwk": genuine.key.public_jwk()}),
        json!({"jku": url}),
        json!({"x5u": url}),
        json!({"x5c": ["AAAA"]}),
        json!({"x5t": "AAAA"}),
        json!({"enc": "A256GCM"}),
    ] {
        table.push((
            format!("header {header}"),
            genuine.with(&header, &json!({})),
        ));
    }
    let claims = genuine.claims.to_string();
    let header = genuine.header.to_string();
    let alg = &genuine.header["alg"];
    for (name, header) in [
        (
            "alg twice",
            header.replacen('{', &format!("{{\"alg\":{alg},"), 1),
        ),
        (
            "alg none and then ours",
            header.replacen('{', "{\"alg\":\"none\",", 1),
        ),
        ("kid twice", header.replacen('{', "{\"kid\":\"x\",", 1)),
        ("a header that is a list", format!("[{header}]")),
        ("a header that is no JSON", "x".to_owned()),
        ("a header with something behind it", format!("{header}x")),
        ("no header", String::new()),
    ] {
        table.push((name.to_owned(), genuine.key.raw(&header, &claims)));
    }
    table
}

/// Signed by the right key, with claims that are not for here, or none at all.
pub fn claims(genuine: &Genuine<'_>, forge: &Forge) -> Vec<Attack> {
    let (iss, aud) = (&genuine.claims["iss"], &genuine.claims["aud"]);
    let other = if genuine.kind == "agent" {
        "api"
    } else {
        "data-plane"
    };
    let issuer = iss.as_str().unwrap();
    let now = genuine.now();
    let mut table = Vec::new();
    for claims in [
        json!({"iss": "https://evil.example"}),
        json!({"iss": format!("{issuer}/")}),
        json!({"iss": issuer.to_uppercase()}),
        json!({"iss": [issuer]}),
        json!({"iss": ""}),
        json!({"iss": 1}),
        json!({"aud": other}),
        json!({"aud": "everybody"}),
        json!({"aud": [aud]}),
        json!({"aud": [aud, "x"]}),
        json!({"aud": []}),
        json!({"aud": ""}),
        json!({"aud": 1}),
        json!({"exp": now - 1}),
        json!({"exp": 0}),
        json!({"exp": -1}),
        json!({"exp": i64::MIN}),
        json!({"exp": i64::MAX}),
        json!({"exp": u64::MAX}),
        json!({"exp": 1e300}),
        json!({"exp": (now + 60).to_string()}),
        json!({"exp": "9999999999"}),
        json!({"exp": true}),
        json!({"exp": [now + 60]}),
        json!({"exp": {}}),
        json!({"iat": now + 3600}),
        json!({"iat": i64::MAX}),
        json!({"iat": now.to_string()}),
        json!({"iat": i64::MIN}),
        json!({"nbf": now + 3600}),
        json!({"nbf": now.to_string()}),
        json!({"wid": "x"}),
        json!({"wid": ""}),
        json!({"wid": 1}),
        json!({"wid": "' or true --"}),
        json!({"wid": "00000000-0000-0000-0000-000000000000"}),
        json!({"sub": ""}),
        json!({"sub": 1}),
        json!({"sub": ["x"]}),
        json!({"sub": "agent:"}),
        json!({"sub": "' or true --"}),
        json!({"jti": 1}),
    ] {
        table.push((
            format!("claims {claims}"),
            genuine.with(&json!({}), &claims),
        ));
    }
    let header = genuine.header.to_string();
    let text = genuine.claims.to_string();
    for claim in ["exp", "iss", "aud", "sub", "wid", "iat"] {
        let value = &genuine.claims[claim];
        let twice = text.replacen('{', &format!("{{\"{claim}\":{value},"), 1);
        table.push((format!("{claim} twice"), genuine.key.raw(&header, &twice)));
    }
    for (name, claims) in [
        ("claims that are a list", format!("[{text}]")),
        ("claims that are no JSON", "x".to_owned()),
        ("claims with something behind them", format!("{text}x")),
        ("claims that are null", "null".to_owned()),
        ("no claims", String::new()),
        ("empty claims", "{}".to_owned()),
        (
            "claims of great depth",
            format!("{{\"x\":{}{}", "[".repeat(500), "]".repeat(500)),
        ),
    ] {
        table.push((name.to_owned(), genuine.key.raw(&header, &claims)));
    }
    // Ours, but of the other kind throughout.
    let other = forge.other(genuine.kind);
    table.push((
        "the other kind's key and all".into(),
        other.token(
            &json!({"alg": if genuine.kind == "agent" { "ES256" } else { "EdDSA" },
                "kid": other.kid(), "typ": if genuine.kind == "agent" { "JWT" } else { "at+jwt" }}),
            &genuine.claims,
        ),
    ));
    table
}
