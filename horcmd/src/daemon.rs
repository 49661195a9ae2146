//! What every request works on.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use model::{Instance, PairEnd};
use tokio::sync::Notify;

use crate::{catalog::Catalog, peers::Peers, trace::TraceSettings, units::Units};

/// The daemon of one instance, shared by everything that runs in it.
#[derive(Debug)]
pub struct Daemon {
    /// Which instance.
    pub instance: Instance,
    /// The name of this host.
    pub host: String,
    /// Where it listens.
    pub local: SocketAddr,
    /// The groups of its configuration.
    pub catalog: Catalog,
    /// The storage systems.
    pub units: Units,
    /// The remote instances.
    pub peers: Arc<Peers>,
    /// How much it logs.
    pub trace: Arc<TraceSettings>,
    /// Told to end the daemon.
    pub stop: Notify,
}

impl Daemon {
    /// How many mirrors the storage system of that end has; 0 when nobody knows it.
    #[must_use]
    pub fn mirrors(&self, end: PairEnd) -> u16 {
        let unit = self.units.by_serial(end.volume.serial);
        unit.map_or(0, |unit| unit.mirrors())
    }

    /// Whether a datagram from there was sent on this host: over loopback, or to the address
    /// this daemon listens at, which then is the sender's own.
    #[must_use]
    pub fn is_this_host(&self, from: IpAddr) -> bool {
        let (from, own) = (from.to_canonical(), self.local.ip().to_canonical());
        from.is_loopback() || from == own
    }
}
