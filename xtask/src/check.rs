//! Everything that must pass.

use crate::{
    cargo::{Result, cargo, succeed, workspace},
    demo, tools,
    windows::{self, Purpose},
};

/// The tests that lay cables between network namespaces, mount disks of their own and give files away.
const NEED_ROOT: &str =
    "package(tests) and (binary(namespaces) or binary(full_disk) or binary(windows_owners))";

/// `cargo xtask test`: what is needed, the programs, every test, the doctests, the demo.
pub fn test() -> Result {
    tools::ensure()?;
    tools::ensure_wine()?;
    // The end-to-end tests run the programs themselves, so these come first.
    succeed(cargo(&["build", "--workspace", "--bins", "--examples", "--locked"]))?;
    windows::build(Purpose::Test)?;
    let all = ["nextest", "run", "--workspace", "--locked", "--no-fail-fast"];
    if tools::is_root() {
        succeed(cargo(&all))?;
    } else {
        let rest = format!("not ({NEED_ROOT})");
        succeed(cargo(&[all.as_slice(), &["-E", &rest]].concat()))?;
    }
    succeed(cargo(&["test", "--workspace", "--doc", "--locked"]))?;
    demo::run(false)?;
    if !tools::is_root() {
        println!("\nNot run, because they need root: {NEED_ROOT}");
    }
    Ok(())
}

/// `cargo xtask bench`: the programs as a user builds them, then the measurements.
pub fn bench() -> Result {
    succeed(cargo(&["build", "--release", "--workspace", "--bins", "--examples", "--locked"]))?;
    succeed(cargo(&["bench", "--package", "tests", "--bench", "budgets", "--locked"]))
}

/// `cargo xtask bench store`: the store beside what people would use instead.
pub fn bench_store() -> Result {
    tools::ensure_peers();
    succeed(cargo(&["build", "--release", "--package", "array", "--bins", "--locked"]))?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), Into::into);
    let arrayd = target.join("release/arrayd");
    let report = workspace().join("docs/bench");
    let mut command = cargo(&["bench", "--package", "array", "--bench", "store", "--locked", "--"]);
    command.arg("--dir").arg(&target).arg("--report").arg(report).arg("--arrayd").arg(arrayd);
    command.env("RUST_LOG", "off");
    succeed(command)
}

/// `cargo xtask bench iscsi`: our target beside tgt.
pub fn bench_iscsi() -> Result {
    tools::ensure_tgt()?;
    succeed(cargo(&["build", "--release", "--workspace", "--bins", "--locked"]))?;
    let report = workspace().join("docs/bench/iscsi.md");
    let mut command = cargo(&["bench", "--package", "tests", "--bench", "iscsi", "--locked", "--"]);
    command.arg("--report").arg(report);
    succeed(command)
}

/// `cargo xtask deny`: licences, bans and sources of everything we depend on.
pub fn deny() -> Result {
    if !tools::found("cargo-deny") {
        succeed(cargo(&["install", "--locked", "--quiet", "cargo-deny"]))?;
    }
    succeed(cargo(&["deny", "check", "bans", "licenses", "sources"]))
}
