//! Tells whoever started the process where it listens: the file that `ADDRESS_FILE` names.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

/// Readers never see half a file.
///
/// # Errors
/// The file can't be written.
pub fn addresses(path: &Path, listen: SocketAddr, admin: SocketAddr) -> io::Result<()> {
    let text = json!({"listen": listen, "admin": admin, "pid": std::process::id()}).to_string();
    let partial = path.with_extension("partial");
    std::fs::write(&partial, text)?;
    std::fs::rename(&partial, path)
}
