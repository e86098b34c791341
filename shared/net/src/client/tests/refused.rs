//! What is never connected to.

use super::*;

#[tokio::test]
async fn nothing_is_sent_to_addresses_that_are_not_public() {
    let (addr, connections) = echo_server().await;
    let upstreams = Upstreams::new(Config::default()).unwrap();
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "10.0.0.1",
        "[fe80::1]",
    ] {
        let uri = format!("https://{host}:{}/", addr.port());
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let error = upstreams.send(key(), request).await.unwrap_err();
        assert!(
            matches!(error.failure, Failure::Blocked(_)),
            "{host}: {error}"
        );
        assert!(!error.sent);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn plain_http_is_for_exempt_hosts_only() {
    let upstreams = Upstreams::new(Config::default()).unwrap();
    let request = Request::get("http://93.184.216.34/")
        .body(Body::empty())
        .unwrap();
    let error = upstreams.send(key(), request).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Blocked(_)));
}

#[tokio::test]
async fn a_name_that_changes_between_check_and_use_gains_nothing() {
    let (addr, connections) = echo_server().await;
    // Another address at every question: were there a second one, it would be seen.
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let rebinding = resolving(config(Timeouts::default()), move |_| {
        let last = u8::try_from(count.fetch_add(1, Ordering::SeqCst)).unwrap();
        vec![IpAddr::from([127, 0, 0, 1 + last])]
    });
    read(rebinding.send(key(), get(addr, "/")).await.unwrap())
        .await
        .unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(connections.swap(0, Ordering::SeqCst), 1);
    // And a name with one private address among public ones is refused whole.
    let mixed = resolving(Config::default(), |_| {
        vec![
            IpAddr::from([93, 184, 216, 34]),
            IpAddr::from([127, 0, 0, 1]),
        ]
    });
    let uri = format!("https://rebind.test:{}/", addr.port());
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let error = mixed.send(key(), request).await.unwrap_err();
    assert_eq!(
        error.failure,
        Failure::Blocked("Blocked: hostname rebind.test resolves to private IP 127.0.0.1".into())
    );
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

/// Whichever of them would be tried first.
#[tokio::test]
async fn one_private_address_among_public_ones_of_either_family_refuses_them_all() {
    let public = ["93.184.216.34", "2606:4700::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
    for private in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001::7f00:1",
        "fc00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        let private: IpAddr = private.parse().unwrap();
        for public in public {
            for answer in [vec![public, private], vec![private, public]] {
                let mixed = resolving(Config::default(), move |_| answer.clone());
                let request = Request::get("https://mixed.test/").body(Body::empty());
                let error = mixed.send(key(), request.unwrap()).await.unwrap_err();
                let why = format!("Blocked: hostname mixed.test resolves to private IP {private}");
                assert_eq!(error.failure, Failure::Blocked(why));
                assert!(!error.sent);
            }
        }
    }
}

#[tokio::test]
async fn we_do_not_call_ourselves() {
    let (addr, connections) = echo_server().await;
    let mut config = config(Timeouts::default());
    config.own_addrs = vec![addr];
    config.own_origins = vec!["https://ah5.example".into()];
    let upstreams = resolving(config, |_| vec![IpAddr::from([127, 0, 0, 1])]);
    assert!(upstreams.send(key(), get(addr, "/")).await.is_err());
    let own = Request::get("https://ah5.example/v1/proxy")
        .body(Body::empty())
        .unwrap();
    let error = upstreams.send(key(), own).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Blocked(_)));
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_says_so() {
    let upstreams = resolving(Config::default(), |_| Vec::new());
    let request = Request::get("https://nowhere.test/")
        .body(Body::empty())
        .unwrap();
    let error = upstreams.send(key(), request).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Failed to resolve hostname: nowhere.test"
    );
    assert_eq!(error.kind(), "resolve");
}
