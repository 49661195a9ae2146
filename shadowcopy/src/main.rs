//! The multi-call binary: `drmfsbackup` by link name, or `drm drmfsbackup`, or `drm fsbackup`.

fn main() -> std::process::ExitCode {
    shadowcopy::run::main()
}
