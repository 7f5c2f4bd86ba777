//! Lists the files of `workflows/` for `src/portal/workflows.rs`, which embeds them.

#[path = "src/portal/workflow_folder.rs"]
mod workflow_folder;

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=workflows");

    let mut list = String::from("&[\n");
    for path in workflow_folder::files(Path::new("workflows"))? {
        let file = path.to_str().ok_or("a workflow's file name is not UTF-8")?.replace('\\', "/");
        writeln!(list, "({file:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/\", {file:?}))),")?;
    }
    list.push_str("]\n");

    #[expect(clippy::disallowed_methods, reason = "cargo tells a build script its folder in the environment")]
    let folder = std::env::var_os("OUT_DIR").map(PathBuf::from).ok_or("there is no OUT_DIR")?;
    std::fs::write(folder.join("workflows.rs"), list)?;
    Ok(())
}
