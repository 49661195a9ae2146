//! The volumes behind the literal samples of the manuals, for tests of rows.

use model::{LdevId, LuPath, Lun, MuNumber, PairEnd, PairStatus, Role, Serial, TargetId, VolumeId};
use protocol::{
    horcm::{FoundDisk, Holder, Member, Row},
    orders::EndStatus,
};

/// A volume by serial and LDEV.
pub(crate) fn volume(serial: u32, ldev: u32) -> VolumeId {
    VolumeId { serial: Serial::new(serial).unwrap(), ldev: LdevId::new(ldev).unwrap() }
}

/// A path such as `CL2-C`, 25, 2.
pub(crate) fn path(port: &str, target: u32, lun: u32) -> LuPath {
    LuPath {
        port: port.parse().unwrap(),
        target: TargetId::new(target).unwrap(),
        lun: Lun::new(lun).unwrap(),
    }
}

/// An unpaired row.
pub(crate) fn row(path: LuPath, volume: VolumeId, mu: u32) -> Row {
    Row {
        path: Some(path),
        volume,
        mu: MuNumber::new(mu).unwrap(),
        device: None,
        permitted: true,
        status: Some(EndStatus::SMPL),
        guard: None,
    }
}

/// A row of a volume that its host may not use.
pub(crate) fn hidden(row: &Row) -> Row {
    Row { device: None, permitted: false, status: None, guard: None, ..row.clone() }
}

/// Pairs a row with a volume.
pub(crate) fn paired(
    row: Row,
    role: Role,
    status: PairStatus,
    percent: u8,
    with: VolumeId,
    with_mu: u32,
) -> Row {
    let partner = PairEnd { volume: with, mu: MuNumber::new(with_mu).unwrap() };
    Row {
        status: Some(EndStatus {
            role,
            status,
            partner: Some(partner),
            percent,
            ..EndStatus::SMPL
        }),
        ..row
    }
}

fn member(name: &str, local: Row, remote: Option<Row>) -> Member {
    Member { name: name.parse().unwrap(), local, remote }
}

/// A disk of unit 0.
pub(crate) fn disk(device: &str, volume: VolumeId, path: LuPath, product: &str) -> FoundDisk {
    FoundDisk {
        device: device.to_owned(),
        unit: Some(0),
        volume,
        port: Some(path.port.port),
        path: Some(path),
        product: product.to_owned(),
        registered: false,
        holders: Vec::new(),
    }
}

/// The disks of the seed's host.
pub(crate) fn disks() -> Vec<FoundDisk> {
    [(0, 16, "OPEN-3-CM"), (1, 18, "OPEN-3"), (2, 19, "OPEN-3")]
        .into_iter()
        .map(|(lun, ldev, product)| {
            let path = path("CL2-C", 25, lun);
            disk(&format!("Harddisk{lun}"), volume(62496, ldev), path, product)
        })
        .collect()
}

/// Two volumes that a disk may be at once, MU# 2 and MU# 0.
pub(crate) fn holders() -> Vec<Holder> {
    [("snap", "snapdev1", 2), ("other", "dev", 0)]
        .map(|(group, name, mu)| Holder {
            group: group.parse().unwrap(),
            name: name.parse().unwrap(),
            mu: MuNumber::new(mu).unwrap(),
        })
        .to_vec()
}

/// The seed's volume, seen from instance 51, before `paircreate`.
pub(crate) fn unpaired() -> Member {
    let mut local = row(path("CL2-C", 25, 2), volume(62496, 19), 0);
    let mut remote = row(path("CL2-C", 25, 1), volume(62496, 18), 2);
    local.device = Some("Harddisk2".to_owned());
    remote.device = Some("Harddisk1".to_owned());
    member("snapdev1", local, Some(remote))
}

/// The seed's volume after `paircreate -vr -m noread`.
pub(crate) fn noread_pair() -> Member {
    let (p, s) = (volume(62496, 18), volume(62496, 19));
    let local = row(path("CL2-C", 25, 2), s, 0);
    let remote = row(path("CL2-C", 25, 1), p, 2);
    let mut local = paired(local, Role::SVol, PairStatus::Pair, 100, p, 2);
    let mut remote = paired(remote, Role::PVol, PairStatus::Pair, 100, s, 0);
    for row in [&mut local, &mut remote] {
        if let Some(end) = &mut row.status {
            end.noread = true;
        }
    }
    member("snapdev1", local, Some(remote))
}

/// The two volumes of the `-fcx` sample.
pub(crate) fn paired_and_split() -> [Member; 2] {
    let v = |ldev| volume(85827, ldev);
    let first = member(
        "40:06_40:4b",
        paired(
            row(path("CL1-A-3", 3, 7), v(0x404b), 0),
            Role::SVol,
            PairStatus::Pair,
            99,
            v(0x4006),
            0,
        ),
        Some(paired(
            row(path("CL1-A-1", 0, 4), v(0x4006), 0),
            Role::PVol,
            PairStatus::Pair,
            99,
            v(0x404b),
            0,
        )),
    );
    let local = row(path("CL1-A-3", 2, 7), v(0x4050), 0);
    let remote = row(path("CL1-A-1", 3, 7), v(0x4045), 0);
    let local = paired(local, Role::SVol, PairStatus::Ssus, 100, v(0x4045), 0);
    let mut remote = paired(remote, Role::PVol, PairStatus::Psus, 100, v(0x4050), 0);
    if let Some(end) = &mut remote.status {
        end.svol_writable = true;
    }
    [first, member("40:45_40:50", local, Some(remote))]
}

/// The volume of the HORC sample, without its remote side.
pub(crate) fn alone() -> Member {
    member("pair1", row(path("CL1-A", 0, 1), volume(54321, 1), 0), None)
}

/// The volume of the `-CLI` sample.
pub(crate) fn split_for_cli() -> Member {
    let (p, s) = (volume(492_015, 0), volume(492_015, 1));
    let local = row(path("CL1-A-0", 0, 0), p, 0);
    let remote = row(path("CL1-A-0", 0, 1), s, 0);
    let mut local = paired(local, Role::PVol, PairStatus::Psus, 100, s, 0);
    if let Some(end) = &mut local.status {
        end.svol_writable = true;
    }
    let remote = paired(remote, Role::SVol, PairStatus::Ssus, 100, p, 0);
    member("VSP-LDEV-0-1", local, Some(remote))
}
