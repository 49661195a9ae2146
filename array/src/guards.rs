//! Guards of LDEVs (`raidvchkset -vg`): stored, shown, and kept for their retention time.

use model::{CciError, Code, Guard};
use protocol::orders::GuardState;
use serde::{Deserialize, Serialize};

const DAY: u64 = 86_400;

/// The durable guard of one LDEV, under its number; postcard, fields in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GuardRecord {
    /// What is guarded.
    pub guard: Guard,
    /// Until when it cannot be lowered, in seconds since 1970; 0 when it can be now.
    pub until: u64,
}

impl GuardRecord {
    /// The guard after `raidvchkset -vg`. Raising a guard and extending its time is always
    /// allowed, the contrary only when the time is over.
    ///
    /// # Errors
    /// EX_EPRORT; the caller adds the object.
    pub fn change(
        self,
        guard: Guard,
        retention_days: Option<u32>,
        now: u64,
    ) -> Result<Self, Box<CciError>> {
        let held = self.until > now;
        let until = match retention_days {
            Some(days) => now.saturating_add(u64::from(days) * DAY),
            None if held => self.until,
            None => 0,
        };
        let lowers = !guard.covers(self.guard) || until < self.until;
        if held && lowers {
            let days = self.state(now).retention_days;
            return Err(Box::new(
                CciError::new(Code::ExEprort)
                    .state(format!("guarded for {days} more days"))
                    .cause("the change would lower the guard or shorten its retention time")
                    .advice("wait until the retention time is over: raidvchkdsp -v gflag shows it"),
            ));
        }
        Ok(Self { guard, until })
    }

    /// As `raidvchkdsp -v gflag` shows it.
    #[must_use]
    pub fn state(self, now: u64) -> GuardState {
        let days = self.until.saturating_sub(now).div_ceil(DAY);
        GuardState { guard: self.guard, retention_days: u32::try_from(days).unwrap_or(u32::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use model::GuardType;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    #[test]
    fn a_guard_within_its_time_can_only_grow() {
        let rwd = GuardRecord::default().change(Guard::of(GuardType::Rwd), Some(2), NOW).unwrap();
        assert_eq!(rwd.state(NOW).retention_days, 2);
        assert_eq!(rwd.state(NOW + 1).retention_days, 2, "rounded up");
        for (guard, days) in [
            (Guard::NONE, None),
            (Guard::of(GuardType::Wtd), None),
            (Guard::of(GuardType::Rwd), Some(1)),
        ] {
            let error = rwd.change(guard, days, NOW).unwrap_err();
            assert_eq!(error.code, Code::ExEprort);
        }
        let inv = rwd.change(Guard::of(GuardType::Inv), None, NOW).unwrap();
        assert_eq!(inv.until, rwd.until);
        let longer = inv.change(inv.guard, Some(3), NOW).unwrap();
        assert_eq!(longer.state(NOW).retention_days, 3);
        let over = NOW + 3 * DAY;
        assert_eq!(longer.change(Guard::NONE, None, over), Ok(GuardRecord::default()));
    }

    #[test]
    fn a_guard_without_time_can_be_lifted_at_once() {
        let record = GuardRecord::default().change(Guard::of(GuardType::Inv), None, NOW).unwrap();
        assert_eq!(record.state(NOW).retention_days, 0);
        assert!(record.change(Guard::NONE, None, NOW).is_ok());
    }
}
