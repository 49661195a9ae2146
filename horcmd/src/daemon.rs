//! What every request works on.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use model::{Instance, PairEnd, VolumeId};
use protocol::login::Login;
use tokio::sync::Notify;

use crate::{
    catalog::Catalog,
    devices::Devices,
    disks::Disks,
    finding::Pages,
    peers::Peers,
    trace::TraceSettings,
    units::{Unit, Units},
};

/// The daemon of one instance, shared by everything that runs in it.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// Which instance.
    pub instance: Instance,
    /// The name of this host.
    pub host: String,
    /// Where it listens.
    pub local: SocketAddr,
    /// The groups of its configuration.
    pub catalog: Arc<Catalog>,
    /// The storage systems.
    pub units: Units,
    /// The remote instances.
    pub peers: Arc<Peers>,
    /// The disks of this host that are registered.
    pub devices: Arc<Devices>,
    /// Where disks of this host are found.
    pub disks: Disks,
    /// Disks that were found and not told yet.
    pub pages: Arc<Pages>,
    /// `HORCMPROMOD`: protection mode, whatever the command devices say.
    pub protection: bool,
    /// How much it logs.
    pub trace: Arc<TraceSettings>,
    /// Told to end the daemon.
    pub stop: Arc<Notify>,
    /// Who asks, as far as a request said so; empty for what the daemon does by itself.
    pub logins: Vec<Login>,
}

impl Daemon {
    /// The daemon as it works for the user of these logins.
    #[must_use]
    pub fn working_for(self: &Arc<Self>, logins: Vec<Login>) -> Arc<Self> {
        if logins.is_empty() {
            return Arc::clone(self);
        }
        let units = self.units.of(&logins);
        Arc::new(Self { units, logins, ..Self::clone(self) })
    }

    /// How many mirrors the storage system of that end has; 0 when nobody knows it.
    #[must_use]
    pub fn mirrors(&self, end: PairEnd) -> u16 {
        let unit = self.units.by_serial(end.volume.serial);
        unit.map_or(0, |unit| unit.mirrors())
    }

    /// Whether a unit's volumes are protected: this host may use the registered ones only.
    #[must_use]
    pub fn protects(&self, unit: &Unit) -> bool {
        self.protection || unit.is_protected()
    }

    /// Whether any unit's volumes are protected.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.protection || self.units.all().iter().any(|unit| unit.is_protected())
    }

    /// Whether this host may use a volume now. Asked before the registration of the start is over
    /// ([`Devices::settled`]) it may be no for a while.
    #[must_use]
    pub fn permits(&self, volume: VolumeId) -> bool {
        let unit = self.units.by_serial(volume.serial).ok();
        let protected = self.protection || unit.is_some_and(|unit| unit.is_protected());
        !protected || self.devices.holds(volume)
    }

    /// Whether a datagram from there was sent on this host: over loopback, or to the address
    /// this daemon listens at, which then is the sender's own.
    #[must_use]
    pub fn is_this_host(&self, from: IpAddr) -> bool {
        let (from, own) = (from.to_canonical(), self.local.ip().to_canonical());
        from.is_loopback() || from == own
    }
}
