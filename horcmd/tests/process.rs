//! The process: starts, refusals to start, ends, and crashes.

mod common;

use std::{fs, net::UdpSocket};

use common::{
    array::FakeArray,
    world::{Pair, World, free_port, group, wait_for},
};
use lab::Carrier;
use model::Instance;
use protocol::Registration;

fn conf(port: u16, device: &str, rows: &str) -> String {
    format!("HORCM_MON\n127.0.0.1 {port} 10 50\nHORCM_CMD\n{device}\n{rows}")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_process_carries_the_title_of_its_instance() {
    let world = World::new();
    let array = FakeArray::seed(Carrier::Ipcmd, &world);
    world.conf(7, &conf(free_port(), &array.command_device(), ""));
    let daemon = world.start(7);
    let proc = format!("/proc/{}", daemon.child.id());
    assert_eq!(fs::read_to_string(format!("{proc}/cmdline")).unwrap(), "horcmd_07\0");
    assert_eq!(fs::read_to_string(format!("{proc}/comm")).unwrap(), "horcmd_07\n");
}

#[test]
fn a_second_daemon_of_one_instance_is_refused_and_disturbs_nothing() {
    let world = World::new();
    let array = FakeArray::seed(Carrier::Ipcmd, &world);
    world.conf(5, &conf(free_port(), &array.command_device(), ""));
    let mut first = world.start(5);
    wait_for("the log", || world.log(5).contains("listening"));
    let second = world.fail(5);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("HORCM inst 5 has already been running."));
    assert!(world.log(5).contains("listening"), "the log of the first stays in place");
    first.ask(&protocol::horcm::Request::Ping).unwrap();
}

#[test]
fn a_port_in_use_is_named() {
    let world = World::new();
    let array = FakeArray::seed(Carrier::Ipcmd, &world);
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    world.conf(5, &conf(address.port(), &array.command_device(), ""));
    let failed = world.fail(5);
    assert_eq!(failed.status.code(), Some(3));
    for said in [text(&failed.stderr), world.startup_log(5)] {
        assert!(said.contains("HORCM_005") && said.contains(&address.to_string()), "{said}");
    }
    let instance = Instance::numbered(5).unwrap();
    assert_eq!(Registration::read(&world.home, instance).unwrap(), None);
}

#[test]
fn a_bad_configuration_is_told_with_all_its_mistakes() {
    let world = World::new();
    let rows = "HORCM_LDEV\ng v abc 1 0\ng w 62496 xyz 0\n";
    world.conf(5, &conf(free_port(), r"\\.\IPCMD-127.0.0.1-31001", rows));
    let failed = world.fail(5);
    assert_eq!(failed.status.code(), Some(3));
    let said = world.startup_log(5);
    assert!(said.contains("HORCM_008"), "{said}");
    assert!(said.contains("horcm5.conf:6:5") && said.contains("horcm5.conf:7:11"), "{said}");
    let missing = text(&world.fail(6).stderr);
    assert!(missing.contains("HORCM_008") && missing.contains("horcm6.conf"), "{missing}");
}

#[test]
fn command_devices_that_do_not_answer_or_cannot_be_used_are_told_apart() {
    let world = World::new();
    let device = format!(r"\\.\IPCMD-127.0.0.1-{}", free_port());
    world.conf(5, &conf(free_port(), &device, ""));
    let said = text(&world.fail(5).stderr);
    assert!(
        said.contains("HORCM_009") && said.contains(&device) && said.contains("refused"),
        "{said}"
    );
    world.conf(5, &conf(free_port(), r"\\.\PhysicalDrive0", ""));
    let said = text(&world.fail(5).stderr);
    assert!(said.contains("HORCM_009") && said.contains("PhysicalDrive0"), "{said}");
    assert!(said.contains("horcm.hba"), "says where disks are listed: {said}");
    world.conf(5, &conf(free_port(), r"\\.\Volume{12345678-1234-1234-1234-123456789abc}", ""));
    let said = text(&world.fail(5).stderr);
    assert!(said.contains("HORCM_009") && said.contains("Volume{"), "{said}");
    assert!(said.contains("IPCMD"), "says what works: {said}");
    let array = FakeArray::seed(Carrier::Ipcmd, &world);
    let both = format!(r"\\.\PhysicalDrive0 {}", array.command_device());
    world.conf(5, &conf(free_port(), &both, ""));
    world.start(5);
}

#[test]
fn an_instance_that_names_itself_as_its_remote_is_refused() {
    let world = World::new();
    let port = free_port();
    let rows = format!("HORCM_DEV\ng v CL2-C 25 1 0\nHORCM_INST\ng localhost {port}\n");
    world.conf(5, &conf(port, r"\\.\IPCMD-127.0.0.1-31001", &rows));
    let said = text(&world.fail(5).stderr);
    assert!(said.contains("HORCM_007") && said.contains("group g"), "{said}");
}

lab::on_every_carrier! {
    after_kill_9_the_next_start_works_and_keeps_the_old_log,
}

fn after_kill_9_the_next_start_works_and_keeps_the_old_log(carrier: Carrier) {
    let world = World::new();
    let array = FakeArray::seed(carrier, &world);
    Pair::write([&world, &world], &array.command_device(), 3000);
    let mut daemon = world.start(50);
    wait_for("the log", || world.log(50).contains("listening"));
    daemon.child.kill().unwrap();
    daemon.wait();
    let instance = Instance::numbered(50).unwrap();
    let stale = Registration::read(&world.home, instance).unwrap().unwrap();
    let mut again = world.start(50);
    assert_ne!(Registration::read(&world.home, instance).unwrap().unwrap().pid, stale.pid);
    again.members(&group("snap"), false).unwrap();
    let kept = walk(&world.log_dir(50).join("tmplog"));
    assert!(kept.contains("listening"), "{kept}");
}

#[test]
fn signals_and_the_command_end_it_in_good_order() {
    let world = World::new();
    let array = FakeArray::seed(Carrier::Ipcmd, &world);
    world.conf(5, &conf(free_port(), &array.command_device(), ""));
    let instance = Instance::numbered(5).unwrap();
    for signal in [Some("-TERM"), Some("-INT"), None] {
        let mut daemon = world.start(5);
        let code = match signal {
            Some(name) => {
                daemon.signal(name);
                daemon.wait()
            }
            None => daemon.shutdown(),
        };
        assert_eq!(code, Some(0));
        assert_eq!(Registration::read(&world.home, instance).unwrap(), None);
        assert!(world.log(5).trim_end().ends_with("inst 5 ended"), "the log is complete");
    }
}

fn walk(directory: &std::path::Path) -> String {
    let entries = fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path());
    let read = |path: std::path::PathBuf| {
        if path.is_dir() { walk(&path) } else { fs::read_to_string(path).unwrap() }
    };
    entries.map(read).collect()
}
