//! Scheme, host and port in canonical form.

use std::net::IpAddr;

use super::UrlError;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) https: bool,
    /// Without brackets.
    pub(super) host: String,
    /// As in a `Host` header: brackets, and the port unless it is the scheme's own.
    pub(super) authority: String,
    pub(super) port: u16,
    pub(super) ip: Option<IpAddr>,
}

// === impl Origin ===

impl Origin {
    pub(super) const fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    pub(super) fn parse(https: bool, authority: &str, wildcards: bool) -> Result<Self, UrlError> {
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let host_end = authority.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match authority[host_end..].rfind(':') {
            Some(at) => authority.split_at(host_end + at),
            None => (authority, ""),
        };
        let default = if https { 443 } else { 80 };
        let port = match port.strip_prefix(':') {
            None => default,
            Some(digits) => parse_port(digits)?,
        };
        let (host, ip) = parse_host(host, wildcards)?;
        let mut authority = match ip {
            Some(IpAddr::V6(_)) => format!("[{host}]"),
            _ => host.clone(),
        };
        if port != default {
            authority.push(':');
            authority.push_str(&port.to_string());
        }
        Ok(Self {
            https,
            host,
            authority,
            port,
            ip,
        })
    }
}

fn parse_port(digits: &str) -> Result<u16, UrlError> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(UrlError::Port);
    }
    match digits.parse() {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(UrlError::Port),
    }
}

/// Lower-case, IDNA-mapped, every spelling of an IPv4 address folded to the dotted quad.
fn parse_host(text: &str, wildcards: bool) -> Result<(String, Option<IpAddr>), UrlError> {
    if text.contains('%') {
        return Err(UrlError::Host);
    }
    let host = match ::url::Host::parse(text).map_err(|_| UrlError::Host)? {
        ::url::Host::Ipv4(ip) => return Ok((ip.to_string(), Some(ip.into()))),
        ::url::Host::Ipv6(ip) => return Ok((ip.to_string(), Some(ip.into()))),
        ::url::Host::Domain(host) => host,
    };
    let fits =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_') || (wildcards && b == b'*');
    let labels_fit = host
        .split('.')
        .all(|label| (1..=63).contains(&label.len()) && label.bytes().all(fits));
    // A name with a trailing dot has an empty last label: it is another spelling of the same host.
    if host.len() > 253 || !labels_fit {
        return Err(UrlError::Host);
    }
    Ok((host, None))
}
