//! Where the built programs are.

use std::{env, path::PathBuf};

/// The folder of `arrayd`, `horcmd`, `horcm` and `drm`: `LAB_BIN`, or the profile folder this very
/// program was built into.
///
/// # Panics
/// When they have not been built: a test that ran without them would prove nothing.
#[must_use]
pub fn folder() -> PathBuf {
    let folder = env::var_os("LAB_BIN").map_or_else(beside_this_program, PathBuf::from);
    for name in ["arrayd", "horcmd", "horcm", "drm"] {
        assert!(
            folder.join(name).is_file(),
            "{} is not built; run `cargo build` first, or `cargo xtask test`",
            folder.join(name).display()
        );
    }
    folder
}

/// A program or DLL of Windows: of `LAB_WINDOWS_BIN`, or of `target/windows/test`.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn windows(name: &str) -> PathBuf {
    let built = || {
        let profile = beside_this_program();
        profile.parent().expect("a profile lies in the target folder").join("windows/test")
    };
    let file = env::var_os("LAB_WINDOWS_BIN").map_or_else(built, PathBuf::from).join(name);
    assert!(file.is_file(), "{} is not built; run `cargo xtask test`", file.display());
    file
}

/// `target/<profile>` from `target/<profile>/xtask`, `.../deps/<test>` or `.../examples/<x>`.
fn beside_this_program() -> PathBuf {
    let program = env::current_exe().expect("a running program has a path");
    let folder = program.parent().expect("a program lies in a folder");
    match folder.file_name() {
        Some(name) if name == "deps" || name == "examples" => {
            folder.parent().expect("deps lies in the profile folder").to_path_buf()
        }
        _ => folder.to_path_buf(),
    }
}
