//! LUNs by name, in COM task memory, and their text.
//!
//! `version=1 type=0 modifier=0 queueing=1 bus=9 vendor=HEX product=HEX revision=HEX serial=HEX
//! signature=GUID descriptor=1 id=CODESET:TYPE:HEX ... interconnects=0`; what is left out is zero
//! or null, and so printed as `-`.

use std::{collections::BTreeMap, fmt::Write as _, ptr};

use windows::Win32::{
    Storage::VirtualDiskService::{
        VDS_INTERCONNECT, VDS_LUN_INFORMATION as Lun, VDS_STORAGE_BUS_TYPE, VDS_STORAGE_IDENTIFIER,
        VDS_STORAGE_IDENTIFIER_CODE_SET, VDS_STORAGE_IDENTIFIER_TYPE,
    },
    System::Com::CoTaskMemAlloc,
};
use windows_core::{GUID, HRESULT};

use crate::Answer;

type Failure = Box<dyn std::error::Error>;

/// The LUNs. They stay until the process ends.
#[derive(Default)]
pub struct Luns(BTreeMap<String, Lun>);

impl Luns {
    /// `lun NAME TEXT`: makes a LUN.
    pub fn define(&mut self, words: &[&str]) -> Answer {
        let (name, members) = words.split_first().ok_or("no name")?;
        self.0.insert((*name).to_owned(), parse(members)?);
        Ok((Vec::new(), HRESULT(0)))
    }

    /// `show NAME`
    pub fn show(&self, words: &[&str]) -> Answer {
        let lun = self.get(words.first().ok_or("no name")?)?;
        Ok((vec![text(&lun)], HRESULT(0)))
    }

    /// A LUN, by value: it shares its members.
    pub fn get(&self, name: &str) -> Result<Lun, Failure> {
        self.0.get(name).copied().ok_or_else(|| format!("no LUN {name}").into())
    }

    /// The same; one that is not there yet has no members.
    pub fn get_or_empty(&self, name: &str) -> Lun {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Puts LUNs back that a call may have changed.
    pub fn put<'a>(&mut self, luns: impl IntoIterator<Item = (&'a str, Lun)>) {
        self.0.extend(luns.into_iter().map(|(name, lun)| (name.to_owned(), lun)));
    }
}

/// Values in COM task memory.
pub fn task_memory<T: Copy>(values: &[T]) -> *mut T {
    // SAFETY: at least one byte; null is looked for below.
    let place = unsafe { CoTaskMemAlloc(size_of_val(values).max(1)) }.cast::<T>();
    assert!(!place.is_null(), "there is memory for a test");
    // SAFETY: new, and as large as the values.
    unsafe { ptr::copy_nonoverlapping(values.as_ptr(), place, values.len()) };
    place
}

fn parse(members: &[&str]) -> Result<Lun, Failure> {
    let mut lun = Lun::default();
    let mut identifiers = Vec::new();
    let text = |value: &str| Ok::<_, Failure>(task_memory(&[&bytes(value)?[..], &[0]].concat()));
    for member in members {
        let (key, value) = member.split_once('=').ok_or("a member is KEY=VALUE")?;
        match key {
            "version" => lun.m_version = value.parse()?,
            "type" => lun.m_DeviceType = value.parse()?,
            "modifier" => lun.m_DeviceTypeModifier = value.parse()?,
            "queueing" => lun.m_bCommandQueueing = (value == "1").into(),
            "bus" => lun.m_BusType = VDS_STORAGE_BUS_TYPE(value.parse()?),
            "vendor" => lun.m_szVendorId = text(value)?,
            "product" => lun.m_szProductId = text(value)?,
            "revision" => lun.m_szProductRevision = text(value)?,
            "serial" => lun.m_szSerialNumber = text(value)?,
            "signature" => lun.m_diskSignature = GUID::try_from(value)?,
            "descriptor" => lun.m_deviceIdDescriptor.m_version = value.parse()?,
            "id" => identifiers.push(identifier(value)?),
            "interconnects" => {
                lun.m_cInterconnects = value.parse()?;
                let rows = vec![VDS_INTERCONNECT::default(); value.parse()?];
                lun.m_rgInterconnects = task_memory(&rows);
            }
            _ => return Err(format!("no member {key}").into()),
        }
    }
    if !identifiers.is_empty() {
        lun.m_deviceIdDescriptor.m_cIdentifiers = u32::try_from(identifiers.len())?;
        lun.m_deviceIdDescriptor.m_rgIdentifiers = task_memory(&identifiers);
    }
    Ok(lun)
}

fn identifier(value: &str) -> Result<VDS_STORAGE_IDENTIFIER, Failure> {
    let parts: Vec<&str> = value.split(':').collect();
    let [code_set, kind, digits] = parts[..] else { return Err("CODESET:TYPE:HEX".into()) };
    let bytes = bytes(digits)?;
    Ok(VDS_STORAGE_IDENTIFIER {
        m_CodeSet: VDS_STORAGE_IDENTIFIER_CODE_SET(code_set.parse()?),
        m_Type: VDS_STORAGE_IDENTIFIER_TYPE(kind.parse()?),
        m_cbIdentifier: u32::try_from(bytes.len())?,
        m_rgbIdentifier: task_memory(&bytes),
    })
}

fn bytes(digits: &str) -> Result<Vec<u8>, Failure> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// What a LUN holds.
fn text(lun: &Lun) -> String {
    let string = |place: *const u8| {
        if place.is_null() {
            return "-".to_owned();
        }
        // SAFETY: a text that ends in NUL, as parsed above or made by the provider.
        hex((0..).map(|at| unsafe { *place.add(at) }).take_while(|byte| *byte != 0))
    };
    let mut line = format!(
        "version={} type={} modifier={} queueing={} bus={} vendor={} product={} revision={} \
         serial={} signature={:?} descriptor={}",
        lun.m_version,
        lun.m_DeviceType,
        lun.m_DeviceTypeModifier,
        i32::from(lun.m_bCommandQueueing.as_bool()),
        lun.m_BusType.0,
        string(lun.m_szVendorId),
        string(lun.m_szProductId),
        string(lun.m_szProductRevision),
        string(lun.m_szSerialNumber),
        lun.m_diskSignature,
        lun.m_deviceIdDescriptor.m_version,
    );
    for at in 0..lun.m_deviceIdDescriptor.m_cIdentifiers as usize {
        // SAFETY: as many as are counted, each with as many bytes as it says.
        let (identifier, bytes) = unsafe {
            let identifier = *lun.m_deviceIdDescriptor.m_rgIdentifiers.add(at);
            let length = identifier.m_cbIdentifier as usize;
            (identifier, std::slice::from_raw_parts(identifier.m_rgbIdentifier, length))
        };
        let (code_set, kind) = (identifier.m_CodeSet.0, identifier.m_Type.0);
        let _ = write!(line, " id={code_set}:{kind}:{}", hex(bytes.iter().copied()));
    }
    let there = i32::from(!lun.m_rgInterconnects.is_null());
    let _ = write!(line, " interconnects={}:{there}", lun.m_cInterconnects);
    line
}
