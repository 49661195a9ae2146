//! RAID Manager over the HORCM protocol: the running daemons of both instances on this host.

use std::time::{Duration, Instant};

use model::{CciError, CciResult, Code, GroupName, Guard, GuardType, Instance, Mode, MuNumber};
use model::{PairEnd, PairStatus, Role, Side, SplitMode, VolumeId};
use protocol::{
    Attached, Home,
    attached::{Prepared, detached, unexpected},
    horcm::{Member, Reply, Request, Row, Selection, Target},
    orders::{CreateOptions, PairChange, ResyncOptions, SplitOptions},
};

use crate::{
    raid::{Pair, Raid, Standing, Towards},
    settings::Settings,
};

/// How long a daemon may be silent. One that works says so.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose daemon is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Site {
    /// The instance of the P-VOLs.
    Local,
    /// The instance of the S-VOLs.
    Remote,
}

/// The daemons of both instances.
#[derive(Debug)]
pub struct Session {
    home: Home,
    instances: [Option<Instance>; 2],
    daemons: [Option<Attached>; 2],
    armed: Option<Prepared>,
}

impl Session {
    /// Of the instances that the settings name. Nobody is asked yet.
    #[must_use]
    pub fn new(home: Home, settings: &Settings) -> Self {
        let local = settings.local.map(|local| local.instance);
        Self { home, instances: [local, settings.remote], daemons: [None, None], armed: None }
    }

    const fn has(&self, site: Site) -> bool {
        self.instances[site as usize].is_some()
    }

    /// Who changes pairs: the instance of the P-VOLs, or on a host that only imports the other.
    const fn main(&self) -> Site {
        if self.has(Site::Local) { Site::Local } else { Site::Remote }
    }

    fn instance(&self, site: Site) -> CciResult<Instance> {
        self.instances[site as usize].ok_or_else(|| {
            CciError::new(Code::ExAtthor)
                .object(format!("the {site:?} instance"))
                .cause("no variable of the provider names it")
        })
    }

    fn daemon(&mut self, site: Site) -> CciResult<&mut Attached> {
        let instance = self.instance(site)?;
        let slot = &mut self.daemons[site as usize];
        match slot {
            Some(daemon) => Ok(daemon),
            none => Ok(none.insert(Attached::new(&self.home, instance, PATIENCE)?)),
        }
    }

    /// Asks; a daemon that was started anew since is looked for once.
    fn ask(&mut self, site: Site, request: &Request) -> CciResult<Reply> {
        let prepared = Prepared::new(&self.home, request);
        let known = self.daemons[site as usize].is_some();
        let answer = self.daemon(site)?.send(&prepared, None);
        match answer {
            Err(error) if known && error.code == Code::ExAtthor => {
                self.daemons[site as usize] = None;
                self.daemon(site)?.send(&prepared, None)
            }
            answer => answer,
        }
    }

    fn change(&mut self, site: Site, request: &Request) -> CciResult<()> {
        match self.ask(site, request)? {
            Reply::Done => Ok(()),
            _ => Err(unexpected(self.instance(site)?)),
        }
    }

    /// The one volume of a target with its group, and why the other side is missing.
    fn member(
        &mut self,
        site: Site,
        target: Target,
        remote: bool,
    ) -> CciResult<(GroupName, Member, Option<CciError>)> {
        let selection = homrcf(target);
        let request =
            Request::Members { selection, remote, guards: false, devices: false, from: 0 };
        match self.ask(site, &request)? {
            Reply::Members { group, mut members, remote_error, .. } if members.len() == 1 => {
                let member = members.swap_remove(0);
                if !member.local.permitted {
                    return Err(protected(&group, &member));
                }
                Ok((group, member, remote_error))
            }
            _ => Err(unexpected(self.instance(site)?)),
        }
    }
}

const fn homrcf(target: Target) -> Selection {
    Selection { target, mode: Mode::Homrcf, mirror: None }
}

fn volumes(pairs: &[Pair]) -> Selection {
    let names = pairs.iter().map(|pair| (pair.group.clone(), pair.name.clone()));
    homrcf(Target::Volumes(names.collect()))
}

/// In protection mode the daemon tells nothing of a volume but that.
fn protected(group: &GroupName, member: &Member) -> CciError {
    CciError::new(Code::ExEnperm)
        .object(format!("{group}/{} ({})", member.name, member.local.volume))
        .state("protection mode")
        .cause("no disk of this host that is registered with its instance is this volume")
        .advice("list the disk in the permission file and start the instance again")
}

/// A volume that the configuration lacks is no failure.
fn known<T>(found: CciResult<T>) -> CciResult<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code == Code::ExEnodev => Ok(None),
        Err(error) => Err(error),
    }
}

const fn end(row: &Row) -> PairEnd {
    PairEnd { volume: row.volume, mu: row.mu }
}

impl Raid for Session {
    fn by_primary(&mut self, volume: VolumeId, mirror: MuNumber) -> CciResult<Option<Pair>> {
        let target = Target::Ldev { volume, mu: Some(mirror), whole_group: false };
        let Some((group, member, missing)) = known(self.member(Site::Local, target, true))? else {
            return Ok(None);
        };
        let Some(remote) = &member.remote else {
            return Err(missing.unwrap_or_else(|| CciError::new(Code::ExEnormt)));
        };
        let (primary, secondary) = (end(&member.local), end(remote));
        Ok(Some(Pair { group, name: member.name, primary, secondary }))
    }

    fn by_secondary(&mut self, volume: VolumeId) -> CciResult<Option<Pair>> {
        if !self.has(Site::Remote) {
            return Ok(None);
        }
        let target = Target::Ldev { volume, mu: None, whole_group: false };
        let Some((group, member, missing)) = known(self.member(Site::Remote, target, true))? else {
            return Ok(None);
        };
        // The host of the P-VOLs may be out of reach: the array knows the partner too.
        let partner = member.local.status.and_then(|status| status.partner);
        let Some(primary) = member.remote.as_ref().map(end).or(partner) else {
            return Err(missing.unwrap_or_else(|| CciError::new(Code::ExEnormt)));
        };
        let secondary = end(&member.local);
        Ok(Some(Pair { group, name: member.name, primary, secondary }))
    }

    fn standing(&mut self, pair: &Pair) -> CciResult<Standing> {
        let site = self.main();
        let volume = Some(pair.name.clone());
        let target = Target::Group { group: pair.group.clone(), volume };
        let (_, member, _) = self.member(site, target, false)?;
        let row = &member.local;
        let status = row.status.ok_or_else(|| {
            CciError::new(Code::ExEnldev)
                .object(pair.to_string())
                .cause("the storage system has no such LDEV")
        })?;
        let partner = status.partner.map(|end| end.volume);
        Ok(match site {
            Site::Local => Standing { role: status.role, status: status.status, partner },
            Site::Remote => from_the_s_vol(pair, status.role, status.status, partner),
        })
    }

    fn order(&mut self, pairs: &[Pair], towards: Towards) -> CciResult<()> {
        let site = self.main();
        let resync =
            |restore| PairChange::Resync(ResyncOptions { restore, ..ResyncOptions::default() });
        let change = match towards {
            Towards::Create => {
                PairChange::Create(CreateOptions { noread: true, ..CreateOptions::default() })
            }
            Towards::Resync => resync(false),
            Towards::Restore => resync(true),
        };
        let primary = if site == Site::Local { Side::Local } else { Side::Remote };
        let request = Request::Change {
            selection: volumes(pairs),
            change,
            primary: Some(primary),
            // Only a creation has to be told the partners.
            local_only: towards != Towards::Create,
        };
        self.change(site, &request)
    }

    fn hide(&mut self, pairs: &[Pair], hidden: bool) -> CciResult<()> {
        if !self.has(Site::Remote) {
            return Ok(());
        }
        let guard = if hidden { Guard::of(GuardType::Inv) } else { Guard::NONE };
        let selection = volumes(pairs);
        self.change(Site::Remote, &Request::SetGuard { selection, guard, retention_days: None })
    }

    fn arm(&mut self, pairs: &[Pair]) -> CciResult<()> {
        let split = SplitOptions {
            writable: true,
            // The S-VOL can be used at once, whatever has still to be copied.
            mode: Some(SplitMode::Quick),
            pace: None,
            fresh: true,
        };
        let change = PairChange::Split(split);
        let selection = volumes(pairs);
        let request = Request::Change { selection, change, primary: None, local_only: true };
        self.armed = Some(Prepared::new(&self.home, &request));
        // The answer of a ping has opened the session, sealed once and grown the buffers.
        match self.ask(Site::Local, &Request::Ping)? {
            Reply::Alive { .. } => Ok(()),
            _ => Err(unexpected(self.instance(Site::Local)?)),
        }
    }

    fn fire(&mut self, within: Duration) -> CciResult<()> {
        let deadline = Instant::now() + within;
        let instance = self.instance(Site::Local)?;
        let (Some(prepared), Some(daemon)) = (&self.armed, &mut self.daemons[Site::Local as usize])
        else {
            return Err(detached(instance, "its session was not opened before".to_owned()));
        };
        match daemon.send(prepared, Some(deadline))? {
            Reply::Done => Ok(()),
            _ => Err(unexpected(instance)),
        }
    }
}

/// What the S-VOL's side shows, as the P-VOL's would.
fn from_the_s_vol(
    pair: &Pair,
    role: Role,
    status: PairStatus,
    partner: Option<VolumeId>,
) -> Standing {
    match role {
        Role::Smpl => Standing::SMPL,
        Role::PVol => Standing { role: Role::SVol, status, partner },
        Role::SVol => Standing {
            role: Role::PVol,
            status: if status == PairStatus::Ssus { PairStatus::Psus } else { status },
            partner: partner
                .filter(|partner| *partner == pair.primary.volume)
                .map(|_| pair.secondary.volume),
        },
    }
}
