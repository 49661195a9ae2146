//! The sessions of this user with storage systems: `$HORCMROOT/usr/var/HOST_UID_SERIAL`, a file
//! each, which holds the token and which only the user can read.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use model::{CciError, CciResult, Code, Serial};

use crate::{
    Home,
    here::{host_name, user_id},
    login::Login,
};

/// Every session of this user. What cannot be read is none: the storage system then asks for a
/// login, which is how it is mended.
#[must_use]
pub fn all(home: &Home) -> Vec<Login> {
    let start = start();
    let files = fs::read_dir(folder(home)).into_iter().flatten().flatten();
    let read = |file: fs::DirEntry| {
        let name = file.file_name().into_string().ok()?;
        let serial = name.strip_prefix(&start)?.parse().ok()?;
        let token = fs::read_to_string(file.path()).ok()?.trim_end().parse().ok()?;
        Some(Login { serial, token })
    };
    files.filter_map(read).collect()
}

/// Keeps a session.
///
/// # Errors
/// EX_EACCES when the file cannot be written.
pub fn keep(home: &Home, login: &Login) -> CciResult<()> {
    let file = file(home, login.serial);
    let written = || -> io::Result<()> {
        fs::create_dir_all(folder(home))?;
        let new = file.with_extension("new");
        let _ = fs::remove_file(&new);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        writeln!(options.open(&new)?, "{}", login.token.to_hex())?;
        fs::rename(&new, &file)
    };
    written().map_err(|error| {
        CciError::new(Code::ExEacces).object(file.display().to_string()).cause(error.to_string())
    })
}

/// Forgets the session with a storage system, if there is one.
///
/// # Errors
/// EX_EACCES when its file cannot be removed.
pub fn forget(home: &Home, serial: Serial) -> CciResult<()> {
    let file = file(home, serial);
    match fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CciError::new(Code::ExEacces)
            .object(file.display().to_string())
            .cause(error.to_string())),
        _ => Ok(()),
    }
}

fn folder(home: &Home) -> PathBuf {
    home.root().join("usr/var")
}

fn file(home: &Home, serial: Serial) -> PathBuf {
    folder(home).join(format!("{}{serial}", start()))
}

/// What the names of this user's files begin with.
fn start() -> String {
    format!("{}_{}_", host_name(), user_id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::Token;

    #[test]
    fn a_session_is_kept_for_its_user_alone_until_it_is_forgotten() {
        let place = tempfile::tempdir().unwrap();
        let home = Home::at(place.path().to_owned());
        assert_eq!(all(&home), []);
        let serial = Serial::new(62_496).unwrap();
        for _ in 0..2 {
            let login = Login { serial, token: Token::random() };
            keep(&home, &login).unwrap();
            assert_eq!(all(&home), [login]);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let mode = fs::metadata(file(&home, serial)).unwrap().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(folder(&home).join(format!("{}7", start())), "no token").unwrap();
        fs::write(folder(&home).join("other-host_0_62496"), "").unwrap();
        assert_eq!(all(&home).len(), 1);
        forget(&home, serial).unwrap();
        forget(&home, serial).unwrap();
        assert_eq!(all(&home), []);
    }
}
