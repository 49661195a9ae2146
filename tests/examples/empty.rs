//! An empty process: what the operating system charges for any command.

fn main() {}
