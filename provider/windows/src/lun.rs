//! `VDS_LUN_INFORMATION`, read and written.
//!
//! What the coordinator hands in is looked at with limits: counts that cannot be, arrays that are
//! not there, texts without an end. What is handed out is of the COM task allocator; what it
//! replaces is freed.

use std::slice;

use provider::{
    error::{Fault, Outcome},
    event::Event,
    guid::Guid,
    lun::{Identifier, LunInfo},
};
use windows::{
    Win32::Storage::VirtualDiskService::{
        VDS_LUN_INFORMATION, VDS_STORAGE_BUS_TYPE, VDS_STORAGE_DEVICE_ID_DESCRIPTOR,
        VDS_STORAGE_IDENTIFIER, VDS_STORAGE_IDENTIFIER_CODE_SET, VDS_STORAGE_IDENTIFIER_TYPE,
    },
    core::GUID,
};

use crate::memory::{TaskMemory, free};

/// More disks than a volume can span.
const MOST_LUNS: usize = 4096;
/// INQUIRY's texts have 16 bytes, page 80h at most 252.
const LONGEST_TEXT: usize = 1024;
/// Page 83h of real disks has a dozen.
const MOST_IDENTIFIERS: usize = 256;
/// A designator has at most 255 bytes.
const LONGEST_IDENTIFIER: usize = 4096;

/// An array of LUNs as the coordinator hands it in.
#[derive(Debug, Clone, Copy)]
pub struct Luns<'a>(&'a [VDS_LUN_INFORMATION]);

impl<'a> Luns<'a> {
    /// Takes an array.
    ///
    /// # Errors
    /// EV_INVARG for a count that cannot be, or an array that is not there.
    ///
    /// # Safety
    /// `luns` is null, or has `count` elements that nobody changes for `'a`.
    pub unsafe fn take(
        luns: *const VDS_LUN_INFORMATION,
        count: impl TryInto<usize>,
    ) -> Outcome<Self> {
        let count = count.try_into().unwrap_or(usize::MAX);
        if count > MOST_LUNS {
            return Err(wrong("the number of LUNs", &format!("it is not from 0 to {MOST_LUNS}")));
        }
        if count == 0 {
            return Ok(Self(&[]));
        }
        if luns.is_null() {
            return Err(wrong("the LUNs", "there is no array"));
        }
        // SAFETY: as many as the caller says.
        Ok(Self(unsafe { slice::from_raw_parts(luns, count) }))
    }

    /// As the core knows them.
    ///
    /// # Errors
    /// EV_INVARG.
    ///
    /// # Safety
    /// The members are as `VDS_LUN_INFORMATION` says: null, or texts and arrays.
    pub unsafe fn read(self) -> Outcome<Vec<LunInfo>> {
        // SAFETY: the caller's.
        self.0.iter().map(|lun| unsafe { read(lun) }).collect()
    }

    /// Versions of their identifier descriptors.
    pub fn descriptor_versions(self) -> impl Iterator<Item = u32> + 'a {
        self.0.iter().map(|lun| lun.m_deviceIdDescriptor.m_version)
    }
}

/// # Safety
/// The members are as `VDS_LUN_INFORMATION` says.
unsafe fn read(lun: &VDS_LUN_INFORMATION) -> Outcome<LunInfo> {
    let descriptor = &lun.m_deviceIdDescriptor;
    // SAFETY: the caller's, for each.
    let (vendor, product, revision, serial, identifiers) = unsafe {
        (
            text(lun.m_szVendorId, "the vendor")?,
            text(lun.m_szProductId, "the product")?,
            text(lun.m_szProductRevision, "the product revision")?,
            text(lun.m_szSerialNumber, "the serial number")?,
            array(
                descriptor.m_rgIdentifiers,
                descriptor.m_cIdentifiers,
                MOST_IDENTIFIERS,
                "the identifiers",
            )?,
        )
    };
    let identifier = |found: &VDS_STORAGE_IDENTIFIER| {
        // SAFETY: the caller's.
        let bytes = unsafe {
            array(found.m_rgbIdentifier, found.m_cbIdentifier, LONGEST_IDENTIFIER, "an identifier")?
        };
        Ok(Identifier {
            code_set: found.m_CodeSet.0.cast_unsigned(),
            kind: found.m_Type.0.cast_unsigned(),
            bytes: bytes.to_vec(),
        })
    };
    Ok(LunInfo {
        version: lun.m_version,
        device_type: lun.m_DeviceType,
        device_type_modifier: lun.m_DeviceTypeModifier,
        command_queueing: lun.m_bCommandQueueing.as_bool(),
        bus: lun.m_BusType.0.cast_unsigned(),
        vendor,
        product,
        revision,
        serial,
        signature: Guid(lun.m_diskSignature.to_u128()),
        identifiers: identifiers.iter().map(identifier).collect::<Outcome<_>>()?,
    })
}

/// A text in the ANSI code page, byte by character, so that it is handed back as it came.
///
/// # Safety
/// Null, or bytes up to a NUL.
unsafe fn text(place: *const u8, what: &str) -> Outcome<Option<String>> {
    if place.is_null() {
        return Ok(None);
    }
    let mut text = String::new();
    for at in 0..LONGEST_TEXT {
        // SAFETY: no NUL came before, so the text goes on here.
        match unsafe { *place.add(at) } {
            0 => return Ok(Some(text)),
            byte => text.push(char::from(byte)),
        }
    }
    Err(wrong(what, &format!("it has no end within {LONGEST_TEXT} bytes")))
}

/// # Safety
/// Null, or `count` elements.
unsafe fn array<'a, T>(place: *const T, count: u32, most: usize, what: &str) -> Outcome<&'a [T]> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > most {
        return Err(wrong(what, &format!("the count is {count}, more than {most}")));
    }
    match (count, place.is_null()) {
        (0, _) => Ok(&[]),
        (_, true) => Err(wrong(what, "they are counted, but there is no array")),
        // SAFETY: as many as the caller says.
        (_, false) => Ok(unsafe { slice::from_raw_parts(place, count) }),
    }
}

fn wrong(what: &str, cause: &str) -> Fault {
    Fault::new(Event::Invarg).object(what).cause(cause)
}

/// The members of a LUN, made but not given to anybody: giving cannot fail any more.
#[derive(Debug)]
pub struct Draft {
    plain: VDS_LUN_INFORMATION,
    texts: [Option<TaskMemory<u8>>; 4],
    identifiers: Vec<TaskMemory<u8>>,
    array: Option<TaskMemory<VDS_STORAGE_IDENTIFIER>>,
}

impl Draft {
    /// The members that say `lun`.
    ///
    /// # Errors
    /// EV_ENOMEM.
    pub fn of(lun: &LunInfo, descriptor_version: u32) -> Outcome<Self> {
        let texts = [&lun.vendor, &lun.product, &lun.revision, &lun.serial];
        let [vendor, product, revision, serial] = texts.map(|text| text.as_deref().map(ansi));
        let texts =
            [vendor.transpose()?, product.transpose()?, revision.transpose()?, serial.transpose()?];
        let mut identifiers = Vec::new();
        let mut rows = Vec::new();
        for identifier in &lun.identifiers {
            let bytes = TaskMemory::of(&identifier.bytes)?;
            rows.push(VDS_STORAGE_IDENTIFIER {
                m_CodeSet: VDS_STORAGE_IDENTIFIER_CODE_SET(identifier.code_set.cast_signed()),
                m_Type: VDS_STORAGE_IDENTIFIER_TYPE(identifier.kind.cast_signed()),
                m_cbIdentifier: count(identifier.bytes.len()),
                m_rgbIdentifier: bytes.place(),
            });
            identifiers.push(bytes);
        }
        let array = if rows.is_empty() { None } else { Some(TaskMemory::of(&rows)?) };
        let plain = VDS_LUN_INFORMATION {
            m_version: lun.version,
            m_DeviceType: lun.device_type,
            m_DeviceTypeModifier: lun.device_type_modifier,
            m_bCommandQueueing: lun.command_queueing.into(),
            m_BusType: VDS_STORAGE_BUS_TYPE(lun.bus.cast_signed()),
            m_diskSignature: GUID::from_u128(lun.signature.0),
            m_deviceIdDescriptor: VDS_STORAGE_DEVICE_ID_DESCRIPTOR {
                m_version: descriptor_version,
                m_cIdentifiers: count(rows.len()),
                m_rgIdentifiers: std::ptr::null_mut(),
            },
            ..VDS_LUN_INFORMATION::default()
        };
        Ok(Self { plain, texts, identifiers, array })
    }

    /// Gives the members to a LUN in place of those it has. Interconnects stay.
    ///
    /// # Safety
    /// `place` is a LUN that [`Luns::read`] takes, and its members are of the task allocator.
    pub unsafe fn give(self, place: *mut VDS_LUN_INFORMATION) {
        let Self { mut plain, texts, identifiers, array } = self;
        // SAFETY: the caller's.
        let old = unsafe { place.read() };
        let hand_out =
            |text: Option<TaskMemory<u8>>| text.map_or(std::ptr::null_mut(), TaskMemory::hand_out);
        [
            plain.m_szVendorId,
            plain.m_szProductId,
            plain.m_szProductRevision,
            plain.m_szSerialNumber,
        ] = texts.map(hand_out);
        identifiers.into_iter().for_each(|identifier| {
            identifier.hand_out();
        });
        plain.m_deviceIdDescriptor.m_rgIdentifiers =
            array.map_or(std::ptr::null_mut(), TaskMemory::hand_out);
        plain.m_cInterconnects = old.m_cInterconnects;
        plain.m_rgInterconnects = old.m_rgInterconnects;
        // SAFETY: the place is the caller's; what the LUN had was handed over with it, and nobody
        // else knows it.
        unsafe {
            place.write(plain);
            free_members(&old);
        }
    }
}

/// # Safety
/// A LUN that [`Luns::read`] took, whose members nobody uses any more.
unsafe fn free_members(lun: &VDS_LUN_INFORMATION) {
    let VDS_STORAGE_DEVICE_ID_DESCRIPTOR { m_cIdentifiers, m_rgIdentifiers, .. } =
        lun.m_deviceIdDescriptor;
    // SAFETY: read with the same limits before, so the identifiers are there.
    unsafe {
        let known = array(m_rgIdentifiers, m_cIdentifiers, MOST_IDENTIFIERS, "the identifiers");
        for identifier in known.unwrap_or_default() {
            free(identifier.m_rgbIdentifier);
        }
        free(m_rgIdentifiers);
        for text in
            [lun.m_szVendorId, lun.m_szProductId, lun.m_szProductRevision, lun.m_szSerialNumber]
        {
            free(text);
        }
    }
}

/// A text as it is handed out: each character is a byte of what came in, or of ours, in ASCII.
fn ansi(text: &str) -> Outcome<TaskMemory<u8>> {
    let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).chain([0]).collect();
    TaskMemory::of(&bytes)
}

/// A count in a structure. Ours are small.
fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
