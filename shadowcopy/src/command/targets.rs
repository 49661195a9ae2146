//! The volumes that an archive is written to.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    mediabackup::STREAM,
    mediarestore::{Input, bad, length},
    progress::Progress,
};
use crate::{
    archive::{
        content::Piece,
        target::{Target, Unfit},
    },
    console::Console,
    failure::{Checked, Failure, Outcome},
    message,
};

/// The volumes that an archive is written to, open for this command alone. Several volumes of the
/// archive are one where file systems share a LUN.
pub(super) struct Targets {
    all: Vec<Target>,
    /// For each volume of the archive which of them it is written to. What is written already, by
    /// way of another file system, is not written again.
    of: Vec<Option<usize>>,
}

impl Targets {
    /// Opens all of them, a path for each volume, before the first is written.
    ///
    /// # Errors
    /// KAVX0403-E for one that is in use, of another size, or neither device nor file; then files
    /// that were made are gone again.
    pub(super) fn open(input: &Input<'_>, paths: &[PathBuf]) -> Outcome<Self> {
        let mut targets = Self { all: Vec::new(), of: Vec::new() };
        let luns = input.contents.backup.volumes.iter().map(|volume| volume.secondary);
        let parts: Vec<_> = luns.zip(paths).zip(&input.contents.sizes).collect();
        for (number, part) in parts.iter().enumerate() {
            if parts[..number].contains(part) {
                targets.of.push(None);
                continue;
            }
            let ((_, path), size) = part;
            match open(input.archive, path, **size) {
                Ok(target) => {
                    targets.of.push(Some(targets.all.len()));
                    targets.all.push(target);
                }
                Err(failure) => {
                    targets.discard();
                    return Err(failure.into());
                }
            }
        }
        Ok(targets)
    }

    /// Writes all of them; where.
    ///
    /// # Errors
    /// KAVX0401-E for a damaged archive, KAVX0403-E for a volume that cannot be written. Files that
    /// were made are gone again; a volume that was there holds neither its old data nor the backup.
    pub(super) fn write(
        self,
        console: &mut Console<'_>,
        input: &mut Input<'_>,
    ) -> Outcome<Vec<PathBuf>> {
        let mut progress = Progress::new(console, input.total());
        let (mut done, mut volume) = (0, None);
        let mut write = || -> Outcome {
            while let Some(piece) = input.unpacker.next_piece().map_err(bad(input.archive))? {
                let target = volume.and_then(|number: usize| *self.of.get(number)?);
                let target = target.and_then(|number| self.all.get(number));
                let covered = length(&piece);
                let written = match (piece, target) {
                    (Piece::Volume(number), _) => {
                        volume = Some(number);
                        Ok(())
                    }
                    (Piece::Artifact(writer, file), _) => {
                        // Those of a file were read before.
                        if input.archive == STREAM {
                            input.artifacts.push((writer, file));
                        }
                        Ok(())
                    }
                    (Piece::Data { offset, bytes }, Some(target)) => target.data(offset, bytes),
                    (Piece::Zeros { offset, length }, Some(target)) => target.zeros(offset, length),
                    (Piece::Data { .. } | Piece::Zeros { .. }, None) => Ok(()),
                };
                if let (Err(error), Some(target)) = (written, target) {
                    return Err(torn(&target.path, &error).into());
                }
                done = u64::saturating_add(done, covered);
                progress.at(console, done);
            }
            self.all.iter().try_for_each(|target| {
                target.finish().map_err(|error| torn(&target.path, &error).into())
            })
        };
        if let Err(stop) = write() {
            self.discard();
            return Err(stop);
        }
        progress.end()?;
        Ok(self.all.into_iter().map(|target| target.path).collect())
    }

    /// Takes away files that were made.
    pub(super) fn discard(self) {
        self.all.into_iter().for_each(Target::discard);
    }
}

fn open(archive: &str, path: &Path, size: u64) -> Checked<Target> {
    let name = path.display().to_string();
    let target = Target::open(path, size).map_err(|unfit| {
        let failure = Failure::new(message::RESTORE_FAILED).word(&name);
        match unfit {
            Unfit::Io(error) => failure.cause(error.to_string()),
            Unfit::Odd => failure.cause("it is neither a block device nor a file"),
            Unfit::Size(own) => failure
                .state(format!("{own} bytes"))
                .cause(format!("the volume in the archive has {size} bytes"))
                .action("name one of that size, or a file that is not there yet"),
            Unfit::Used(user) => used(&name, user),
        }
    })?;
    if fs::metadata(archive).is_ok_and(|archive| target.is(&archive)) {
        return Err(used(&name, "it is the archive".into()).into());
    }
    Ok(target)
}

/// KAVX0403-E for a volume that somebody uses.
pub(super) fn used(volume: &str, user: String) -> Failure {
    Failure::new(message::RESTORE_FAILED)
        .word(volume)
        .state("in use")
        .cause(user)
        .action("unmount it and end what has it open, then begin again")
}

fn torn(path: &Path, error: &io::Error) -> Failure {
    Failure::new(message::RESTORE_FAILED)
        .word(path.display())
        .state("partly written")
        .cause(error.to_string())
        .action("see to the cause and restore again: it holds neither the old data nor the backup")
}
