//! The caller's address, as told by proxies and by liars.

use std::net::{IpAddr, SocketAddr};

use ah5_edge::client::{address, network};
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use proptest::prelude::*;

const TRUSTED: [&str; 3] = ["127.0.0.0/8", "::1/128", "10.0.0.0/8"];

fn trusted() -> [IpNet; 3] {
    TRUSTED.map(|text| text.parse().expect("a network"))
}

fn is_ours(ip: &IpAddr) -> bool {
    trusted().iter().any(|network| network.contains(ip))
}

fn found(peer: IpAddr, forwarded: &[String]) -> IpAddr {
    let mut headers = HeaderMap::new();
    for value in forwarded {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.append("x-forwarded-for", value);
        }
    }
    address(SocketAddr::new(peer, 1), &headers, &trusted())
}

/// An address of a proxy of ours.
fn proxy() -> impl Strategy<Value = IpAddr> {
    let known = ["127.0.0.1", "::1", "10.1.2.3", "::ffff:127.0.0.1"];
    let known = prop::sample::select(known.to_vec());
    known.prop_map(|text| text.parse().expect("an address"))
}

fn stranger() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>().prop_filter("not ours", |ip| !is_ours(&ip.to_canonical()))
}

fn forwarded() -> impl Strategy<Value = Vec<String>> {
    let piece = prop::sample::select(vec![
        "127.0.0.1",
        "10.0.0.1",
        "192.0.2.9",
        "::ffff:10.0.0.1",
        "::1",
        "[::1]",
        "1.2.3.4:80",
        "junk",
        ",",
        ", ",
        " ",
        "",
        "\t",
        "unknown",
        "é",
        "0x7f.1",
        "127.1",
    ]);
    let value = prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat());
    prop::collection::vec(value, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_stranger_is_whom_it_connects_as(peer in stranger(), forwarded in forwarded()) {
        let found = found(peer, &forwarded);
        prop_assert_eq!(found, peer.to_canonical());
        let _ = network(found);
    }

    /// What a caller writes stands left of what the proxies append, and changes nothing.
    #[test]
    fn no_header_of_its_own_moves_a_caller(
        peer in proxy(),
        forged in forwarded(),
        caller in stranger(),
        proxies in 0_usize..3,
    ) {
        let mut told = vec![caller.to_string()];
        told.extend((0..proxies).map(|i| format!("10.0.0.{i}")));
        let told = told.join(", ");
        // As a line of its own, and appended to the last line that the caller sent.
        let mut lines = forged.clone();
        lines.push(told.clone());
        prop_assert_eq!(found(peer, &lines), caller.to_canonical());
        let joined = forged.join(",").replace('é', "");
        prop_assert_eq!(found(peer, &[format!("{joined}, {told}")]), caller.to_canonical());
    }
}
