//! Backup IDs, and the documents that are kept under them.
//!
//! `%HORCMROOT%\drm\vss\0000000001\components.xml` is the backup components document, `writer1.xml`
//! and so on are the metadata of the writers. They are texts of UTF-16, low byte first and without
//! a mark, as Microsoft's `vshadow -i` reads them.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use messages::{
    failure::{Checked, Failure},
    message,
};

use crate::backup::Documents;

/// A backup ID that is ours, and its folder. Without documents it is given back in the end.
#[derive(Debug)]
pub struct Claim {
    number: u64,
    folder: PathBuf,
    kept: bool,
}

impl Claim {
    /// Takes the number after the last one.
    ///
    /// # Errors
    /// KAVX0214-E when the folder cannot be read or written.
    pub fn take(root: &Path) -> Checked<Self> {
        let number =
            |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<u64>().ok();
        let next = || {
            fs::create_dir_all(root)?;
            let mut next = fs::read_dir(root)?.filter_map(number).max().unwrap_or(0) + 1;
            loop {
                let folder = root.join(format!("{next:010}"));
                match fs::create_dir(&folder) {
                    Ok(()) => return Ok(Self { number: next, folder, kept: false }),
                    // Another backup was faster.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => next += 1,
                    Err(error) => return Err(error),
                }
            }
        };
        next().map_err(|error| failed(root, &error))
    }

    /// The ID, such as `0000000001`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{:010}", self.number)
    }

    /// Where the documents are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the documents, to the disk.
    ///
    /// # Errors
    /// KAVX0214-E.
    pub fn keep(&mut self, documents: &Documents) -> Checked {
        let writers = documents.writers.iter().enumerate();
        let writers = writers.map(|(at, text)| (format!("writer{}.xml", at + 1), text));
        for (name, text) in writers.chain([("components.xml".to_owned(), &documents.components)]) {
            let path = self.folder.join(name);
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let written = File::create_new(&path).and_then(|mut file| {
                file.write_all(&bytes)?;
                file.sync_all()
            });
            written.map_err(|error| failed(&path, &error))?;
        }
        self.kept = true;
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.kept {
            // What stays only skips a number.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> Box<Failure> {
    Failure::new(message::FILE_FAILED)
        .word(path.display())
        .cause(error.to_string())
        .action("see that administrators can write there and that there is room")
        .into()
}
