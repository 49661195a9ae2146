//! The states of a group as `pairevtwait` and `pairvolchk` judge them.

use model::{PairStatus, Role};
use protocol::horcm::StateCount;

/// Which volumes of the pairs are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The P-VOLs.
    Primary,
    /// The S-VOLs.
    Secondary,
}

/// A status as far as waiting is concerned, with the exit code of `-nowait`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// SMPL, 1.
    Smpl,
    /// COPY or RCPY, 2.
    Copy,
    /// PAIR or PFUL, 3.
    Pair,
    /// PSUS, SSUS, SSWS or PFUS, 4.
    Psus,
    /// PSUE or PDUB, 5.
    Psue,
}

impl Stage {
    /// The stage of a status.
    #[must_use]
    pub const fn of(status: PairStatus) -> Self {
        match status {
            PairStatus::Smpl => Self::Smpl,
            PairStatus::Copy | PairStatus::Rcpy => Self::Copy,
            PairStatus::Pair | PairStatus::Pful => Self::Pair,
            PairStatus::Psus | PairStatus::Ssus | PairStatus::Ssws | PairStatus::Pfus => Self::Psus,
            PairStatus::Psue | PairStatus::Pdub => Self::Psue,
        }
    }

    /// The exit code of `pairevtwait -nowait`.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Smpl => 1,
            Self::Copy => 2,
            Self::Pair => 3,
            Self::Psus => 4,
            Self::Psue => 5,
        }
    }

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Smpl => "SMPL",
            Self::Copy => "COPY",
            Self::Pair => "PAIR",
            Self::Psus => "PSUS",
            Self::Psue => "PSUE",
        }
    }
}

/// The states of one half of the pairs, whichever instance holds it. An unpaired volume belongs
/// to both halves. Without the remote host the local volumes stand for their pairs.
#[must_use]
pub fn half(
    local: &[StateCount],
    remote: &[StateCount],
    half: Half,
    local_only: bool,
) -> Vec<StateCount> {
    if local_only {
        return local.to_vec();
    }
    let role = match half {
        Half::Primary => Role::PVol,
        Half::Secondary => Role::SVol,
    };
    let both = local.iter().chain(remote);
    both.filter(|state| state.role == role || state.role == Role::Smpl).cloned().collect()
}

/// The states as a message names them: `1 P-VOL PAIR, 2 S-VOL COPY, 1 SMPL`. States that differ
/// in their consistency group alone are one.
#[must_use]
pub fn found(states: &[StateCount]) -> String {
    let mut sums: Vec<(Role, PairStatus, u32)> = Vec::new();
    for state in states {
        match sums
            .iter_mut()
            .find(|(role, status, _)| (*role, *status) == (state.role, state.status))
        {
            Some((_, _, sum)) => *sum = sum.saturating_add(state.count),
            None => sums.push((state.role, state.status, state.count)),
        }
    }
    let named = sums.iter().map(|(role, status, count)| match role {
        Role::Smpl => format!("{count} SMPL"),
        _ => format!("{count} {role} {status}"),
    });
    let named: Vec<_> = named.collect();
    if named.is_empty() { "no such volumes".to_owned() } else { named.join(", ") }
}

#[cfg(test)]
pub(crate) mod tests {
    use model::CciResult;
    use protocol::horcm::Reply;

    use super::*;

    /// So many volumes in a state.
    pub(crate) fn count(role: Role, status: PairStatus, count: u32) -> StateCount {
        StateCount {
            role,
            status,
            fence: None,
            ctg: None,
            count,
            example: "snapdev1".parse().unwrap(),
        }
    }

    /// A daemon's answer with these states.
    pub(crate) fn summary(local: &[StateCount], remote: &[StateCount]) -> CciResult<Reply> {
        Ok(Reply::Summary {
            group: "snap".parse().unwrap(),
            local: local.to_vec(),
            remote: remote.to_vec(),
            mismatched: 0,
        })
    }

    #[test]
    fn each_half_leaves_out_the_other() {
        use PairStatus::{Pair, Smpl};
        let local = vec![count(Role::PVol, Pair, 1), count(Role::Smpl, Smpl, 1)];
        let remote = vec![count(Role::SVol, Pair, 1)];
        let roles = |which| -> Vec<Role> {
            let states = half(&local, &remote, which, false);
            states.iter().map(|state| state.role).collect()
        };
        assert_eq!(roles(Half::Primary), [Role::PVol, Role::Smpl]);
        assert_eq!(roles(Half::Secondary), [Role::Smpl, Role::SVol]);
    }

    #[test]
    fn a_message_counts_by_role_and_status_whatever_the_ctg() {
        use PairStatus::{Pair, Smpl};
        let mut other = count(Role::PVol, Pair, 2);
        other.ctg = Some(7);
        let states = [
            count(Role::PVol, Pair, 1),
            other,
            count(Role::SVol, Pair, 1),
            count(Role::Smpl, Smpl, 3),
        ];
        assert_eq!(found(&states), "3 P-VOL PAIR, 1 S-VOL PAIR, 3 SMPL");
        assert_eq!(found(&[]), "no such volumes");
    }
}
