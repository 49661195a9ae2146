//! Arguments that no coordinator would hand in. Each must be refused, and nothing be touched.

use std::ptr::{null, null_mut};

use windows::Win32::Storage::VirtualDiskService::{
    VDS_LUN_INFORMATION as Lun, VDS_STORAGE_IDENTIFIER,
};
use windows_core::{BOOL, GUID, HRESULT};

use crate::{Answer, calls::Caller, luns::task_memory};

const SET: GUID = GUID::from_u128(1);

/// LUNs with one thing wrong each.
fn bad_luns() -> Vec<(&'static str, Lun)> {
    let sound = Lun { m_version: 1, m_szVendorId: task_memory(b"HITACHI\0"), ..Lun::default() };
    // It ends, but only where nobody should look any more.
    let endless = task_memory(&[vec![b'9'; 8191], vec![0]].concat());
    let with = |change: &dyn Fn(&mut Lun)| {
        let mut lun = sound;
        change(&mut lun);
        lun
    };
    let identifiers = |lun: &mut Lun, count, bytes, place| {
        let identifier = VDS_STORAGE_IDENTIFIER {
            m_cbIdentifier: bytes,
            m_rgbIdentifier: place,
            ..VDS_STORAGE_IDENTIFIER::default()
        };
        lun.m_deviceIdDescriptor.m_cIdentifiers = count;
        lun.m_deviceIdDescriptor.m_rgIdentifiers = task_memory(&[identifier]);
    };
    vec![
        ("endless vendor", with(&|lun| lun.m_szVendorId = endless)),
        ("endless product", with(&|lun| lun.m_szProductId = endless)),
        ("endless revision", with(&|lun| lun.m_szProductRevision = endless)),
        ("endless serial", with(&|lun| lun.m_szSerialNumber = endless)),
        ("no identifiers", with(&|lun| lun.m_deviceIdDescriptor.m_cIdentifiers = 1)),
        ("many identifiers", with(&|lun| identifiers(lun, 0xffff_ffff, 0, null_mut()))),
        ("empty identifier", with(&|lun| identifiers(lun, 1, 8, null_mut()))),
        ("long identifier", with(&|lun| identifiers(lun, 1, 0xffff_fff0, task_memory(&[0])))),
    ]
}

/// `malformed`: a line `CALL CASE HRESULT` each.
pub fn all(caller: &Caller) -> Answer {
    let (this, base, extended) = caller.raw()?;
    let mut lines = Vec::new();
    let mut say = |call: &str, case: &str, hresult: HRESULT| {
        lines.push(format!("{call}: {case}: {:#010x}", hresult.0));
    };
    let mut lun = Lun::default();
    let place = &raw mut lun;
    let mut supported = BOOL(-1);
    let answer = &raw mut supported;
    let mut revert = null_mut();
    // SAFETY: what is wrong is null or a count that must not be believed; the rest is there.
    unsafe {
        let counts = [
            ("a negative count", -1, place),
            ("a huge count", i32::MAX, place),
            ("no array", 1, null_mut()),
        ];
        for (case, count, luns) in counts {
            let calls = [
                ("AreLunsSupported", (base.AreLunsSupported)(this, count, 0, null(), luns, answer)),
                (
                    "BeginPrepareSnapshot",
                    (base.BeginPrepareSnapshot)(this, SET, SET, 0, count, null(), luns),
                ),
                ("GetTargetLuns", (base.GetTargetLuns)(this, count, null(), luns, luns)),
                ("LocateLuns", (base.LocateLuns)(this, count, luns)),
            ];
            for (call, hresult) in calls {
                say(call, case, hresult);
            }
            let unsigned = count.cast_unsigned();
            let changed = (extended.OnLunStateChange)(this, luns, luns, unsigned, 0x800);
            say("OnLunStateChange", case, changed);
            let resynced = (extended.ResyncLuns)(this, luns, luns, unsigned, &mut revert);
            say("ResyncLuns", case, resynced);
        }
        let targets = (base.GetTargetLuns)(this, 1, null(), place, null_mut());
        say("GetTargetLuns", "no targets", targets);
        say("FillInLunInfo", "no LUN", (base.FillInLunInfo)(this, null(), null_mut(), answer));
        say("FillInLunInfo", "no answer", (base.FillInLunInfo)(this, null(), place, null_mut()));
        let supported = (base.AreLunsSupported)(this, 1, 0, null(), place, null_mut());
        say("AreLunsSupported", "no answer", supported);
        say("OnLunEmpty", "no LUN", (base.OnLunEmpty)(this, null(), null()));
        let resynced = (extended.ResyncLuns)(this, place, place, 1, null_mut());
        say("ResyncLuns", "no answer", resynced);
        for (case, mut bad) in bad_luns() {
            let bad = &raw mut bad;
            let calls = [
                ("AreLunsSupported", (base.AreLunsSupported)(this, 1, 0, null(), bad, answer)),
                ("FillInLunInfo", (base.FillInLunInfo)(this, null(), bad, answer)),
                (
                    "BeginPrepareSnapshot",
                    (base.BeginPrepareSnapshot)(this, SET, SET, 0, 1, null(), bad),
                ),
                ("GetTargetLuns", (base.GetTargetLuns)(this, 1, null(), bad, bad)),
                ("LocateLuns", (base.LocateLuns)(this, 1, bad)),
                ("OnLunEmpty", (base.OnLunEmpty)(this, null(), bad)),
                ("OnLunStateChange", (extended.OnLunStateChange)(this, bad, bad, 1, 0x800)),
                ("ResyncLuns", (extended.ResyncLuns)(this, bad, bad, 1, &mut revert)),
            ];
            for (call, hresult) in calls {
                say(call, case, hresult);
            }
        }
    }
    let untouched = supported.0 == 0 && revert.is_null();
    lines.push(format!("untouched {untouched}"));
    Ok((lines, HRESULT(0)))
}
