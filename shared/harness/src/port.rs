//! A TCP port of this machine's loopback, kept for somebody who can't say which port it got.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpListener};

use anyhow::Context as _;
use socket2::{Domain, Socket, Type};

/// Holds the port: bound, never listening. Whoever binds it with `SO_REUSEPORT` as the same user
/// gets its connections; nobody else can take it.
pub struct Reservation {
    /// None for a port that somebody chose: the user of that port comes at once.
    _socket: Option<Socket>,
    addresses: Vec<SocketAddr>,
}

// === impl Reservation ===

impl Reservation {
    /// A port that was free.
    ///
    /// # Errors
    /// There is none.
    pub fn any() -> anyhow::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        // Not SO_REUSEADDR: as long as nobody listens, that would let anybody in beside us.
        socket.set_reuse_port(true)?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?.as_socket();
        Ok(Self {
            addresses: vec![address.context("an IP socket has an IP address")?],
            _socket: Some(socket),
        })
    }

    /// This port of both loopback addresses, as `localhost` may mean either.
    ///
    /// # Errors
    /// Somebody uses it, or it isn't for us.
    pub fn of(port: u16) -> anyhow::Result<Self> {
        let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        let second = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        match TcpListener::bind(second) {
            // A machine without IPv6.
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {}
            Err(error) if error.raw_os_error() == Some(NO_IPV6) => {}
            _ => addresses.push(second),
        }
        for address in &addresses {
            TcpListener::bind(address).map_err(|error| Unusable { port, error })?;
        }
        Ok(Self {
            _socket: None,
            addresses,
        })
    }

    /// The first is always there.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

#[derive(Debug, thiserror::Error)]
#[error("port {port} can't be used ({error}): stop what uses it, or choose another with PORT=…")]
struct Unusable {
    port: u16,
    error: std::io::Error,
}

/// `EAFNOSUPPORT`: the kernel was built without it.
const NO_IPV6: i32 = 97;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_nobody_elses() {
        let ours = Reservation::any().unwrap();
        assert!(TcpListener::bind(ours.addresses()[0]).is_err());
        assert!(Reservation::of(ours.addresses()[0].port()).is_err());
        let address = ours.addresses()[0];
        drop(ours);
        assert!(TcpListener::bind(address).is_ok());
    }
}
