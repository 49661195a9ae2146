//! What an attachment leaves beside its log for `horcm detach`: which process it is, and what
//! became of the bytes it acknowledged.
//!
//! A text file of lines, each appended by one write when its time comes; the last whole one of
//! each kind counts.
//!
//! | line | what it says |
//! |---|---|
//! | `process PID START` | who serves the file ([`Identity`]) |
//! | `mounted` | the file is there |
//! | `unmounted BYTES` | so many acknowledged bytes wait for the last flush |
//! | `durable` | all that was acknowledged is on the array's disk |
//! | `lost WHY` | not all of it is |
//!
//! The process holds a lock on it (`flock(2)`) for its life, so that no other begins at the same
//! path before that one has flushed. The next attachment empties it; an empty one tells nothing.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use model::{CciError, CciResult, Code};

use super::{process::Identity, start::plain_name};

/// How far an attachment has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The LUN is looked for.
    Begun,
    /// The file is there.
    Mounted,
    /// It is not; so many acknowledged bytes are not flushed yet.
    Unmounted(u64),
    /// All that was acknowledged is durable.
    Durable,
    /// Not all of it is, and why.
    Lost(String),
}

impl Stage {
    /// What it means for the file's users when the process has ended.
    ///
    /// # Errors
    /// EX_CMDIOE unless all that was acknowledged is durable.
    pub fn judge(&self, path: &Path) -> CciResult<()> {
        let cause = match self {
            Self::Durable | Self::Unmounted(0) => return Ok(()),
            Self::Lost(why) => format!("not all that was written is durable: {why}"),
            Self::Unmounted(bytes) => format!(
                "its process was ended before its last flush: of what was written, {bytes} bytes \
                 may not be durable"
            ),
            Self::Begun | Self::Mounted => {
                "its process had died: it is not known whether all that was written is durable"
                    .to_owned()
            }
        };
        Err(CciError::new(Code::ExCmdioe)
            .object(path.display().to_string())
            .state("detached")
            .cause(cause)
            .advice("check the file system on the LUN"))
    }

    fn line(&self) -> String {
        match self {
            Self::Begun => String::new(),
            Self::Mounted => "mounted\n".to_owned(),
            Self::Unmounted(bytes) => format!("unmounted {bytes}\n"),
            Self::Durable => "durable\n".to_owned(),
            Self::Lost(why) => {
                let plain = |c: char| if c.is_control() { ' ' } else { c };
                format!("lost {}\n", why.chars().map(plain).collect::<String>())
            }
        }
    }
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Whose it is.
    pub process: Identity,
    /// How far that process has come.
    pub stage: Stage,
}

/// The record of the attachment at a path: named as its log is, and by a checksum of the path,
/// because two paths may share a log.
#[must_use]
pub fn record_file(folder: &Path, path: &Path) -> PathBuf {
    let sum = crc32c::crc32c(path.as_os_str().as_bytes());
    folder.join(format!("attach{}-{sum:08x}.state", plain_name(path)))
}

/// What the last attachment has left; `None` where there was none.
///
/// # Errors
/// What reading the file says.
pub fn read(file: &Path) -> io::Result<Option<Left>> {
    match fs::read(file) {
        Ok(text) => Ok(parse(&String::from_utf8_lossy(&text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(text: &str) -> Option<Left> {
    let (mut process, mut stage) = (None, Stage::Begun);
    // A line without its end is one whose writer was killed in the middle of it.
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "process" => {
                let (pid, start) = rest.split_once(' ')?;
                process = Some(Identity { pid: pid.parse().ok()?, start: start.parse().ok()? });
            }
            "mounted" => stage = Stage::Mounted,
            "unmounted" => stage = Stage::Unmounted(rest.parse().ok()?),
            "durable" => stage = Stage::Durable,
            "lost" => stage = Stage::Lost(rest.to_owned()),
            _ => return None,
        }
    }
    Some(Left { process: process?, stage })
}

/// Why a record cannot be begun.
#[derive(Debug)]
pub enum NotBegun {
    /// An attachment of the same path goes on, or still flushes; its process, if it says so.
    Held(Option<u32>),
    /// What the file system says.
    Io(io::Error),
}

/// The record of this process.
#[derive(Debug)]
pub struct Record(File);

impl Record {
    /// Begins one anew.
    ///
    /// # Errors
    /// [`NotBegun`].
    pub fn begin(file: &Path) -> Result<Self, NotBegun> {
        let begun = || {
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            OpenOptions::new().create(true).append(true).open(file)
        };
        let held = begun().map_err(NotBegun::Io)?;
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let left = read(file).ok().flatten();
                return Err(NotBegun::Held(left.map(|left| left.process.pid)));
            }
            Err(TryLockError::Error(error)) => return Err(NotBegun::Io(error)),
        }
        let mut record = Self(held);
        record.introduce().map_err(NotBegun::Io)?;
        Ok(record)
    }

    fn introduce(&mut self) -> io::Result<()> {
        let Identity { pid, start } = Identity::own()?;
        self.0.set_len(0)?;
        self.0.write_all(format!("process {pid} {start}\n").as_bytes())
    }

    /// Says how far this process has come.
    ///
    /// # Errors
    /// What the file system says; then the stage before stands.
    pub fn tell(&mut self, stage: &Stage) -> io::Result<()> {
        self.0.write_all(stage.line().as_bytes())
    }

    /// Nothing came of it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn withdraw(self) -> io::Result<()> {
        self.0.set_len(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_and_a_line_cut_short_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log/a.state");
        assert_eq!(read(&file).unwrap(), None);
        let mut record = Record::begin(&file).unwrap();
        let process = Identity::own().unwrap();
        let mut told = vec![Stage::Mounted];
        told.extend([Stage::Unmounted(512), Stage::Lost("a\nb \u{1b}".to_owned())]);
        for stage in &told {
            record.tell(stage).unwrap();
        }
        let stage = Stage::Lost("a b  ".to_owned());
        assert_eq!(read(&file).unwrap(), Some(Left { process, stage: stage.clone() }));
        let whole = fs::read_to_string(&file).unwrap();
        for end in 0..whole.len() {
            let stages = parse(&whole[..end]).map(|left| left.stage);
            assert_ne!(stages, Some(stage.clone()), "{:?}", &whole[..end]);
        }
        record.withdraw().unwrap();
        assert_eq!(read(&file).unwrap(), None);
        for wrong in ["process 1\n", "process a 1\n", "unmounted 1\n", "other\n", "\n"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn one_process_at_a_time_has_a_record_and_the_next_begins_it_anew() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.state");
        let mut first = Record::begin(&file).unwrap();
        first.tell(&Stage::Lost("all".to_owned())).unwrap();
        match Record::begin(&file) {
            Err(NotBegun::Held(Some(pid))) => assert_eq!(pid, std::process::id()),
            other => panic!("{other:?}"),
        }
        assert_eq!(read(&file).unwrap().unwrap().stage, Stage::Lost("all".to_owned()));
        drop(first);
        let _second = Record::begin(&file).unwrap();
        assert_eq!(read(&file).unwrap().unwrap().stage, Stage::Begun);
    }

    #[test]
    fn only_what_is_durable_for_certain_is_no_failure() {
        let judge = |stage: Stage| stage.judge(Path::new("/f"));
        assert_eq!(judge(Stage::Durable), Ok(()));
        assert_eq!(judge(Stage::Unmounted(0)), Ok(()), "nothing was left to flush");
        for (stage, word) in [
            (Stage::Mounted, "not known"),
            (Stage::Unmounted(512), "512 bytes"),
            (Stage::Lost("the pool".to_owned()), "the pool"),
        ] {
            let error = judge(stage).unwrap_err();
            assert_eq!((error.code, error.object.as_deref()), (Code::ExCmdioe, Some("/f")));
            assert!(error.cause.unwrap().contains(word));
            assert!(error.state.is_some() && error.advice.is_some());
        }
    }

    #[test]
    fn paths_that_share_a_log_have_records_of_their_own() {
        let file = |path: &str| record_file(Path::new("/l"), Path::new(path));
        assert_ne!(file("/mnt/a b"), file("/mnt/a_b"));
        assert_eq!(file("/mnt/a b"), file("/mnt/a b"));
        assert!(file(&"x".repeat(5000)).file_name().unwrap().len() < 255);
    }
}
