//! `drmmediabackup`: the S-VOLs of a backup into an archive file or stream.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use commands::{
    parse::Typed,
    table::{HELP, Operands, Opt},
};

use super::{Run, Spec, fscat::id, progress::Progress};
use crate::{
    archive::{
        content::{Contents, Packer},
        source::{Broken, Source},
    },
    catalogue::{Backup, BackupId, Carried, error::must_be_there, files},
    console::Console,
    failure::{Failure, Outcome},
    message,
    requestor::reading,
    writer::Artifact,
};

/// The command.
pub static SPEC: Spec = Spec {
    name: "drmmediabackup",
    also: &[],
    about: "Puts the S-VOLs of a backup into an archive, with its record and its writers' files",
    common: &[HELP],
    options: &[Opt::words(
        "f",
        1,
        64,
        "-f <file ...>",
        "Read these devices or files, in the order of the backup's volumes; behind the operands",
    )],
    operands: Some(Operands {
        shown: "backupID archive",
        doc: "The backup, and a file that is not there yet; - is standard output",
    }),
    run: Run::told(run),
};

/// Standard output or input instead of a file.
pub(super) const STREAM: &str = "-";

fn run(console: &mut Console<'_>, typed: &Typed) -> Outcome {
    let command = console.command;
    let [word, archive] = typed.operands() else {
        return Err(Failure::usage(command, "backupID archive", "it takes these two").into());
    };
    let id = id(command, word)?;
    let store = console.catalogue();
    let kept = store.get(id)?;
    must_be_there(&kept.backup, kept.died)?;
    let carried = store.carried(id)?;
    let Some(files) = typed.words("f") else {
        let reading = reading::begin(console, id)?;
        let done = archive_of(console, archive, id, &carried, &reading.devices);
        let ended = reading.end(console);
        done?;
        return ended;
    };
    check_count(command, files, &carried.backup)?;
    let paths: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    archive_of(console, archive, id, &carried, &paths)
}

fn archive_of(
    console: &mut Console<'_>,
    archive: &str,
    id: BackupId,
    carried: &Carried,
    paths: &[PathBuf],
) -> Outcome {
    let store = console.catalogue();
    let mut sources = Vec::new();
    for path in paths {
        sources.push(Source::open(path).map_err(|error| {
            Failure::new(message::SOURCE_FAILED)
                .word(path.display())
                .cause(error.to_string())
                .action("name the devices or files of the S-VOLs, or leave -f out")
        })?);
    }
    let sizes = sources.iter().map(Source::size).collect();
    let contents = Contents { backup: carried.backup.clone(), sizes };
    let work = Work { contents, artifacts: carried.artifacts.clone(), sources };
    let still = || -> Outcome {
        // A backup that began meanwhile took the S-VOLs away under the copy.
        let now = store.get(id)?;
        must_be_there(&now.backup, now.died)
    };
    let written = if archive == STREAM {
        let output = std::io::stdout();
        let mut output = output.lock();
        let written = work.pack(console, archive, &mut output)?;
        output.flush().map_err(failed(archive))?;
        still()?;
        written
    } else {
        work.write_file(console, Path::new(archive), still)?
    };
    let bytes: u64 = work.contents.sizes.iter().sum();
    console.say(message::ARCHIVED, &[&(bytes >> 20), &written, &archive])
}

/// Refuses another number of files than there are volumes.
///
/// # Errors
/// KAVX0050-E.
pub(super) fn check_count(command: &str, files: &[String], backup: &Backup) -> Outcome {
    let volumes = backup.volumes.len();
    if files.len() == volumes {
        return Ok(());
    }
    let wrong = format!("the backup has {volumes} volumes, and there are {} files", files.len());
    Err(Failure::usage(command, format!("-f {}", files.join(" ")), wrong).into())
}

struct Work {
    contents: Contents,
    artifacts: Vec<(String, Artifact)>,
    sources: Vec<Source>,
}

impl Work {
    /// All of it, or no file.
    fn write_file(
        &self,
        console: &mut Console<'_>,
        path: &Path,
        still: impl FnOnce() -> Outcome,
    ) -> Outcome<u64> {
        let archive = path.display().to_string();
        if path.symlink_metadata().is_ok() {
            return Err(Failure::new(message::ARCHIVE_FAILED)
                .word(archive)
                .cause("something is there already")
                .action("name a file that is not there yet, or take that one away")
                .into());
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(files::UNFINISHED);
        let beside = path.with_file_name(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = (|| {
            let file = options.open(&beside).map_err(failed(&archive))?;
            let written = self.pack(console, &archive, &file)?;
            file.sync_all().map_err(failed(&archive))?;
            still()?;
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            fs::rename(&beside, path)
                .and_then(|()| File::open(parent.unwrap_or(Path::new(".")))?.sync_all())
                .map_err(failed(&archive))?;
            Ok(written)
        })();
        written.inspect_err(|_| {
            let _ = fs::remove_file(&beside);
        })
    }

    fn pack(&self, console: &mut Console<'_>, archive: &str, into: impl Write) -> Outcome<u64> {
        let total = self.contents.sizes.iter().sum();
        let mut progress = Progress::new(console, total);
        let into = BufWriter::with_capacity(1 << 18, into);
        let mut packer =
            Packer::new(into, &self.contents, &self.artifacts).map_err(failed(archive))?;
        let mut before = 0;
        for (source, number) in self.sources.iter().zip(0..) {
            packer.volume(number).map_err(failed(archive))?;
            source.pack(&mut packer, |done| progress.at(console, before + done)).map_err(
                |broken| match broken {
                    Broken::Writing(error) => failed(archive)(error),
                    Broken::Reading(error) => Failure::new(message::SOURCE_FAILED)
                        .word(source.path.display())
                        .cause(error.to_string())
                        .action("see whether its pair or path was lost, and begin again"),
                },
            )?;
            before += source.size();
        }
        let (mut into, written) = packer.finish().map_err(failed(archive))?;
        into.flush().map_err(failed(archive))?;
        progress.end()?;
        Ok(written)
    }
}

fn failed(archive: &str) -> impl Fn(std::io::Error) -> Failure {
    move |error| {
        Failure::new(message::ARCHIVE_FAILED)
            .word(archive)
            .cause(error.to_string())
            .action("see that its directory is there, can be written and has room")
    }
}
