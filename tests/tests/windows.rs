//! The programs of Windows, run under Wine against an array that runs here: the seed's session from
//! the configurations of `%windir%` and the folders of `C:\HORCM`, on every carrier.

mod seed;

use lab::{Carrier, Lab};
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
