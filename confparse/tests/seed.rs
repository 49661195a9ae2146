//! The sample files of `etc/` are the seed's, and say what the seed says.

use std::{path::Path, time::Duration};

use confparse::{Address, Config, Host, Mirror, MonitorAddress, Service, load};
use model::MuNumber;

fn sample(name: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc").join(name);
    let (config, warnings) = load(&path).unwrap_or_else(|error| panic!("{error}"));
    assert!(warnings.is_empty(), "{warnings}");
    config
}

fn host(word: &str) -> Host {
    word.parse().unwrap()
}

fn check(name: &str, own: u16, peer: u16, lun: u16, mu: u32) {
    let config = sample(name);

    let monitor = config.monitor.as_ref().unwrap();
    assert_eq!(monitor.address, MonitorAddress::Host(host("127.0.0.1")));
    assert_eq!(monitor.service, Service::Port(own));
    assert_eq!(monitor.poll, Some(Duration::from_secs(10)));
    assert_eq!(monitor.timeout, Duration::from_secs(30));

    assert_eq!(config.units.len(), 1);
    let devices: Vec<_> = config.units[0].devices.iter().map(ToString::to_string).collect();
    assert_eq!(devices, [r"\\.\PhysicalDrive0"]);

    assert_eq!(config.volumes.len(), 1);
    let volume = &config.volumes[0];
    assert_eq!((volume.group.as_str(), volume.name.as_str()), ("snap", "snapdev1"));
    let Address::Path(path) = volume.at else {
        panic!("{:?}", volume.at);
    };
    assert_eq!(path.port.to_string(), "CL2-C");
    assert_eq!((path.target.get(), path.lun.get()), (25, lun));
    assert_eq!(volume.mu, MuNumber::new(mu).map(Mirror::Local));

    assert_eq!(config.remotes.len(), 1);
    let remote = &config.remotes[0];
    assert_eq!(remote.group.as_str(), "snap");
    assert_eq!(remote.host, host("127.0.0.1"));
    assert_eq!(remote.service, Service::Port(peer));
    assert_eq!(remote.path_id, None);

    assert!(config.ldev_groups.is_empty() && config.allowed.is_empty() && config.others.is_empty());
    assert!(config.groups().into_iter().map(|g| g.as_str()).eq(["snap"]));
}

#[test]
fn horcm50_is_the_p_vol_side() {
    check("horcm50.conf", 52050, 52051, 1, 2);
}

#[test]
fn horcm51_is_the_s_vol_side() {
    check("horcm51.conf", 52051, 52050, 2, 0);
}

/// The seed's own files name a physical drive, and start first without `HORCM_DEV`.
#[test]
fn the_seeds_first_file_without_volumes_is_complete() {
    let text = "HORCM_MON\n#ip_address      service      poll(10ms)  timeout(10ms)\n\
                127.0.0.1        52050        1000        3000\n\nHORCM_CMD\n\
                #dev_name        dev_name     dev_name\n\\\\.\\PhysicalDrive0\n";
    let parsed = confparse::parse(text);
    assert_eq!(parsed.diagnostics, []);
    let config = parsed.config.unwrap();
    assert_eq!(config.units[0].devices[0].to_string(), r"\\.\PhysicalDrive0");
    assert!(config.volumes.is_empty());
}
