//! `cargo xtask torture`: crash points for as long as is wished.

use crate::cargo::{Result, cargo, succeed};

/// Builds the torture program with optimisation and runs it with these arguments.
pub fn run(arguments: &[&str]) -> Result {
    let build = ["run", "--release", "--locked", "--package", "array", "--bin", "torture", "--"];
    let mut command = cargo(&[&build, arguments].concat());
    // Every array that is opened after a crash would tell that its free space was rebuilt.
    command.env("RUST_LOG", "off");
    succeed(command)
}
