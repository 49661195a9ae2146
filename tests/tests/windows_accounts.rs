//! Accounts of Windows, under Wine: whose sessions are kept where.

use std::{fs, time::Duration};

use lab::{Carrier, Lab, run};
use model::Code;

#[test]
fn a_session_is_kept_by_the_whole_identifier_of_its_account() {
    let mut lab = Lab::on_windows(Carrier::Ipcmd);
    let mut hash = lab.binary("arrayd");
    hash.arg("hash-password");
    let hash = run::run(hash, "arrayd hash-password".into(), b"sesame\n", Duration::from_secs(60));
    let toml = fs::read_to_string(lab.conf("array-62496.toml")).unwrap();
    let secured = "[ipcmd]\nsecurity = { user_authentication = true }\n";
    let user = format!(
        "\n[[user]]\nname = \"ann\"\npassword_hash = \"{}\"\nroles = [\"local-copy\"]\n",
        hash.ok().trim_end()
    );
    lab.write_conf("array-62496.toml", &(toml.replace("[ipcmd]\n", secured) + &user));
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[51]).ok();
    lab.cci(51, "pairdisplay -g snap -l").fails(Code::ExEnauth);
    lab.cci(51, "raidcom -login ann sesame -s 62496 -IM51").ok();
    lab.cci(51, "pairdisplay -g snap -l").ok();
    let folders = fs::read_dir(lab.root().join("usr/var")).unwrap();
    let names: Vec<_> = folders.map(|folder| folder.unwrap().file_name()).collect();
    let [name] = &names[..] else { panic!("{names:?}") };
    assert!(name.to_str().unwrap().starts_with("S-1-5-21-"), "{name:?}");
    lab.shut_down(&[51]).ok();
}
