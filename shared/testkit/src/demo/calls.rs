//! What the agent may do, and what it gets to see of it.

use anyhow::{Context as _, ensure};
use http::Method;

use super::cast::{Cast, sticky};
use super::fleet;
use super::print::Printer;
use super::run_file::{Part, RunFile};

pub(super) async fn execute(cast: &Cast, out: &mut Printer) -> anyhow::Result<()> {
    out.step("The agent calls the provider by POST /v1/vault/execute");
    let call = || cast.execute(Method::GET, "/echo/execute");
    let (answer, took) = cast.until_allowed(call, &sticky()).await?;
    let envelope = answer.json();
    ensure!(
        envelope["status"] == 200 && envelope["body"]["path"] == "/v2/echo/execute",
        "the envelope is {envelope}"
    );
    let audit = envelope["auditId"].as_str();
    let audit = audit.context("the envelope names no audit line")?;
    out.got(format_args!(
        "200, the provider's answer in an envelope; audit line {audit}"
    ));
    out.line(format_args!(
        "allowed {} ms after the policy was written",
        took.as_millis()
    ));
    prove_injected(cast, "/v2/echo/execute", out).await
}

pub(super) async fn proxy(cast: &Cast, out: &mut Printer) -> anyhow::Result<()> {
    out.step("The agent calls it by GET /v1/proxy/CONNECTION/echo/proxy?x=1");
    let call = || cast.proxy(Method::GET, "/echo/proxy?x=1");
    let (answer, _) = cast.until_allowed(call, &sticky()).await?;
    ensure!(
        answer.json()["path"] == "/v2/echo/proxy",
        "the provider's answer is {}",
        answer.text()
    );
    let audit = answer.header("x-ah5-audit-id");
    let audit = audit.context("the answer names no audit line")?;
    out.got(format_args!(
        "200, the provider's answer as it is; audit line {audit}"
    ));
    prove_injected(cast, "/v2/echo/proxy", out).await
}

pub(super) async fn leaky_provider(cast: &Cast, out: &mut Printer) -> anyhow::Result<()> {
    out.step("The agent asks the provider to give the secret away");
    let call = cast.proxy(Method::GET, "/leak/body");
    let answer = cast.call(call, &sticky()).await?;
    out.got(format_args!(
        "{}: {}",
        answer.status.as_u16(),
        answer.text()
    ));
    cast.provider.prove_injected("/v2/leak/body").await?;
    out.line("the provider did put it into its answer; on the way back it was taken out");
    Ok(())
}

pub(super) async fn every_data_plane(
    run: &RunFile,
    cast: &Cast,
    out: &mut Printer,
) -> anyhow::Result<()> {
    out.step(format_args!(
        "{CALLERS} callers, told apart by cookie, call through the front door"
    ));
    let before = fleet::served(&run.data_planes).await?;
    for n in 0..CALLERS {
        let call = || cast.proxy(Method::GET, &format!("/echo/caller/{n}"));
        cast.until_allowed(call, &sticky()).await?;
    }
    let after = fleet::served(&run.data_planes).await?;
    let served = after
        .iter()
        .zip(&before)
        .map(|(after, before)| after - before);
    let served: Vec<f64> = served.collect();
    for (number, (served, plane)) in served.iter().zip(&run.data_planes).enumerate() {
        let Part { listen, .. } = plane;
        out.got(format_args!(
            "data plane {number} ({listen}) brought {served} of them"
        ));
    }
    ensure!(
        served.iter().all(|served| *served > 0.0),
        "not every data plane has served"
    );
    ensure!(
        served.iter().sum::<f64>() >= f64::from(CALLERS),
        "the data planes do not count every call"
    );
    Ok(())
}

/// The provider's side of a call, and that nobody else has seen the secret.
async fn prove_injected(cast: &Cast, path: &str, out: &Printer) -> anyhow::Result<()> {
    cast.provider.prove_injected(path).await?;
    out.line("the provider was sent the secret; the agent's answer does not hold it");
    Ok(())
}

/// So many that each of a few data planes is met by some.
const CALLERS: u32 = 40;
