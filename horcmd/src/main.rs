//! The HORCM daemon. Everything it is told comes from the environment; `docs/horcmd.md` lists it. As a
//! service of Windows it is told which instance by its command line.

use std::process::ExitCode;

use horcmd::{run, settings::Settings, title};

fn main() -> ExitCode {
    #[cfg(windows)]
    if let Some(code) = horcmd::service::main(std::env::args_os()) {
        return code;
    }
    let result = Settings::from_env().and_then(|settings| {
        title::set(settings.instance);
        run::run(settings)
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("horcmd: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
