//! The HRESULTs that VSS lets a hardware provider return. Any other makes VSS write an event of
//! its own and tell the requestor VSS_E_UNEXPECTED_PROVIDER_ERROR.

use crate::{entry::Entry, event::Event};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $value:literal, $name:literal;)*) => {
        /// A failure as COM carries it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Hresult { $($(#[$doc])* $variant),* }

        impl Hresult {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its number, as unsigned.
            #[must_use]
            pub const fn value(self) -> u32 {
                match self { $(Self::$variant => $value),* }
            }

            /// Its name in the headers.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

codes! {
    /// No memory.
    OutOfMemory = 0x8007_000e, "E_OUTOFMEMORY";
    /// An argument is wrong.
    InvalidArg = 0x8007_0057, "E_INVALIDARG";
    /// The account may not.
    AccessDenied = 0x8007_0005, "E_ACCESSDENIED";
    /// Called in the wrong order.
    BadState = 0x8004_2301, "VSS_E_BAD_STATE";
    /// No, and the Application log says why.
    ProviderVeto = 0x8004_2306, "VSS_E_PROVIDER_VETO";
    /// There is no such set.
    ObjectNotFound = 0x8004_2308, "VSS_E_OBJECT_NOT_FOUND";
    /// Nobody can copy the volume.
    VolumeNotSupported = 0x8004_230c, "VSS_E_VOLUME_NOT_SUPPORTED";
    /// This provider cannot copy the volume.
    VolumeNotSupportedByProvider = 0x8004_230e, "VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER";
    /// The set has as many volumes as one may have.
    MaximumNumberOfVolumes = 0x8004_2312, "VSS_E_MAXIMUM_NUMBER_OF_VOLUMES_REACHED";
    /// The volume has as many copies as it may have.
    MaximumNumberOfSnapshots = 0x8004_2317, "VSS_E_MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED";
    /// Not with these attributes.
    UnsupportedContext = 0x8004_231b, "VSS_E_UNSUPPORTED_CONTEXT";
    /// No room for the copy.
    InsufficientStorage = 0x8004_231f, "VSS_E_INSUFFICIENT_STORAGE";
    /// A volume inside a volume.
    NestedVolumeLimit = 0x8004_232c, "VSS_E_NESTED_VOLUME_LIMIT";
    /// The disk could not get its identity back.
    CannotRevertDiskid = 0x8004_23fe, "VSS_E_CANNOT_REVERT_DISKID";
}

impl Hresult {
    /// Whether VSS takes it from this call. Three of them are about a volume that joins a set.
    #[must_use]
    pub fn allowed_at(self, entry: Entry) -> bool {
        match self {
            Self::MaximumNumberOfVolumes | Self::UnsupportedContext | Self::NestedVolumeLimit => {
                entry == Entry::BeginPrepareSnapshot
            }
            _ => true,
        }
    }

    /// What an event is to VSS, unless somebody knows better.
    #[must_use]
    pub const fn of(event: Event) -> Self {
        match event {
            Event::Erperm => Self::AccessDenied,
            Event::Enomem => Self::OutOfMemory,
            Event::Invarg => Self::InvalidArg,
            Event::Invseq => Self::BadState,
            Event::Enoobj => Self::ObjectNotFound,
            Event::Enosup => Self::VolumeNotSupportedByProvider,
            Event::Invstp
            | Event::Atthor
            | Event::Cmdioe
            | Event::Egetev
            | Event::Enoinq
            | Event::Enoser
            | Event::Enrmcm
            | Event::Enrmph
            | Event::Esetev
            | Event::Except
            | Event::Eopdev => Self::ProviderVeto,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_a_joining_volume_is_returned_there_only() {
        for entry in Entry::ALL {
            let joining = *entry == Entry::BeginPrepareSnapshot;
            for code in [
                Hresult::MaximumNumberOfVolumes,
                Hresult::UnsupportedContext,
                Hresult::NestedVolumeLimit,
            ] {
                assert_eq!(code.allowed_at(*entry), joining, "{} at {entry}", code.name());
            }
            assert!(Event::ALL.iter().all(|event| Hresult::of(*event).allowed_at(*entry)));
        }
    }

    #[test]
    fn every_code_is_a_failure() {
        assert!(Hresult::ALL.iter().all(|code| code.value() & 0x8000_0000 != 0));
    }
}
