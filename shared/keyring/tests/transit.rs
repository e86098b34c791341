//! A ring whose keys Vault's transit engine has wrapped.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use ah5_contracts::id::WorkspaceId;
use ah5_keyring::{KmsError, OpenError, Source};
use ah5_security::ring::KeyRing;
use ah5_security::vault::DataKey;
use ah5_settings::Settings;
use ah5_testkit::simulator::{Options, Simulator};
use ah5_testkit::transit::{TOKEN, Transit};
use http::Response;
use serde_json::{Value, json};

fn source(path: &Path, settings: &[(String, String)]) -> Source {
    let mut settings = Settings::from_vars(settings.iter().cloned());
    let source = Source::at(path, &mut settings);
    settings.finish().unwrap();
    source.unwrap()
}

fn refused(opened: Result<KeyRing, OpenError>, text: &str) {
    match opened {
        Err(OpenError::Kms(KmsError::Refused(why))) => assert!(why.contains(text), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_file_has_no_key_and_the_service_gives_them_back() {
    let vault = Transit::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    KeyRing::create(&path).unwrap();
    let plain = KeyRing::load(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let key = text
        .split('"')
        .find(|it| it.len() == 44)
        .unwrap()
        .to_owned();
    let workspace = WorkspaceId::random();
    let wrapped = plain.wrap(workspace, &DataKey::generate());

    let source = source(&path, &vault.settings());
    source.wrap().await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&key) && text.contains("vault:v1:"), "{text}");
    assert!(KeyRing::load(&path).is_err(), "nobody opens it alone");
    let calls = vault.calls();
    let opened = source.open().await.unwrap();
    assert_eq!(vault.calls() - calls, 1, "one call for each key");
    let (id, bytes) = (&wrapped.ring_key_id, &wrapped.bytes);
    assert!(opened.unwrap(workspace, id, bytes).is_ok());
    assert!(source.wrap().await.is_err(), "it is wrapped already");
    // A file that was never wrapped is not shown to the service.
    let bare = folder.path().join("bare");
    KeyRing::create(&bare).unwrap();
    let calls = vault.calls();
    let bare = self::source(&bare, &vault.settings());
    refused(bare.open().await, "none that it wrapped");
    assert_eq!(vault.calls(), calls);

    // Another version of the service's key: what the old one has wrapped opens until it is forgotten.
    vault.rotate();
    assert!(source.open().await.is_ok());
    vault.forget_old_versions();
    refused(source.open().await, "too old");
}

/// What a service that wraps nothing says must not come into the file.
#[tokio::test]
async fn a_key_that_comes_back_as_it_was_is_not_kept() {
    let options = Options {
        plain: true,
        ..Options::default()
    };
    let service = Simulator::start_with(options).await.unwrap();
    service.on("/v1/*", |received| async move {
        let asked: Value = serde_json::from_slice(&received.body).unwrap();
        let answer = json!({"data": {"ciphertext": asked["plaintext"]}});
        Response::new(answer.to_string().into())
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    KeyRing::create(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let address = format!("http://127.0.0.1:{}", service.plain_port().unwrap());
    let settings = [
        ("KEY_RING_KMS", "vault-transit"),
        ("VAULT_ADDR", &address),
        ("VAULT_TOKEN", TOKEN),
        ("VAULT_TRANSIT_KEY", "ring"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let wrapped = source(&path, &settings).wrap().await;
    assert!(wrapped.unwrap_err().to_string().contains("no ciphertext"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_service_that_is_away_is_told_from_one_that_refuses() {
    let vault = Transit::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    KeyRing::create(&path).unwrap();
    let source_of = |change: &dyn Fn(&str) -> Option<String>| {
        let mut settings = vault.settings();
        for (name, value) in &mut settings {
            *value = change(name).unwrap_or(value.clone());
        }
        source(&path, &settings)
    };
    let good = source_of(&|_| None);
    good.wrap().await.unwrap();
    let unavailable = |opened| matches!(opened, Err(OpenError::Kms(KmsError::Unavailable(_))));

    vault.seal(true);
    assert!(unavailable(good.open().await));
    let waiting = tokio::spawn({
        let good = good.clone();
        async move { good.open_patiently().await }
    });
    vault.seal(false);
    assert!(waiting.await.unwrap().is_ok(), "it waits");
    vault.garble(true);
    refused(good.open().await, "no known form");
    vault.garble(false);

    let stranger = source_of(&|name| (name == "VAULT_TOKEN").then(|| "another".to_owned()));
    refused(stranger.open().await, "permission denied");
    assert!(
        stranger.open_patiently().await.is_err(),
        "waiting helps nobody"
    );
    let other = source_of(&|name| (name == "VAULT_TRANSIT_KEY").then(|| "other".to_owned()));
    refused(other.open().await, "not found");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let away = source_of(&|name| (name == "VAULT_ADDR").then(|| address.clone()));
    assert!(unavailable(away.open().await));

    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("vault:v1:", "vault:v1:AAAA")).unwrap();
    refused(good.open().await, "authentication failed");
}

#[test]
fn settings_that_cannot_work_are_faults() {
    for (name, value, why) in [
        ("KEY_RING_KMS", "pkcs11", "must be"),
        ("VAULT_ADDR", "http://vault.example.com:8200", "https"),
        ("VAULT_ADDR", "https://vault.example.com/v1", "https"),
        ("VAULT_ADDR", "https://me@vault.example.com", "https"),
        ("VAULT_TOKEN", "a\u{7f}b", "cannot be sent"),
        ("VAULT_TRANSIT_KEY", "../sys/seal", "letters"),
        ("VAULT_TRANSIT_MOUNT", "transit?x=", "letters"),
    ] {
        let mut all = vec![
            ("KEY_RING_KMS", "vault-transit"),
            ("VAULT_ADDR", "https://vault.example.com"),
            ("VAULT_TOKEN", TOKEN),
            ("VAULT_TRANSIT_KEY", "k"),
        ];
        all.retain(|(it, _)| *it != name);
        all.push((name, value));
        let all = all.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned()));
        let mut settings = Settings::from_vars(all);
        Source::at(Path::new("/nowhere"), &mut settings);
        let faults = settings.finish().unwrap_err().to_string();
        assert!(faults.contains(name) && faults.contains(why), "{faults}");
        assert!(!faults.contains(TOKEN));
    }
}
