//! The HORCM daemon. Everything it is told comes from the environment; `docs/horcmd.md` lists it.

use std::process::ExitCode;

use horcmd::{run, settings::Settings, title};

fn main() -> ExitCode {
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
