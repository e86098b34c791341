//! Guarded streams for what is not HTTP: names and addresses are judged as for every request, and
//! TLS is as strict. Who dials says itself whether an unprotected server will do.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::client::{Failure, Upstreams};
use crate::guard::Target;
use crate::io::{Link, Stream};
use crate::tls::Speaks;

/// A stream to an address that was judged.
pub struct Dialed {
    host: String,
    net: Upstreams,
    stream: Stream,
}

// === impl Upstreams ===

impl Upstreams {
    /// A stream without TLS: for [`Dialed::start_tls`], at once or when the server is ready.
    /// The host is canonical, as [`crate::guard::canonical_host`] gives it; a target that is plain
    /// is one that stays so.
    ///
    /// # Errors
    /// Why there is none; a refused address was not connected to.
    pub async fn dial(&self, target: Target<'_>) -> Result<Dialed, Failure> {
        let connector = &self.inner.connector;
        let deadline = Instant::now() + connector.timeout;
        let tcp = connector.tcp(target, deadline).await?;
        Ok(Dialed {
            host: target.host.to_owned(),
            net: self.clone(),
            stream: Stream::new(Link::Plain(tcp)),
        })
    }
}

// === impl Dialed ===

impl Dialed {
    /// The same stream under TLS, with a certificate for the very host that was dialed. Whoever
    /// buffers must have nothing buffered: that would be from before the handshake.
    ///
    /// # Errors
    /// There is TLS already, or the handshake fails.
    pub async fn start_tls(self) -> Result<Self, Failure> {
        let Self { host, net, stream } = self;
        let Link::Plain(tcp) = stream.into_link() else {
            return Err(Failure::Invalid);
        };
        let connector = &net.inner.connector;
        let deadline = Instant::now() + connector.timeout;
        let stream = connector.secure(&host, tcp, deadline, Speaks::Other);
        let stream = stream.await?;
        Ok(Self { host, net, stream })
    }
}

impl std::fmt::Debug for Dialed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dialed")
    }
}

impl AsyncRead for Dialed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Dialed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use ah5_contracts::id::WorkspaceId;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::Config;
    use crate::guard::Exemptions;
    use crate::resolve::Lookup;

    fn net(exempt: &[String], ips: Vec<IpAddr>) -> Upstreams {
        let config = Config {
            exemptions: Exemptions::parse(exempt, false).unwrap(),
            ..Config::default()
        };
        Upstreams::with_lookup(config, Lookup::Scripted(Box::new(move |_| ips.clone()))).unwrap()
    }

    fn mail(port: u16) -> Target<'static> {
        Target {
            workspace: WorkspaceId::random(),
            host: "mail.test",
            port,
            plain: false,
        }
    }

    #[tokio::test]
    async fn a_private_address_is_not_dialed_even_among_public_ones() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let bad: [&[&str]; 8] = [
            &["127.0.0.1"],
            &["198.41.0.4", "127.0.0.1"],
            &["10.0.0.1"],
            &["169.254.169.254"],
            &["::ffff:127.0.0.1"],
            &["64:ff9b::7f00:1"],
            &["2002:7f00:1::"],
            &["100.64.0.1"],
        ];
        for ips in bad {
            let parsed = ips.iter().map(|ip| ip.parse().unwrap()).collect();
            let refused = net(&[], parsed).dial(mail(port)).await;
            assert!(matches!(refused, Err(Failure::Blocked(_))), "{ips:?}");
        }
        let exempt = [format!("mail.test:{port}")];
        let dialed = net(&exempt, vec![IpAddr::from([127, 0, 0, 1])]);
        let dialed = dialed.dial(mail(port)).await;
        // The exempted one is the first that ever came.
        let (mut tcp, _) = listener.accept().await.unwrap();
        drop(dialed);
        assert_eq!(tcp.read(&mut [0]).await.unwrap(), 0);
    }

    #[test]
    fn a_host_has_one_spelling() {
        use crate::guard::canonical_host;
        let same = |text: &str| canonical_host(text);
        assert_eq!(same("IMAP.Example.Com."), Some("imap.example.com".into()));
        assert_eq!(same("imap。example。com"), Some("imap.example.com".into()));
        for loopback in [
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "127.1",
            "１２７.0.0.1",
        ] {
            assert_eq!(same(loopback), Some("127.0.0.1".into()), "{loopback}");
        }
        assert_eq!(same("[::FFFF:127.0.0.1]"), Some("::ffff:127.0.0.1".into()));
        for bad in [
            "",
            ".",
            "a..b",
            "a b",
            "a/b",
            "u@h",
            "h:25",
            "a\r\nb",
            "*.example.com",
            "a%00b",
            "_x.test",
        ] {
            assert_eq!(same(bad), None, "{bad:?}");
        }
    }
}
