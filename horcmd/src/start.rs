//! From a configuration file to a daemon that can serve.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use confparse::{Config, Host, Monitor, MonitorAddress};
use model::Code;
use protocol::{Endpoint, Key, KeyRing};

use crate::{
    catalog::Catalog,
    command_device::CommandPath,
    daemon::Daemon,
    disks::Disks,
    failure::StartFailure,
    hosts,
    peers::{Peer, Peers},
    registration::{self, AtStart},
    resolve, services,
    settings::Settings,
    trace::TraceSettings,
    units::{Unit, Units},
};

/// A daemon about to serve.
#[derive(Debug)]
pub struct Ready {
    /// What requests work on.
    pub daemon: Arc<Daemon>,
    /// Where they come in.
    pub endpoint: Endpoint,
    /// The disks that are to be registered.
    pub registers: AtStart,
    /// How often the pairs are looked at.
    pub poll: Option<Duration>,
}

/// Reads the configuration, takes the address, finds the storage systems and the volumes.
///
/// # Errors
/// HORCM_005, HORCM_007, HORCM_008, HORCM_009 with their reasons.
pub async fn start(settings: &Settings, trace: Arc<TraceSettings>) -> Result<Ready, StartFailure> {
    let mut config = read(settings)?;
    let registers = registration::at_start(settings)?;
    let monitor = config.monitor_or_default(settings.instance);
    let key = load_key(settings)?;
    let mut endpoint = bind(&monitor, &key).await?;
    let local = endpoint.local_addr();
    refuse_self(&config, local)?;
    restrict(&mut endpoint, &config).await;
    let units = units(&config, &key, &settings.disks, monitor.timeout)?;
    identify(&units).await?;
    let (peers, rows) = peers(&config);
    let peers =
        Peers::new(peers, key, endpoint.strangers(), monitor.timeout, settings.host.clone());
    let catalog = Catalog::new(&mut config, &rows);
    drop(config);
    report_missing(&catalog, &units).await;
    log::info!(
        "{}: {} volume(s) in {} group(s), listening at {local}",
        settings.instance,
        catalog.members().count(),
        catalog.groups().len()
    );
    let daemon = Daemon {
        instance: settings.instance,
        host: settings.host.clone(),
        local,
        catalog: Arc::new(catalog),
        units,
        peers: Arc::new(peers),
        devices: Arc::default(),
        disks: settings.disks.clone(),
        pages: Arc::default(),
        protection: settings.protection,
        trace,
        stop: Arc::default(),
        logins: Vec::new(),
    };
    Ok(Ready { daemon: Arc::new(daemon), endpoint, registers, poll: monitor.poll })
}

fn read(settings: &Settings) -> Result<Config, StartFailure> {
    match confparse::load(&settings.conf) {
        Ok((config, warnings)) => {
            for line in warnings.report(false).lines() {
                log::warn!("{line}");
            }
            for group in &config.ldev_groups {
                log::warn!(
                    "HORCM_LDEVG {} ({} in Serial# {}): device groups of storage systems are not \
                     supported yet; the group stays unknown",
                    group.copy_group,
                    group.ldev_group,
                    group.serial
                );
            }
            Ok(config)
        }
        Err(error) => Err(StartFailure::configuration(error.report(false).trim_end().to_owned())),
    }
}

fn load_key(settings: &Settings) -> Result<Key, StartFailure> {
    let file = settings.home.key_file();
    Key::load_or_create(&file)
        .map_err(|e| StartFailure::process(format!("the key {}: {e}", file.display())))
}

async fn bind(monitor: &Monitor, key: &Key) -> Result<Endpoint, StartFailure> {
    let port = services::port(&monitor.service)
        .map_err(|e| StartFailure::endpoint(format!("HORCM_MON: {e}")))?;
    let address = match &monitor.address {
        MonitorAddress::None => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        MonitorAddress::None6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        MonitorAddress::Host(host) => {
            let found = hosts::first(host, port).await;
            found.map_err(|e| StartFailure::endpoint(format!("HORCM_MON: {e}")))?
        }
    };
    let endpoint = Endpoint::bind(address, KeyRing::new(key.clone())).await;
    endpoint.map_err(|e| {
        StartFailure::endpoint(match e.kind() {
            io::ErrorKind::AddrInUse => format!(
                "{address} (UDP) is in use by another process: give each instance its own service in HORCM_MON"
            ),
            io::ErrorKind::AddrNotAvailable => format!(
                "{address} is no address of this host: correct ip_address in HORCM_MON"
            ),
            _ => format!("{address} (UDP): {e}"),
        })
    })
}

/// Refuses a configuration whose remote instance is this one, as far as its text shows it.
fn refuse_self(config: &Config, local: SocketAddr) -> Result<(), StartFailure> {
    let here = |host: &Host| {
        let loopback = host.as_str() == "localhost";
        let ip = host.as_str().parse::<IpAddr>().ok();
        let same = |ip: IpAddr| ip == local.ip() || local.ip().is_unspecified() && ip.is_loopback();
        ip.map_or(loopback && local.ip().is_loopback(), same)
    };
    for remote in &config.remotes {
        if here(&remote.host) && services::port(&remote.service) == Ok(local.port()) {
            return Err(StartFailure::setup(format!(
                "HORCM_INST of group {} names {} {}, which is this instance's own HORCM_MON: name the remote instance",
                remote.group, remote.host, remote.service
            )));
        }
    }
    Ok(())
}

/// HORCM_ALLOW_INST. A host that cannot be looked up is left out, which lets fewer in, not more.
async fn restrict(endpoint: &mut Endpoint, config: &Config) {
    if config.allowed.is_empty() {
        return;
    }
    let mut known = Vec::with_capacity(config.allowed.len());
    for allowed in &config.allowed {
        match hosts::addresses(&allowed.host).await {
            Ok(addresses) => known.extend(addresses),
            Err(e) => log::warn!("HORCM_ALLOW_INST: {} is left out: {e}", allowed.host),
        }
    }
    endpoint.allow_only(known);
}

fn units(
    config: &Config,
    key: &Key,
    disks: &Disks,
    timeout: Duration,
) -> Result<Units, StartFailure> {
    let mut units = Vec::with_capacity(config.units.len());
    for (id, line) in config.units.iter().enumerate() {
        let mut usable = Vec::new();
        let mut others = Vec::new();
        for device in &line.devices {
            match CommandPath::new(device, key.clone(), disks.clone(), timeout) {
                Some(device) => usable.push(device),
                None => others.push(device.to_string()),
            }
        }
        let others = others.join(" ");
        let says = format!(
            "HORCM_CMD unit {id}: {others} cannot be used: a command device is a disk of this host, \
             or reached as \\\\.\\IPCMD-<host>-<port> without a unit id"
        );
        if usable.is_empty() {
            return Err(StartFailure::connection(says));
        }
        if !others.is_empty() {
            log::warn!("{says}; the unit's other command devices are used");
        }
        units.push(Unit::new(id, usable));
    }
    Ok(Units::new(units))
}

/// Asks all units who they are. One that does not answer may come later; none is a failure.
async fn identify(units: &Units) -> Result<(), StartFailure> {
    let mut asked = tokio::task::JoinSet::new();
    for unit in units.all() {
        let unit = Arc::clone(unit);
        asked.spawn(async move { unit.identify().await });
    }
    let (mut answered, mut silent) = (false, Vec::new());
    while let Some(joined) = asked.join_next().await {
        match joined {
            Ok(Ok(identity)) => {
                answered = true;
                log::info!("{} Serial# {} answers", identity.model, identity.serial);
            }
            Ok(Err(error)) if error.code == Code::ExEnqser => {
                return Err(StartFailure::connection(error.to_string()));
            }
            Ok(Err(error)) => silent.push(error.to_string()),
            Err(_) => {}
        }
    }
    if answered { Ok(()) } else { Err(StartFailure::connection(silent.join("\n"))) }
}

/// The peers, each address once, and for each row of HORCM_INST which peer it is.
fn peers(config: &Config) -> (Vec<Peer>, Vec<u32>) {
    let mut peers: Vec<Peer> = Vec::new();
    let mut rows = Vec::with_capacity(config.remotes.len());
    for remote in &config.remotes {
        let is = |peer: &Peer| peer.is(&remote.host, &remote.service);
        // Rows of one peer mostly stand together, so look at the end first.
        let position = peers.iter().rposition(is).unwrap_or_else(|| {
            peers.push(Peer::new(remote.host.clone(), remote.service.clone()));
            peers.len() - 1
        });
        rows.push(u32::try_from(position).unwrap_or(u32::MAX));
    }
    (peers, rows)
}

async fn report_missing(catalog: &Catalog, units: &Units) {
    match resolve::resolve(catalog, units).await {
        Ok(missing) if missing.count == 0 => {}
        Ok(missing) => log::warn!(
            "{} volume(s) of the configuration are not there: {}",
            missing.count,
            missing.first.join("; ")
        ),
        Err(error) => log::warn!("not all volumes could be looked up: {error}"),
    }
}
