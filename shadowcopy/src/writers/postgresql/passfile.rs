//! `.pgpass`: lines `host:port:database:user:password`, where `*` is any, and `\` quotes.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{
    writer::{Fault, FaultKind},
    writers::secret,
};

/// The server a password is wanted for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its names.
    pub hosts: Vec<String>,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The user.
    pub user: String,
}

/// The password of the first line that fits, from `file`, else `$PGPASSFILE`, else `~/.pgpass`.
///
/// # Errors
/// That others may read the file, or that `file` is not there.
pub fn password(file: Option<&Path>, wanted: &Wanted) -> Result<Option<String>, Fault> {
    let usual = || {
        let named = env::var_os("PGPASSFILE").map(PathBuf::from);
        named.or_else(|| env::home_dir().map(|home| home.join(".pgpass")))
    };
    let Some(path) = file.map(Path::to_path_buf).or_else(usual) else {
        return Ok(None);
    };
    match (secret::read(&path)?, file) {
        (Some(text), _) => Ok(find(&text, wanted)),
        (None, None) => Ok(None),
        (None, Some(path)) => Err(Fault::new(
            FaultKind::NonRetryable,
            format!("passfile {} is not there", path.display()),
        )),
    }
}

fn find(text: &str, wanted: &Wanted) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let [host, port, database, user, password] = fields(line)?;
        let fits = |field: &str, value: &str| field == "*" || field == value;
        let fits = (host == "*" || wanted.hosts.contains(&host))
            && fits(&port, &wanted.port.to_string())
            && fits(&database, &wanted.database)
            && fits(&user, &wanted.user);
        fits.then_some(password)
    })
}

fn fields(line: &str) -> Option<[String; 5]> {
    let mut fields = [const { String::new() }; 5];
    let mut index = 0;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => fields[index].extend(chars.next()),
            ':' if index < 4 => index += 1,
            c => fields[index].push(c),
        }
    }
    (index == 4).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_counts() {
        let wanted = Wanted {
            hosts: vec!["localhost".to_owned(), "/run/pg".to_owned()],
            port: 5432,
            database: "postgres".to_owned(),
            user: "backup".to_owned(),
        };
        let text = "# *:*:*:*:comment\n\
                    short:line\n\
                    db7:5432:*:backup:other host\n\
                    localhost:5433:*:backup:other port\n\
                    /run/pg:*:postgres:backup:a\\:b\\\\c:d\n\
                    *:*:*:*:last\n";
        assert_eq!(find(text, &wanted).as_deref(), Some("a:b\\c:d"));
        let other = Wanted { user: "admin".to_owned(), ..wanted.clone() };
        assert_eq!(find(text, &other).as_deref(), Some("last"));
        assert_eq!(find("", &wanted), None);
    }

    #[test]
    fn a_passfile_that_was_named_has_to_be_there() {
        let wanted =
            Wanted { hosts: vec![], port: 1, database: String::new(), user: String::new() };
        let fault = password(Some(Path::new("/nonexistent")), &wanted).unwrap_err();
        assert!(fault.cause.contains("/nonexistent is not there"), "{fault}");
    }
}
