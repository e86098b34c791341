use ah5_providers::catalogue;

use super::*;
use crate::client::Dialect;

fn client(provider: &str) -> Client {
    Client {
        dialect: Dialect::Catalogue(catalogue::oauth(provider).unwrap()),
        app: None,
        id: "id with blank".into(),
        secret: Some(SecretText::new("s:cret&".into())),
        tenant: None,
    }
}

fn read(json: &str) -> Result<TokenSet, TokenError> {
    serde_json::from_str::<Answer>(json)
        .map_err(|_| senseless())?
        .check()
}

#[test]
fn the_client_shows_itself_as_the_provider_wants() {
    let fields = || vec![("grant_type", "refresh_token")];
    let zoom = request(&client("zoom"), "https://zoom.us/oauth/token", fields()).unwrap();
    let basic = format!("Basic {}", STANDARD.encode("id+with+blank:s%3Acret%26"));
    assert_eq!(zoom.headers()["authorization"], basic);
    assert_eq!(zoom.body(), "grant_type=refresh_token");
    let google = request(&client("google"), "https://a.example/token", fields()).unwrap();
    assert!(!google.headers().contains_key("authorization"));
    let body = "grant_type=refresh_token&client_id=id+with+blank&client_secret=s%3Acret%26";
    assert_eq!(google.body(), body);
}

#[test]
fn only_what_ends_a_grant_ends_it() {
    let of = |provider: &str, error: &str| refused(&client(provider), error, None);
    assert!(matches!(
        of("google", "invalid_grant"),
        TokenError::Grant(_)
    ));
    assert!(matches!(
        of("github", "bad_refresh_token"),
        TokenError::Grant(_)
    ));
    assert!(matches!(
        of("google", "bad_refresh_token"),
        TokenError::Refused(_)
    ));
    for error in [
        "invalid_client",
        "server_error",
        "temporarily_unavailable",
        "slow_down",
    ] {
        assert!(
            matches!(of("google", error), TokenError::Refused(_)),
            "{error}"
        );
    }
}

#[test]
fn reads_what_providers_write() {
    let tokens =
        read(r#"{"access_token":"abcdefgh","expires_in":"3600","scope":"a,b c"}"#).unwrap();
    assert_eq!(tokens.scopes.unwrap(), ["a", "b", "c"]);
    let left = tokens.expires_at.unwrap().as_second() - Timestamp::now().as_second();
    assert!((3598..=3600).contains(&left), "{left}");
    for odd in ["0", "-5", "1e400", "\"soon\""] {
        let json = format!(r#"{{"access_token":"abcdefgh","expires_in":{odd}}}"#);
        assert!(
            read(&json).is_err() || read(&json).unwrap().expires_at.is_none(),
            "{odd}"
        );
    }
}

#[test]
fn refuses_tokens_that_no_header_can_carry() {
    for bad in [
        r#"{"access_token":"abc"}"#,
        r#"{"access_token":"abcd efgh"}"#,
        r#"{"access_token":"abcd\r\nefgh"}"#,
        r#"{"access_token":"abcdefgh","token_type":"mac"}"#,
        r#"{"access_token":"abcdefgh","refresh_token":""}"#,
        r#"{"token_type":"bearer"}"#,
        "[]",
    ] {
        assert_eq!(read(bad).unwrap_err(), senseless(), "{bad}");
    }
}

#[test]
fn what_a_provider_says_is_bounded_and_plain() {
    let said = Said {
        error: bounded("invalid_grant"),
        description: Some(bounded(&format!("gone\u{1b}[2J\n{}", "x".repeat(1000)))),
    };
    let shown = said.to_string();
    assert!(shown.starts_with("gone[2J") && shown.chars().count() == MAX_SAID);
}

#[test]
fn scopes_that_could_not_be_kept_are_left_out() {
    let long = "x".repeat(MAX_SCOPE + 1);
    let many = "s ".repeat(MAX_SCOPES + 50);
    let json = serde_json::json!({
        "access_token": "abcdefgh", "scope": format!("a\u{0}b good c\"d {long} {many}"),
    });
    let scopes = read(&json.to_string()).unwrap().scopes.unwrap();
    assert_eq!((scopes[0].as_str(), scopes.len()), ("good", MAX_SCOPES));
}

#[test]
fn the_log_has_no_words_of_the_providers() {
    for error in ["invalid_client", "the token is refresh-token-1"] {
        let refused = refused(&client("google"), error, Some("of client secret s:cret&"));
        let word = refused.word();
        assert!(!word.contains("token") && !word.contains("cret"), "{word}");
    }
}
