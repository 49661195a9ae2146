//! What the pair monitor remembers: the last status of every volume, one byte each.

use model::PairStatus;

/// The last status of each volume, by its place in the catalog.
#[derive(Debug, Default)]
pub struct Watch {
    last: Vec<Option<PairStatus>>,
}

/// Something the monitor has to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The pair is suspended by an error now.
    Suspended,
    /// The suspended pair is in order again.
    Recovered,
}

impl Watch {
    /// For that many volumes, none of them seen yet.
    #[must_use]
    pub fn new(volumes: usize) -> Self {
        Self { last: vec![None; volumes] }
    }

    /// Notes the status a volume has now. A pair that is suspended when first seen is told too.
    pub fn see(&mut self, volume: usize, now: PairStatus) -> Option<Event> {
        let last = self.last.get_mut(volume)?;
        let before = last.replace(now);
        match (before.is_some_and(suspended), suspended(now)) {
            (false, true) => Some(Event::Suspended),
            (true, false) => Some(Event::Recovered),
            _ => None,
        }
    }
}

/// Suspended by an error, not by a user.
const fn suspended(status: PairStatus) -> bool {
    matches!(status, PairStatus::Psue | PairStatus::Pfus | PairStatus::Pdub)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspension_is_told_once_until_the_pair_recovers() {
        let mut watch = Watch::new(1);
        let told: Vec<_> = [
            (PairStatus::Pair, None),
            (PairStatus::Psus, None),
            (PairStatus::Psue, Some(Event::Suspended)),
            (PairStatus::Psue, None),
            (PairStatus::Copy, Some(Event::Recovered)),
            (PairStatus::Pfus, Some(Event::Suspended)),
            (PairStatus::Smpl, Some(Event::Recovered)),
        ]
        .into_iter()
        .map(|(status, event)| (watch.see(0, status), event))
        .collect();
        assert!(told.iter().all(|(seen, expected)| seen == expected), "{told:?}");
    }

    #[test]
    fn a_pair_found_suspended_is_told() {
        let mut watch = Watch::new(1);
        assert_eq!(watch.see(0, PairStatus::Psue), Some(Event::Suspended));
        assert_eq!(watch.see(7, PairStatus::Psue), None, "no such volume");
    }
}
