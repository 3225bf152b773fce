//! Compiles the crate anew when the web UI was built anew, so that the embedded files are the current ones.

use std::{env, fs, path::Path};

fn main() -> std::io::Result<()> {
    let dist = Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../ui/dist");
    // A path that is missing would make cargo build the crate anew every time; an empty folder is "no UI".
    let _ = fs::create_dir_all(&dist);
    let mut out = std::io::stdout();
    std::io::Write::write_all(&mut out, format!("cargo:rerun-if-changed={}\n", dist.display()).as_bytes())
}
