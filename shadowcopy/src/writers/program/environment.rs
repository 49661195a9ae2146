//! The variables that hooks and programs get.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    time::Duration,
};

use crate::writer::Begun;

/// `SHADOWCOPY_BACKUP`, `SHADOWCOPY_SET` and `SHADOWCOPY_MOUNTS` (one mount point a line) once a
/// backup has begun; `SHADOWCOPY_LIMIT`, the time until the program is killed, always.
pub fn of(begun: Option<&Begun>, limit: Duration) -> Vec<(&'static str, OsString)> {
    let mut variables = vec![("SHADOWCOPY_LIMIT", format!("{}ms", limit.as_millis()).into())];
    if let Some(begun) = begun {
        let mounts: Vec<&[u8]> =
            begun.mounts.iter().map(|mount| mount.as_os_str().as_bytes()).collect();
        variables.extend([
            ("SHADOWCOPY_BACKUP", begun.id.to_string().into()),
            ("SHADOWCOPY_SET", begun.set.to_string().into()),
            ("SHADOWCOPY_MOUNTS", OsString::from_vec(mounts.join(&b'\n'))),
        ]);
    }
    variables
}
