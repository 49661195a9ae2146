//! One run of an executable, bounded in time and in output.

use std::{
    ffi::OsString,
    io::{self, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};

/// How long a killed program may take to be gone. One that hangs in a frozen file system is not
/// gone before that thaws.
const GONE: Duration = Duration::from_secs(1);
/// How long the rest of the output of a program that has ended may take.
const REST: Duration = Duration::from_millis(200);
/// A reader needs little, and all pages of the coordinator are locked.
const STACK: usize = 64 * 1024;

/// What is to be run.
pub struct Call<'a> {
    /// The executable.
    pub program: &'a Path,
    /// Its arguments.
    pub args: &'a [&'a str],
    /// Variables beside those of this process.
    pub variables: Vec<(&'static str, OsString)>,
    /// How long it may take; then it and its process group are killed.
    pub within: Duration,
    /// How much of its standard output is kept, from the beginning.
    pub output: usize,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Not in time.
    Late,
}

/// What came of it.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// The beginning of its standard output.
    pub output: Vec<u8>,
    /// Whether there was more of it.
    pub more: bool,
    /// What it said last, on one line, from standard error, else from standard output.
    pub said: String,
}

/// Runs it. A program it leaves behind when it ends by itself lives on, as hooks that hold a lock
/// until `thaw` need; its output goes nowhere.
///
/// # Errors
/// That it could not be started.
pub fn run(call: Call<'_>) -> io::Result<Ran> {
    let deadline = Instant::now() + call.within;
    let mut command = Command::new(call.program);
    command.args(call.args).envs(call.variables).current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let pid = Pid::from_child(&child);
    let output = child.stdout.take().map(|pipe| Reader::start(pipe, call.output)).transpose()?;
    let errors = child.stderr.take().map(|pipe| Reader::start(pipe, 0)).transpose()?;
    let end = if ended(pid, deadline)? {
        end_of(&mut child)?
    } else {
        // It may have ended by itself just now.
        kill_process_group(pid, Signal::KILL).ok();
        if ended(pid, Instant::now() + GONE)? {
            child.wait()?;
        }
        End::Late
    };
    let rest = Instant::now() + REST;
    let output = output.map(|reader| reader.take(rest)).unwrap_or_default();
    let errors = errors.map(|reader| reader.take(rest)).unwrap_or_default();
    let said = if errors.last.is_empty() { &output.last } else { &errors.last };
    Ok(Ran {
        end,
        more: output.total > output.first.len(),
        said: one_line(said),
        output: output.first,
    })
}

/// Waits for the end of a process, without reaping it.
fn ended(pid: Pid, deadline: Instant) -> io::Result<bool> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(events) => return Ok(events > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn end_of(child: &mut Child) -> io::Result<End> {
    let status = child.wait()?;
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => End::Code(code),
        (None, signal) => End::Signal(signal.unwrap_or_default()),
    })
}

/// The first and the last of an output.
#[derive(Debug, Default, Clone)]
struct Kept {
    first: Vec<u8>,
    last: Vec<u8>,
    total: usize,
}

impl Kept {
    /// As much as a message can take.
    const LAST: usize = 2048;

    fn add(&mut self, bytes: &[u8], most: usize) {
        let room = most.saturating_sub(self.first.len()).min(bytes.len());
        self.first.extend_from_slice(&bytes[..room]);
        self.total += bytes.len();
        self.last.extend_from_slice(bytes);
        let over = self.last.len().saturating_sub(Self::LAST);
        self.last.drain(..over);
    }
}

/// A thread that reads an output to its end, so that whoever writes it never blocks.
struct Reader {
    kept: Arc<Mutex<Kept>>,
    end: mpsc::Receiver<()>,
}

impl Reader {
    fn start(mut pipe: impl Read + Send + 'static, most: usize) -> io::Result<Self> {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let (done, end) = mpsc::channel::<()>();
        let shared = Arc::clone(&kept);
        thread::Builder::new().name("output".to_owned()).stack_size(STACK).spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut bytes) {
                shared.lock().unwrap_or_else(PoisonError::into_inner).add(&bytes[..length], most);
            }
            drop(done);
        })?;
        Ok(Self { kept, end })
    }

    fn take(&self, until: Instant) -> Kept {
        // The end comes as a disconnection; what was read until now counts all the same.
        self.end.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// For a message: what a terminal would not obey, on one line, the last 300 characters.
fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    let line = words.join(" ");
    let skip = line.chars().count().saturating_sub(300);
    line.chars().skip(skip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, within: Duration) -> Ran {
        run(Call {
            program: Path::new("/bin/sh"),
            args: &["-c", script],
            variables: vec![("GREETING", "hello".into())],
            within,
            output: 8,
        })
        .unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn its_end_and_its_words_are_kept() {
        let ran = sh("echo $GREETING; printf 'no\\033[2J\\n disk' >&2; exit 3", LONG);
        assert_eq!((ran.end, &ran.output[..], ran.more), (End::Code(3), &b"hello\n"[..], false));
        assert_eq!(ran.said, "no [2J disk");
        assert_eq!(sh("kill -TERM $$", LONG).end, End::Signal(15));
        let ran = sh("echo 123456789", LONG);
        assert_eq!((&ran.output[..], ran.more), (&b"12345678"[..], true));
    }

    #[test]
    fn one_that_prints_without_end_is_killed_and_little_of_it_kept() {
        let began = Instant::now();
        let ran = sh("yes", Duration::from_millis(300));
        assert_eq!((ran.end, ran.more), (End::Late, true));
        assert!(ran.output.len() == 8 && ran.said.len() <= 300);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[test]
    fn its_children_are_killed_with_it() {
        let ran = sh("sleep 1000 & echo $!; wait", Duration::from_millis(500));
        assert_eq!(ran.end, End::Late);
        let pid: i32 = String::from_utf8(ran.output).unwrap().trim().parse().unwrap();
        let gone = |pid: i32| {
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .map_or(true, |stat| stat.rsplit(')').next().unwrap().trim().starts_with('Z'))
        };
        let until = Instant::now() + LONG;
        while !gone(pid) {
            assert!(Instant::now() < until, "the child of a killed hook lives");
            thread::yield_now();
        }
    }

    #[test]
    fn one_that_leaves_a_child_with_its_output_behind_has_ended() {
        let began = Instant::now();
        let ran = sh("sleep 30 & exit 0", LONG);
        assert_eq!(ran.end, End::Code(0));
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[test]
    fn what_cannot_be_started_says_so() {
        let call = Call {
            program: Path::new("/nonexistent"),
            args: &[],
            variables: Vec::new(),
            within: LONG,
            output: 0,
        };
        assert_eq!(run(call).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
