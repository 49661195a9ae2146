//! The seed's session through the real programs, and what is left of it.

mod seed;

use lab::{Carrier, Lab, lab::until};

lab::on_every_carrier! {
    the_seeds_session_prints_the_seeds_lines,
}

fn the_seeds_session_prints_the_seeds_lines(carrier: Carrier) {
    let mut lab = Lab::on(carrier);
    lab.init_array().ok();
    lab.start_array();
    seed::session(&mut lab);

    let (first, second) = (lab.horcmd_pid(50).unwrap(), lab.horcmd_pid(51).unwrap());
    let titles = std::process::Command::new("ps").args(["-eo", "pid,args"]).output().unwrap();
    let titles = String::from_utf8_lossy(&titles.stdout).into_owned();
    for (pid, title) in [(first, "horcmd_050"), (second, "horcmd_051")] {
        let line = titles.lines().find(|l| l.trim_start().starts_with(&format!("{pid} ")));
        assert!(line.is_some_and(|line| line.ends_with(title)), "{line:?}");
    }
    assert_eq!(
        lab.shut_down(&[50, 51]).ok(),
        "inst 50:\nHORCM Shutdown inst 50 !!!\ninst 51:\nHORCM Shutdown inst 51 !!!\n"
    );
    until("both daemons are gone", || {
        [first, second].iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
    });
    let stopped = lab.cci(50, "horcmshutdown 50");
    assert_ne!(stopped.code, Some(0));
    assert!(stopped.stderr.contains("Can't be attached to HORC manager"), "{stopped}");
}
