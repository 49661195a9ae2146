//! The sessions of this user with storage systems: `$HORCMROOT/usr/var/UID/HOST_UID_SERIAL`, a file
//! each, which holds the token; UID is [`account`]. Folder and file are the user's own; what others
//! could have put there is no session, for who logs in there would act for them.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use model::{CciError, CciResult, Code, Serial};

use crate::{
    Home,
    here::{account, host_name},
    login::Login,
    platform::{is_own_file, is_own_folder, make_private_folder, opens_own, private_file},
};

/// The most bytes of a file that are read: a token and the end of its line are fewer.
const MOST_BYTES: u64 = 256;

/// Every session of this user. What cannot be read is none: the storage system then asks for a
/// login, which is how it is mended.
#[must_use]
pub fn all(home: &Home) -> Vec<Login> {
    let start = start();
    let folder = folder(home);
    if !is_own_folder(&folder) {
        return Vec::new();
    }
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let read = |file: fs::DirEntry| {
        let name = file.file_name().into_string().ok()?;
        let serial = name.strip_prefix(&start)?.parse().ok()?;
        let token = read_own(&file.path()).ok()?.trim_end().parse().ok()?;
        Some(Login { serial, token })
    };
    files.filter_map(read).collect()
}

/// What an own file holds, opened once, so that it cannot become another in between.
fn read_own(path: &Path) -> io::Result<String> {
    let file = opens_own().open(path)?;
    if !is_own_file(&file) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Sees that a session can be kept, before anybody is asked for one.
///
/// # Errors
/// EX_EACCES when the folder cannot be made, or is not this user's alone.
pub fn prepare(home: &Home) -> CciResult<()> {
    let folder = folder(home);
    let made = || -> io::Result<()> {
        if let Some(above) = folder.parent() {
            fs::create_dir_all(above)?;
        }
        match make_private_folder(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ if is_own_folder(&folder) => Ok(()),
            _ => {
                let wrong = "it is not a folder of this user alone (mode 0700)";
                Err(io::Error::new(io::ErrorKind::PermissionDenied, wrong))
            }
        }
    };
    made().map_err(|error| {
        CciError::new(Code::ExEacces)
            .object(folder.display().to_string())
            .cause(error.to_string())
            .advice("a session is kept there; make the folder above it writable, or remove it")
    })
}

/// Keeps a session.
///
/// # Errors
/// EX_EACCES when the file cannot be written, or as [`prepare`].
pub fn keep(home: &Home, login: &Login) -> CciResult<()> {
    prepare(home)?;
    let file = file(home, login.serial);
    let written = || -> io::Result<()> {
        // A host's name may have dots: the last is not the beginning of an extension.
        let mut new = file.clone().into_os_string();
        new.push(".new");
        let _ = fs::remove_file(&new);
        writeln!(private_file().open(&new)?, "{}", login.token.to_hex())?;
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
    home.root().join("usr/var").join(account())
}

fn file(home: &Home, serial: Serial) -> PathBuf {
    folder(home).join(format!("{}{serial}", start()))
}

/// What the names of this user's files begin with.
fn start() -> String {
    format!("{}_{}_", host_name(), account())
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

    #[cfg(unix)]
    #[test]
    fn what_others_could_have_put_there_is_no_session() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let place = tempfile::tempdir().unwrap();
        let home = Home::at(place.path().to_owned());
        let login = Login { serial: Serial::new(62_496).unwrap(), token: Token::random() };
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        keep(&home, &login).unwrap();
        let (folder, kept) = (folder(&home), file(&home, login.serial));
        mode(&kept, 0o640);
        assert_eq!(all(&home), [], "others may read it");
        mode(&kept, 0o600);
        let planted = place.path().join("planted");
        fs::rename(&kept, &planted).unwrap();
        symlink(&planted, &kept).unwrap();
        assert_eq!(all(&home), [], "a link leads anywhere");
        fs::rename(&planted, &kept).unwrap();
        assert_eq!(all(&home), [login]);
        mode(&folder, 0o770);
        assert_eq!(all(&home), [], "others may write into the folder");
        assert_eq!(keep(&home, &login).unwrap_err().code, Code::ExEacces);
        assert_eq!(prepare(&home).unwrap_err().code, Code::ExEacces);
    }
}
