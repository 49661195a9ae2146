//! A real ext4 on real volumes: made by mkfs.ext4, judged by e2fsck.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use lab::{
    Carrier, Lab, bytes,
    lab::{PVOL, SVOL},
};

/// The size of an OPEN-3, as the manuals give it: 2,403,360 KB.
const OPEN_3: u64 = 2_403_360 * 1024;

lab::on_every_carrier! {
    an_ext4_image_survives_create_split_resync_and_restore_byte_for_byte,
}

fn an_ext4_image_survives_create_split_resync_and_restore_byte_for_byte(carrier: Carrier) {
    let mut lab = Lab::on(carrier);
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50, 51]).ok();

    let first = image(&lab, "first", 1);
    lab.import(PVOL, &first).ok();
    change(&lab, "paircreate -g snap -vr -c 15", "-s pair");
    change(&lab, "pairsplit -g snap", "-s psus");
    same(&lab, SVOL, &first, "the S-VOL after create and split");

    // A second file system goes over the first while the pair is split.
    let second = image(&lab, "second", 2);
    lab.import(PVOL, &second).ok();
    same(&lab, SVOL, &first, "the S-VOL keeps the moment of the split");
    same(&lab, PVOL, &second, "the P-VOL has what the host wrote");

    change(&lab, "pairresync -g snap -c 15", "-s pair");
    change(&lab, "pairsplit -g snap", "-s psus");
    same(&lab, SVOL, &second, "the S-VOL after the resync");

    // Both sides change, then the S-VOL's bytes come back over the P-VOL.
    lab.import(PVOL, &first).ok();
    change(&lab, "pairresync -g snap -restore -c 15", "-s pair");
    change(&lab, "pairsplit -g snap", "-s psus");
    same(&lab, PVOL, &second, "the restored P-VOL");
    same(&lab, SVOL, &second, "the S-VOL after the restore");

    // A quick split says PSUS at once; the bytes must be those of that moment all the same.
    change(&lab, "pairresync -g snap -c 15", "-s pair");
    lab.import(PVOL, &first).ok();
    lab.cci(51, "pairsplit -g snap -fq quick").ok();
    lab.import(PVOL, &second).ok();
    same(&lab, SVOL, &first, "the S-VOL of a quick split");
}

fn change(lab: &Lab, command: &str, wanted: &str) {
    lab.cci(51, command).ok();
    lab.cci(51, &format!("pairevtwait -g snap {wanted} -t 200")).ok();
}

/// An ext4 file system of the P-VOL's size, filled from a directory tree.
fn image(lab: &Lab, name: &str, seed: u64) -> std::path::PathBuf {
    let tree = lab.path(&format!("{name}.tree"));
    for folder in 0..8 {
        let folder_path = tree.join(format!("folder{folder}"));
        fs::create_dir_all(&folder_path).unwrap();
        for file in 0..24 {
            let n = seed * 1000 + folder * 100 + file;
            let length = 1000 + usize::try_from(n % 17).unwrap() * 37_000;
            fs::write(folder_path.join(format!("file{file}")), bytes::pattern(n, length)).unwrap();
        }
    }
    let image = lab.path(&format!("{name}.img"));
    fs::File::create(&image).unwrap().set_len(OPEN_3).unwrap();
    let made = tool("mkfs.ext4")
        .args(["-q", "-F", "-d"])
        .args([&tree, &image])
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    judged_clean(&image);
    image
}

fn same(lab: &Lab, ldev: u32, image: &Path, what: &str) {
    let exported = lab.export(ldev, "exported.img");
    assert_eq!(fs::metadata(&exported).unwrap().len(), OPEN_3, "{what}");
    assert_eq!(bytes::first_difference(&exported, image).unwrap(), None, "{what}");
    judged_clean(&exported);
    fs::remove_file(exported).unwrap();
}

fn judged_clean(image: &Path) {
    let judged = tool("e2fsck").arg("-fn").arg(image).output().unwrap();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
}

/// Ordinary users have no `sbin` on their path.
fn tool(name: &str) -> Command {
    let found = ["/usr/sbin", "/sbin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
    let path = found.into_iter().find(|path| path.is_file());
    Command::new(path.unwrap_or_else(|| panic!("{name} is not installed")))
}
