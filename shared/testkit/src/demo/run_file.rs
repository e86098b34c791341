//! What `make run` wrote about the stack that it runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunFile {
    pub origin: String,
    pub data_planes: Vec<Part>,
    /// None where the stack runs without one.
    pub simulator: Option<Provider>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Part {
    pub listen: SocketAddr,
    pub admin: SocketAddr,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provider {
    pub listen: SocketAddr,
    pub ca_file: PathBuf,
}

// === impl RunFile ===

impl RunFile {
    /// # Errors
    /// Nothing runs, or the file is not of `make run`; the message says what to type.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "nothing runs here: there is no {}. Start the stack with `make run` in another \
                 terminal and wait until it says that it is ready",
                path.display()
            ),
            Err(error) => return Err(error).with_context(|| cannot_read(path)),
        };
        serde_json::from_str(&text).with_context(|| cannot_read(path))
    }

    pub(super) fn provider(&self) -> anyhow::Result<&Provider> {
        self.simulator.as_ref().context(
            "the stack runs without the provider simulator, so there is nobody to call. Start it \
             with `make run`, without SIMULATOR=off, DATABASE_URL or a public PUBLIC_ORIGIN",
        )
    }
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_without_simulator_is_readable_and_says_how_to_get_one() {
        let text = r#"{"origin": "http://localhost:8080", "controlPlane": {"listen": "127.0.0.1:1",
            "admin": "127.0.0.1:2", "pid": 3}, "dataPlanes": [{"listen": "127.0.0.1:4", "admin":
            "127.0.0.1:5", "pid": 6}], "nginx": {"listen": "127.0.0.1:8080", "pid": 7},
            "postgres": {"socket": "/tmp/x", "port": 8, "pid": 9}, "simulator": null}"#;
        let run: RunFile = serde_json::from_str(text).unwrap();
        assert_eq!(run.data_planes[0].admin.port(), 5);
        let error = run.provider().unwrap_err().to_string();
        assert!(error.contains("make run"), "{error}");
    }

    #[test]
    fn a_missing_file_means_that_nothing_runs() {
        let error = RunFile::read(Path::new("/nowhere/run.json")).unwrap_err();
        assert!(error.to_string().contains("make run"), "{error}");
    }
}
