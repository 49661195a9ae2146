//! The programs of others that bring a LUN to this host: `losetup`, `mount`, `umount`, `horcm`.
//! None runs while something is frozen.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use commands::launch;
use protocol::Home;

/// Where administrators' programs are, whatever the path of this process says.
const PLACES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Runs a program of the system; what it prints on standard output.
///
/// # Errors
/// That it is not there, or what it says.
pub fn system<A: AsRef<OsStr>>(name: &str, words: &[A]) -> Result<String, String> {
    let found = PLACES.iter().map(|place| Path::new(place).join(name)).find(|path| path.is_file());
    run(found.unwrap_or_else(|| PathBuf::from(name)), name, words)
}

/// Runs `horcm` of this installation.
///
/// # Errors
/// As [`system`].
pub fn horcm<A: AsRef<OsStr>>(home: &Home, words: &[A]) -> Result<String, String> {
    let program = launch::find(home, "horcm").map_err(|error| error.to_string())?;
    run(program, "horcm", words)
}

fn run<A: AsRef<OsStr>>(program: PathBuf, name: &str, words: &[A]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(words).env("LC_ALL", "C").stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.is_empty() {
        true => Err(format!("{name} ended with {}", output.status)),
        false => Err(lines.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_is_the_cause() {
        assert_eq!(system("echo", &["a"]), Ok("a".to_owned()));
        let refused = system("ls", &["/nowhere/at/all"]).unwrap_err();
        assert!(refused.contains("/nowhere/at/all"), "{refused}");
        assert!(system("false", &[] as &[&str]).unwrap_err().contains("false ended with"));
        assert!(system("no-such-program", &[""]).unwrap_err().starts_with("no-such-program: "));
    }
}
