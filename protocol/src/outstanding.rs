//! One request of a client that waits for its answer: what to send of it, and when.

use std::time::{Duration, Instant};

use crate::call::Kind;
use crate::frame::{Cut, Progress};
use crate::parts::Parts;

/// The first resend comes after this.
pub const FIRST_RESEND: Duration = Duration::from_millis(20);
/// Resends are never further apart than this.
pub const SLOWEST_RESEND: Duration = Duration::from_millis(250);
/// After so many datagrams without a sign, the session may be gone.
const SILENT_SENDS: u32 = 3;
/// The most parts, and about the most bytes, under way at a time: what the socket buffers of an
/// untuned host hold.
const BURST_PARTS: usize = 64;
const BURST_BYTES: usize = 128 << 10;
/// How many parts of a long burst ask for a Status, so that a lost one does not stop the flow; a
/// short one asks once, for an early Status would have parts sent again that are still under way.
const TELLING_PARTS: usize = 3;
/// A burst is long from so many parts on.
const LONG_BURST: usize = 16;

/// A request under way.
#[derive(Debug)]
pub struct Outstanding {
    /// What it does.
    pub kind: Kind,
    /// The request.
    pub body: Vec<u8>,
    /// How it is cut.
    pub cut: Cut,
    /// Whether the server was heard since it began.
    pub heard: bool,
    patience: Duration,
    deadline: Instant,
    resend: Instant,
    interval: Duration,
    unheard: u32,
    there: Parts,
    /// The first sequence number of this request in the session, and of its latest burst that
    /// was no resend.
    first: u64,
    burst: u64,
    /// The latest datagram the server answered with a Status.
    last_status: u64,
}

/// A part to be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sending {
    /// Which part.
    pub part: usize,
    /// Whether the server shall answer it.
    pub tell: bool,
}

impl Outstanding {
    /// A request that begins now and gives up after `patience` without a sign.
    #[must_use]
    pub fn new(now: Instant, kind: Kind, body: Vec<u8>, cut: Cut, patience: Duration) -> Self {
        Self {
            kind,
            body,
            cut,
            heard: false,
            patience,
            deadline: later(now, patience),
            resend: now,
            interval: FIRST_RESEND,
            unheard: 0,
            there: Parts::none(cut.parts()),
            first: 1,
            burst: 1,
            last_status: 0,
        }
    }

    /// When it gives up.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When it is to be sent (again).
    #[must_use]
    pub const fn resend(&self) -> Instant {
        self.resend
    }

    /// Whether it was sent several times without a sign: then the server may have forgotten the
    /// session.
    #[must_use]
    pub const fn seems_unheard(&self) -> bool {
        self.unheard >= SILENT_SENDS
    }

    /// Begins anew in another session, whose next sequence number is `first`.
    pub fn move_to(&mut self, now: Instant, first: u64) {
        self.resend = now;
        self.interval = FIRST_RESEND;
        self.unheard = 0;
        self.there = Parts::none(self.cut.parts());
        self.first = first;
        self.burst = first;
        self.last_status = 0;
    }

    /// What to send now, the first of it under sequence number `next`; plans the resend.
    ///
    /// A burst of missing parts while the server is taking them in; only the first few missing,
    /// all telling, once it seems silent; part 0 as a question when all are there.
    pub fn burst(&mut self, now: Instant, next: u64) -> Vec<Sending> {
        let burst = (BURST_BYTES / usize::from(self.cut.chunk).max(1)).clamp(1, BURST_PARTS);
        let resent = self.unheard > 0;
        let most = if resent { burst.min(TELLING_PARTS) } else { burst };
        let mut parts: Vec<usize> = self.there.missing().take(most).collect();
        if parts.is_empty() {
            parts.push(0);
        }
        // A resend leaves the mark where it is: over a long way the answers to the burst itself
        // come after the first resends, and must still count.
        if !resent {
            self.burst = next;
        }
        self.resend = later(now, self.interval);
        self.interval = (self.interval * 2).min(SLOWEST_RESEND);
        self.unheard = self.unheard.saturating_add(1);
        let telling = if resent || parts.len() >= LONG_BURST { TELLING_PARTS } else { 1 };
        let telling_from = parts.len().saturating_sub(telling);
        let send = |(at, part)| Sending { part, tell: at >= telling_from };
        parts.into_iter().enumerate().map(send).collect()
    }

    /// Whether a frame that answers datagram `sequence` can be about this request as it is sent
    /// in the session now.
    #[must_use]
    pub const fn asked(&self, sequence: u64) -> bool {
        sequence >= self.first
    }

    /// Takes a Status; `true` when the next burst shall go out now.
    ///
    /// A Status of an older datagram than one already answered says nothing new and must not
    /// feed the patience: it could be played back.
    pub fn status(&mut self, now: Instant, sequence: u64, progress: Progress<'_>) -> bool {
        if !self.asked(sequence) || sequence <= self.last_status {
            return false;
        }
        self.last_status = sequence;
        match progress {
            Progress::Executing => {
                self.there = full(self.cut.parts());
                self.sign(now);
                false
            }
            Progress::Gathering(bitmap) => {
                let Some(there) = Parts::from_bytes(bitmap, self.cut.parts()) else {
                    return false;
                };
                if sequence < self.burst {
                    return false;
                }
                if there.present() > self.there.present() {
                    self.sign(now);
                    self.interval = FIRST_RESEND;
                }
                self.there = there;
                // Answered: the session lives, whatever became of the other parts.
                self.unheard = 0;
                true
            }
        }
    }

    fn sign(&mut self, now: Instant) {
        self.deadline = later(now, self.patience);
        self.unheard = 0;
    }
}

fn full(count: usize) -> Parts {
    let mut parts = Parts::none(count);
    for part in 0..count {
        parts.add(part);
    }
    parts
}

/// `now` plus a while that may be absurdly long.
fn later(now: Instant, by: Duration) -> Instant {
    const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    now.checked_add(by.min(A_YEAR)).unwrap_or(now)
}
