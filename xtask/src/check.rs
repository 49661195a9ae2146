//! Everything that must pass.

use crate::{
    cargo::{Result, cargo, succeed},
    demo, tools,
};

/// `cargo xtask test`: what is needed, the programs, every test, the doctests, the demo.
pub fn test() -> Result {
    tools::ensure()?;
    // The end-to-end tests run the programs themselves, so these come first.
    succeed(cargo(&["build", "--workspace", "--bins", "--examples", "--locked"]))?;
    if tools::found("cargo-nextest") {
        succeed(cargo(&["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]))?;
        succeed(cargo(&["test", "--workspace", "--doc", "--locked"]))?;
    } else {
        succeed(cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]))?;
    }
    demo::run(false)
}

/// `cargo xtask bench`: the programs as a user builds them, then the measurements.
pub fn bench() -> Result {
    succeed(cargo(&["build", "--release", "--workspace", "--bins", "--examples", "--locked"]))?;
    succeed(cargo(&["bench", "--package", "tests", "--bench", "budgets", "--locked"]))
}

/// `cargo xtask deny`: licences, bans and sources of everything we depend on.
pub fn deny() -> Result {
    if !tools::found("cargo-deny") {
        succeed(cargo(&["install", "--locked", "--quiet", "cargo-deny"]))?;
    }
    succeed(cargo(&["deny", "check", "bans", "licenses", "sources"]))
}
