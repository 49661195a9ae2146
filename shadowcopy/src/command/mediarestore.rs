//! `drmmediarestore`: volumes out of an archive.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use commands::{
    parse::Typed,
    table::{HELP, Operands, Opt},
};

use super::{
    JSON, Run, Spec,
    mediabackup::{STREAM, check_count},
    progress::Progress,
    targets::{Targets, used},
    view,
};
use crate::{
    archive::{
        content::{Contents, Piece, Unpacker},
        frame::Damage,
    },
    catalogue::{Backup, Carried, Kept, Store, artifact, error::must_be_there, record::Volume},
    console::Console,
    failure::{Failure, Outcome, Stop},
    host::{access, users},
    message,
    requestor::{rewriting::Rewriting, truth},
    volume::discover::Here,
    writer::Artifact,
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "drmmediarestore",
    also: &[],
    about: "Restores volumes from an archive to the S-VOLs of its backup, to P-VOLs, or to files",
    common: &[HELP, JSON],
    options: &[
        Opt::words(
            "f",
            1,
            64,
            "-f <file ...>",
            "Write these devices or files, in the order of the backup's volumes; behind the archive",
        )
        .against(&["pvol", "verify", "list"]),
        Opt::flag("pvol", "-pvol", "Write the P-VOLs, of which nothing may be in use")
            .against(&["verify", "list"]),
        Opt::flag("verify", "-verify", "Read all of the archive and write nothing")
            .against(&["list"]),
        Opt::flag("list", "-list", "Tell which backup is in the archive and write nothing"),
        Opt::words(
            "artifacts",
            1,
            1,
            "-artifacts <dir>",
            "Write the writers' files into this directory, which must not be there yet; no volume",
        )
        .against(&["f", "pvol", "verify", "list"]),
    ],
    operands: Some(Operands { shown: "archive", doc: "The archive; - is standard input" }),
    run: Run::listing(run),
};

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let [archive] = typed.operands() else {
        return Err(Failure::usage(console.command, "archive", "it takes one archive").into());
    };
    let command = console.command;
    if typed.has("list") {
        return list(console, archive);
    }
    console.say(message::COMMAND_STARTS, &[&command])?;
    if typed.has("verify") {
        read(console, archive, &mut |_| Ok(()))?;
        console.say(message::VERIFIED, &[archive])?;
    } else if let Some(directory) = typed.word("artifacts") {
        artifacts(console, archive, Path::new(directory))?;
    } else {
        restore(console, typed, archive)?;
    }
    console.say(message::COMMAND_ENDS, &[&command])
}

fn list(console: &mut Console<'_>, archive: &str) -> Outcome {
    let contents = Input::open(console, archive)?.contents;
    let kept = Kept { backup: contents.backup, died: false };
    if console.json {
        return console.print_json(&view::View::of(&kept));
    }
    console.print(&super::fscat::long(&kept))
}

/// Reads all of an archive; every piece goes to `take`.
fn read(
    console: &mut Console<'_>,
    archive: &str,
    take: &mut dyn FnMut(Piece<'_>) -> Outcome,
) -> Outcome {
    let mut input = Input::open(console, archive)?;
    let mut progress = Progress::new(console, input.total());
    let mut done = 0;
    while let Some(piece) = input.unpacker.next_piece().map_err(bad(archive))? {
        done = u64::saturating_add(done, length(&piece));
        take(piece)?;
        progress.at(console, done);
    }
    progress.end()
}

/// The writers' files of an archive, read to its end.
fn files_of(console: &mut Console<'_>, archive: &str) -> Outcome<Vec<(String, Artifact)>> {
    let mut found = Vec::new();
    read(console, archive, &mut |piece| {
        if let Piece::Artifact(writer, file) = piece {
            found.push((writer, file));
        }
        Ok(())
    })?;
    Ok(found)
}

fn artifacts(console: &mut Console<'_>, archive: &str, directory: &Path) -> Outcome {
    let found = files_of(console, archive)?;
    fs::create_dir(directory).map_err(|error| {
        unwritten(directory)(error).action("name a directory that is not there yet")
    })?;
    let mut write = || -> Outcome {
        for (writer, file) in &found {
            let path = artifact::path(directory, writer, &file.name);
            artifact::write(directory, writer, file).map_err(|error| {
                Failure::new(message::FILE_FAILED).word(path.display()).cause(error.to_string())
            })?;
            console.say(message::ARTIFACT_WRITTEN, &[&path.display()])?;
        }
        Ok(())
    };
    // A part of them would be in the way of the next attempt.
    write().inspect_err(|_| drop(fs::remove_dir_all(directory)))
}

fn restore(console: &mut Console<'_>, typed: &Typed, archive: &str) -> Outcome {
    // A file is read whole before anything is written; a stream can be read but once.
    let artifacts = if archive == STREAM {
        Vec::new()
    } else {
        let found = files_of(console, archive)?;
        console.say(message::VERIFIED, &[&archive])?;
        found
    };
    let mut input = Input { artifacts, ..Input::open(console, archive)? };
    let backup = &input.contents.backup;
    let written = if let Some(files) = typed.words("f") {
        check_count(console.command, files, backup)?;
        let paths: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        Targets::open(&input, &paths)?.write(console, &mut input)?
    } else if typed.has("pvol") {
        let store = console.catalogue();
        let _claim = store.claim(console.command)?;
        not_restored_otherwise(console, &store, backup)?;
        let paths = originals(console, backup)?;
        Targets::open(&input, &paths)?.write(console, &mut input)?
    } else {
        copies(console, &mut input)?
    };
    written.iter().try_for_each(|path| console.say(message::RESTORED, &[&path.display()]))
}

/// Writes the S-VOLs; the backup is there again then.
fn copies(console: &mut Console<'_>, input: &mut Input<'_>) -> Outcome<Vec<PathBuf>> {
    let mut rewriting = Rewriting::begin(console, &input.contents.backup)?;
    let mut write = || {
        let targets = Targets::open(input, &rewriting.devices)?;
        rewriting.take(console)?;
        let written = targets.write(console, input)?;
        let artifacts = std::mem::take(&mut input.artifacts);
        rewriting.keep(&Carried { backup: input.contents.backup.clone(), artifacts })?;
        Ok(written)
    };
    let written = write();
    match (written, rewriting.end(console)) {
        (Ok(written), hidden) => hidden.map(|()| written),
        (failed, hidden) => {
            if let Err(Stop::Failure(left)) = hidden {
                console.tell(&left)?;
            }
            failed
        }
    }
}

/// Refuses P-VOLs that `drmfsrestore` has begun to restore: they would become half of each.
fn not_restored_otherwise(console: &mut Console<'_>, store: &Store, backup: &Backup) -> Outcome {
    let begun = |kept: &Kept| kept.backup.restoring.is_some();
    if store.list()?.backups.iter().any(begun) {
        // It may have ended since.
        truth::settle(console, store, None)?;
    }
    let same = |other: &Volume| backup.volumes.iter().any(|own| own.primary == other.primary);
    let listed = store.list()?.backups;
    let other = listed.iter().find(|kept| begun(kept) && kept.backup.volumes.iter().any(same));
    other.map_or(Ok(()), |kept| must_be_there(&kept.backup, kept.died))
}

/// The P-VOLs, brought to this host, a path for each volume.
fn originals(console: &Console<'_>, backup: &Backup) -> Outcome<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for volume in &backup.volumes {
        let id = volume.primary;
        if let Some(user) = users::of(&Here::now()?, id).into_iter().next() {
            return Err(used(&id.to_string(), user).into());
        }
        paths.push(access::bring(&console.home, id)?);
    }
    Ok(paths)
}

/// An archive that is read.
pub(super) struct Input<'a> {
    /// Its name, or [`STREAM`].
    pub(super) archive: &'a str,
    /// What is in it.
    pub(super) unpacker: Unpacker<Box<dyn Read>>,
    /// What it says of itself.
    pub(super) contents: Contents,
    /// The writers' files, as far as they have been read.
    pub(super) artifacts: Vec<(String, Artifact)>,
}

impl<'a> Input<'a> {
    fn open(console: &Console<'_>, archive: &'a str) -> Outcome<Self> {
        let unpacker = Unpacker::new(open(console, archive)?).map_err(bad(archive))?;
        let contents = unpacker.contents().clone();
        Ok(Self { archive, unpacker, contents, artifacts: Vec::new() })
    }

    /// The bytes of all volumes. Sizes of a hostile archive may be more than there are numbers.
    pub(super) fn total(&self) -> u64 {
        self.contents.sizes.iter().fold(0, |sum, size| sum.saturating_add(*size))
    }
}

/// How many bytes of a volume a piece covers.
pub(super) const fn length(piece: &Piece<'_>) -> u64 {
    match piece {
        Piece::Data { bytes, .. } => bytes.len() as u64,
        Piece::Zeros { length, .. } => *length,
        Piece::Artifact(..) | Piece::Volume(_) => 0,
    }
}

fn open(console: &Console<'_>, archive: &str) -> Outcome<Box<dyn Read>> {
    if archive == STREAM {
        return Ok(Box::new(BufReader::with_capacity(1 << 18, io::stdin())));
    }
    let file = File::open(archive).map_err(|error| {
        Failure::new(message::ARCHIVE_BAD)
            .word(archive)
            .cause(error.to_string())
            .action(format!("name what drmmediabackup wrote; {} -h", console.command))
    })?;
    Ok(Box::new(BufReader::with_capacity(1 << 18, file)))
}

/// For `map_err`: what is wrong with an archive.
pub(super) fn bad(archive: &str) -> impl Fn(Damage) -> Failure + use<'_> {
    move |damage| {
        Failure::new(message::ARCHIVE_BAD)
            .word(archive)
            .cause(damage.to_string())
            .action("take another copy of the archive; what was written of it so far is no backup")
    }
}

fn unwritten(path: &Path) -> impl Fn(io::Error) -> Failure {
    let name = path.display().to_string();
    move |error| Failure::new(message::FILE_FAILED).word(&name).cause(error.to_string())
}
