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
    view,
};
use crate::{
    archive::{
        content::{Contents, Piece, Unpacker},
        frame::Damage,
        target::{Target, Unfit},
    },
    catalogue::{Backup, Carried, Error, Kept, State, Store, artifact},
    console::Console,
    failure::{Failure, Outcome},
    host::{access, users},
    message,
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
    let input = open(console, archive)?;
    let contents = Unpacker::new(input).map_err(bad(archive))?.contents().clone();
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
) -> Outcome<Contents> {
    let input = open(console, archive)?;
    let mut unpacker = Unpacker::new(input).map_err(bad(archive))?;
    let contents = unpacker.contents().clone();
    let mut progress = Progress::new(console, total(&contents));
    let mut done = 0;
    while let Some(piece) = unpacker.next_piece().map_err(bad(archive))? {
        let length = match &piece {
            Piece::Data { bytes, .. } => bytes.len() as u64,
            Piece::Zeros { length, .. } => *length,
            Piece::Artifact(..) | Piece::Volume(_) => 0,
        };
        done = u64::saturating_add(done, length);
        take(piece)?;
        progress.at(console, done);
    }
    progress.end()?;
    Ok(contents)
}

/// Sizes of a hostile archive may be more than there are numbers.
fn total(contents: &Contents) -> u64 {
    contents.sizes.iter().fold(0, |sum, size| sum.saturating_add(*size))
}

fn artifacts(console: &mut Console<'_>, archive: &str, directory: &Path) -> Outcome {
    let mut found: Vec<(String, Artifact)> = Vec::new();
    read(console, archive, &mut |piece| {
        if let Piece::Artifact(writer, file) = piece {
            found.push((writer, file));
        }
        Ok(())
    })?;
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
    let mut source: Box<dyn Read> = open(console, archive)?;
    let mut carried_files = Vec::new();
    if archive != STREAM {
        read(console, archive, &mut |piece| {
            if let Piece::Artifact(writer, file) = piece {
                carried_files.push((writer, file));
            }
            Ok(())
        })?;
        console.say(message::VERIFIED, &[&archive])?;
    }
    let mut unpacker = Unpacker::new(&mut source).map_err(bad(archive))?;
    let contents = unpacker.contents().clone();
    let backup = &contents.backup;
    let store = console.catalogue();
    let own = !typed.has("f") && !typed.has("pvol");
    let claim = if typed.has("f") { None } else { Some(store.claim(console.command)?) };
    let known = own && allowed(&store, backup)?;
    let paths = paths(console, typed, backup)?;
    let targets = targets(archive, &paths, &contents.sizes)?;
    if own {
        store.overwrite(backup)?;
        // Until all of it is back, nothing says that it is there.
        if known {
            store.update(backup.id, |backup| backup.state = State::Overwritten)?;
        }
    }
    let mut progress = Progress::new(console, total(&contents));
    let (mut done, mut volume) = (0, None);
    let mut write = || -> Outcome {
        while let Some(piece) = unpacker.next_piece().map_err(bad(archive))? {
            let target: Option<&Target> = volume.and_then(|number: usize| targets.get(number));
            let (length, written) = match (piece, target) {
                (Piece::Volume(number), _) => {
                    volume = Some(number);
                    (0, Ok(()))
                }
                (Piece::Data { offset, bytes }, Some(target)) => {
                    (bytes.len() as u64, target.data(offset, bytes))
                }
                (Piece::Zeros { offset, length }, Some(target)) => {
                    (length, target.zeros(offset, length))
                }
                (Piece::Artifact(writer, file), _) => {
                    if archive == STREAM {
                        carried_files.push((writer, file));
                    }
                    (0, Ok(()))
                }
                (_, None) => (0, Ok(())),
            };
            if let (Err(error), Some(target)) = (written, target) {
                return Err(torn(&target.path, &error).into());
            }
            done = u64::saturating_add(done, length);
            progress.at(console, done);
        }
        targets.iter().try_for_each(|target| {
            target.finish().map_err(|error| torn(&target.path, &error).into())
        })
    };
    if let Err(stop) = write() {
        targets.into_iter().for_each(Target::discard);
        return Err(stop);
    }
    progress.end()?;
    if own {
        store.restored(&Carried { backup: backup.clone(), artifacts: carried_files })?;
    }
    drop(claim);
    for target in &targets {
        console.say(message::RESTORED, &[&target.path.display()])?;
    }
    Ok(())
}

/// Refuses to overwrite a backup that is kept, and an ID that is another's. Whether the catalogue
/// knows the backup already.
fn allowed(store: &Store, backup: &Backup) -> Outcome<bool> {
    let mut known = false;
    for kept in store.list()?.backups {
        let here = &kept.backup;
        if here.id == backup.id && here.set != backup.set {
            return Err(Error::Taken(here.id).into());
        }
        known |= here.id == backup.id;
        if here.is_kept() && here.shares_volumes_with(backup) {
            return Err(Failure::new(message::BACKUP_STATE)
                .word(here.id)
                .state(view::kept_by(here))
                .cause("it lies on the S-VOLs that would be overwritten")
                .action("drmumount or drmcgctl -unlock it, or restore elsewhere with -f")
                .into());
        }
    }
    Ok(known)
}

/// Where to: as told, else the P-VOLs or the S-VOLs, brought to this host.
fn paths(console: &Console<'_>, typed: &Typed, backup: &Backup) -> Outcome<Vec<PathBuf>> {
    if let Some(files) = typed.words("f") {
        check_count(console.command, files, backup)?;
        return Ok(files.iter().map(PathBuf::from).collect());
    }
    let mut paths = Vec::new();
    for volume in &backup.volumes {
        let id = if typed.has("pvol") { volume.primary } else { volume.secondary };
        if let Some(user) = users::of(&Here::now()?, id).into_iter().next() {
            return Err(used(&id.to_string(), user).into());
        }
        paths.push(access::bring(&console.home, id)?);
    }
    Ok(paths)
}

/// Opens all of them before the first is written.
fn targets(archive: &str, paths: &[PathBuf], sizes: &[u64]) -> Outcome<Vec<Target>> {
    let mut targets: Vec<Target> = Vec::new();
    for (path, size) in paths.iter().zip(sizes) {
        let opened = Target::open(path, *size).map_err(|unfit| {
            let name = path.display().to_string();
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
        });
        let itself =
            |target: &Target| fs::metadata(archive).is_ok_and(|archive| target.is(&archive));
        match opened {
            Ok(target) if itself(&target) => {
                targets.into_iter().for_each(Target::discard);
                return Err(used(&path.display().to_string(), "it is the archive".into()).into());
            }
            Ok(target) => targets.push(target),
            Err(failure) => {
                targets.into_iter().for_each(Target::discard);
                return Err(failure.into());
            }
        }
    }
    Ok(targets)
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

fn bad(archive: &str) -> impl Fn(Damage) -> Failure {
    move |damage| {
        Failure::new(message::ARCHIVE_BAD)
            .word(archive)
            .cause(damage.to_string())
            .action("take another copy of the archive; what was written of it so far is no backup")
    }
}

fn used(volume: &str, user: String) -> Failure {
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

fn unwritten(path: &Path) -> impl Fn(io::Error) -> Failure {
    let name = path.display().to_string();
    move |error| Failure::new(message::FILE_FAILED).word(&name).cause(error.to_string())
}
