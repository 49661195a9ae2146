//! The server's sessions: who may send requests, and which datagrams were seen.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::frame::SessionId;
use crate::key::KeyId;
use crate::window::Window;
use crate::wire::Nonce;

/// All sessions of one server run.
///
/// A session begins *fresh*, with its Hello, and becomes *live* with its first request. The two
/// are bounded apart, so that old Hellos played back, which nobody can follow up with a request,
/// never push out a session in use. When there are too many live ones the longest unused goes;
/// its client notices by the silence and says Hello again.
#[derive(Debug)]
pub struct Sessions {
    /// Drawn at each start: a session of an earlier run can never be mistaken for one of this.
    epoch: u64,
    count: u64,
    known: HashMap<u64, Session>,
    fresh: VecDeque<u64>,
    /// Live sessions by when they were last used.
    live: BTreeMap<u64, u64>,
    uses: u64,
    hellos: Hellos,
}

#[derive(Debug)]
struct Session {
    key: KeyId,
    window: Window,
    /// Its place in `live`; `None` while fresh.
    used: Option<u64>,
}

impl Sessions {
    /// The most sessions in use.
    pub const MAX_LIVE: usize = 4096;
    /// The most sessions that have not sent a request yet.
    pub const MAX_FRESH: usize = 1024;

    /// No sessions, under a boot epoch that should be random.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            count: 0,
            known: HashMap::new(),
            fresh: VecDeque::new(),
            live: BTreeMap::new(),
            uses: 0,
            hellos: Hellos::default(),
        }
    }

    /// Opens a session for a Hello; `None` for a Hello that was answered before.
    pub fn open(&mut self, key: KeyId, hello: Nonce) -> Option<SessionId> {
        let number = self.count + 1;
        let known = &self.known;
        if !self.hellos.note(hello, number, |session| known.contains_key(&session)) {
            return None;
        }
        self.count = number;
        if self.fresh.len() >= Self::MAX_FRESH
            && let Some(oldest) = self.fresh.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.fresh.push_back(number);
        self.known.insert(number, Session { key, window: Window::new(), used: None });
        Some(SessionId(u128::from(self.epoch) << 64 | u128::from(number)))
    }

    /// Whether a request datagram, whose seal was verified under `key`, may be looked at: its
    /// session is known and its sequence number new.
    pub fn admit(&mut self, id: SessionId, key: KeyId, sequence: u64) -> bool {
        let (epoch, number) = ((id.0 >> 64) as u64, id.0 as u64);
        let Some(session) = self.known.get_mut(&number) else { return false };
        if epoch != self.epoch || session.key != key || !session.window.take(sequence) {
            return false;
        }
        self.uses += 1;
        let before = session.used.replace(self.uses);
        self.live.insert(self.uses, number);
        if let Some(before) = before {
            self.live.remove(&before);
            return true;
        }
        self.fresh.retain(|fresh| *fresh != number);
        if self.live.len() > Self::MAX_LIVE
            && let Some((_, oldest)) = self.live.pop_first()
        {
            self.known.remove(&oldest);
        }
        true
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.known.len()
    }
}

/// The Hellos that were answered: those of all sessions there are, and the last 16,384 at least.
#[derive(Debug, Default)]
struct Hellos {
    seen: HashMap<Nonce, u64>,
    order: VecDeque<Nonce>,
}

impl Hellos {
    const MAX: usize = 16_384;

    /// `false` when it is known. Forgets the oldest whose session is gone, beyond the bound.
    fn note(&mut self, hello: Nonce, session: u64, alive: impl Fn(u64) -> bool) -> bool {
        if self.seen.contains_key(&hello) {
            return false;
        }
        while self.order.len() >= Self::MAX {
            // Sessions are far fewer than Hellos, so this ends.
            let Some(oldest) = self.order.pop_front() else { break };
            if self.seen.get(&oldest).is_some_and(|session| alive(*session)) {
                self.order.push_back(oldest);
            } else {
                self.seen.remove(&oldest);
            }
        }
        self.seen.insert(hello, session);
        self.order.push_back(hello);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyId = KeyId([1; 8]);

    fn hello(n: u64) -> Nonce {
        let mut nonce = [0; 24];
        nonce[..8].copy_from_slice(&n.to_be_bytes());
        nonce
    }

    #[test]
    fn a_session_takes_each_number_once_under_its_own_key_and_epoch() {
        let mut sessions = Sessions::new(5);
        let id = sessions.open(KEY, hello(1)).unwrap();
        assert!(sessions.admit(id, KEY, 1));
        assert!(!sessions.admit(id, KEY, 1));
        assert!(!sessions.admit(id, KeyId([2; 8]), 2));
        assert!(!sessions.admit(SessionId(id.0 ^ 1 << 64), KEY, 2));
        assert!(!sessions.admit(SessionId(id.0 + 1), KEY, 2));
        assert!(sessions.admit(id, KEY, 2));
    }

    #[test]
    fn a_hello_played_back_opens_nothing_while_its_session_lives() {
        let mut sessions = Sessions::new(5);
        let id = sessions.open(KEY, hello(0)).unwrap();
        for n in 1..100_000 {
            assert!(sessions.admit(id, KEY, n));
            assert!(sessions.open(KEY, hello(n)).is_some());
            assert!(sessions.open(KEY, hello(0)).is_none());
        }
        assert!(sessions.hellos.seen.len() <= Hellos::MAX);
        assert_eq!(sessions.hellos.seen.len(), sessions.hellos.order.len());
    }

    #[test]
    fn floods_of_hellos_stay_bounded_and_leave_sessions_in_use_alone() {
        let mut sessions = Sessions::new(5);
        let id = sessions.open(KEY, hello(0)).unwrap();
        assert!(sessions.admit(id, KEY, 1));
        for n in 1..50_000 {
            sessions.open(KEY, hello(n)).unwrap();
        }
        assert_eq!(sessions.len(), Sessions::MAX_FRESH + 1);
        assert!(sessions.admit(id, KEY, 2));
    }

    #[test]
    fn of_too_many_live_sessions_the_longest_unused_goes() {
        let mut sessions = Sessions::new(5);
        let (first, second) =
            (sessions.open(KEY, hello(0)).unwrap(), sessions.open(KEY, hello(1)).unwrap());
        assert!(sessions.admit(first, KEY, 1) && sessions.admit(second, KEY, 1));
        assert!(sessions.admit(first, KEY, 2));
        for n in 2..=Sessions::MAX_LIVE as u64 {
            let id = sessions.open(KEY, hello(n)).unwrap();
            assert!(sessions.admit(id, KEY, 1));
        }
        assert_eq!(sessions.len(), Sessions::MAX_LIVE);
        assert!(!sessions.admit(second, KEY, 2));
        assert!(sessions.admit(first, KEY, 3));
    }
}
