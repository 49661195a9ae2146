//! What the server says of itself, and where its files lie.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::session::{Row, Session};
use crate::{
    writer::{Fault, FaultKind},
    writers::deadline::Deadline,
};

/// The first version with `pg_backup_start`.
const FIRST: u32 = 150_000;

/// What is known of a server.
#[derive(Debug)]
pub struct Facts {
    /// Its version, with a word if it is a standby.
    pub version: String,
    /// Data directory, WAL, tablespaces, and configuration files if they are wanted.
    pub paths: Vec<PathBuf>,
}

/// Asks.
///
/// # Errors
/// That it is too old, runs on another host, or may not be asked.
pub fn of(session: &mut Session, config: bool, deadline: Deadline) -> Result<Facts, Fault> {
    let [number, version, standby] = columns(session.rows(
        "SELECT current_setting('server_version_num'), current_setting('server_version'), \
         pg_is_in_recovery()",
        deadline,
    )?)?;
    supported(&number, &version)?;
    let version = if standby == "t" { format!("{version} (standby)") } else { version };

    let [data, config_file, hba_file, ident_file, system] = columns(session.rows(
        "SELECT current_setting('data_directory'), current_setting('config_file'), \
         current_setting('hba_file'), current_setting('ident_file'), system_identifier \
         FROM pg_control_system()",
        deadline,
    )?)?;
    let data = PathBuf::from(data);
    is_here(&data, &system)?;
    let tablespaces = session.rows(
        "SELECT pg_tablespace_location(oid) FROM pg_tablespace \
         WHERE pg_tablespace_location(oid) <> ''",
        deadline,
    )?;
    let mut paths = vec![resolved(&data)?, resolved(&data.join("pg_wal"))?];
    // One made in place has a location relative to the data directory.
    for location in tablespaces.into_iter().flatten().flatten() {
        paths.push(resolved(&data.join(location))?);
    }
    if config {
        for file in [config_file, hba_file, ident_file] {
            paths.push(resolved(Path::new(&file))?);
        }
    }
    Ok(Facts { version, paths: outermost(paths) })
}

fn columns<const N: usize>(rows: Vec<Row>) -> Result<[String; N], Fault> {
    let row: Option<Vec<String>> = rows.into_iter().next().into_iter().flatten().collect();
    row.and_then(|row| row.try_into().ok()).ok_or_else(|| {
        Fault::new(FaultKind::NonRetryable, "the server's answer was not understood")
    })
}

fn supported(number: &str, version: &str) -> Result<(), Fault> {
    if number.parse::<u32>().is_ok_and(|number| number >= FIRST) {
        return Ok(());
    }
    Err(Fault::new(FaultKind::NonRetryable, format!("PostgreSQL {version} is too old"))
        .action("PostgreSQL 15 and later can be backed up"))
}

/// That the data directory is the server's own, and not one that has the same name on this host:
/// a server behind TCP may run elsewhere.
fn is_here(data: &Path, system: &str) -> Result<(), Fault> {
    let control = data.join("global/pg_control");
    let mut identifier = [0; 8];
    File::open(&control)
        .and_then(|mut file| file.read_exact(&mut identifier))
        .map_err(|error| elsewhere(&control, &error))?;
    if i64::from_ne_bytes(identifier).to_string() == system {
        return Ok(());
    }
    let what = format!("{} is another server's", data.display());
    Err(Fault::new(FaultKind::NonRetryable, what).action("run the backup on the server's host"))
}

fn resolved(path: &Path) -> Result<PathBuf, Fault> {
    fs::canonicalize(path).map_err(|error| elsewhere(path, &error))
}

fn elsewhere(path: &Path, error: &io::Error) -> Fault {
    Fault::new(FaultKind::NonRetryable, format!("{}: {error}", path.display()))
        .action("run the backup on the server's host, as a user who may read its files")
}

/// Without those that lie in another.
fn outermost(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.sort();
    paths.dedup_by(|inner, outer| inner.starts_with(&*outer));
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_before_15_are_refused() {
        supported("150000", "15.0").unwrap();
        supported("180002", "18.2").unwrap();
        for (number, version) in [("140011", "14.11"), ("90624", "9.6.24"), ("", "?")] {
            let fault = supported(number, version).unwrap_err().to_string();
            assert!(fault.contains(version) && fault.contains("PostgreSQL 15"), "{fault}");
        }
    }

    #[test]
    fn a_data_directory_of_another_server_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(is_here(dir.path(), "7").unwrap_err().to_string().contains("server's host"));
        fs::create_dir(dir.path().join("global")).unwrap();
        fs::write(dir.path().join("global/pg_control"), 7_i64.to_ne_bytes()).unwrap();
        is_here(dir.path(), "7").unwrap();
        assert!(is_here(dir.path(), "8").unwrap_err().cause.contains("another server's"));
    }

    #[test]
    fn paths_in_others_are_left_out() {
        let paths = ["/a/b", "/a", "/a/b/c", "/ab", "/c"].map(PathBuf::from).to_vec();
        assert_eq!(outermost(paths), ["/a", "/ab", "/c"].map(PathBuf::from));
    }
}
