//! `drmexgbackup`. Elsewhere than on Windows it says that there is no VSS.

use std::{env, io, process::ExitCode};

use messages::failure::Checked;
use protocol::Home;
use vss_requestor::{
    run::{World, run},
    vss::Vss,
};

fn main() -> ExitCode {
    let words: Vec<String> =
        env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    ExitCode::from(run(
        &words,
        &mut World {
            variable: &|name| env::var(name).ok(),
            folder: Home::from_env().root().join("drm").join("vss"),
            connect: &mut connect,
            output: &mut io::stdout().lock(),
        },
    ))
}

#[cfg(windows)]
fn connect() -> Checked<Box<dyn Vss>> {
    Ok(Box::new(vss_requestor::windows::BackupComponents::connect()?))
}

#[cfg(not(windows))]
fn connect() -> Checked<Box<dyn Vss>> {
    use messages::{failure::Failure, message};

    Err(Failure::new(message::VSS_SYSTEM)
        .cause("VSS is a service of Windows")
        .action("drmdbbackup and drmfsbackup make backups here")
        .into())
}
