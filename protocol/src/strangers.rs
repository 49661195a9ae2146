//! Who knocks with another key: the difference between "nobody answers" and "we hold different
//! keys".

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::key::KeyId;

/// Hosts that sent datagrams under a key this server does not hold; clones share the list.
///
/// The header is not authenticated without the key, so this is a hint for a message and nothing
/// else: it never decides anything.
#[derive(Debug, Clone, Default)]
pub struct Strangers {
    hosts: Arc<Mutex<HashMap<IpAddr, Seen>>>,
}

#[derive(Debug)]
struct Seen {
    key: KeyId,
    last: Instant,
    told: Instant,
}

impl Strangers {
    /// The most hosts remembered; the one longest silent makes room.
    pub const MAX: usize = 256;
    /// How often a stranger is worth a line in the log.
    const TELL_EVERY: Duration = Duration::from_secs(60);

    /// The foreign key last seen from that host.
    #[must_use]
    pub fn seen(&self, host: IpAddr) -> Option<KeyId> {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get(&host.to_canonical()).map(|seen| seen.key)
    }

    /// Notes a stranger; `true` when it should be told: the first time, and once a minute.
    pub(crate) fn note(&self, now: Instant, host: IpAddr, key: KeyId) -> bool {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = host.to_canonical();
        if let Some(seen) = hosts.get_mut(&host) {
            seen.key = key;
            seen.last = now;
            let tell = now.saturating_duration_since(seen.told) >= Self::TELL_EVERY;
            if tell {
                seen.told = now;
            }
            return tell;
        }
        if hosts.len() >= Self::MAX
            && let Some(oldest) =
                hosts.iter().min_by_key(|(_, seen)| seen.last).map(|(host, _)| *host)
        {
            hosts.remove(&oldest);
        }
        hosts.insert(host, Seen { key, last: now, told: now });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_told_of_once_a_minute_by_its_latest_key() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        let host: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(strangers.note(now, host, KeyId([1; 8])));
        assert!(!strangers.note(now + Duration::from_secs(59), host, KeyId([2; 8])));
        assert!(strangers.note(now + Duration::from_secs(60), host, KeyId([2; 8])));
        assert_eq!(strangers.seen("::ffff:192.0.2.1".parse().unwrap()), Some(KeyId([2; 8])));
        assert_eq!(strangers.seen("192.0.2.2".parse().unwrap()), None);
    }

    #[test]
    fn a_flood_of_strangers_keeps_the_latest() {
        let (strangers, now) = (Strangers::default(), Instant::now());
        for n in 0..100_000_u32 {
            let at = now + Duration::from_millis(u64::from(n));
            strangers.note(at, IpAddr::V4(n.into()), KeyId([0; 8]));
        }
        assert_eq!(strangers.hosts.lock().unwrap().len(), Strangers::MAX);
        assert!(strangers.seen(IpAddr::V4(99_999.into())).is_some());
    }
}
