//! The storage systems behind HORCM_CMD, one [`Unit`] a line, and the way of an order to one.
//!
//! A unit's command devices are alternates: when one does not answer, the next gets the same
//! order under the same request id, so that a change is made once whichever of them carried it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use model::{CciError, Code, Serial};
use protocol::{
    RequestId,
    login::{Login, Token},
    orders::{Identity, Order, OrderError, Reply},
};

use tokio::task::JoinSet;

use crate::command_device::{AlternateFault, CommandPath};

/// How long the other command devices of a unit may take once one has said who it is.
const GRACE: Duration = Duration::from_secs(1);

/// Every unit, by unit id.
#[derive(Debug, Clone, Default)]
pub struct Units {
    units: Vec<Arc<Unit>>,
}

impl Units {
    /// The units in the order of HORCM_CMD.
    #[must_use]
    pub fn new(units: Vec<Unit>) -> Self {
        Self { units: units.into_iter().map(Arc::new).collect() }
    }

    /// The same, ordered by the user of these logins.
    #[must_use]
    pub fn of(&self, logins: &[Login]) -> Self {
        let with_token = |unit: &Arc<Unit>| {
            let login = logins.iter().find(|login| unit.serial() == Some(login.serial));
            match login {
                Some(login) => Arc::new(Unit { token: Some(login.token), ..Unit::clone(unit) }),
                None => Arc::clone(unit),
            }
        };
        Self { units: self.units.iter().map(with_token).collect() }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Arc<Unit>] {
        &self.units
    }

    /// The unit of a line of HORCM_CMD.
    ///
    /// # Errors
    /// EX_ENOUNT.
    pub fn get(&self, id: u8) -> Result<&Arc<Unit>, CciError> {
        self.units.get(usize::from(id)).ok_or_else(|| {
            CciError::new(Code::ExEnount)
                .object(format!("unit {id}"))
                .cause(format!("HORCM_CMD has {} line(s)", self.units.len()))
                .advice("count the lines of HORCM_CMD from 0")
        })
    }

    /// The unit id of that serial number.
    #[must_use]
    pub fn id_of(&self, serial: Serial) -> Option<u8> {
        let position = self.units.iter().position(|unit| unit.serial() == Some(serial));
        u8::try_from(position?).ok()
    }

    /// The unit with that serial number.
    ///
    /// # Errors
    /// EX_ENOUNT.
    pub fn by_serial(&self, serial: Serial) -> Result<&Arc<Unit>, CciError> {
        let holds = |unit: &&Arc<Unit>| unit.serial() == Some(serial);
        self.units.iter().find(holds).ok_or_else(|| {
            CciError::new(Code::ExEnount)
                .object(format!("Serial# {serial}"))
                .cause("no command device of this instance leads to that storage system")
                .advice("list the storage systems with raidqry -l, or add one to HORCM_CMD")
        })
    }
}

/// One storage system, as somebody orders it. What is known of it is shared by all who do.
#[derive(Debug, Clone)]
pub struct Unit {
    id: usize,
    alternates: Arc<[Arc<CommandPath>]>,
    in_use: Arc<AtomicUsize>,
    identity: Arc<Mutex<Option<Identity>>>,
    lost: Arc<AtomicBool>,
    /// Whose orders these are; `None`: nobody's who is logged in.
    token: Option<Token>,
}

impl Unit {
    /// A unit with its command devices, in the order they are tried. At least one.
    #[must_use]
    pub fn new(id: usize, alternates: Vec<CommandPath>) -> Self {
        Self {
            id,
            alternates: alternates.into_iter().map(Arc::new).collect(),
            in_use: Arc::default(),
            identity: Arc::default(),
            lost: Arc::default(),
            token: None,
        }
    }

    /// Who it is, once it has answered.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        let identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        identity.clone()
    }

    /// Its serial number, once it has answered.
    #[must_use]
    pub fn serial(&self) -> Option<Serial> {
        let identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        identity.as_ref().map(|identity| identity.serial)
    }

    /// How many mirrors its P-VOLs may have; 0 until it has answered.
    #[must_use]
    pub fn mirrors(&self) -> u16 {
        let identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        identity.as_ref().map_or(0, |identity| identity.mirrors)
    }

    /// Whether one of its command devices has said that hosts may use only volumes that they
    /// registered. Any of them may carry the next order, so that one is enough, and for ever.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.alternates.iter().any(|device| device.is_protected())
    }

    /// How many bytes an answer may have, whichever command device carries it.
    #[must_use]
    pub fn room(&self) -> usize {
        let rooms = self.alternates.iter().map(|device| device.room());
        rooms.min().unwrap_or_default()
    }

    /// The command device in use, as the configuration spells it.
    #[must_use]
    pub fn command_device(&self) -> String {
        let in_use = self.in_use.load(Ordering::Relaxed);
        let device = self.alternates.get(in_use);
        device.map(ToString::to_string).unwrap_or_default()
    }

    /// Asks every command device who it leads to, all at once. The first on the line that
    /// answers is used from then on. Once one has answered, the others get a second: a device
    /// of a host that is down shall not delay the start, and is asked again before it is used.
    ///
    /// # Errors
    /// EX_CMDIOE when none answers, EX_ENQSER when they lead to different systems.
    pub async fn identify(&self) -> Result<Identity, CciError> {
        let (answers, faults) = self.ask_all().await;
        let Some((index, identity)) = answers.first() else {
            return Err(self.dead(&faults));
        };
        let known = self.serial().unwrap_or(identity.serial);
        if let Some((at, other)) = answers.iter().find(|(_, other)| other.serial != known) {
            return Err(self.two_systems(&self.alternates[*at], other.serial, known));
        }
        for (device, fault) in faults {
            log::warn!("command device {device} of unit {}: {fault}", self.id);
        }
        self.in_use.store(*index, Ordering::Relaxed);
        self.know(identity.clone());
        self.found();
        Ok(identity.clone())
    }

    fn know(&self, identity: Identity) {
        let mut slot = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(identity);
    }

    /// The identities by position, in the order of the line, and the faults.
    async fn ask_all(&self) -> (Vec<(usize, Identity)>, Vec<(String, AlternateFault)>) {
        let mut asked = JoinSet::new();
        for (index, device) in self.alternates.iter().cloned().enumerate() {
            asked.spawn(async move { (index, device.identify().await) });
        }
        let (mut answers, mut faults) = (Vec::new(), Vec::new());
        loop {
            let next = if answers.is_empty() {
                asked.join_next().await
            } else {
                let next = tokio::time::timeout(GRACE, asked.join_next()).await;
                next.unwrap_or_default()
            };
            match next {
                Some(Ok((index, Ok(identity)))) => answers.push((index, identity)),
                Some(Ok((index, Err(fault)))) => {
                    faults.push((self.alternates[index].to_string(), fault));
                }
                Some(Err(_)) => {}
                None => break,
            }
        }
        answers.sort_by_key(|(index, _)| *index);
        (answers, faults)
    }

    fn two_systems(&self, device: &CommandPath, found: Serial, known: Serial) -> CciError {
        CciError::new(Code::ExEnqser)
            .object(format!("unit {} of HORCM_CMD", self.id))
            .cause(format!(
                "{device} leads to Serial# {found}, the others to Serial# {known}"
            ))
            .advice("command devices on one line are alternates of one storage system: give each system a line")
    }

    /// Carries out an order.
    ///
    /// # Errors
    /// What the storage system refuses; EX_CMDIOE with the reason of each command device when
    /// none answers.
    pub async fn order(&self, id: RequestId, order: &Order) -> Result<Reply, OrderError> {
        let count = self.alternates.len();
        let first = self.in_use.load(Ordering::Relaxed);
        let mut faults = Vec::new();
        for step in 0..count {
            let index = (first + step) % count;
            let alternate = &self.alternates[index];
            match self.order_by(alternate, id, order).await {
                Ok(answer) => {
                    if step > 0 {
                        self.in_use.store(index, Ordering::Relaxed);
                        log::warn!("unit {}: command device changed to {alternate}", self.id);
                    }
                    self.found();
                    return answer;
                }
                Err(fault) => faults.push((alternate.to_string(), fault)),
            }
        }
        Err(self.dead(&faults).into())
    }

    /// One order by one command device. A device that has not answered before is asked who it
    /// leads to first: an order must never reach another system.
    async fn order_by(
        &self,
        device: &CommandPath,
        id: RequestId,
        order: &Order,
    ) -> Result<Result<Reply, OrderError>, AlternateFault> {
        let serial = match device.serial() {
            Some(serial) => serial,
            None => device.identify().await?.serial,
        };
        match self.serial() {
            Some(known) if known != serial => Err(AlternateFault::Other { serial, known }),
            _ => device.order(id, self.token, order).await,
        }
    }

    /// Who one command device leads to, unless that is another system than the unit's.
    async fn identify_by(&self, device: &CommandPath) -> Result<Identity, AlternateFault> {
        let identity = device.identify().await?;
        let serial = identity.serial;
        match self.serial() {
            Some(known) if known != serial => Err(AlternateFault::Other { serial, known }),
            _ => Ok(identity),
        }
    }

    /// Changes to the next command device that answers, and returns its spelling.
    ///
    /// # Errors
    /// EX_CMDIOE when none answers.
    pub async fn rotate(&self) -> Result<String, CciError> {
        let count = self.alternates.len();
        let first = self.in_use.load(Ordering::Relaxed);
        let mut faults = Vec::new();
        for step in 1..=count {
            let index = (first + step) % count;
            let alternate = &self.alternates[index];
            match self.identify_by(alternate).await {
                Ok(identity) => {
                    self.know(identity);
                    self.in_use.store(index, Ordering::Relaxed);
                    log::info!("unit {}: command device changed to {alternate}", self.id);
                    return Ok(alternate.to_string());
                }
                Err(fault) => faults.push((alternate.to_string(), fault)),
            }
        }
        Err(self.dead(&faults))
    }

    /// EX_CMDIOE; logged once until the unit answers again.
    fn dead(&self, faults: &[(String, AlternateFault)]) -> CciError {
        let reasons: Vec<_> =
            faults.iter().map(|(device, fault)| format!("{device}: {fault}")).collect();
        let reasons = reasons.join("; ");
        if !self.lost.swap(true, Ordering::Relaxed) {
            log::error!(
                "[HORCM_101] HORC/HOMRCF and the CCI software failed communication. \
                 Unit {}: no command device answers: {reasons}",
                self.id
            );
        }
        let name = self.serial().map(|serial| format!(" (Serial# {serial})"));
        CciError::new(Code::ExCmdioe)
            .object(format!("unit {}{}", self.id, name.unwrap_or_default()))
            .state("no command device answers")
            .cause(reasons)
            .advice("check that the storage system runs and that HORCM_CMD names it")
    }

    fn found(&self) {
        if self.lost.swap(false, Ordering::Relaxed) {
            log::info!("unit {}: {} answers again", self.id, self.command_device());
        }
    }
}
