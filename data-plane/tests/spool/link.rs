//! A Unix socket before a database's, which can be cut or hang.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};

/// Ends with all its connections on drop.
pub struct Link {
    folder: TempDir,
    mode: watch::Sender<Mode>,
    /// Shared by all connections that carry bytes.
    moving: Arc<()>,
    _task: JoinSet<()>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    /// Connections break; new ones break at once.
    Cut,
    /// Connections stay and nothing moves.
    Hung,
    Up,
}

// === impl Link ===

impl Link {
    pub fn to(server: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("ah5-link-")
            .tempdir_in("/tmp")
            .unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let (mode, seen) = watch::channel(Mode::Up);
        let mut task = JoinSet::new();
        let moving = Arc::new(());
        task.spawn(accept(listener, server.join(SOCKET), seen, moving.clone()));
        Self {
            folder,
            mode,
            moving,
            _task: task,
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns when it is so for every connection.
    pub async fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
        // Ours and the listener's are left.
        while mode != Mode::Up && Arc::strong_count(&self.moving) > 2 {
            yield_now().await;
        }
    }
}

async fn accept(
    listener: UnixListener,
    server: PathBuf,
    mode: watch::Receiver<Mode>,
    moving: Arc<()>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(carry(client, server.clone(), mode.clone(), moving.clone()));
    }
}

async fn carry(
    mut client: UnixStream,
    server: PathBuf,
    mut mode: watch::Receiver<Mode>,
    moving: Arc<()>,
) {
    let up = *mode.borrow() == Mode::Up;
    let mut server = if up {
        UnixStream::connect(server).await.ok()
    } else {
        None
    };
    if let Some(server) = &mut server {
        tokio::select! {
            _ = copy_bidirectional(&mut client, server) => return,
            _ = mode.wait_for(|mode| *mode != Mode::Up) => {}
        }
    }
    drop(moving);
    // Both ends stay open for as long as it hangs.
    drop(mode.wait_for(|mode| *mode != Mode::Hung).await);
}

const SOCKET: &str = ".s.PGSQL.5432";
