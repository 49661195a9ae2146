//! A scripted storage system: it answers orders from a table, remembers what it was ordered, and
//! can be told to misbehave. No copying, no state machine: those are the real array's.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, mpsc},
    thread::JoinHandle,
};

use lab::Carrier;
use model::{
    Blocks, CciError, Code, Emulation, LdevId, LuPath, MuNumber, PairEnd, PairStatus, Role, Serial,
    VolumeId,
};
use protocol::{
    Endpoint, KeyRing, RequestId, codec,
    orders::{
        EndStatus, Given, GuardState, Identity, LdevInfo, LocalEnd, Order, OrderAnswer, OrderError,
        PairChange, PairTarget, Reply, ScanRow, Security,
    },
};
use tokio::sync::oneshot;

use super::{disk::DiskPortal, world::World};

/// What the array is and was told.
#[derive(Default)]
pub struct State {
    pub serial: Serial,
    pub ldevs: HashMap<LdevId, Option<LuPath>>,
    pub ends: HashMap<LocalEnd, EndStatus>,
    pub guards: HashMap<LdevId, GuardState>,
    /// Every order that came, with its id, doubles too.
    pub orders: Vec<(RequestId, Order)>,
    /// The changes carried out, each once, with their answers.
    pub executed: HashMap<RequestId, OrderAnswer>,
    /// The attributes of its command device.
    pub security: Security,
    /// Refuse the next change so.
    pub refuse: Option<OrderError>,
    /// Carry out the next change and never say so: the command device dies in the middle.
    pub die_in_change: bool,
}

/// A command device of an array: one address, on a thread of its own. Several may share a state,
/// as alternates do. Dropping it closes the address.
pub struct FakeArray {
    pub address: SocketAddr,
    pub state: Arc<Mutex<State>>,
    spelled: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An address that nobody uses.
pub const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl FakeArray {
    /// Serial# 62496 with LDEV 18 at CL2-C 25 1 and LDEV 19 at CL2-C 25 2, for the daemons of a
    /// world.
    pub fn seed(carrier: Carrier, world: &World) -> Self {
        let state = Arc::new(Mutex::new(State { serial: serial(62496), ..State::default() }));
        for (ldev, lun) in [(16, 0), (18, 1), (19, 2)] {
            let path = LuPath {
                port: "CL2-C".parse().unwrap(),
                target: "25".parse().unwrap(),
                lun: model::Lun::new(lun).unwrap(),
            };
            state.lock().unwrap().ldevs.insert(LdevId::new(ldev).unwrap(), Some(path));
        }
        Self::sharing(carrier, state, &[world], ANYWHERE)
    }

    /// One more address of the same array.
    pub fn sharing(
        carrier: Carrier,
        state: Arc<Mutex<State>>,
        worlds: &[&World],
        at: SocketAddr,
    ) -> Self {
        let mut ring = KeyRing::new(worlds[0].key.clone());
        worlds[1..].iter().for_each(|world| ring.add(world.key.clone()));
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = mpsc::channel();
        let shared = state.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let serving: Pin<Box<dyn Future<Output = ()>>> = match carrier {
                    Carrier::Ipcmd => {
                        let endpoint = Endpoint::bind(at, ring).await.unwrap();
                        ready.send(endpoint.local_addr()).unwrap();
                        Box::pin(answer_all(endpoint, shared))
                    }
                    Carrier::InBand => {
                        let portal = DiskPortal::bind(at, shared).await.unwrap();
                        ready.send(portal.address()).unwrap();
                        Box::pin(portal.serve())
                    }
                };
                tokio::select! {
                    () = serving => {}
                    _ = stopped => {}
                }
            });
        });
        let address = address.recv().unwrap();
        let spelled = match carrier {
            Carrier::Ipcmd => format!(r"\\.\IPCMD-{}-{}", address.ip(), address.port()),
            Carrier::InBand => {
                let numbers = worlds.iter().map(|world| world.portal(address));
                format!(r"\\.\PhysicalDrive{}", numbers.max().unwrap())
            }
        };
        Self { address, state, spelled, stop: Some(stop), thread: Some(thread) }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// As HORCM_CMD spells it.
    pub fn command_device(&self) -> String {
        self.spelled.clone()
    }
}

impl Drop for FakeArray {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has failed the test already.
            let _ = thread.join();
        }
    }
}

pub fn serial(number: u32) -> Serial {
    Serial::new(number).unwrap()
}

pub fn end(ldev: u32, mu: u32) -> LocalEnd {
    LocalEnd { ldev: LdevId::new(ldev).unwrap(), mu: MuNumber::new(mu).unwrap() }
}

async fn answer_all(mut endpoint: Endpoint, state: Arc<Mutex<State>>) {
    loop {
        let incoming = endpoint.next().await;
        let answer = state.lock().unwrap().answer(incoming.id, &incoming.body, incoming.room);
        // The socket closes with the endpoint, as that of a killed process does.
        let Some(answer) = answer else { return };
        incoming.answer(answer);
    }
}

impl State {
    /// Carries out an order, and encodes its answer; `None` when the array dies instead.
    pub fn answer(&mut self, id: RequestId, body: &[u8], room: usize) -> Option<Vec<u8>> {
        let (_, order): Given = codec::decode(body).unwrap();
        self.orders.push((id, order.clone()));
        let answer = match self.executed.get(&id) {
            Some(answer) => answer.clone(),
            None => {
                let answer = self.carry_out(&order);
                if order.mutates() {
                    self.executed.insert(id, answer.clone());
                }
                answer
            }
        };
        if order.mutates() && std::mem::take(&mut self.die_in_change) {
            return None;
        }
        let bytes = codec::encode(&answer);
        assert!(bytes.len() <= room, "{order:?} asks for too much");
        Some(bytes)
    }

    fn carry_out(&mut self, order: &Order) -> OrderAnswer {
        match order {
            Order::Identify => Ok(Reply::Identity(Identity {
                serial: self.serial,
                model: "9980V".into(),
                microcode: "21-14-02/00".into(),
                cache_mb: 1024,
                ldevs: u32::try_from(self.ldevs.len()).unwrap(),
                mirrors: 3,
                security: self.security,
            })),
            Order::Locate(paths) => {
                let by_path: HashMap<LuPath, LdevId> =
                    self.ldevs.iter().filter_map(|(ldev, path)| Some(((*path)?, *ldev))).collect();
                Ok(Reply::Located(paths.iter().map(|p| by_path.get(p).copied()).collect()))
            }
            Order::Trace(seen) => {
                let path = |ldev: &LdevId| self.ldevs.get(ldev).copied().flatten();
                Ok(Reply::Traced(seen.iter().map(|seen| path(&seen.ldev)).collect()))
            }
            Order::Describe(ldevs) => {
                let info = |path: &Option<LuPath>| LdevInfo {
                    size: Blocks(1),
                    emulation: Emulation::Open3,
                    command_device: false,
                    path: *path,
                };
                Ok(Reply::Described(ldevs.iter().map(|l| self.ldevs.get(l).map(info)).collect()))
            }
            Order::Status(ends) => {
                let status = |end: &LocalEnd| {
                    let smpl = self.ldevs.contains_key(&end.ldev).then_some(EndStatus::SMPL);
                    self.ends.get(end).copied().or(smpl)
                };
                Ok(Reply::Status(ends.iter().map(status).collect()))
            }
            Order::Guards(ldevs) => {
                let guard = |ldev| self.guards.get(ldev).copied().unwrap_or_default();
                Ok(Reply::Guards(ldevs.iter().map(|l| Some(guard(l))).collect()))
            }
            Order::Scan { from, .. } => {
                let mut rows: Vec<_> =
                    self.ldevs.iter().filter_map(|(l, p)| Some((*l, (*p)?))).collect();
                rows.sort();
                let rows = rows.into_iter().skip(*from as usize).map(|(ldev, path)| ScanRow {
                    path,
                    ldev,
                    emulation: Emulation::Open3,
                    command_device: false,
                    size: Blocks(1),
                    mirrors: vec![EndStatus::SMPL; 3],
                });
                Ok(Reply::Scanned { rows: rows.collect(), next: None })
            }
            Order::SetGuard { ldevs, guard, retention_days } => {
                for ldev in ldevs {
                    let retention_days = retention_days.unwrap_or_default();
                    self.guards.insert(*ldev, GuardState { guard: *guard, retention_days });
                }
                Ok(Reply::Done)
            }
            Order::Login { .. } | Order::Logout => Err(CciError::new(Code::ExEnauth).into()),
            Order::Change { change, pairs } => match self.refuse.take() {
                Some(refused) => Err(refused),
                None => pairs
                    .iter()
                    .try_for_each(|pair| self.change(change, pair))
                    .map(|()| Reply::Done),
            },
        }
    }

    fn change(&mut self, change: &PairChange, pair: &PairTarget) -> Result<(), OrderError> {
        if let PairChange::Create(_) = change {
            let partner = pair.partner.expect("a creation names the S-VOL");
            let own = self.far(pair.end);
            let other = LocalEnd { ldev: partner.volume.ldev, mu: partner.mu };
            self.ends.insert(pair.end, paired(Role::PVol, partner));
            self.ends.insert(other, paired(Role::SVol, own));
            return Ok(());
        }
        let Some(status) = self.ends.get(&pair.end).copied() else {
            return Err(CciError::new(Code::ExInvstp).state("SMPL").into());
        };
        let other = status.partner.map(|p| LocalEnd { ldev: p.volume.ldev, mu: p.mu });
        for end in [Some(pair.end), other].into_iter().flatten() {
            if let PairChange::Dissolve = change {
                self.ends.remove(&end);
            } else if let Some(status) = self.ends.get_mut(&end) {
                status.status = match (change, status.role) {
                    (PairChange::Split(_), Role::PVol) => PairStatus::Psus,
                    (PairChange::Split(_), _) => PairStatus::Ssus,
                    (PairChange::Fail, _) => PairStatus::Psue,
                    _ => PairStatus::Pair,
                };
            }
        }
        Ok(())
    }

    fn far(&self, end: LocalEnd) -> PairEnd {
        PairEnd { volume: VolumeId { serial: self.serial, ldev: end.ldev }, mu: end.mu }
    }
}

fn paired(role: Role, partner: PairEnd) -> EndStatus {
    EndStatus {
        role,
        status: PairStatus::Pair,
        partner: Some(partner),
        percent: 100,
        ..EndStatus::SMPL
    }
}
