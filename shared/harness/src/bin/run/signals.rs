//! Ctrl-C, SIGTERM and a closed terminal all mean: stop everything in order.

use tokio::signal::unix::{Signal, SignalKind, signal};

use ah5_harness::cancel::Cancel;

/// Listens from here on.
///
/// # Errors
/// The system doesn't let us.
pub fn listen(cancel: &Cancel) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut signals = {
        let _inside = runtime.enter();
        [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]
    };
    let cancel = cancel.clone();
    std::thread::spawn(move || {
        // A second one changes nothing: every stop has its own time limit.
        loop {
            runtime.block_on(any(&mut signals));
            cancel.cancel();
        }
    });
    Ok(())
}

async fn any(signals: &mut [Signal]) {
    std::future::poll_fn(|context| {
        let ready = signals
            .iter_mut()
            .any(|signal| signal.poll_recv(context).is_ready());
        if ready {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}
