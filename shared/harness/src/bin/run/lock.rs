//! One `make run` a folder. The kernel gives the lock back, however the holder ends.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};

/// # Errors
/// Another one runs here.
pub fn take(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("lock");
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            drop((&file).take(20).read_to_string(&mut holder));
            bail!(
                "already running (process {}), with everything in {}: stop that one first, or use \
                 another folder with LOCAL_DIR=…",
                holder.trim(),
                folder.display()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    file.set_len(0)?;
    write!(file, "{}", std::process::id())?;
    Ok(file)
}
