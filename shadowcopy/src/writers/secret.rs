//! Files with passwords.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use crate::writer::{Fault, FaultKind};

/// The content of a file with passwords; `None` when there is none.
///
/// # Errors
/// That others than its owner may read it, or that it cannot be read.
pub fn read(path: &Path) -> Result<Option<String>, Fault> {
    let shown = path.display();
    let fault = |error: io::Error| {
        Fault::new(FaultKind::NonRetryable, format!("password file {shown}: {error}"))
    };
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(error)),
    };
    if mode & 0o077 != 0 {
        return Err(Fault::new(
            FaultKind::NonRetryable,
            format!("password file {shown} is open to others (mode {:04o})", mode & 0o7777),
        )
        .action(format!("chmod 0600 {shown}")));
    }
    fs::read_to_string(path).map(Some).map_err(fault)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_file_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        assert_eq!(read(&path), Ok(None));
        fs::write(&path, "geheim\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let fault = read(&path).unwrap_err().to_string();
        assert!(fault.contains("mode 0640") && fault.contains("chmod 0600"), "{fault}");
        assert!(!fault.contains("geheim"), "{fault}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path), Ok(Some("geheim\n".to_owned())));
    }
}
