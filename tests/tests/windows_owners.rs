//! Files of other accounts on Windows, under Wine, where only root can make any: a key that somebody
//! else could have put there is none.

use std::os::unix::fs::chown;

use lab::{Carrier, Lab};
use model::Code;

/// Nobody's here.
const STRANGER: u32 = 4_321;

#[test]
fn a_key_of_another_account_is_refused_until_its_owner_is_set() {
    let mut lab = Lab::on_windows(Carrier::Ipcmd);
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[51]).ok();
    let key = lab.root().join(".uds/horcm.key");
    lab.cci(51, "pairdisplay -g snap -l").ok();
    chown(&key, Some(STRANGER), None).unwrap();
    let refused = lab.cci(51, "pairdisplay -g snap -l");
    let said = refused.fails(Code::ExAtthor);
    assert!(said.contains("horcm.key: it belongs to S-1-5-7"), "{said}");
    assert!(said.contains("icacls"), "{said}");
    chown(&key, Some(0), None).unwrap();
    lab.cci(51, "pairdisplay -g snap -l").ok();
    lab.shut_down(&[51]).ok();

    let folder = lab.root().join(".uds");
    chown(&folder, Some(STRANGER), None).unwrap();
    let refused = lab.start(&[51]);
    assert_ne!(refused.code, Some(0), "{refused}");
    chown(&folder, Some(0), None).unwrap();
    lab.start(&[51]).ok();
    lab.shut_down(&[51]).ok();
}
