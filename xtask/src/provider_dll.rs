//! `RMVSSPRV.dll`, the same with faults for tests, and the coordinator that calls both under Wine.
//!
//! Built with Debian's second toolchain, which brings the standard library's source; panics unwind,
//! for none may leave the DLL.

use std::{fs, path::Path, process::Command};

use crate::{
    cargo::{Result, succeed, workspace},
    tools,
};

/// Windows 7 and later, for what newer ones import Wine lacks.
const TARGET: &str = "x86_64-win7-windows-gnu";
const CARGO: &str = "/usr/bin/cargo";
const RUSTC: &str = "/usr/bin/rustc";

/// Builds them into `target/windows/test`.
pub fn build() -> Result {
    tools::ensure_windows()?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), Into::into)
        .join("windows");
    let (built, tests) = (target.join(TARGET).join("release"), target.join("test"));
    fs::create_dir_all(&tests).map_err(|error| format!("{}: {error}", tests.display()))?;
    cargo(&target, &["--package", "rmvssprv", "--features", "fault-injection"])?;
    copy(&built.join("rmvssprv.dll"), &tests.join("rmvssprv-faults.dll"))?;
    cargo(&target, &["--package", "rmvssprv", "--package", "vss-harness"])?;
    copy(&built.join("rmvssprv.dll"), &tests.join("RMVSSPRV.dll"))?;
    copy(&built.join("vss-harness.exe"), &tests.join("vss-harness.exe"))
}

fn cargo(target: &Path, args: &[&str]) -> Result {
    let mut command = Command::new(CARGO);
    command.args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"]);
    command.arg(target).arg("-Zbuild-std=std,panic_unwind").args(args).current_dir(workspace());
    command.env("RUSTC", RUSTC).env("RUSTC_BOOTSTRAP", "1").env("CARGO", CARGO);
    for name in ["RUSTUP_TOOLCHAIN", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(name);
    }
    succeed(command)
}

fn copy(from: &Path, to: &Path) -> Result {
    let copied = fs::copy(from, to).map_err(|error| format!("{}: {error}", from.display()));
    copied.map(drop)
}
