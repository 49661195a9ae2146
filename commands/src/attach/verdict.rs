//! What a reply means to whoever waits for it.

use std::time::Duration;

use rustix::io::Errno;
use scsi::iscsi::initiator::Reply;

/// How long a busy LUN is left alone.
const BUSY: Duration = Duration::from_millis(20);
/// How long one that is becoming ready is left alone.
const NOT_READY: Duration = Duration::from_millis(200);

/// What to do about a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was carried out.
    Good,
    /// It was not; send it again after a while.
    Again(Duration),
    /// It was not: size or write protection may be other ones. Look, and send it again.
    Changed,
    /// It was not: the array started anew, or the LUN may be another one. Log in again, make sure
    /// of both, and send it again.
    Relogin,
    /// It is refused for good.
    Refused(Refusal),
}

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the file's user is told.
    pub errno: Errno,
    /// Status and sense, for the log.
    pub why: String,
    /// Whether it was turned away before anything was done: by a reservation, a guard, or because
    /// the LUN is not shown. Nothing that the array holds is lost by that, and it may pass.
    pub at_the_door: bool,
}

/// Sense data: key, ASC and ASCQ, of either format (SPC-4 4.5).
#[must_use]
pub fn sense(reply: &Reply) -> Option<(u8, u8, u8)> {
    let byte = |at: usize| reply.sense.get(at).copied().unwrap_or(0);
    match reply.sense.first()? & 0x7f {
        0x70 | 0x71 => Some((byte(2) & 0xf, byte(12), byte(13))),
        0x72 | 0x73 => Some((byte(1) & 0xf, byte(2), byte(3))),
        _ => None,
    }
}

/// Judges a reply.
#[must_use]
pub fn judge(reply: &Reply) -> Verdict {
    let refused = |errno, what: &str| {
        let why = match sense(reply) {
            Some((key, asc, ascq)) => {
                format!("{what} (sense key {key:x}h, ASC/ASCQ {asc:02x}h/{ascq:02x}h)")
            }
            None => format!("{what} (status {:02x}h)", reply.status),
        };
        let at_the_door = match reply.status {
            0x02 => matches!(sense(reply), Some((0x5 | 0x7, ..))),
            status => status == 0x18,
        };
        Verdict::Refused(Refusal { errno, why, at_the_door })
    };
    match reply.status {
        0x00 => Verdict::Good,
        0x02 => match sense(reply) {
            Some((0x1, ..)) => Verdict::Good,
            Some((0x2, ..)) => Verdict::Again(NOT_READY),
            Some((0x6, 0x29 | 0x3f, _)) => Verdict::Relogin,
            Some((0x6, 0x2a, 0x01 | 0x09)) => Verdict::Changed,
            Some((0x6 | 0xb, ..)) => Verdict::Again(BUSY),
            Some((0x7, 0x27, 0x07)) => refused(Errno::NOSPC, "the pool is full"),
            Some((0x7, 0x27, _)) => refused(Errno::ROFS, "it is write protected"),
            Some((0x7, ..)) => refused(Errno::ACCESS, "access is refused"),
            Some((0x5, 0x20 | 0x24, _)) => refused(Errno::OPNOTSUPP, "it has no such command"),
            Some((0x5, 0x21, _)) => refused(Errno::NOSPC, "it ends before that"),
            Some((0x5, 0x25, _)) => refused(Errno::IO, "there is no such LUN"),
            Some((0x3, ..)) => refused(Errno::IO, "the medium is damaged"),
            _ => refused(Errno::IO, "it failed"),
        },
        0x08 | 0x28 | 0x40 => Verdict::Again(BUSY),
        0x18 => refused(Errno::ACCESS, "another host holds a reservation"),
        _ => refused(Errno::IO, "it failed"),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn reply(status: u8, sense: &[u8]) -> Reply {
        Reply { status, sense: Bytes::copy_from_slice(sense), data: Bytes::new(), residual: 0 }
    }

    fn fixed(key: u8, asc: u8, ascq: u8) -> Reply {
        let mut sense = [0; 18];
        (sense[0], sense[2], sense[12], sense[13]) = (0x70, key, asc, ascq);
        reply(2, &sense)
    }

    #[test]
    fn both_formats_of_sense_data_say_the_same() {
        assert_eq!(sense(&fixed(7, 0x27, 0)), Some((7, 0x27, 0)));
        assert_eq!(sense(&reply(2, &[0x72, 7, 0x27, 0, 0, 0, 0, 0])), Some((7, 0x27, 0)));
        assert_eq!(sense(&reply(2, &[])), None);
        assert_eq!(sense(&reply(2, &[0x70])), Some((0, 0, 0)));
    }

    #[test]
    fn what_is_turned_away_at_the_door_is_told_from_what_failed() {
        let at_the_door = |reply: &Reply| match judge(reply) {
            Verdict::Refused(refusal) => refusal.at_the_door,
            verdict => panic!("{verdict:?}"),
        };
        for passes in [fixed(5, 0x25, 0), fixed(7, 0x20, 2), fixed(7, 0x27, 0), reply(0x18, &[])] {
            assert!(at_the_door(&passes));
        }
        for failed in [fixed(3, 0x0c, 0), fixed(4, 0x44, 0), reply(2, &[]), reply(0x30, &[])] {
            assert!(!at_the_door(&failed));
        }
    }

    #[test]
    fn what_goes_by_is_sent_again_and_what_stays_becomes_an_errno() {
        let errno = |reply: &Reply| match judge(reply) {
            Verdict::Refused(refusal) => Some(refusal.errno),
            _ => None,
        };
        assert_eq!(judge(&reply(0, &[])), Verdict::Good);
        assert_eq!(judge(&reply(0x28, &[])), Verdict::Again(BUSY));
        assert_eq!(judge(&fixed(2, 4, 0)), Verdict::Again(NOT_READY));
        for restarted in [fixed(6, 0x29, 0), fixed(6, 0x29, 7), fixed(6, 0x3f, 0x0e)] {
            assert_eq!(judge(&restarted), Verdict::Relogin);
        }
        for changed in [fixed(6, 0x2a, 9), fixed(6, 0x2a, 1)] {
            assert_eq!(judge(&changed), Verdict::Changed);
        }
        assert_eq!(judge(&fixed(6, 0x2a, 4)), Verdict::Again(BUSY), "reservations released");
        assert_eq!(errno(&fixed(7, 0x27, 0)), Some(Errno::ROFS));
        assert_eq!(errno(&fixed(7, 0x27, 7)), Some(Errno::NOSPC));
        assert_eq!(errno(&fixed(7, 0x20, 2)), Some(Errno::ACCESS));
        assert_eq!(errno(&reply(0x18, &[])), Some(Errno::ACCESS));
        assert_eq!(errno(&fixed(5, 0x25, 0)), Some(Errno::IO));
        assert_eq!(errno(&fixed(3, 0x11, 0)), Some(Errno::IO));
        assert_eq!(errno(&reply(2, &[])), Some(Errno::IO));
    }
}
