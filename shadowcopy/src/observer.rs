//! Who is told of the steps as they begin and end.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use rustix::{
    fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat},
    io::{FdFlags, fcntl_setfd, write},
};

use crate::step::Step;

/// Is told of the steps.
pub trait Observer {
    /// A step begins, has ended, or has failed. While file systems are frozen it must not touch a
    /// file, wait or allocate: from the beginning of [`Step::FreezeFileSystems`] to the end of
    /// [`Step::ThawFileSystems`].
    fn tell(&mut self, step: Step, moment: Moment);
}

/// What of a step is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// It begins.
    Begins,
    /// It has ended well.
    Ended,
    /// It has failed; what was frozen thaws now, and the backup is given up.
    Failed,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Begins, Self::Ended, Self::Failed];

    /// As it is told.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begins => "begins",
            Self::Ended => "ended",
            Self::Failed => "failed",
        }
    }
}

/// Nobody is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn tell(&mut self, _step: Step, _moment: Moment) {}
}

/// Tells a pipe or a socket: option `-steps FD`. A line a moment, `freeze-writers begins`. What
/// it has no room for is lost: nobody waits for a reader while something is frozen.
#[derive(Debug)]
pub struct StepsTo {
    to: OwnedFd,
    lines: Vec<String>,
}

impl StepsTo {
    /// Tells a descriptor that this process inherited, by its number; programs started do not
    /// inherit it from now on, standard output and error excepted.
    ///
    /// # Errors
    /// One that is not open, or neither a pipe nor a socket.
    pub fn inherited(number: RawFd) -> io::Result<Self> {
        if number < 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a descriptor is not negative",
            ));
        }
        // SAFETY: it is not used after this call, and one that is not open is refused with EBADF.
        let inherited = unsafe { BorrowedFd::borrow_raw(number) };
        let own = inherited.try_clone_to_owned()?;
        if number > 2 {
            fcntl_setfd(inherited, FdFlags::CLOEXEC)?;
        }
        Self::new(own)
    }

    /// Tells this descriptor. It does not block from now on, and programs started do not inherit it.
    ///
    /// # Errors
    /// One that is neither a pipe nor a socket: a file may lie on what is frozen.
    pub fn new(to: OwnedFd) -> io::Result<Self> {
        let kind = FileType::from_raw_mode(fstat(&to)?.st_mode);
        if !matches!(kind, FileType::Fifo | FileType::Socket) {
            let text = format!("descriptor {} is neither a pipe nor a socket", to.as_raw_fd());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        fcntl_setfl(&to, fcntl_getfl(&to)? | OFlags::NONBLOCK)?;
        fcntl_setfd(&to, FdFlags::CLOEXEC)?;
        let line = |step: Step| Moment::ALL.map(|moment| format!("{step} {}\n", moment.name()));
        Ok(Self { to, lines: Step::ALL.into_iter().flat_map(line).collect() })
    }
}

impl Observer for StepsTo {
    fn tell(&mut self, step: Step, moment: Moment) {
        let line = &self.lines[step as usize * Moment::ALL.len() + moment as usize];
        // A reader that is gone or slow must not hold up a backup.
        let _ = write(self.to.as_fd(), line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{Read, pipe},
    };

    use super::*;

    #[test]
    fn every_moment_is_a_line_of_its_own() {
        let (mut from, to) = pipe().unwrap();
        let mut steps = StepsTo::new(to.into()).unwrap();
        for step in Step::ALL {
            steps.tell(step, Moment::Begins);
            steps.tell(step, Moment::Ended);
        }
        steps.tell(Step::Commit, Moment::Failed);
        drop(steps);
        let mut told = String::new();
        from.read_to_string(&mut told).unwrap();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 29);
        assert_eq!(lines[..3], ["describe begins", "describe ended", "begin-prepare begins"]);
        assert_eq!(lines[26..], ["catalogue begins", "catalogue ended", "commit failed"]);
    }

    #[test]
    fn a_full_pipe_and_one_without_a_reader_hold_nothing_up() {
        let (from, to) = pipe().unwrap();
        let mut steps = StepsTo::new(to.into()).unwrap();
        for _ in 0..100_000 {
            steps.tell(Step::Commit, Moment::Begins);
        }
        drop(from);
        steps.tell(Step::Commit, Moment::Ended);
    }

    #[test]
    fn a_file_is_refused() {
        let file = File::open("/dev/null").unwrap();
        assert_eq!(StepsTo::new(file.into()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
