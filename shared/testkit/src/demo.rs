//! `make demo`: plays an owner and his agent against a running stack, over the wire only, and
//! proves each claim by what the provider received. Prints what it does; never prints a secret.

mod calls;
mod cast;
mod fleet;
mod print;
mod refusals;
mod run_file;
mod setting;
mod trail;

pub use run_file::RunFile;

use print::Printer;

/// # Errors
/// The first step that did not do what it should; the message says which, and what came back.
pub async fn run(run: &RunFile) -> anyhow::Result<()> {
    let out = &mut Printer::default();
    out.title(format_args!("An agent's calls through {}", run.origin));
    let cast = setting::prepare(run, out).await?;
    let policy = setting::write_policy(&cast, out).await?;
    calls::execute(&cast, out).await?;
    calls::proxy(&cast, out).await?;
    calls::leaky_provider(&cast, out).await?;
    calls::every_data_plane(run, &cast, out).await?;
    refusals::too_much(&cast, out).await?;
    refusals::allowed_after_all(&cast, &policy, out).await?;
    refusals::disabled(&cast, out).await?;
    trail::read(&cast, out).await?;
    out.title("\nEvery step did what it should.");
    Ok(())
}
