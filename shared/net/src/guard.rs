//! Which addresses may be connected to. Everything that is not plainly public is refused; the
//! operator alone may exempt a host, and some addresses can never be exempted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ah5_contracts::id::WorkspaceId;
use ipnet::{Ipv4Net, Ipv6Net};

mod exemptions;

pub use exemptions::Exemptions;

/// What an address is, to the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// Link-local, cloud metadata, multicast, unspecified or translated: never connected to.
    Forbidden,
    Loopback,
    /// Not globally reachable; an exemption may open it.
    Private,
    Public,
}

/// What somebody wants to connect to, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// What belongs to no workspace has the nil id.
    pub workspace: WorkspaceId,
    /// A canonical name or address, without brackets.
    pub host: &'a str,
    pub port: u16,
    /// Without TLS: only at addresses that the operator exempts.
    pub plain: bool,
}

/// An address that was judged and may be connected to. Only [`Guard`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedAddr(SocketAddr);

/// Judges targets and addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    pub(crate) exemptions: Exemptions,
    /// Where this installation itself listens or keeps its data.
    pub(crate) own_addrs: Vec<SocketAddr>,
    /// Names and ports under which this installation is reached.
    pub(crate) own_origins: Vec<(String, u16)>,
}

#[must_use]
pub fn classify(ip: IpAddr) -> AddressKind {
    match ip {
        IpAddr::V4(ip) => classify_v4(ip),
        IpAddr::V6(ip) => classify_v6(ip),
    }
}

/// The one spelling of a name or address that somebody typed: lower case, in ASCII, without the
/// brackets of IPv6 or a dot at its end. `None` for what is neither.
#[must_use]
pub fn canonical_host(text: &str) -> Option<String> {
    let host = match url::Host::parse(text).ok()? {
        url::Host::Domain(name) => name,
        url::Host::Ipv4(ip) => return Some(ip.to_string()),
        url::Host::Ipv6(ip) => return Some(ip.to_string()),
    };
    let name = host.strip_suffix('.').unwrap_or(&host);
    let labels = name.split('.').all(|label| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(legal)
    });
    (labels && name.len() <= 253).then(|| name.to_owned())
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`; the host comes back lower-case, without brackets.
pub(crate) fn split_host_port(text: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = match text.rfind(']') {
        Some(end) => (&text[..=end], text[end + 1..].strip_prefix(':')),
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        None => None,
        Some(digits) => match digits.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err("the port is not a number from 1 to 65535"),
        },
    };
    let host = match url::Host::parse(host).map_err(|_| "the host is malformed")? {
        url::Host::Domain(name) if name.contains('*') => return Err("wildcards are not possible"),
        url::Host::Domain(name) => name,
        url::Host::Ipv4(ip) => ip.to_string(),
        url::Host::Ipv6(ip) => ip.to_string(),
    };
    Ok((host, port))
}

// === impl CheckedAddr ===

impl CheckedAddr {
    #[must_use]
    pub fn get(self) -> SocketAddr {
        self.0
    }

    /// For an address that the operator wrote down himself, for this very host and port.
    pub(crate) fn by_operator(addr: SocketAddr) -> Self {
        Self(addr)
    }
}

// === impl Guard ===

impl Guard {
    /// Before anything is resolved: are we being asked to call ourselves?
    pub(crate) fn check_target(&self, host: &str, port: u16) -> Result<(), String> {
        let own = self
            .own_origins
            .iter()
            .any(|(h, p)| h == host && *p == port);
        if own {
            return Err(format!("Blocked: {host}:{port} is this service itself"));
        }
        Ok(())
    }

    /// All of the addresses, or a refusal if any of them may not be connected to: one good address
    /// among bad ones would let a name be good when it is checked and bad when it is used.
    pub(crate) fn check(
        &self,
        target: Target<'_>,
        ips: &[IpAddr],
    ) -> Result<Vec<CheckedAddr>, String> {
        let host = target.host;
        let literal = host.parse::<IpAddr>().is_ok();
        ips.iter()
            .map(|&ip| {
                let public = classify(ip) == AddressKind::Public;
                let open = (public && !target.plain) || self.exemptions.open(target, ip);
                let addr = SocketAddr::new(ip, target.port);
                if open && !self.is_own(addr) {
                    Ok(CheckedAddr(addr))
                } else if public && !open {
                    Err(format!("Blocked: {host} may only be called by https"))
                } else if literal {
                    Err(format!("Blocked: request to private IP address {ip}"))
                } else {
                    Err(format!(
                        "Blocked: hostname {host} resolves to private IP {ip}"
                    ))
                }
            })
            .collect()
    }

    pub(crate) fn is_own(&self, addr: SocketAddr) -> bool {
        let ip = addr.ip().to_canonical();
        let local = classify(ip) != AddressKind::Public;
        let listener = self.own_addrs.iter().any(|own| {
            own.port() == addr.port()
                && (own.ip().to_canonical() == ip || (own.ip().is_unspecified() && local))
        });
        // An origin on loopback has other spellings: 127.0.0.2, ::1, a name that points there.
        let origin = || {
            self.own_origins.iter().any(|(host, port)| {
                *port == addr.port() && is_loopback_name(host) && ip.is_loopback()
            })
        };
        listener || origin()
    }
}

/// Whether a host names this machine only.
#[must_use]
pub fn is_loopback_name(host: &str) -> bool {
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

fn classify_v4(ip: Ipv4Addr) -> AddressKind {
    let within = |nets: &[Ipv4Net]| nets.iter().any(|net| net.contains(&ip));
    if within(&FORBIDDEN_V4) {
        AddressKind::Forbidden
    } else if ip.is_loopback() {
        AddressKind::Loopback
    } else if within(&PRIVATE_V4) {
        AddressKind::Private
    } else {
        AddressKind::Public
    }
}

/// Only global unicast is public, less what in it is special. What carries an IPv4 address inside
/// (mapped, compatible, NAT64, 6to4, Teredo) is never connected to: it has a spelling of its own.
fn classify_v6(ip: Ipv6Addr) -> AddressKind {
    let within = |nets: &[Ipv6Net]| nets.iter().any(|net| net.contains(&ip));
    if ip.is_loopback() {
        AddressKind::Loopback
    } else if ip.is_unique_local() && ip != AWS_METADATA_V6 {
        AddressKind::Private
    } else if !GLOBAL_V6.contains(&ip) || within(&FORBIDDEN_V6) {
        AddressKind::Forbidden
    } else {
        AddressKind::Public
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

const FORBIDDEN_V4: [Ipv4Net; 8] = [
    v4(0, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    // 6to4 relays.
    v4(192, 88, 99, 0, 24),
    // Metadata services outside 169.254/16: Alibaba, Azure, Oracle.
    v4(100, 100, 100, 200, 32),
    v4(168, 63, 129, 16, 32),
    v4(192, 0, 0, 192, 32),
];
const PRIVATE_V4: [Ipv4Net; 9] = [
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
];
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);
const FORBIDDEN_V6: [Ipv6Net; 4] = [
    // Protocol assignments, Teredo among them.
    v6(0x2001, 0, 23),
    // Documentation.
    v6(0x2001, 0xdb8, 32),
    v6(0x3fff, 0, 20),
    // 6to4.
    v6(0x2002, 0, 16),
];
const AWS_METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

#[cfg(test)]
mod tests;
