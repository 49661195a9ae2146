//! The guard's process.

use std::{
    env, io,
    io::IoSliceMut,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    mm::{MlockAllFlags, mlockall, munlockall},
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recv, recvmsg, send},
    process::{Signal, pidfd_send_signal, setsid},
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create,
        timerfd_settime,
    },
};

use super::{
    machine::{Act, Machine},
    wire::{MOST, ORDER, OTHERS, READY, decode},
};
use crate::{
    freeze::{
        hand::{Ask, Hand, thaw_all},
        recover::Died,
        since_boot::{now, timespec},
    },
    worker::Worker,
};

/// What the guard is called as: `argv[0]` of the process.
pub const NAME: &str = "drm-guard";
/// How often a coordinator that may be freezing is thawed after.
const PATROL: Duration = Duration::from_millis(5);
/// How long a file system has to thaw before what else is left is undone.
const THAW: Duration = Duration::from_secs(2);
/// What must not end the guard: it is for the coordinator to end, and the guard to see it.
const DEAF: [i32; 5] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGPIPE];

/// A guard that is to begin.
#[derive(Debug)]
pub struct Watch {
    run: PathBuf,
}

/// Whether this process was started as a guard. `main` asks before anything else.
#[must_use]
pub fn called() -> Option<Watch> {
    let mut arguments = env::args_os();
    let called = arguments.next().is_some_and(|name| name == NAME);
    called.then(|| arguments.next()).flatten().map(|run| Watch { run: run.into() })
}

impl Watch {
    /// Guards until the backup is over, or the coordinator is gone. Then what it froze is thawed and
    /// `recovery` is called with the directory of journals and what is known of the backup.
    ///
    /// # Errors
    /// What the operating system says before the guard is ready: nothing is frozen then.
    pub fn keep(self, recovery: impl FnOnce(PathBuf, Died)) -> io::Result<()> {
        let _ = setsid();
        hear_signals(libc::SIG_IGN);
        // The coordinator and its databases are what is to be killed when memory is short.
        let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
        let post = Post::take()?;
        match post.keep()? {
            None => Ok(()),
            Some(died) => {
                let _ = munlockall();
                hear_signals(libc::SIG_DFL);
                recovery(self.run, died);
                Ok(())
            }
        }
    }
}

/// Sets what the signals of [`DEAF`] do.
fn hear_signals(disposition: libc::sighandler_t) {
    for signal in DEAF {
        // SAFETY: SIG_IGN and SIG_DFL are no functions that could be called at a bad time.
        unsafe { libc::signal(signal, disposition) };
    }
}

/// What a guard has.
struct Post {
    coordinator: OwnedFd,
    /// Held until everything has thawed, for the lock on it.
    journal: OwnedFd,
    socket: OwnedFd,
    hands: Vec<Worker<Hand>>,
    timer: OwnedFd,
}

impl Post {
    /// Takes what the coordinator sends.
    fn take() -> io::Result<Self> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST + OTHERS))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let flags = RecvFlags::CMSG_CLOEXEC;
        recvmsg(&socket, &mut [IoSliceMut::new(&mut byte)], &mut rights, flags)?;
        let mut descriptors = Vec::new();
        for message in rights.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                descriptors.extend(some);
            }
        }
        let mut descriptors = descriptors.into_iter();
        let (Some(coordinator), Some(journal)) = (descriptors.next(), descriptors.next()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no coordinator, no journal"));
        };
        let hands = descriptors.map(Hand::new).collect::<io::Result<_>>()?;
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
        mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE)?;
        send(&socket, &READY.to_le_bytes(), SendFlags::NOSIGNAL)?;
        Ok(Self { coordinator, journal, socket, hands, timer })
    }

    /// What is known of the backup of a coordinator that is gone; `None` when the backup is over. Allocates
    /// nothing before everything has thawed.
    fn keep(self) -> io::Result<Option<Died>> {
        let mut machine = Machine::default();
        let (mut killed, mut listening) = (false, true);
        loop {
            let patrol = match machine.act(now()) {
                Act::End => return Ok(None),
                Act::Recover(step) => {
                    // Without hands it knows of the file systems from the journal only.
                    let known = !self.hands.is_empty();
                    let thawed = known && (!machine.frozen() || thaw_all(&self.hands, THAW));
                    return Ok(Some(Died { step, thawed, journal: self.journal }));
                }
                Act::Wait(deadline) => {
                    self.wake_at(deadline)?;
                    false
                }
                Act::Thaw => true,
                Act::Kill => {
                    if !killed {
                        let _ = pidfd_send_signal(&self.coordinator, Signal::KILL);
                        killed = true;
                    }
                    true
                }
            };
            if patrol {
                self.hands.iter().for_each(|hand| {
                    let _ = hand.take();
                    hand.ask(Ask::Thaw);
                });
            }
            let socket = if listening { PollFlags::IN } else { PollFlags::empty() };
            let mut events = [
                PollFd::new(&self.coordinator, PollFlags::IN),
                PollFd::new(&self.timer, if patrol { PollFlags::empty() } else { PollFlags::IN }),
                PollFd::new(&self.socket, socket),
            ];
            // A socket that nobody listens to any more tells of its end all the same.
            let events = if listening { &mut events[..] } else { &mut events[..2] };
            match poll(events, patrol.then(|| timespec(PATROL)).as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let heard = events.get(2).is_some_and(|event| !event.revents().is_empty());
            if !events[0].revents().is_empty() {
                machine.gone();
            }
            if heard {
                listening = self.listen(&mut machine);
            }
        }
    }

    fn wake_at(&self, deadline: Option<Duration>) -> io::Result<()> {
        let never = timespec(Duration::ZERO);
        let at = deadline.map_or(never, timespec);
        let setting = Itimerspec { it_interval: never, it_value: at };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &setting)?;
        Ok(())
    }

    /// Hears an order; whether there may be more.
    fn listen(&self, machine: &mut Machine) -> bool {
        let mut bytes = [0; ORDER];
        match recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => false,
            Ok((_, length)) => {
                if let Some((order, number)) = decode(&bytes[..length.min(ORDER)]) {
                    machine.hear(order);
                    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
                    let _ = send(&self.socket, &number.to_le_bytes(), flags);
                }
                true
            }
            Err(Errno::INTR | Errno::AGAIN) => true,
            Err(_) => false,
        }
    }
}
