//! The host the provider runs on, as far as it asks about it.

use std::time::Duration;

use model::VolumeId;

use crate::{
    error::{Fault, Outcome, Refused},
    event::Event,
    settings::Settings,
};

/// What is installed of RAID Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installation {
    /// Directory and commands.
    Whole,
    /// There is no such directory; where it was looked for.
    Missing(String),
    /// The directory is there, this command is not.
    Without(String),
}

/// The host.
pub trait Host: Send {
    /// Whether the account may be a provider: Local System, or root.
    fn privileged(&self) -> bool;

    /// An environment variable of the system; `None` where it is not defined.
    ///
    /// # Errors
    /// What the system says.
    fn variable(&self, name: &str) -> Result<Option<String>, String>;

    /// Sets an environment variable of this process, for the commands it starts.
    ///
    /// # Errors
    /// What the system says.
    fn set_variable(&mut self, name: &str, value: &str) -> Result<(), String>;

    /// What is installed.
    fn installation(&self) -> Installation;

    /// Who uses a volume so that it must not be overwritten, such as a mount point.
    fn user_of(&self, volume: VolumeId) -> Option<String>;
}

/// Time.
pub trait Clock: Send {
    /// Time since some fixed instant.
    fn now(&self) -> Duration;
    /// Waits.
    fn sleep(&self, time: Duration);
}

/// The clock on the wall.
#[derive(Debug, Clone, Copy)]
pub struct WallClock(std::time::Instant);

impl Default for WallClock {
    fn default() -> Self {
        Self(std::time::Instant::now())
    }
}

impl Clock for WallClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// The event log: the Windows Application log, or standard error.
pub trait EventLog: Send {
    /// Writes what was refused, before the coordinator hears of it.
    fn write(&mut self, refused: &Refused);
}

/// What must be true before anything is done, and the settings. Commands that the provider's
/// process starts are to speak to the instance of the P-VOLs in HOMRCF mode, so `HORCMINST` and
/// `HORCC_MRCF` are set.
///
/// # Errors
/// EV_ERPERM, EV_ENRMPH, EV_ENRMCM, EV_EGETEV, EV_ESETEV.
pub fn check(host: &mut dyn Host) -> Outcome<Settings> {
    if !host.privileged() {
        return Err(Fault::new(Event::Erperm));
    }
    match host.installation() {
        Installation::Whole => {}
        Installation::Missing(place) => return Err(Fault::new(Event::Enrmph).object(place)),
        Installation::Without(file) => return Err(Fault::new(Event::Enrmcm).object(file)),
    }
    let settings = Settings::read(|name| host.variable(name))?;
    let own = settings.local.map(|local| local.instance).or(settings.remote);
    let number = own.map(|instance| instance.suffix()).unwrap_or_default();
    for (name, value) in [("HORCMINST", number.as_str()), ("HORCC_MRCF", "1")] {
        host.set_variable(name, value).map_err(|error| {
            Fault::new(Event::Esetev).object(format!("{name}={value}")).cause(error)
        })?;
    }
    Ok(settings)
}
