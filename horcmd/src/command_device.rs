//! One command device of HORCM_CMD: over the network (`\\.\IPCMD-host-port`), or a disk.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use confparse::{CommandDevice, Host};
use model::Serial;
use protocol::{
    CallError, Caller, Key, Kind, RequestId, codec,
    login::Token,
    orders::{Identity, Order, OrderAnswer, OrderError, Reply},
};
use tokio::sync::Mutex;

use crate::{disks::Disks, hosts, in_band::InBand, room};

/// A command device and what is known of it.
#[derive(Debug)]
pub struct CommandPath {
    spelled: CommandDevice,
    carrier: Carrier,
    timeout: Duration,
    /// The serial number it led to, plus one; 0 until it has answered.
    serial: AtomicU64,
    /// Whether it ever said that it is protected.
    protected: AtomicBool,
}

/// What carries the orders.
#[derive(Debug)]
enum Carrier {
    Network(Network),
    InBand(InBand),
}

/// A storage system's address.
#[derive(Debug)]
struct Network {
    host: Host,
    port: u16,
    key: Key,
    caller: Mutex<Option<Caller>>,
    address: OnceLock<SocketAddr>,
}

/// Why a command device did not carry an order.
#[derive(Debug)]
pub enum AlternateFault {
    /// Its host name has no address, or no socket could be made.
    Address(String),
    /// The datagrams did not lead to an answer.
    Call {
        /// How it ended.
        error: CallError,
        /// How long the wait was.
        timeout: Duration,
    },
    /// The disk did not lead to an answer.
    Disk(String),
    /// The answer was none of this protocol's.
    Malformed,
    /// It leads to another system than the unit's other command devices.
    Other {
        /// That one.
        serial: Serial,
        /// The unit's.
        known: Serial,
    },
}

impl fmt::Display for AlternateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(reason) | Self::Disk(reason) => f.write_str(reason),
            Self::Call { error, timeout } => match error {
                CallError::Refused => f.write_str("refused: nothing listens there"),
                CallError::Silent => write!(
                    f,
                    "silent for {} s: it is down, cut off, or holds another key",
                    timeout.as_secs_f32()
                ),
                other => other.fmt(f),
            },
            Self::Malformed => {
                f.write_str("its answer is not understood: another version of this protocol")
            }
            Self::Other { serial, known } => {
                write!(f, "leads to Serial# {serial}, not to Serial# {known}")
            }
        }
    }
}

impl CommandPath {
    /// `None` for the forms that cannot be used. `timeout` bounds its silence.
    #[must_use]
    pub fn new(device: &CommandDevice, key: Key, disks: Disks, timeout: Duration) -> Option<Self> {
        let carrier = match device {
            CommandDevice::Ip { unit: Some(1..), .. } => return None,
            CommandDevice::Ip { host, port, .. } => Carrier::Network(Network {
                host: host.clone(),
                port: *port,
                key,
                caller: Mutex::new(None),
                address: OnceLock::new(),
            }),
            device => Carrier::InBand(InBand::new(device, disks)?),
        };
        Some(Self {
            spelled: device.clone(),
            carrier,
            timeout,
            serial: AtomicU64::new(0),
            protected: AtomicBool::new(false),
        })
    }

    /// The serial number it led to when it first answered.
    #[must_use]
    pub fn serial(&self) -> Option<Serial> {
        let stored = self.serial.load(Ordering::Relaxed).checked_sub(1)?;
        u32::try_from(stored).ok().and_then(Serial::new)
    }

    /// Whether it ever said that hosts may use only volumes that they registered.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.protected.load(Ordering::Relaxed)
    }

    /// How many bytes an answer may have.
    #[must_use]
    pub fn room(&self) -> usize {
        match &self.carrier {
            Carrier::Network(network) => room::towards(network.address.get().map(SocketAddr::ip)),
            Carrier::InBand(_) => room::LOOPBACK,
        }
    }

    /// Asks who it leads to.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn identify(&self) -> Result<Identity, AlternateFault> {
        match self.order(RequestId::random(), None, &Order::Identify).await? {
            Ok(Reply::Identity(identity)) => {
                let stored = u64::from(u32::from(identity.serial)) + 1;
                self.serial.store(stored, Ordering::Relaxed);
                self.protected.fetch_or(identity.security.protection, Ordering::Relaxed);
                Ok(identity)
            }
            _ => Err(AlternateFault::Malformed),
        }
    }

    /// Carries one order, of the user whose token it is.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn order(
        &self,
        id: RequestId,
        token: Option<Token>,
        order: &Order,
    ) -> Result<Result<Reply, OrderError>, AlternateFault> {
        let kind = if order.mutates() { Kind::Change } else { Kind::Read };
        let (order, timeout) = (codec::encode(&(token, order)), self.timeout);
        let bytes = match &self.carrier {
            Carrier::Network(network) => {
                let caller = network.caller().await?;
                let answer = caller.call(id, kind, order, timeout).await;
                if matches!(answer, Err(CallError::Refused)) {
                    network.hang_up().await;
                }
                answer.map_err(|error| AlternateFault::Call { error, timeout })?
            }
            Carrier::InBand(disk) => {
                let answer = disk.call(id, kind, &order, timeout).await;
                answer.map_err(AlternateFault::Disk)?
            }
        };
        codec::decode::<OrderAnswer>(&bytes).map_err(|_| AlternateFault::Malformed)
    }
}

impl Network {
    /// The next order gets a socket of its own: nobody listens, so no session is lost, and on
    /// Windows a socket that was told so may hear nothing any more.
    async fn hang_up(&self) {
        *self.caller.lock().await = None;
    }

    async fn caller(&self) -> Result<Caller, AlternateFault> {
        let mut slot = self.caller.lock().await;
        if let Some(caller) = &*slot {
            return Ok(caller.clone());
        }
        let address = hosts::first(&self.host, self.port).await.map_err(AlternateFault::Address)?;
        let caller = Caller::connect(address, self.key.clone()).await;
        let caller = caller
            .map_err(|e| AlternateFault::Address(format!("no socket towards {address}: {e}")))?;
        let _ = self.address.set(address);
        *slot = Some(caller.clone());
        Ok(caller)
    }
}

impl fmt::Display for CommandPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spelled.fmt(f)
    }
}
