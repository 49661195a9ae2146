//! Forms, defaults and limits of the grammar, section by section.

use std::time::Duration;

use confparse::{Address, Config, Mirror, MonitorAddress, Parsed, Service, parse, parse_bytes};
use model::Instance;

const CMD: &str = "HORCM_CMD\n/dev/sdb\n";

/// The configuration of a text that has no error.
#[track_caller]
fn config(text: &str) -> Config {
    let Parsed { config, diagnostics, .. } = parse(text);
    config.unwrap_or_else(|| panic!("{diagnostics:?}"))
}

/// Line, column and text of every finding.
fn findings(parsed: &Parsed) -> Vec<String> {
    parsed.diagnostics.iter().map(|d| d.plain("h.conf")).collect()
}

/// What is found in a text besides its missing HORCM_MON.
fn faults(text: &str) -> Vec<String> {
    let mut found = findings(&parse(text));
    found.retain(|line| !line.contains("HORCM_MON is missing"));
    found
}

#[test]
fn a_file_of_command_devices_alone_gets_the_defaults() {
    let parsed = parse(CMD);
    assert_eq!(
        findings(&parsed),
        ["h.conf:3:1: warning: HORCM_MON is missing; its defaults apply"]
    );
    let config = parsed.config.unwrap();
    assert_eq!(config.monitor, None);
    let five = Instance::numbered(5).unwrap();
    let monitor = config.monitor_or_default(five);
    assert_eq!(monitor.service, Service::Port(31006));
    assert_eq!(monitor.poll, Some(Duration::from_secs(10)));
    assert_eq!(monitor.timeout, Duration::from_secs(30));
    assert_eq!(monitor.address.to_string(), "127.0.0.1");
    let unnumbered = config.monitor_or_default(Instance::UNNUMBERED);
    assert_eq!(unnumbered.service, Service::Port(31000));
}

#[test]
fn monitor_rows_take_none_ipv6_names_and_no_polling() {
    let monitor = |row: &str| config(&format!("{CMD}HORCM_MON\n{row}\n")).monitor.unwrap();
    let none = monitor("NONE horcm0 -1 250");
    assert_eq!(none.address, MonitorAddress::None);
    assert_eq!(none.service, Service::Name("horcm0".into()));
    assert_eq!((none.poll, none.timeout), (None, Duration::from_millis(2500)));
    assert_eq!(monitor("NONE6 11000").address, MonitorAddress::None6);
    assert_eq!(monitor("fe80::1%eth0 11000").address.to_string(), "fe80::1%eth0");
    assert_eq!(monitor("localhost 65535 6000").timeout, Duration::from_secs(30));
}

#[test]
fn ldev_rows_take_all_three_notations() {
    let text = format!(
        "{CMD}HORCM_LDEV\noradb dev1 30095 02:40 0\noradb dev2 30095 577\n\
                        oradb dev3 30095 0x242 h3\nHORCM_INST\noradb h 1\n"
    );
    let config = config(&text);
    let ldevs: Vec<_> = config
        .volumes
        .iter()
        .map(|volume| match volume.at {
            Address::Ldev(id) => (id.serial.get(), id.ldev.get(), volume.mu.map(|m| m.to_string())),
            Address::Path(_) => panic!("{volume:?}"),
        })
        .collect();
    assert_eq!(
        ldevs,
        [(30095, 576, Some("0".into())), (30095, 577, None), (30095, 578, Some("h3".into()))]
    );
    assert_eq!(config.volumes[2].mu, Some(Mirror::Remote(3)));
}

#[test]
fn the_other_sections_keep_their_rows_in_order() {
    let text = format!(
        "{CMD}HORCM_LDEVG\nora grp1 64034\nHORCM_INST\nora node-3 horcm\nHORCM_INSTP\n\
         ora node-4 horcm 255\nHORCM_ALLOW_INST\nnode-3 horcm\n::1\nHORCM_CTQM\n ora  1 # x\n# y\n"
    );
    let config = config(&text);
    assert_eq!(config.ldev_groups[0].serial.get(), 64034);
    let paths: Vec<_> = config.remotes.iter().map(|r| r.path_id).collect();
    assert_eq!(paths, [None, Some(255)]);
    assert_eq!(config.allowed[0].service, Some(Service::Name("horcm".into())));
    assert_eq!((config.allowed[1].host.as_str(), &config.allowed[1].service), ("::1", &None));
    assert_eq!(config.others[0].name, "HORCM_CTQM");
    assert_eq!(config.others[0].lines, ["ora  1 # x"]);
    assert_eq!(
        faults(&text),
        [
            "h.conf:12:1: warning: 'HORCM_CTQM' is no section known here; it is kept and has no effect"
        ]
    );
}

#[test]
fn several_units_and_alternates_keep_their_order() {
    let config = config("HORCM_CMD\n/dev/sdb \\\\.\\CMD-30095:/dev/sd\n\\\\.\\CMD-30095-250-CL1\n");
    let units: Vec<Vec<String>> = config
        .units
        .iter()
        .map(|unit| unit.devices.iter().map(ToString::to_string).collect())
        .collect();
    assert_eq!(
        units,
        [
            vec!["/dev/sdb".to_owned(), r"\\.\CMD-30095:/dev/sd".to_owned()],
            vec![r"\\.\CMD-30095-250-CL1".to_owned()]
        ]
    );
}

#[test]
fn windows_line_ends_and_byte_order_mark_change_nothing() {
    let unix = "HORCM_CMD\n/dev/sdb\nHORCM_MON\nNONE 1\n";
    let windows = format!("\u{feff}{}", unix.replace('\n', "\r\n"));
    assert_eq!(parse(&windows).config, parse(unix).config);
    assert_eq!(parse(&windows).diagnostics, []);
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let text = "stray\nHORCM_MON # where\nNONE 0 0 x extra\nNONE 1\nHORCM_CMD\n  sdb /dev/sdc\nHORCM_DEV\n\
                g d CL0-A 1 -1 1024\ng d2\nHORCM_LDEV tail\ng d 1 10:0:0 h4\nHORCM_INTS\nhorcm_inst\ng 1.2.3.400 70000\n\
                HORCM_INSTP\ng h 1 0\ng h 1\nHORCM_ALLOW_INST\nNONE\n";
    let parsed = parse(text);
    assert_eq!(parsed.config, None);
    let expected = [
        "1:1: error: 'stray' stands before the first section; expected a section name, such as HORCM_MON",
        "3:6: error: service is '0'; expected a UDP port from 1 to 65535, or a service name of at most 15 characters",
        "3:8: error: poll is '0'; expected a number of 10 ms units from 1 to 4294967295, or -1 for never",
        "3:10: error: timeout is 'x'; expected a number of 10 ms units from 1 to 4294967295",
        "3:12: error: 'extra' is one word too many; expected the columns ip_address service [poll(10ms) [timeout(10ms)]]",
        "4:1: error: HORCM_MON has a second line; expected one line",
        "6:3: error: command device is 'sdb'; expected a command device of at most 63 characters: /dev/..., \\\\.\\PhysicalDriveN, \\\\.\\Volume{GUID}, \\\\.\\CMD-serial[-ldev[-port]][:hint] or \\\\.\\IPCMD-host-port[-unit]",
        "8:5: error: port# is 'CL0-A'; expected a port: CL1-A to CLG-R, and for a host group CL1-A-1",
        "8:13: error: LU# is '-1'; expected a decimal LU#",
        "8:16: error: MU# is '1024'; expected a decimal MU# from 0 to 1023, or h0 to h3",
        "9:5: error: port# is missing; expected the columns dev_group dev_name port# TargetID LU# [MU#]",
        "10:12: error: 'tail' stands behind the section name 'HORCM_LDEV'; expected a section name alone on its line",
        "11:7: error: CU:LDEV(LDEV#) is '10:0:0'; expected an LDEV number: decimal, 0x hex or CU:LDEV",
        "11:14: error: MU# is 'h4'; expected a decimal MU# from 0 to 1023, or h0 to h3",
        "12:1: warning: 'HORCM_INTS' is no section known here; it is kept and has no effect; expected HORCM_INST",
        "13:1: error: the section name is 'horcm_inst'; expected HORCM_INST",
        "14:3: error: ip_address is '1.2.3.400'; expected a host name or IP address of at most 63 characters",
        "14:13: error: service is '70000'; expected a UDP port from 1 to 65535, or a service name of at most 15 characters",
        "16:7: error: pathID is '0'; expected a path group ID from 1 to 255",
        "17:6: error: pathID is missing; expected the columns dev_group ip_address service pathID",
        "19:1: error: ip_address is 'NONE'; expected a host name or IP address of at most 63 characters",
    ]
    .map(|line| format!("h.conf:{line}"));
    assert_eq!(findings(&parsed), expected);
}

#[test]
fn names_and_numbers_past_their_limits_are_errors() {
    let row = |group: &str, tid: &str| {
        format!("{CMD}HORCM_DEV\n{group} d CL1-A {tid} 0\nHORCM_INST\n{group} h 1\n")
    };
    let (longest, long) = ("g".repeat(31), "g".repeat(32));
    assert_eq!(faults(&row(&longest, "0000001")), Vec::<String>::new());
    assert!(faults(&row(&long, "1"))[0].contains("4:1: error: dev_group is 'ggg"));
    assert!(faults(&row("g", "00000001"))[0].contains("expected at most 7 characters"));
    let ldev = format!("{CMD}HORCM_LDEV\ng d 1 0000001\nHORCM_INST\ng h 1\n");
    assert!(
        faults(&ldev)[0].contains("4:7: error: CU:LDEV(LDEV#) is '0000001'; expected at most 6")
    );
    let alternates = format!("HORCM_CMD\n{}\n", "/dev/sdb ".repeat(65));
    assert!(
        faults(&alternates)[0].contains("one word too many; expected at most 64 command devices")
    );
}

#[test]
fn the_same_volume_twice_is_an_error_wherever_it_is() {
    let text = format!(
        "{CMD}HORCM_DEV\ng d CL1-A 0 0\ng e CL1-A 0 1\nHORCM_LDEV\ng d 1 2\nG d 1 2\n\
                        HORCM_INST\ng h 1\nG h 1\n"
    );
    assert_eq!(
        faults(&text),
        [
            "h.conf:7:3: error: 'd' of group 'g' was already given on line 4; expected each dev_name once in its dev_group"
        ]
    );
}

#[test]
fn a_section_begun_twice_is_told_and_monitors_only_once() {
    let text = "HORCM_CMD\n/dev/sdb\nHORCM_CMD\n/dev/sdc\nHORCM_MON\nNONE 1\n";
    let parsed = parse(text);
    assert_eq!(
        findings(&parsed),
        ["h.conf:3:1: warning: HORCM_CMD was already begun on line 1; the lines of both are taken"]
    );
    assert_eq!(parsed.config.unwrap().units.len(), 2);
    assert_eq!(
        findings(&parse("HORCM_MON\nNONE 1\nHORCM_MON\nHORCM_CMD\n/dev/sdb\n")),
        ["h.conf:3:1: error: HORCM_MON was already begun on line 1; expected one HORCM_MON"]
    );
}

#[test]
fn groups_without_a_peer_and_peers_without_a_group_are_warnings() {
    let text = format!(
        "{CMD}HORCM_DEV\nalone d CL1-A 0 0\nHORCM_LDEVG\nora grp 1\nHORCM_INST\nora h 1\nvg h 1\nvg i 1\n"
    );
    assert!(parse(&text).config.is_some());
    assert_eq!(
        faults(&text),
        [
            "h.conf:4:1: warning: group 'alone' has no line in HORCM_INST; no remote instance can be asked about it",
            "h.conf:9:1: warning: no volume of this file belongs to group 'vg'",
        ]
    );
}

#[test]
fn no_command_device_is_an_error_even_in_an_empty_file() {
    for (text, message) in [
        ("", "1:1: error: HORCM_CMD is missing"),
        ("HORCM_MON\nNONE 1\n", "3:1: error: HORCM_CMD is missing"),
        ("HORCM_CMD\n# none\n", "3:1: error: HORCM_CMD names no command device"),
    ] {
        let found = faults(text);
        assert!(found[0].contains(message), "{found:?}");
        assert_eq!(parse(text).config, None);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_harmless_in_comments_only() {
    let comment = b"HORCM_CMD # \x83R\x83}\n/dev/sdb # \xff\nHORCM_MON\nNONE 1\n";
    let parsed = parse_bytes(comment);
    assert_eq!(
        findings(&parsed),
        ["h.conf:1:13: warning: some comments are not UTF-8 text; they are ignored"]
    );
    assert!(parsed.config.is_some());
    let value = b"HORCM_MON\nNONE 1\nHORCM_CMD\n/dev/sd\xff\n";
    let parsed = parse_bytes(value);
    assert!(parsed.config.is_none());
    assert!(
        findings(&parsed)[0].starts_with("h.conf:4:1: error: '/dev/sd\u{fffd}' is not UTF-8 text")
    );
}

#[test]
fn utf16_is_told_in_one_line() {
    let bytes: Vec<u8> =
        "\u{feff}HORCM_CMD\r\n/dev/sdb\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(
        findings(&parse_bytes(&bytes)),
        [
            "h.conf:1:1: error: the file is UTF-16 text; expected UTF-8 or plain ASCII; save it again as that"
        ]
    );
}

#[test]
fn a_flood_of_warnings_hides_no_error() {
    let text = format!("{}HORCM_CMD\nsdb\n", "HORCM_X\n".repeat(5_000));
    let parsed = parse(&text);
    assert_eq!(parsed.diagnostics.len(), 1_001);
    assert_eq!(parsed.omitted, 4_001);
    assert!(findings(&parsed).last().unwrap().contains(":5002:1: error: command device is 'sdb'"));
}

#[test]
fn a_text_past_the_limit_is_refused_unread() {
    let text = "#".repeat(confparse::MAX_SIZE + 1);
    assert!(findings(&parse(&text))[0].contains("error: the file has 67108865 bytes"));
    let rows = "x\n".repeat(confparse::MAX_ROWS + 2);
    assert!(findings(&parse(&rows))[1].contains("1048577:1: error: more than 1048576 rows"));
}
