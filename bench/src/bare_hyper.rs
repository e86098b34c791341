//! The yardstick written in the data plane's own language: hyper in, hyper-util's pooled client out,
//! nothing looked at in between, one thread. Run as a process of its own by the bench.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpListener;

#[derive(clap::Args)]
pub struct Options {
    /// Where everything goes
    #[arg(long)]
    upstream: SocketAddr,
    /// Speak TLS to the upstream and trust this authority (PEM)
    #[arg(long)]
    authority: Option<PathBuf>,
    /// Gets the address once it's served
    #[arg(long)]
    address_file: PathBuf,
}

/// # Errors
/// Nothing can be bound, or the authority is none.
pub async fn serve(options: Options) -> anyhow::Result<()> {
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    let port = options.upstream.port();
    let Some(authority) = &options.authority else {
        let client = Client::builder(TokioExecutor::new()).build(http);
        let origin = format!("http://127.0.0.1:{port}");
        return accept(client, origin, &options.address_file).await;
    };
    http.enforce_http(false);
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(trusting(authority)?)
        .https_only()
        .enable_http1()
        .wrap_connector(http);
    let client = Client::builder(TokioExecutor::new()).build(https);
    let origin = format!("https://localhost:{port}");
    accept(client, origin, &options.address_file).await
}

fn trusting(authority: &Path) -> anyhow::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(authority).context("the authority's file")?;
    roots.add(authority)?;
    Ok(rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth())
}

async fn accept<C>(
    client: Client<C, Incoming>,
    origin: String,
    address_file: &Path,
) -> anyhow::Result<()>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    announce(address_file, listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (client, origin) = (client.clone(), origin.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| forward(&client, &origin, request));
            // What goes wrong with one connection shows at the load generator.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn forward<C>(
    client: &Client<C, Incoming>,
    origin: &str,
    mut request: Request<Incoming>,
) -> anyhow::Result<Response<Incoming>>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    *request.uri_mut() = format!("{origin}{path}").parse::<Uri>()?;
    Ok(client.request(request).await?)
}

// Renamed into place, so that a reader never finds half of it.
fn announce(file: &Path, address: SocketAddr) -> anyhow::Result<()> {
    let partial = file.with_extension("partial");
    std::fs::write(&partial, address.to_string())?;
    Ok(std::fs::rename(&partial, file)?)
}
