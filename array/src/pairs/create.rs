//! Which volumes may become a pair.

use std::collections::HashSet;

use model::{CciError, Code, LdevId, PairEnd};
use protocol::orders::LocalEnd;

use super::{
    group::{Refused, View},
    pair::{MIRRORS, SHADOWS, is_mirror},
};

/// Ends and volumes that earlier pairs of the same order take.
#[derive(Debug, Default)]
pub struct Taken {
    ends: HashSet<LocalEnd>,
    sources: HashSet<LdevId>,
    targets: HashSet<LdevId>,
}

impl View<'_> {
    /// That an end can exist: its LDEV and its MU#.
    pub(super) fn check_end(&self, end: LocalEnd) -> Result<(), Refused> {
        if !self.ldevs.contains_key(&end.ldev) {
            return Err(self.no_ldev(end.ldev));
        }
        if is_mirror(end.mu, true) {
            return Ok(());
        }
        Err(self
            .about(Code::ExInvmun, end)
            .cause(format!("there are MU# 0 to {}, not {}", MIRRORS - 1, end.mu))
            .advice("correct the MU# in horcm.conf")
            .into())
    }

    /// That a new pair may be what it is to be: its MU#, and the pool of a snapshot.
    fn check_kind(&self, pvol: LocalEnd, pool: u16, snapshot: Option<u16>) -> Result<(), Refused> {
        match snapshot {
            None if !is_mirror(pvol.mu, false) => Err(self
                .about(Code::ExInvmun, pvol)
                .cause(format!("ShadowImage has MU# 0 to {}, not {}", SHADOWS - 1, pvol.mu))
                .advice("correct the MU# in horcm.conf, or make a snapshot: paircreate -pid")
                .into()),
            Some(wanted) if wanted != pool => Err(self
                .about(Code::ExEnopol, pvol)
                .cause(format!("snapshots lie in the pool of their P-VOL, {pool}, not in {wanted}"))
                .advice(format!("say -pid {pool}"))
                .into()),
            _ => Ok(()),
        }
    }

    /// EX_ENLDEV.
    pub(super) fn no_ldev(&self, ldev: LdevId) -> Refused {
        CciError::new(Code::ExEnldev)
            .object(self.volume(ldev).to_string())
            .cause("the storage system has no such LDEV")
            .advice("correct horcm.conf, or define the LDEV in the TOML file of the array")
            .into()
    }

    /// The S-VOL of a pair to be created, which the order must name.
    pub(super) fn svol(
        &self,
        partner: Option<PairEnd>,
        pvol: LocalEnd,
    ) -> Result<LocalEnd, Refused> {
        let Some(partner) = partner else {
            return Err(self
                .about(Code::ExEvolce, pvol)
                .cause("paircreate needs to know the S-VOL")
                .advice("start the instance that holds the other side of the group")
                .into());
        };
        if partner.volume.serial != self.serial {
            return Err(self
                .about(Code::ExEnqser, pvol)
                .cause(format!("the S-VOL would be {partner}, in another storage system"))
                .advice("ShadowImage pairs stay within one storage system")
                .into());
        }
        let svol = LocalEnd { ldev: partner.volume.ldev, mu: partner.mu };
        self.check_end(svol)?;
        Ok(svol)
    }

    /// That `pvol` and `svol` may become a pair, given what the order has taken already.
    pub(super) fn check_new(
        &self,
        pvol: LocalEnd,
        svol: LocalEnd,
        snapshot: Option<u16>,
        taken: &mut Taken,
    ) -> Result<(), Refused> {
        if pvol.ldev == svol.ldev {
            return Err(self
                .about(Code::ExEvolce, pvol)
                .cause("P-VOL and S-VOL are the same volume")
                .advice("give the two sides of the group different volumes")
                .into());
        }
        let (Some(p), Some(s)) = (self.ldevs.get(&pvol.ldev), self.ldevs.get(&svol.ldev)) else {
            return Err(self.no_ldev(svol.ldev));
        };
        for (end, ldev) in [(pvol, p), (svol, s)] {
            if ldev.command_device {
                return Err(self
                    .about(Code::ExInvvol, end)
                    .cause("it is a command device")
                    .advice("name a data volume")
                    .into());
            }
        }
        if p.size != s.size {
            return Err(self
                .about(Code::ExEnqsiz, svol)
                .cause(format!(
                    "it has {} blocks, but the P-VOL, LDEV {}, has {}",
                    s.size, pvol.ldev, p.size
                ))
                .advice("pair volumes of the same size")
                .into());
        }
        self.check_kind(pvol, p.pool, snapshot)?;
        if snapshot.is_some() && p.pool != s.pool {
            return Err(self
                .about(Code::ExInvvol, svol)
                .cause(format!("it is in pool {}, the P-VOL in pool {}", s.pool, p.pool))
                .advice(
                    "a snapshot shares the pool of its P-VOL; a pair without -pid may cross pools",
                )
                .into());
        }
        if self.guards.get(&svol.ldev).is_some_and(|g| g.guard.svol) {
            return Err(self.svol_guarded(svol));
        }
        self.check_free(pvol, svol, taken)?;
        self.check_layers(pvol, svol, snapshot.is_some())?;
        self.check_content(pvol.ldev, svol.ldev, None)?;
        taken.ends.extend([pvol, svol]);
        taken.sources.insert(pvol.ldev);
        taken.targets.insert(svol.ldev);
        Ok(())
    }

    /// EX_ESVOLD.
    pub(super) fn svol_guarded(&self, end: LocalEnd) -> Refused {
        self.about(Code::ExEsvold, end)
            .cause("the volume is guarded against being an S-VOL (svd)")
            .advice("lift the guard when its retention time is over: raidvchkset -vg")
            .into()
    }

    fn check_free(&self, pvol: LocalEnd, svol: LocalEnd, taken: &Taken) -> Result<(), Refused> {
        for end in [pvol, svol] {
            if let Some((_, pair)) = self.registry.at(end) {
                let partner = pair.partner(end);
                return Err(self
                    .about(Code::ExInvvol, end)
                    .state(pair.phase.status(pair.role(end)).word())
                    .cause(format!(
                        "it is the {} of a pair with LDEV {} already",
                        pair.role(end),
                        partner.ldev
                    ))
                    .advice("use another MU#, or dissolve that pair: pairsplit -S")
                    .into());
            }
        }
        if let Some((_, pair)) = self.registry.as_svol(svol.ldev) {
            return Err(self
                .about(Code::ExInvvol, svol)
                .state(pair.phase.status(model::Role::SVol).word())
                .cause(format!("it is the S-VOL of LDEV {} already", pair.primary.ldev))
                .advice("a volume can be the S-VOL of one pair only; dissolve that: pairsplit -S")
                .into());
        }
        let clash = taken.ends.contains(&pvol)
            || taken.ends.contains(&svol)
            || taken.targets.contains(&pvol.ldev)
            || taken.targets.contains(&svol.ldev)
            || taken.sources.contains(&svol.ldev);
        if clash {
            return Err(self
                .about(Code::ExInvvol, pvol)
                .cause("another pair of the same group takes one of its volumes")
                .advice("create cascaded pairs one layer after the other")
                .into());
        }
        Ok(())
    }

    /// Two layers: P-VOL to S-VOL (L1), and on MU# 1 and 2 from there (L2).
    fn check_layers(&self, pvol: LocalEnd, svol: LocalEnd, snapshot: bool) -> Result<(), Refused> {
        let Some((_, above)) = self.registry.as_svol(pvol.ldev) else {
            let deep = self
                .registry
                .as_pvol(svol.ldev)
                .any(|(_, pair)| self.registry.as_pvol(pair.secondary.ldev).next().is_some());
            return if deep { Err(self.too_deep(svol)) } else { Ok(()) };
        };
        if snapshot || above.snapshot.is_some() {
            return Err(self
                .about(Code::ExInvvol, pvol)
                .cause(format!("it is the S-VOL of LDEV {}", above.primary.ldev))
                .advice("snapshots are of a P-VOL, and are no P-VOLs themselves")
                .into());
        }
        if pvol.mu.get() == 0 {
            return Err(self
                .about(Code::ExInvmun, pvol)
                .cause(format!("it is the S-VOL of LDEV {}", above.primary.ldev))
                .advice("an S-VOL can be a P-VOL on MU# 1 and 2")
                .into());
        }
        let deep = self.registry.as_svol(above.primary.ldev).is_some()
            || self.registry.as_pvol(svol.ldev).next().is_some();
        if deep { Err(self.too_deep(pvol)) } else { Ok(()) }
    }

    fn too_deep(&self, end: LocalEnd) -> Refused {
        self.about(Code::ExInvvol, end)
            .cause("copies of copies end at the second layer")
            .advice("pair from the P-VOL or from its own S-VOL")
            .into()
    }
}
