//! Where a request comes from, as far as we can know.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ah5_settings::Settings;
use http::HeaderMap;
use ipnet::IpNet;

/// `TRUSTED_PROXIES`: whose word on the caller's address is taken. Loopback by default.
pub fn trusted_proxies(settings: &mut Settings) -> Vec<IpNet> {
    let mut given = settings.list("TRUSTED_PROXIES");
    if given.is_empty() {
        given = vec!["127.0.0.0/8".into(), "::1/128".into()];
    }
    let mut networks = Vec::with_capacity(given.len());
    for text in given {
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        match text.parse().or_else(|_| address()) {
            Ok(network) => networks.push(network),
            Err(_) => settings.fault(
                "TRUSTED_PROXIES",
                "must be a comma-separated list of addresses or networks: 10.0.0.0/8",
            ),
        }
    }
    networks
}

/// The caller's address: the right-most entry of `X-Forwarded-For` that no trusted proxy of ours
/// stands behind. What is left of it is the caller's own word.
#[must_use]
pub fn address(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let forwarded: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .collect();
    let mut address = peer.ip().to_canonical();
    for entry in forwarded.into_iter().rev() {
        if !trusted.iter().any(|proxies| proxies.contains(&address)) {
            break;
        }
        let Ok(earlier) = entry.trim().parse::<IpAddr>() else {
            break;
        };
        address = earlier.to_canonical();
    }
    address
}

/// What is counted as one sender: a household has a whole /64 of IPv6 to send from.
#[must_use]
pub fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(peer: &str, forwarded: &[&'static str]) -> String {
        let trusted = ["127.0.0.0/8", "::1/128", "10.0.0.0/8"].map(|net| net.parse().unwrap());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
        }
        address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn believes_only_what_a_trusted_proxy_saw() {
        // Nobody in front: the header is the caller's word.
        assert_eq!(client("192.0.2.7:1", &["127.0.0.1"]), "192.0.2.7");
        // The front door appended what it saw.
        assert_eq!(
            client("127.0.0.1:1", &["127.0.0.1, 192.0.2.9"]),
            "192.0.2.9"
        );
        assert_eq!(
            client("127.0.0.1:1", &["1.1.1.1", "192.0.2.9"]),
            "192.0.2.9"
        );
        // Two proxies of ours.
        assert_eq!(
            client("127.0.0.1:1", &["6.6.6.6, 192.0.2.9, 10.0.0.2"]),
            "192.0.2.9"
        );
        assert_eq!(client("127.0.0.1:1", &["junk"]), "127.0.0.1");
        assert_eq!(client("[::ffff:127.0.0.1]:1", &["192.0.2.9"]), "192.0.2.9");
        assert_eq!(client("127.0.0.1:1", &[]), "127.0.0.1");
    }
}
