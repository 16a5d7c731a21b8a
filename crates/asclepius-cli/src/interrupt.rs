//! Ctrl-C: the first one asks every stage to stop where it can go on later, the second one ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// Set once, read by every stage.
#[derive(Debug, Clone)]
pub struct Interrupt {
    flag: Arc<AtomicBool>,
    watch: watch::Receiver<bool>,
}

impl Interrupt {
    /// Listens for the interrupt and termination signals on `runtime`.
    pub fn listen(runtime: &tokio::runtime::Runtime) -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        let (sender, watch) = watch::channel(false);
        let set = Arc::clone(&flag);
        runtime.spawn(async move {
            loop {
                signalled().await;
                if set.swap(true, Ordering::SeqCst) {
                    hard_exit();
                }
                let _ = sender.send(true); // no stage is listening: the flag is enough
                tracing::warn!("stopping; interrupt again to end at once");
            }
        });
        Self { flag, watch }
    }

    /// One that never comes.
    pub fn never() -> Self {
        Self { flag: Arc::default(), watch: watch::channel(false).1 }
    }

    /// Whether the user asked to stop.
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// Waits until the user asks to stop.
    pub async fn wait(&self) {
        let mut watch = self.watch.clone();
        if watch.wait_for(|set| *set).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Gives each interrupt to `handle` instead; one that it does not take ends the process.
pub fn interrupts(runtime: &tokio::runtime::Runtime, handle: impl Fn() -> bool + Send + 'static) {
    runtime.spawn(async move {
        loop {
            signalled().await;
            if !handle() {
                hard_exit();
            }
        }
    });
}

#[expect(
    clippy::exit,
    reason = "an interrupt that nothing can wait for means now; everything durable is on disk already"
)]
fn hard_exit() -> ! {
    std::process::exit(130)
}

#[cfg(unix)]
async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = signal(SignalKind::terminate());
    let Ok(mut terminate) = terminate else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signalled() {
    let _ = tokio::signal::ctrl_c().await;
}
