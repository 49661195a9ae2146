//! The link names of a multi-call binary: `horcm link DIR`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use model::{CciError, CciResult, Code};

use crate::platform;

/// Makes a link to this program for every one of the names in a directory, which is made where
/// missing. Links that
/// are there already and lead to this binary are left alone.
///
/// # Errors
/// EX_EACCES, before anything is made, when something else stands under one of the names; or
/// what the file system says.
pub fn link(names: impl Iterator<Item = &'static str>, directory: &Path) -> CciResult<usize> {
    let binary = std::env::current_exe()
        .and_then(fs::canonicalize)
        .map_err(|error| failed(Path::new("this program"), &error))?;
    link_to(&binary, names, directory)
}

fn link_to(
    binary: &Path,
    names: impl Iterator<Item = &'static str>,
    directory: &Path,
) -> CciResult<usize> {
    fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    let paths: Vec<PathBuf> = names.map(|name| directory.join(platform::link_name(name))).collect();
    let mut missing = Vec::new();
    for path in &paths {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(path),
            Err(error) => return Err(failed(path, &error)),
            Ok(_) if platform::leads_to(path, binary) => {}
            Ok(_) => {
                return Err(CciError::new(Code::ExEacces)
                    .object(path.display().to_string())
                    .cause("something else than a link to this binary stands there")
                    .advice("move it away, or choose another directory"));
            }
        }
    }
    for path in missing {
        platform::link(binary, path).map_err(|error| failed(path, &error))?;
    }
    Ok(paths.len())
}

fn failed(path: &Path, error: &io::Error) -> CciError {
    CciError::new(Code::ExEacces).object(path.display().to_string()).cause(error.to_string())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn links_are_made_once_and_foreign_files_stay_untouched() {
        let place = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(place.path()).unwrap();
        let binary = root.join("horcm");
        fs::write(&binary, "").unwrap();
        let directory = root.join("bin");
        let made = link_to(&binary, crate::HORCM.names(), &directory).unwrap();
        assert_eq!(made, fs::read_dir(&directory).unwrap().count());
        assert_eq!(link_to(&binary, crate::HORCM.names(), &directory).unwrap(), made);

        let foreign = directory.join("pairdisplay");
        fs::remove_file(&foreign).unwrap();
        fs::write(&foreign, "mine").unwrap();
        fs::remove_file(directory.join("pairsplit")).unwrap();
        let error = link_to(&binary, crate::HORCM.names(), &directory).unwrap_err();
        assert_eq!(error.code, Code::ExEacces);
        assert_eq!(fs::read_to_string(&foreign).unwrap(), "mine");
        assert!(!directory.join("pairsplit").exists(), "it made links before refusing");
    }
}
