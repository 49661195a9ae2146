//! The programs of Windows, run under Wine against an array that runs here: the seed's session from
//! the configurations of `%windir%` and the folders of `C:\HORCM`, on every carrier.

mod seed;

use std::{
    fs,
    time::{Duration, Instant},
};

use lab::{Carrier, Lab, Outcome, run};
use model::Code;

lab::on_every_carrier! {
    the_seeds_session_prints_the_seeds_lines_on_windows,
}

fn the_seeds_session_prints_the_seeds_lines_on_windows(carrier: Carrier) {
    let mut lab = Lab::on_windows(carrier);
    lab.init_array().ok();
    lab.start_array();
    seed::session(&mut lab);
    for log in ["log50/curlog", "log51/curlog", ".uds"] {
        assert!(lab.root().join(log).is_dir(), "C:\\HORCM\\{log}");
    }
    assert!(lab.cci(50, "RaidQry -h").ok().contains("WindowsNT/x64"));
    assert_eq!(
        lab.shut_down(&[50, 51]).ok(),
        "inst 50:\nHORCM Shutdown inst 50 !!!\ninst 51:\nHORCM Shutdown inst 51 !!!\n"
    );
    lab.cci(50, "pairdisplay -g snap").fails(Code::ExAtthor);
    assert_eq!(lab.stop_array(), Some(0));
}

/// `net start HORCM50` and the like.
fn net(lab: &Lab, order: &str, service: &str) -> Outcome {
    let mut command = lab.wine().unwrap().command("net");
    command.args([order, service]);
    run::run(command, format!("net {order} {service}"), b"", Duration::from_secs(120))
}

/// The row of a service: state, start, process, exit.
fn row(lab: &Lab, service: &str) -> Option<[String; 4]> {
    let list = lab.cci(50, "horcm service list");
    let rows = list.ok().lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let row = rows.into_iter().find(|row| row[0] == service)?;
    Some([1, 2, 3, 4].map(|cell| row[cell].to_owned()))
}

/// Waits until a service has that state, and asserts what it ended with.
#[track_caller]
fn comes_to(lab: &Lab, service: &str, state: &str, exit: &str) {
    let begun = Instant::now();
    loop {
        let cells = row(lab, service).expect("it is installed");
        if cells[0] == state {
            assert_eq!(cells[3], exit, "{service}");
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{service} is {cells:?}, not {state}");
    }
}

/// The start-up log of an instance.
fn start_up_log(lab: &Lab, instance: u16) -> String {
    let log = fs::read_dir(lab.root().join(format!("log{instance}/curlog"))).unwrap();
    let log = log.map(|entry| entry.unwrap().path()).find(|path| path.is_file());
    fs::read_to_string(log.expect("there is one")).unwrap()
}

#[test]
fn an_instance_is_a_service_from_its_installation_to_its_end() {
    let mut lab = Lab::on_windows(Carrier::Ipcmd);
    lab.init_array().ok();
    lab.start_array();
    for (words, code) in [
        ("", Code::ExReqarg),
        ("begin 50", Code::ExInvarg),
        ("install 50 2048", Code::ExInvarg),
        ("uninstall fifty", Code::ExInvarg),
        ("list 50", Code::ExInvarg),
    ] {
        lab.cci(50, &format!("horcm service {words}")).fails(code);
    }
    assert_eq!(row(&lab, "HORCM50"), None, "all words are checked before the first is installed");
    assert_eq!(lab.cci(50, "horcm service uninstall").ok(), "HORCM50: was not installed\n");
    assert_eq!(
        lab.cci(50, "horcm service install 50 51").ok(),
        "HORCM50: installed; it starts with Windows, now by: net start HORCM50\n\
         HORCM51: installed; it starts with Windows, now by: net start HORCM51\n"
    );
    assert_eq!(
        lab.cci(50, "horcm service install").ok(),
        "HORCM50: was installed already; set anew\n"
    );
    assert_eq!(row(&lab, "HORCM50").unwrap(), ["STOPPED", "auto", "-", "-"]);

    for service in ["HORCM50", "HORCM51"] {
        net(&lab, "start", service).ok();
        comes_to(&lab, service, "RUNNING", "-");
    }
    lab.cci(50, "pairdisplay -g snap").ok();
    let pid = lab.horcmd_pid(50).unwrap().to_string();
    assert_eq!(row(&lab, "HORCM50").unwrap(), ["RUNNING", "auto", &pid, "-"]);
    assert_eq!(lab.cci(50, "horcmstart 50").code, Some(1), "it runs already");

    net(&lab, "stop", "HORCM50").ok();
    comes_to(&lab, "HORCM50", "STOPPED", "0");
    assert_eq!(lab.horcmd_pid(50), None, "it ended in good order");
    lab.cci(50, "pairdisplay -g snap").fails(Code::ExAtthor);
    lab.shut_down(&[51]).ok();
    comes_to(&lab, "HORCM51", "STOPPED", "0");

    // What keeps it from starting is told to Windows, and stands in the start-up log.
    let conf = lab.conf("horcm50.conf");
    let text = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, text.replace("HORCM_CMD", "HORCM_CMT")).unwrap();
    net(&lab, "start", "HORCM50");
    comes_to(&lab, "HORCM50", "STOPPED", "3");
    let log = start_up_log(&lab, 50);
    assert!(log.starts_with("[HORCM_008]"), "{log}");
    fs::write(&conf, text).unwrap();

    lab.restart_windows();
    for service in ["HORCM50", "HORCM51"] {
        comes_to(&lab, service, "RUNNING", "-");
    }
    lab.cci(51, "pairdisplay -g snap").ok();

    assert_eq!(
        lab.cci(51, "horcm service uninstall 50 51").ok(),
        "HORCM50: ended and uninstalled\nHORCM51: ended and uninstalled\n"
    );
    assert_eq!((row(&lab, "HORCM50"), row(&lab, "HORCM51")), (None, None));
    lab.cci(51, "pairdisplay -g snap").fails(Code::ExAtthor);
    assert_eq!(lab.stop_array(), Some(0));
}
