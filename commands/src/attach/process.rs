//! A process that cannot be mistaken for a later one of its number.

use std::{fs, io, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

/// Which process: two of one number never began at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Its number.
    pub pid: u32,
    /// When it began, in clock ticks since the host's start (`proc(5)`: field 22 of `stat`).
    pub start: u64,
}

impl Identity {
    /// This process.
    ///
    /// # Errors
    /// What reading `/proc` says.
    pub fn own() -> io::Result<Self> {
        let pid = std::process::id();
        let start = start(pid)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { pid, start })
    }

    /// A hold on the process; `None` where it has ended.
    ///
    /// # Errors
    /// What the kernel says; it must be Linux 5.3 or later.
    pub fn find(&self) -> io::Result<Option<Process>> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let process = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => Process { fd },
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Looked at while it is held: what has the number now is what is held.
        let same = start(self.pid)? == Some(self.start);
        // One that nobody has waited for yet is still there by its number.
        Ok(if same && !process.ends_within(Duration::ZERO)? { Some(process) } else { None })
    }
}

/// When the process of a number began; `None` where there is none.
fn start(pid: u32) -> io::Result<Option<u64>> {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => Ok(start_in(&stat)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The second field is the name, which may itself contain anything; the third follows it.
fn start_in(stat: &str) -> Option<u64> {
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

/// A hold on a process.
#[derive(Debug)]
pub struct Process {
    fd: OwnedFd,
}

impl Process {
    /// Waits for its end, at most so long; whether it has ended.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn ends_within(&self, time: Duration) -> io::Result<bool> {
        self.wait(Some(&Timespec::try_from(time).map_err(io::Error::other)?))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn end(&self) -> io::Result<()> {
        self.wait(None).map(drop)
    }

    fn wait(&self, time: Option<&Timespec>) -> io::Result<bool> {
        loop {
            match poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], time) {
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends it as `kill -9` does. One that has ended by itself is as good as killed.
    ///
    /// # Errors
    /// What the kernel says: perhaps that it is another user's.
    pub fn kill(&self) -> io::Result<()> {
        match pidfd_send_signal(&self.fd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_found_until_it_has_ended_and_no_other_of_its_number_is() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        let identity = Identity { pid, start: start(pid).unwrap().unwrap() };
        let process = identity.find().unwrap().expect("it runs");
        assert!(!process.ends_within(Duration::from_millis(1)).unwrap());
        let other = Identity { pid, start: identity.start + 1 };
        assert!(other.find().unwrap().is_none(), "its number is used by another one now");
        process.kill().unwrap();
        process.end().unwrap();
        assert!(identity.find().unwrap().is_none(), "it has ended, and nobody has waited for it");
        child.wait().unwrap();
        assert!(identity.find().unwrap().is_none());
        process.kill().unwrap();
        for none in [0, u32::MAX] {
            assert!(Identity { pid: none, start: 0 }.find().unwrap().is_none());
        }
        assert!(Identity::own().unwrap().find().unwrap().is_some());
    }

    #[test]
    fn the_start_stands_behind_whatever_the_process_is_called() {
        let numbers: Vec<_> = (4..30).map(|n| n.to_string()).collect();
        let stat = format!("77 (a) b (c)) S {}\n", numbers.join(" "));
        assert_eq!(start_in(&stat), Some(22));
        assert_eq!(start_in("77 (cut) S 1 2"), None);
        assert_eq!(start_in(""), None);
    }
}
