//! The coordinator's end of the guard.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        SocketFlags, SocketType, recv, send, sendmsg, socketpair,
    },
    process::{PidfdFlags, getpid, pidfd_open},
};

use super::{
    watch::NAME,
    wire::{MOST, OTHERS, Order, READY, encode},
};
use crate::freeze::since_boot::{now, timespec};

/// Starting a program takes longer than an answer.
const START: Duration = Duration::from_secs(10);

/// The guard, as the coordinator has it. Dropped it stays, and waits for the end of this process.
#[derive(Debug)]
pub struct Link {
    child: Child,
    socket: OwnedFd,
    number: u32,
    patience: Duration,
}

/// The guard does not answer: it is dead, or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAnswer;

impl Link {
    /// Starts a guard for mount points, in an order that is kept, and waits until it is ready.
    /// Later it has `patience` for each answer.
    ///
    /// # Errors
    /// What the operating system says, or that it does not become ready.
    pub fn start(
        run: &Path,
        journal: BorrowedFd<'_>,
        mounts: &[BorrowedFd<'_>],
        patience: Duration,
    ) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let child = Command::new("/proc/self/exe")
            .arg0(NAME)
            .arg(run)
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        let mut link = Self { child, socket: ours, number: READY, patience: START };
        let ready = link.introduce(journal, mounts);
        link.patience = patience;
        match ready {
            Ok(()) => Ok(link),
            Err(error) => {
                link.kill();
                Err(error)
            }
        }
    }

    fn introduce(&mut self, journal: BorrowedFd<'_>, mounts: &[BorrowedFd<'_>]) -> io::Result<()> {
        let ourselves = pidfd_open(getpid(), PidfdFlags::empty())?;
        let mut descriptors = vec![ourselves.as_fd(), journal];
        descriptors.extend(mounts);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST + OTHERS))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        if !rights.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            let text = format!("{} file systems are more than the {MOST} of a set", mounts.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        sendmsg(&self.socket, &[IoSlice::new(&[0])], &mut rights, SendFlags::NOSIGNAL)?;
        self.answer(READY).map_err(|NoAnswer| {
            io::Error::new(io::ErrorKind::TimedOut, "the guard process did not become ready")
        })
    }

    /// Gives an order, and waits until the guard has heard it. Allocates nothing.
    ///
    /// # Errors
    /// That there is no answer.
    pub fn tell(&mut self, order: Order) -> Result<(), NoAnswer> {
        self.number += 1;
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        send(&self.socket, &encode(order, self.number), flags).map_err(|_| NoAnswer)?;
        self.answer(self.number)
    }

    fn answer(&self, number: u32) -> Result<(), NoAnswer> {
        let end = now() + self.patience;
        loop {
            let left = timespec(end.saturating_sub(now()));
            let mut sockets = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut sockets, Some(&left)) {
                Ok(0) => return Err(NoAnswer),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(_) => return Err(NoAnswer),
            }
            let mut bytes = [0; 4];
            match recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((_, 4)) if u32::from_le_bytes(bytes) == number => return Ok(()),
                // One that came too late for the order before.
                Ok((_, 4)) | Err(Errno::INTR | Errno::AGAIN) => {}
                _ => return Err(NoAnswer),
            }
        }
    }

    /// The backup is over: the guard ends, if need be by force.
    pub fn end(mut self) {
        let _ = self.tell(Order::Over);
        let end = now() + self.patience;
        while now() < end {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                _ => return,
            }
        }
        self.kill();
    }

    /// The process is about to end: the guard is to do the rest. Says whether it will.
    pub fn leave(mut self) -> bool {
        let answered = self.tell(Order::Leaving).is_ok();
        if !answered {
            // One that is stopped would hold the journal, and nobody could recover.
            self.kill();
        }
        answered
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
