//! What the server says of itself, and where its files lie.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::session::Session;
use crate::{
    writer::{Fault, FaultKind},
    writers::deadline::Deadline,
};

/// Directories that must lie on the set; relative ones begin at the data directory.
const DIRECTORIES: [&str; 5] = [
    "datadir",
    "innodb_data_home_dir",
    "innodb_log_group_home_dir",
    "innodb_undo_directory",
    "aria_log_dir_path",
];
/// The same for files, all but the last part of which counts.
const BASENAMES: [&str; 2] = ["log_bin_basename", "relay_log_basename"];
/// `ibdata1:12M;/other/ibdata2:50M:autoextend`.
const DATA_FILES: &str = "innodb_data_file_path";

/// Version of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    numbers: [u32; 3],
    text: String,
}

impl Version {
    /// Such as `10.11.6-MariaDB-0+deb12u1-log`; without the word MariaDB it is MySQL's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
        let numbers: Result<Vec<u32>, _> = text[..digits].split('.').map(str::parse).collect();
        Some(Self { numbers: numbers.ok()?.try_into().ok()?, text: text.to_owned() })
    }

    /// Whether it is MariaDB.
    #[must_use]
    pub fn is_mariadb(&self) -> bool {
        self.text.contains("MariaDB")
    }

    /// Whether it knows `BACKUP STAGE`.
    #[must_use]
    pub fn has_stages(&self) -> bool {
        self.is_mariadb() && self.numbers >= [10, 4, 1]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.is_mariadb() { "" } else { "MySQL " };
        write!(f, "{name}{}", self.text)
    }
}

/// Where the binary log was; content of the artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Position {
    /// Its file.
    pub file: String,
    /// Its offset in bytes.
    pub position: u64,
    /// `gtid_binlog_pos` of MariaDB, `Executed_Gtid_Set` of MySQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gtid: Option<String>,
}

/// Asks for the version.
///
/// # Errors
/// See [`Session::rows`].
pub fn version(session: &Session, deadline: Deadline) -> Result<Version, Fault> {
    let text = first(session, "SELECT VERSION()", deadline)?.unwrap_or_default();
    Version::parse(&text).ok_or_else(|| {
        Fault::new(FaultKind::NonRetryable, format!("version {text:?} was not understood"))
    })
}

/// Where the binary log is; `None` when there is none. Nothing may be committed meanwhile.
///
/// # Errors
/// See [`Session::rows`].
pub fn position(session: &Session, deadline: Deadline) -> Result<Option<Position>, Fault> {
    if first(session, "SELECT @@log_bin", deadline)?.as_deref() != Some("1") {
        return Ok(None);
    }
    let version = version(session, deadline)?;
    let status = if !version.is_mariadb() && version.numbers >= [8, 2, 0] {
        "SHOW BINARY LOG STATUS"
    } else {
        "SHOW MASTER STATUS"
    };
    let row = session.rows(status, deadline)?.into_iter().next().unwrap_or_default();
    let column = |index: usize| row.get(index).cloned().flatten().unwrap_or_default();
    let position = column(1).parse().map_err(|_| {
        Fault::new(FaultKind::NonRetryable, format!("{status}: the answer was not understood"))
    })?;
    let gtid = if version.is_mariadb() {
        first(session, "SELECT @@global.gtid_binlog_pos", deadline)?.unwrap_or_default()
    } else {
        column(4)
    };
    Ok(Some(Position {
        file: column(0),
        position,
        gtid: Some(gtid).filter(|gtid| !gtid.is_empty()),
    }))
}

/// Asks where its files lie.
///
/// # Errors
/// That it runs on another host, and what [`Session::rows`] says.
pub fn paths(
    session: &Session,
    version: &Version,
    deadline: Deadline,
) -> Result<Vec<PathBuf>, Fault> {
    let names: Vec<String> = DIRECTORIES
        .iter()
        .chain(&BASENAMES)
        .chain([&DATA_FILES])
        .map(|name| format!("'{name}'"))
        .collect();
    let sql = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})", names.join(", "));
    let pairs = session.rows(&sql, deadline)?.into_iter().filter_map(|row| {
        let [name, value] = <[Option<String>; 2]>::try_from(row).ok()?;
        Some((name?, value?))
    });
    let variables: BTreeMap<String, String> = pairs.collect();
    let mut paths = configured(&variables)?;
    let data = paths[0].clone();
    let elsewhere = |path: &Path, error: &io::Error| {
        Fault::new(FaultKind::NonRetryable, format!("{}: {error}", path.display()))
            .action("run the backup on the server's host, as a user who may read its files")
    };
    paths.extend(linked(&data).map_err(|error| elsewhere(&data, &error))?);
    if !version.is_mariadb() {
        // MySQL 8 keeps no file beside a table that lies elsewhere.
        let rows =
            session.rows("SELECT path FROM information_schema.innodb_datafiles", deadline)?;
        paths.extend(rows.into_iter().flatten().flatten().map(|path| data.join(path)));
    }
    let mut resolved = Vec::new();
    for path in paths {
        resolved.push(fs::canonicalize(&path).map_err(|error| elsewhere(&path, &error))?);
    }
    resolved.sort();
    resolved.dedup_by(|inner, outer| inner.starts_with(&*outer));
    Ok(resolved)
}

/// What the variables say, the data directory first.
fn configured(variables: &BTreeMap<String, String>) -> Result<Vec<PathBuf>, Fault> {
    let set = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    let data = set("datadir").map(PathBuf::from).ok_or_else(|| {
        Fault::new(FaultKind::NonRetryable, "the server does not say where its data are")
    })?;
    let mut paths: Vec<PathBuf> =
        DIRECTORIES.iter().filter_map(|name| set(name)).map(|path| data.join(path)).collect();
    let logs = BASENAMES.iter().filter_map(|name| set(name)).map(|path| data.join(path));
    paths.extend(logs.filter_map(|path| path.parent().map(Path::to_path_buf)));
    let files = set(DATA_FILES).map(String::as_str).unwrap_or_default().split(';');
    let absolute = files.filter(|file| file.starts_with('/'));
    paths.extend(absolute.filter_map(|file| file.split(':').next()).map(PathBuf::from));
    Ok(paths)
}

/// What lies elsewhere: links to databases and to tables of MyISAM and Aria, and tables of InnoDB
/// with a `DATA DIRECTORY`, which leave a file `TABLE.isl` with their path.
fn linked(data: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        if entry.file_type()?.is_symlink() {
            found.push(entry.path());
        }
        // Through a link too.
        if !entry.path().is_dir() {
            continue;
        }
        for table in fs::read_dir(entry.path())? {
            let table = table?;
            let path = table.path();
            if table.file_type()?.is_symlink() {
                found.push(path);
            } else if path.extension().is_some_and(|extension| extension == "isl") {
                found.push(data.join(fs::read_to_string(&path)?.trim_end()));
            }
        }
    }
    Ok(found)
}

fn first(session: &Session, sql: &str, deadline: Deadline) -> Result<Option<String>, Fault> {
    Ok(session.rows(sql, deadline)?.into_iter().flatten().next().flatten())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn variables_become_paths() {
        let variables = [
            ("datadir", "/var/lib/mysql/"),
            ("innodb_data_home_dir", ""),
            ("innodb_log_group_home_dir", "./"),
            ("innodb_undo_directory", "/undo"),
            ("log_bin_basename", "/binlog/mysqld-bin"),
            ("relay_log_basename", ""),
            ("innodb_data_file_path", "ibdata1:12M;/big/ibdata2:50M:autoextend"),
        ];
        let variables = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        let wanted = ["/var/lib/mysql", "/var/lib/mysql", "/undo", "/binlog", "/big/ibdata2"];
        assert_eq!(configured(&variables).unwrap(), wanted.map(PathBuf::from));
        assert!(configured(&BTreeMap::new()).is_err());
    }

    #[test]
    fn databases_and_tables_that_lie_elsewhere_are_found() {
        let data = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let at = |path: &str| data.path().join(path);
        fs::create_dir(at("shop")).unwrap();
        fs::write(at("shop/near.ibd"), "").unwrap();
        fs::write(at("shop/far.isl"), "/far/shop/far.ibd\n").unwrap();
        symlink("/isam/t.MYD", at("shop/t.MYD")).unwrap();
        fs::write(other.path().join("deep.isl"), "/deep/deep.ibd").unwrap();
        symlink(other.path(), at("linked")).unwrap();
        let mut found = linked(data.path()).unwrap();
        found.sort();
        let mut wanted = vec![
            at("linked"),
            at("shop/t.MYD"),
            "/deep/deep.ibd".into(),
            "/far/shop/far.ibd".into(),
        ];
        wanted.sort();
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_version_says_whose_it_is() {
        assert_eq!(Version::parse("8.4.2").unwrap().to_string(), "MySQL 8.4.2");
        let version = Version::parse("10.11.6-MariaDB-0+deb12u1").unwrap();
        assert_eq!(version.to_string(), "10.11.6-MariaDB-0+deb12u1");
        assert_eq!(Version::parse("MariaDB"), None);
    }
}
