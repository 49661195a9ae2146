//! Text to model to text to model is the identity, and no text makes the parser panic.

use std::time::Duration;

use confparse::{
    Address, Allowed, CommandDevice, Config, Host, LdevGroup, Mirror, Monitor, MonitorAddress,
    OtherSection, Remote, SearchPort, Service, Unit, Volume, parse, parse_bytes, permissions,
    report,
};
use model::{DevName, GroupName, LdevId, LuPath, Lun, MuNumber, Serial, TargetId, VolumeId};
use proptest::{collection::vec, option, prelude::*};

fn group() -> impl Strategy<Value = GroupName> {
    "[A-Za-z0-9_.:é-][!-~é#]{0,30}".prop_filter_map("reserved", |word| word.parse().ok())
}

fn name() -> impl Strategy<Value = DevName> {
    "[A-Za-z0-9_.:é-][!-~é#]{0,30}".prop_filter_map("reserved", |word| word.parse().ok())
}

fn host() -> impl Strategy<Value = Host> {
    let named = "[a-z0-9_][A-Za-z0-9._-]{0,30}";
    let v4 = any::<[u8; 4]>().prop_map(|ip| std::net::Ipv4Addr::from(ip).to_string());
    let v6 = any::<[u8; 16]>().prop_map(|ip| std::net::Ipv6Addr::from(ip).to_string());
    let scoped = "[a-z0-9]{1,8}".prop_map(|scope| format!("fe80::1%{scope}"));
    prop_oneof![named, v4, v6, scoped].prop_filter_map("no host", |word| word.parse().ok())
}

fn service() -> impl Strategy<Value = Service> {
    prop_oneof![
        (1..=u16::MAX).prop_map(Service::Port),
        "[a-z_][a-z0-9_.+-]{0,14}".prop_map(Service::Name),
    ]
}

fn ticks() -> impl Strategy<Value = Duration> {
    (1..=u32::MAX).prop_map(|n| Duration::from_millis(10) * n)
}

fn monitor() -> impl Strategy<Value = Monitor> {
    let address = prop_oneof![
        host().prop_map(MonitorAddress::Host),
        Just(MonitorAddress::None),
        Just(MonitorAddress::None6)
    ];
    (address, service(), option::of(ticks()), ticks())
        .prop_map(|(address, service, poll, timeout)| Monitor { address, service, poll, timeout })
}

fn serial() -> impl Strategy<Value = Serial> {
    any::<u32>().prop_filter_map("range", Serial::new)
}

fn ldev() -> impl Strategy<Value = LdevId> {
    (0..=LdevId::MAX.get()).prop_filter_map("range", LdevId::new)
}

fn port() -> impl Strategy<Value = model::PortAddress> {
    ("CL[1-9A-G]-[A-R]", option::of(0..=254u8)).prop_filter_map("port", |(port, host_group)| {
        let port = port.parse().ok()?;
        Some(model::PortAddress { port, host_group })
    })
}

fn device() -> impl Strategy<Value = CommandDevice> {
    let clusters: Vec<char> = "123456789ABCDEFG".chars().collect();
    let search_port = prop_oneof![
        proptest::sample::select(clusters).prop_map(SearchPort::Cluster),
        port().prop_map(SearchPort::Port)
    ];
    let target = option::of((ldev(), option::of(search_port)));
    let search =
        (serial(), target, option::of("/[!-~]{0,20}")).prop_map(|(serial, target, hint)| {
            CommandDevice::Search {
                serial,
                ldev: target.map(|(ldev, _)| ldev),
                port: target.and_then(|(_, port)| port),
                hint,
            }
        });
    let ip = (host(), 256..=u16::MAX, option::of(any::<u8>()))
        .prop_map(|(host, port, unit)| CommandDevice::Ip { host, port, unit });
    prop_oneof![
        "/[!-~]{0,62}".prop_map(CommandDevice::Path),
        any::<u32>().prop_map(CommandDevice::PhysicalDrive),
        "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
            .prop_map(CommandDevice::VolumeGuid),
        search,
        ip.prop_filter("longer than CCI takes", |ip| ip.to_string().len() <= 63),
    ]
}

fn volume() -> impl Strategy<Value = Volume> {
    let path =
        (port(), 0..=9999u32, 0..=9999u32).prop_filter_map("range", |(port, target, lun)| {
            let (target, lun) = (TargetId::new(target)?, Lun::new(lun)?);
            Some(Address::Path(LuPath { port, target, lun }))
        });
    let id = (serial(), ldev()).prop_map(|(serial, ldev)| Address::Ldev(VolumeId { serial, ldev }));
    let mu = prop_oneof![
        (0..=1023u32).prop_filter_map("range", |n| MuNumber::new(n).map(Mirror::Local)),
        (0..=3u8).prop_map(Mirror::Remote),
    ];
    (group(), name(), prop_oneof![path, id], option::of(mu))
        .prop_map(|(group, name, at, mu)| Volume { group, name, at, mu })
}

fn remote() -> impl Strategy<Value = Remote> {
    (group(), host(), service(), option::of(1..=255u8))
        .prop_map(|(group, host, service, path_id)| Remote { group, host, service, path_id })
}

fn other() -> impl Strategy<Value = OtherSection> {
    let line = "[A-Za-z0-9]([ -~é]{0,30}[!-~])?";
    ("HORCM_[A-Z]{1,9}9", vec(line, 0..3)).prop_map(|(name, lines)| OtherSection { name, lines })
}

prop_compose! {
    fn config()(
        monitor in option::of(monitor()),
        units in vec(vec(device(), 1..4).prop_map(|devices| Unit { devices }), 1..4),
        mut volumes in vec(volume(), 0..8),
        ldev_groups in vec(
            (group(), group(), serial()).prop_map(|(copy_group, ldev_group, serial)| LdevGroup {
                copy_group,
                ldev_group,
                serial,
            }),
            0..3,
        ),
        remotes in vec(remote(), 0..6),
        allowed in vec(
            (host(), option::of(service())).prop_map(|(host, service)| Allowed { host, service }),
            0..3,
        ),
        others in vec(other(), 0..3),
    ) -> Config {
        volumes.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
        volumes.dedup_by(|a, b| a.group == b.group && a.name == b.name);
        Config { monitor, units, volumes, ldev_groups, remotes, allowed, others }
    }
}

/// 2,000 of each, or as many as `PROPTEST_CASES` asks for. Nothing is written beside the tests.
fn cases() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.and_then(|n| n.parse().ok()).unwrap_or(2_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_written_configuration_reads_back_as_itself(config in config()) {
        let text = config.to_string();
        let parsed = parse(&text);
        prop_assert_eq!(parsed.config.as_ref(), Some(&config), "{}\n{:?}", text, parsed.diagnostics);
        prop_assert_eq!(parsed.config.map(|config| config.to_string()), Some(text));
    }

    #[test]
    fn a_mangled_configuration_never_panics(
        config in config(),
        edits in vec((any::<prop::sample::Index>(), 0..4usize, any::<u8>(), any::<bool>()), 1..12),
    ) {
        let mut bytes = config.to_string().into_bytes();
        for (at, drop, byte, insert) in edits {
            let at = at.index(bytes.len() + 1);
            let end = (at + drop).min(bytes.len());
            bytes.splice(at..end, insert.then_some(byte));
        }
        survives(&bytes)?;
    }

    #[test]
    fn any_bytes_never_panic(bytes in vec(any::<u8>(), 0..512)) {
        survives(&bytes)?;
    }

    #[test]
    fn any_words_of_the_grammar_never_panic(words in vec(word(), 0..40)) {
        survives(words.concat().as_bytes())?;
    }
}

/// Pieces that come up in configurations, in any order.
fn word() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "HORCM_MON",
        "HORCM_CMD",
        "HORCM_DEV",
        "HORCM_LDEV",
        "HORCM_LDEVG",
        "HORCM_INST",
        "HORCM_INSTP",
        "HORCM_ALLOW_INST",
        "HORCM_",
        "horcm_dev",
        "\n",
        "\n",
        "\n",
        "\r\n",
        " ",
        " ",
        "\t",
        "#",
        "NONE",
        "CL1-A",
        "0",
        "-1",
        "h1",
        "02:40",
        "/dev/sdb",
        r"\\.\CMD-1-2-CL1:",
        r"\\.\IPCMD-h-1-1-1",
        "\u{feff}",
        "\u{fffd}",
        "\u{2028}",
        "é",
    ];
    proptest::sample::select(PIECES).prop_map(str::to_owned).boxed()
}

/// What must hold whatever the bytes are: no panic, either errors or a configuration that reads
/// back as itself, and findings that point into the text and can be shown.
fn survives(bytes: &[u8]) -> Result<(), TestCaseError> {
    let text = String::from_utf8_lossy(bytes);
    let parsed = parse_bytes(bytes);
    for d in &parsed.diagnostics {
        prop_assert!(text.get(d.span.clone()).is_some(), "{:?}", d);
        prop_assert!(!d.plain("h.conf").contains(char::is_control), "{:?}", d);
    }
    let shown = report(&text, "h.conf", &parsed.diagnostics, true);
    prop_assert!(!shown.contains('\u{1b}'), "{}", shown);
    if let Some(config) = parsed.config {
        let again = parse(&config.to_string());
        prop_assert_eq!(again.config.as_ref(), Some(&config), "{}", config);
    }
    let _ = permissions::parse(&text);
    Ok(())
}
