//! The guard's process.

use std::{
    env, fs, io,
    io::IoSliceMut,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    thread::{self, JoinHandle},
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
    wire::{MOST, ORDER, OTHERS, Order, READY, decode},
};
use crate::{
    freeze::{
        hand::{Ask, Hand, thaw_all},
        recover::{Died, Frozen},
        since_boot::{now, timespec},
    },
    step::Step,
    worker::Worker,
};

/// What the guard is called as: `argv[0]` of the process.
pub const NAME: &str = "drm-guard";
/// How often a coordinator that may be freezing is thawed after.
const PATROL: Duration = Duration::from_millis(5);
/// How long a file system has to thaw before what else is left is undone.
const THAW: Duration = Duration::from_secs(2);
/// A coordinator that was killed and has not ended by then hangs in the kernel.
const STUCK: Duration = Duration::from_secs(2);
/// What the patrol needs of a stack.
const STACK: usize = 64 * 1024;
/// How much this process is to be spared when memory is short.
const OOM: &str = "/proc/self/oom_score_adj";
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
        turn_deaf();
        // The coordinator and its databases are what is to be killed when memory is short.
        let before = fs::read_to_string(OOM);
        let _ = fs::write(OOM, "-1000");
        let post = Post::take()?;
        match post.keep()? {
            None => Ok(()),
            Some((died, patrol)) => {
                let _ = munlockall();
                // The hooks that follow are as any other program.
                let _ = before.map(|before| fs::write(OOM, before.trim()));
                recovery(self.run, died);
                let _ = patrol.map(JoinHandle::join);
                Ok(())
            }
        }
    }
}

/// Has the signals of [`DEAF`] do nothing. Ignored they would be so in the hooks of the recovery as
/// well; a handler does not outlive `exec`.
fn turn_deaf() {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: zeroes are a sigaction with no flags and no mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    for signal in DEAF {
        // SAFETY: the action is whole, and its handler does nothing, at whatever time.
        unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    }
}

/// A file system, and whether it may be frozen by this backup.
struct Ours {
    hand: Worker<Hand>,
    may_be_frozen: bool,
}

fn may_be_frozen(hands: &[Ours]) -> impl Iterator<Item = &Worker<Hand>> + Clone {
    hands.iter().filter(|ours| ours.may_be_frozen).map(|ours| &ours.hand)
}

/// Asks all that have answered once more.
fn thaw_again(hands: &[Ours]) {
    for hand in may_be_frozen(hands) {
        let _ = hand.take();
        hand.ask(Ask::Thaw);
    }
}

/// What a guard has.
struct Post {
    coordinator: OwnedFd,
    /// Held until everything has thawed, for the lock on it.
    journal: OwnedFd,
    socket: OwnedFd,
    hands: Vec<Ours>,
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
        let hands = descriptors
            .map(|opened| Ok(Ours { hand: Hand::new(opened)?, may_be_frozen: true }))
            .collect::<io::Result<_>>()?;
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
        mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE)?;
        send(&socket, &READY.to_le_bytes(), SendFlags::NOSIGNAL)?;
        Ok(Self { coordinator, journal, socket, hands, timer })
    }

    /// What is known of the backup of a coordinator that is gone; `None` when the backup is over. Allocates
    /// nothing before everything has thawed.
    fn keep(mut self) -> io::Result<Option<(Died, Option<JoinHandle<()>>)>> {
        let mut machine = Machine::default();
        let (mut killed, mut listening) = (None, true);
        loop {
            let patrol = match machine.act(now()) {
                Act::End => return Ok(None),
                Act::Recover(step) => {
                    // Without hands it knows of the file systems from the journal only.
                    let known = !self.hands.is_empty();
                    let thawed =
                        known && (!machine.frozen() || thaw_all(may_be_frozen(&self.hands), THAW));
                    let frozen = if thawed { Frozen::Nothing } else { Frozen::Named };
                    return Ok(Some((Died { step, frozen, journal: self.journal }, None)));
                }
                Act::Wait(deadline) => {
                    self.wake_at(deadline)?;
                    false
                }
                Act::Thaw => true,
                Act::Kill => {
                    match killed {
                        None => {
                            let _ = pidfd_send_signal(&self.coordinator, Signal::KILL);
                            killed = Some(now());
                        }
                        Some(at) if now() > at + STUCK => {
                            return self.go_on_without(machine.step()).map(Some);
                        }
                        Some(_) => {}
                    }
                    true
                }
            };
            if patrol {
                thaw_again(&self.hands);
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

    /// The coordinator was killed and does not end: FIFREEZE hangs. All others have thawed, and
    /// writers must not wait for it, so the recovery begins beside the patrol.
    fn go_on_without(self, step: Step) -> io::Result<(Died, Option<JoinHandle<()>>)> {
        let Self { coordinator, journal, hands, .. } = self;
        let patrol = thread::Builder::new().name("patrol".into()).stack_size(STACK);
        let patrol = patrol.spawn(move || {
            let mut gone = false;
            while !gone {
                thaw_again(&hands);
                let mut ended = [PollFd::new(&coordinator, PollFlags::IN)];
                gone = matches!(poll(&mut ended, Some(&timespec(PATROL))), Ok(1));
            }
            thaw_all(may_be_frozen(&hands), THAW);
        })?;
        Ok((Died { step, frozen: Frozen::Stuck, journal }, Some(patrol)))
    }

    fn wake_at(&self, deadline: Option<Duration>) -> io::Result<()> {
        let never = timespec(Duration::ZERO);
        let at = deadline.map_or(never, timespec);
        let setting = Itimerspec { it_interval: never, it_value: at };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &setting)?;
        Ok(())
    }

    /// Hears an order; whether there may be more.
    fn listen(&mut self, machine: &mut Machine) -> bool {
        let mut bytes = [0; ORDER];
        match recv(&self.socket, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => false,
            Ok((_, length)) => {
                if let Some((order, number)) = decode(&bytes[..length.min(ORDER)]) {
                    machine.hear(order);
                    if let Order::Thawed(which) = order
                        && let Some(ours) = self.hands.get_mut(which as usize)
                    {
                        ours.may_be_frozen = false;
                    }
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
