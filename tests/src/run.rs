//! Running a command and what came of it.

use std::{
    io::Write,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The command line, for messages.
    pub line: String,
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Asserts success and gives standard output.
    ///
    /// # Panics
    /// When the command failed; the message holds all it said.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self}");
        &self.stdout
    }

    /// Asserts the exit code and that standard error begins with `<command>: [name]`; gives
    /// standard error.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[track_caller]
    pub fn fails(&self, code: model::Code) -> &str {
        assert_eq!(self.code, Some(i32::from(code.number())), "{self}");
        assert!(self.stderr.contains(&format!("[{}]", code.name())), "{self}");
        &self.stderr
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "$ {}\n{}{}(exit {:?})", self.line, self.stdout, self.stderr, self.code)
    }
}

/// Kills a process as `kill -9` does. One that has ended already is as good as killed.
///
/// # Panics
/// When the number is no process id.
pub fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let _ = rustix::process::kill_process(pid.expect("a pid"), rustix::process::Signal::KILL);
}

/// Runs `command` to its end with `input` on standard input.
///
/// # Panics
/// When it cannot be started, or has not ended after `limit`: then it hangs, which is a failure
/// in itself. It is killed first.
#[track_caller]
pub fn run(mut command: Command, line: String, input: &[u8], limit: Duration) -> Outcome {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {line}: {e}"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // A command that does not read its input closes the pipe; that is its right.
    thread::spawn(move || drop(stdin.write_all(&input)));
    let pid = child.id();
    let (tell, ended) = std::sync::mpsc::channel();
    let waiter = thread::spawn(move || {
        let output = child.wait_with_output();
        let _ = tell.send(());
        output
    });
    let started = Instant::now();
    let hung = ended.recv_timeout(limit).is_err();
    if hung {
        kill(pid);
    }
    let output = waiter.join().expect("no panic").unwrap_or_else(|e| panic!("{line}: {e}"));
    let outcome = Outcome {
        line,
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    assert!(!hung, "did not end within {:?}: {outcome}", started.elapsed());
    outcome
}
