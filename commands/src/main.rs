//! The multi-call binary: `pairdisplay` by link name, or `horcm pairdisplay`.

fn main() -> std::process::ExitCode {
    commands::multicall::main()
}
