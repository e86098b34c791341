//! Lists the files of `services` and `oauth`, so that a new one is in the catalogue by being there.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    let folder_of = |name| std::env::var_os(name).ok_or(io::ErrorKind::NotFound);
    let (out, root) = (folder_of("OUT_DIR")?, folder_of("CARGO_MANIFEST_DIR")?);
    let mut text = String::new();
    for (name, folder) in [("SERVICES", "services"), ("OAUTH", "oauth")] {
        println!("cargo::rerun-if-changed={folder}");
        let files = Path::new(&root).join(folder);
        let mut files: Vec<_> = fs::read_dir(files)?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()?;
        files.retain(|path| path.extension().is_some_and(|kind| kind == "toml"));
        files.sort();
        let _ = writeln!(text, "const {name}: &[(&str, &str)] = &[");
        for path in files {
            let stem = path.file_stem().unwrap_or_default();
            let name = path.file_name().unwrap_or_default().display();
            // Not the path as it is: a checkout that was moved still builds.
            let _ = writeln!(
                text,
                "    ({stem:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{folder}/{name}\"))),"
            );
        }
        text.push_str("];\n");
    }
    fs::write(Path::new(&out).join("files.rs"), text)
}
