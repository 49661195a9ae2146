//! Counting states: what `pairvolchk` and `pairevtwait` need of a group.

use model::{DevName, GroupName};
use protocol::{
    codec,
    horcm::{Reply, Row, StateCount},
    orders::EndStatus,
};

/// The states of a selection, counted on both sides.
#[derive(Debug, Default)]
pub struct Tally {
    local: Vec<StateCount>,
    remote: Vec<StateCount>,
    mismatched: u32,
}

impl Tally {
    /// Counts one volume of this side.
    pub fn local(&mut self, name: &DevName, status: &EndStatus) {
        count(&mut self.local, name, status);
    }

    /// Counts one volume of the other side.
    pub fn remote(&mut self, name: &DevName, status: &EndStatus) {
        count(&mut self.remote, name, status);
    }

    /// Notes whether the two sides of a volume belong together: unpaired both, or each the
    /// other's partner.
    pub fn compare(&mut self, local: &Row, remote: &Row) {
        let points_at = |one: &Row, other: &Row| {
            let partner = one.status.and_then(|status| status.partner);
            partner.map(|partner| partner.volume == other.volume && partner.mu == other.mu)
        };
        let fits = matches!(
            (points_at(local, remote), points_at(remote, local)),
            (None, None) | (Some(true), Some(true))
        );
        if !fits {
            self.mismatched += 1;
        }
    }

    /// The answer in at most `room` bytes: when the states of very many consistency groups do not
    /// fit, they are counted without their CTGID.
    #[must_use]
    pub fn reply(mut self, group: GroupName, room: usize) -> Reply {
        let size = codec::encode(&(&self.local, &self.remote)).len();
        if size + group.as_str().len() + 16 > room {
            self.local = without_ctg(self.local);
            self.remote = without_ctg(self.remote);
        }
        Reply::Summary {
            group,
            local: self.local,
            remote: self.remote,
            mismatched: self.mismatched,
        }
    }
}

fn count(states: &mut Vec<StateCount>, name: &DevName, status: &EndStatus) {
    let same = |state: &&mut StateCount| {
        (state.role, state.status, state.ctg) == (status.role, status.status, status.ctg)
    };
    // Volumes of a group are mostly in the state of the one before: look at the end first.
    match states.iter_mut().rev().find(same) {
        Some(state) => state.count += 1,
        None => states.push(StateCount {
            role: status.role,
            status: status.status,
            fence: None,
            ctg: status.ctg,
            count: 1,
            example: name.clone(),
        }),
    }
}

fn without_ctg(states: Vec<StateCount>) -> Vec<StateCount> {
    let mut merged: Vec<StateCount> = Vec::new();
    for mut state in states {
        state.ctg = None;
        let same = |m: &&mut StateCount| (m.role, m.status) == (state.role, state.status);
        match merged.iter_mut().find(same) {
            Some(sum) => sum.count += state.count,
            None => merged.push(state),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use model::{LdevId, MuNumber, PairEnd, PairStatus, Role, Serial, VolumeId};

    use super::*;

    fn end(ldev: u32) -> PairEnd {
        PairEnd {
            volume: VolumeId { serial: Serial::new(1).unwrap(), ldev: LdevId::new(ldev).unwrap() },
            mu: MuNumber::default(),
        }
    }

    fn row(ldev: u32, partner: Option<u32>) -> Row {
        Row {
            path: None,
            volume: end(ldev).volume,
            mu: MuNumber::default(),
            device: None,
            permitted: true,
            status: Some(EndStatus { partner: partner.map(end), ..EndStatus::SMPL }),
            guard: None,
        }
    }

    fn state(ctg: Option<u16>) -> EndStatus {
        EndStatus { role: Role::PVol, status: PairStatus::Pair, ctg, ..EndStatus::SMPL }
    }

    #[test]
    fn states_are_counted_apart() {
        let mut tally = Tally::default();
        let name: DevName = "v".parse().unwrap();
        for ctg in [None, Some(1), None, Some(2)] {
            tally.local(&name, &state(ctg));
        }
        tally.remote(&name, &EndStatus::SMPL);
        let reply = tally.reply("g".parse().unwrap(), 1200);
        let Reply::Summary { local, remote, .. } = reply else {
            panic!("not a summary");
        };
        let counts: Vec<_> = local.iter().map(|s| (s.ctg, s.count)).collect();
        assert_eq!(counts, [(None, 2), (Some(1), 1), (Some(2), 1)]);
        assert_eq!(remote[0].status, PairStatus::Smpl);
    }

    #[test]
    fn many_consistency_groups_still_fit() {
        let mut tally = Tally::default();
        let name: DevName = "n".repeat(31).parse().unwrap();
        for ctg in 0..256 {
            tally.local(&name, &state(Some(ctg)));
        }
        let reply = tally.reply("g".parse().unwrap(), 1200);
        assert!(codec::encode(&reply).len() <= 1200);
        let Reply::Summary { local, .. } = reply else {
            panic!("not a summary");
        };
        assert_eq!((local.len(), local[0].count), (1, 256));
    }

    #[test]
    fn sides_belong_together_only_when_each_points_at_the_other() {
        for (local, remote, wrong) in [
            (row(1, Some(2)), row(2, Some(1)), 0),
            (row(1, None), row(2, None), 0),
            (row(1, Some(2)), row(2, None), 1),
            (row(1, None), row(2, Some(1)), 1),
            (row(1, Some(3)), row(2, Some(1)), 1),
        ] {
            let mut tally = Tally::default();
            tally.compare(&local, &remote);
            assert_eq!(tally.mismatched, wrong);
        }
    }
}
