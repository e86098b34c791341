//! A ring whose keys AWS KMS has wrapped: spoken to is moto, which checks signatures and policies by
//! AWS's own SDK for Python.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod server;

use std::path::Path;

use ah5_contracts::id::WorkspaceId;
use ah5_keyring::{KmsError, OpenError, Source};
use ah5_security::ring::KeyRing;
use ah5_security::vault::DataKey;
use ah5_settings::Settings;
use ah5_testkit::simulator::{Options, Simulator};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use serde_json::{Value, json};

use server::{Moto, Vars};

fn source(path: &Path, vars: &Vars) -> Source {
    let mut settings = Settings::from_vars(vars.clone());
    let source = Source::at(path, &mut settings);
    settings.finish().unwrap();
    source.unwrap()
}

fn refused(opened: Result<impl Sized, OpenError>, text: &str) {
    match opened {
        Err(OpenError::Kms(KmsError::Refused(why))) => assert!(why.contains(text), "{why}"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it opens"),
    }
}

#[tokio::test]
async fn the_file_has_no_key_and_the_service_gives_them_back() {
    let moto = Moto::start().await;
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

    let source_of = |name: &str, value: &str| {
        let mut vars = moto.settings();
        vars.insert(name.to_owned(), value.to_owned());
        source(&path, &vars)
    };
    let good = source(&path, &moto.settings());
    refused(good.open().await, "none that it wrapped");
    good.wrap().await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&key) && text.contains("aws-kms:"), "{text}");
    assert!(KeyRing::load(&path).is_err(), "nobody opens it alone");
    let opened = good.open().await.unwrap();
    let (id, bytes) = (&wrapped.ring_key_id, &wrapped.bytes);
    assert!(opened.unwrap(workspace, id, bytes).is_ok());
    assert!(good.wrap().await.is_err(), "it is wrapped already");

    // By its alias, and by somebody whose credentials are for a while.
    moto.kms(
        "CreateAlias",
        &json!({"AliasName": "alias/ring", "TargetKeyId": moto.key}),
    )
    .await;
    assert!(
        source_of("AWS_KMS_KEY_ID", "alias/ring")
            .open()
            .await
            .is_ok()
    );
    let mut vars = moto.settings();
    vars.extend(moto.assume_role().await);
    assert!(source(&path, &vars).open().await.is_ok());
    vars.insert("AWS_SESSION_TOKEN".into(), "another".into());
    refused(source(&path, &vars).open().await, "403");
}

#[tokio::test]
async fn whoever_may_not_is_refused() {
    let moto = Moto::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    KeyRing::create(&path).unwrap();
    let good = source(&path, &moto.settings());
    let source_of = |name: &str, value: &str| {
        let mut vars = moto.settings();
        vars.insert(name.to_owned(), value.to_owned());
        source(&path, &vars)
    };
    refused(
        source_of("AWS_KMS_KEY_ID", UNKNOWN).wrap().await,
        "NotFound",
    );
    good.wrap().await.unwrap();

    refused(
        source_of("AWS_SECRET_ACCESS_KEY", "wrong").open().await,
        "403",
    );
    refused(
        source_of("AWS_ACCESS_KEY_ID", "AKIASTRANGER").open().await,
        "403",
    );
    refused(
        source_of("AWS_KMS_KEY_ID", UNKNOWN).open().await,
        "NotFound",
    );
    let other = moto.new_key().await;
    refused(
        source_of("AWS_KMS_KEY_ID", &other).open().await,
        "AccessDenied",
    );

    let text = std::fs::read_to_string(&path).unwrap();
    let start = text.find("aws-kms:").unwrap() + 120;
    let changed = if &text[start..=start] == "A" {
        "B"
    } else {
        "A"
    };
    let mut tampered = text.clone();
    tampered.replace_range(start..=start, changed);
    std::fs::write(&path, tampered).unwrap();
    refused(good.open().await, "InvalidCiphertext");
    // Wrapped by the same key, for nobody's purpose.
    let body =
        json!({"KeyId": moto.key, "Plaintext": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="});
    let foreign = moto.kms("Encrypt", &body).await;
    let foreign = format!("aws-kms:{}", foreign["CiphertextBlob"].as_str().unwrap());
    let ours = text
        .split('"')
        .find(|it| it.starts_with("aws-kms:"))
        .unwrap();
    std::fs::write(&path, text.replace(ours, &foreign)).unwrap();
    refused(good.open().await, "InvalidCiphertext");
    // Of the ring's purpose, and no key.
    let body = json!({
        "KeyId": moto.key, "Plaintext": "c2hvcnQ=", "EncryptionContext": {"purpose": "ah5-key-ring"},
    });
    let short = moto.kms("Encrypt", &body).await;
    let short = format!("aws-kms:{}", short["CiphertextBlob"].as_str().unwrap());
    std::fs::write(&path, text.replace(ours, &short)).unwrap();
    refused(good.open().await, "no key");

    std::fs::write(&path, &text).unwrap();
    // moto wants the bare id here.
    let id = json!({"KeyId": moto.key.rsplit('/').next()});
    moto.kms("DisableKey", &id).await;
    refused(good.open().await, "Disabled");
    moto.kms("EnableKey", &id).await;
    assert!(good.open().await.is_ok());
    moto.deny("kms:Decrypt").await;
    refused(good.open().await, "403");
}

/// What a service that wraps nothing says must not come into the file, whatever it puts around it.
#[tokio::test]
async fn a_key_that_comes_back_as_it_was_is_not_kept() {
    let options = Options {
        plain: true,
        ..Options::default()
    };
    let service = Simulator::start_with(options).await.unwrap();
    service.on("/*", |received| async move {
        let asked: Value = serde_json::from_slice(&received.body).unwrap();
        let key = STANDARD.decode(asked["Plaintext"].as_str().unwrap());
        let around = [&[1, 2, 3], &*key.unwrap(), &[4, 5]].concat();
        let answer = json!({"CiphertextBlob": STANDARD.encode(around)});
        Response::new(answer.to_string().into())
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    KeyRing::create(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let mut vars = server::settings(UNKNOWN);
    let address = format!("http://127.0.0.1:{}", service.plain_port().unwrap());
    vars.insert("AWS_KMS_ENDPOINT".to_owned(), address);
    refused(source(&path, &vars).wrap().await, "no ciphertext");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_service_that_is_away_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ring");
    KeyRing::create(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let key = text.split('"').find(|it| it.len() == 44).unwrap();
    std::fs::write(&path, text.replace(key, "aws-kms:AAAA")).unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let mut vars = server::settings(UNKNOWN);
    vars.insert("AWS_KMS_ENDPOINT".into(), endpoint);
    let opened = source(&path, &vars).open().await;
    assert!(matches!(
        opened,
        Err(OpenError::Kms(KmsError::Unavailable(_)))
    ));
}

#[test]
fn settings_that_cannot_work_are_faults() {
    for (name, value, why) in [
        ("AWS_KMS_ENDPOINT", "http://kms.example.com", "https"),
        ("AWS_KMS_ENDPOINT", "https://kms.example.com/v1", "https"),
        ("AWS_REGION", "evil.example/#", "letters"),
        ("AWS_KMS_KEY_ID", "a key", "letters"),
        ("AWS_ACCESS_KEY_ID", "AKIA, b", "letters"),
        ("AWS_SESSION_TOKEN", "a\nb", "cannot be sent"),
        ("AWS_SECRET_ACCESS_KEY", "", "required"),
    ] {
        let mut vars = server::settings(UNKNOWN);
        vars.insert(name.to_owned(), value.to_owned());
        let mut settings = Settings::from_vars(vars);
        Source::at(Path::new("/nowhere"), &mut settings);
        let faults = settings.finish().unwrap_err().to_string();
        assert!(faults.contains(name) && faults.contains(why), "{faults}");
        assert!(!faults.contains(server::SECRET));
    }
}

const UNKNOWN: &str =
    "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-000000000000";
