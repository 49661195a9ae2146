//! A cable between initiators and a portal, which breaks at the PDU that a test chooses.
//!
//! It reads the framing of RFC 7143 without digests, as the built-in initiator sends it, and asks
//! a [`Rule`] what becomes of each PDU.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Bytes of a basic header segment.
pub const HEADER: usize = 48;

/// Which end sent a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The initiator.
    Initiator,
    /// The target.
    Target,
}

/// What becomes of a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Passes,
    /// It never arrives; what follows does.
    Lost,
    /// The connection is cut after so many of its bytes.
    Cut(usize),
    /// The cable is pulled out after so many of its bytes: all connections are cut, and new ones
    /// refused until [`Cable::plug`].
    Pulled(usize),
    /// Neither it nor anything that its end sends after it arrives, until the connection ends.
    Stalls,
}

/// Decides about a PDU by who sent it and its bytes: header, additional headers, data, padding.
pub type Rule = Box<dyn FnMut(From, &[u8]) -> Fate + Send>;

/// The cable. Dropping it cuts all connections and closes its address.
#[derive(Debug)]
pub struct Cable {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    broke: Condvar,
    over: AtomicBool,
}

struct State {
    rule: Rule,
    plugged: bool,
    breaks: usize,
    streams: Vec<TcpStream>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("breaks", &self.state().breaks).finish_non_exhaustive()
    }
}

impl Cable {
    /// A whole cable from `listen` to the portal at `target`.
    ///
    /// # Errors
    /// When `listen` cannot be bound.
    pub fn lay(listen: SocketAddr, target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let rule: Rule = Box::new(|_, _| Fate::Passes);
        let state = State { rule, plugged: true, breaks: 0, streams: Vec::new() };
        let over = AtomicBool::new(false);
        let shared = Arc::new(Shared { state: state.into(), broke: Condvar::new(), over });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener, target));
        Ok(Self { address, shared })
    }

    /// Where initiators find it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on PDUs are judged so.
    pub fn rule(&self, rule: impl FnMut(From, &[u8]) -> Fate + Send + 'static) {
        self.shared.state().rule = Box::new(rule);
    }

    /// Pulls the cable out: all connections are cut, and new ones at once.
    pub fn pull(&self) {
        self.shared.state().pull();
    }

    /// Plugs it in again, whole.
    pub fn plug(&self) {
        let mut state = self.shared.state();
        state.plugged = true;
        state.rule = Box::new(|_, _| Fate::Passes);
    }

    /// PDUs so far that did not pass.
    #[must_use]
    pub fn breaks(&self) -> usize {
        self.shared.state().breaks
    }

    /// Waits until so many PDUs have not passed.
    ///
    /// # Panics
    /// After a minute.
    #[track_caller]
    pub fn wait_for_breaks(&self, count: usize) {
        let waited = self.shared.broke.wait_timeout_while(
            self.shared.state(),
            Duration::from_secs(60),
            |state| state.breaks < count,
        );
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "{} of {count} breaks after a minute", state.breaks);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.shared.state().pull();
        // Wakes the thread that accepts, which then sees that it is over.
        drop(TcpStream::connect(self.address));
    }
}

impl State {
    fn pull(&mut self) {
        self.plugged = false;
        for stream in self.streams.drain(..) {
            // It may be gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: Arc<Self>, listener: &TcpListener, target: SocketAddr) {
        for near in listener.incoming().flatten() {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            // Whoever comes while it is out, or with the portal down, is hung up on.
            let _ = self.connect(&near, target);
        }
    }

    fn connect(self: &Arc<Self>, near: &TcpStream, target: SocketAddr) -> io::Result<()> {
        let mut state = self.state();
        if !state.plugged {
            return Ok(());
        }
        let far = TcpStream::connect(target)?;
        for (from, one, other) in [(From::Initiator, near, &far), (From::Target, &far, near)] {
            one.set_nodelay(true)?;
            state.streams.push(one.try_clone()?);
            let (one, other, shared) = (one.try_clone()?, other.try_clone()?, Arc::clone(self));
            thread::spawn(move || {
                let _ = shared.carry(from, &one, &other);
                let _ = one.shutdown(Shutdown::Both);
                let _ = other.shutdown(Shutdown::Both);
            });
        }
        Ok(())
    }

    /// Carries one direction of a connection until it ends or breaks.
    fn carry(&self, from: From, mut one: &TcpStream, mut other: &TcpStream) -> io::Result<()> {
        loop {
            let pdu = read_pdu(one)?;
            // Under the lock, so that nothing passes after a break in the other direction.
            let mut state = self.state();
            let fate = (state.rule)(from, &pdu);
            if fate != Fate::Passes {
                state.breaks += 1;
                self.broke.notify_all();
            }
            match fate {
                Fate::Passes => {
                    drop(state);
                    other.write_all(&pdu)?;
                }
                Fate::Lost => {}
                Fate::Cut(bytes) => return other.write_all(&pdu[..bytes.min(pdu.len())]),
                Fate::Pulled(bytes) => {
                    other.write_all(&pdu[..bytes.min(pdu.len())])?;
                    state.pull();
                    return Ok(());
                }
                Fate::Stalls => {
                    drop(state);
                    // Until either end hangs up; what comes goes nowhere.
                    while one.read(&mut [0; 4096])? > 0 {}
                    return Ok(());
                }
            }
        }
    }
}

/// Reads a PDU: header, additional headers, data and padding (RFC 7143, 11.2).
fn read_pdu(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut pdu = vec![0; HEADER];
    stream.read_exact(&mut pdu)?;
    let rest = data_at(&pdu) - HEADER + data_length(&pdu).next_multiple_of(4);
    pdu.resize(HEADER + rest, 0);
    stream.read_exact(&mut pdu[HEADER..])?;
    Ok(pdu)
}

/// Where the data segment of a PDU begins.
fn data_at(pdu: &[u8]) -> usize {
    HEADER + 4 * usize::from(pdu[4])
}

fn data_length(pdu: &[u8]) -> usize {
    usize::from(pdu[5]) << 16 | usize::from(pdu[6]) << 8 | usize::from(pdu[7])
}

/// The operation code of a PDU.
#[must_use]
pub fn opcode(pdu: &[u8]) -> u8 {
    pdu[0] & 0x3f
}

/// The data segment of a PDU.
#[must_use]
pub fn data(pdu: &[u8]) -> &[u8] {
    let at = data_at(pdu);
    &pdu[at..at + data_length(pdu)]
}

/// The initiator task tag of a PDU.
#[must_use]
pub fn task(pdu: &[u8]) -> [u8; 4] {
    [pdu[16], pdu[17], pdu[18], pdu[19]]
}
