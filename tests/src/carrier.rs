//! What carries orders from horcmd to the array. Tests that go through a command device run on
//! every carrier, from one source: [`on_every_carrier!`](crate::on_every_carrier).

/// The command device of the samples' array over the network.
pub(crate) const IPCMD: &str = r"\\.\IPCMD-127.0.0.1-31001";
/// The command device of the samples, the seed's own; with the samples' portal, the one of CL2-C.
pub(crate) const DISK: &str = r"\\.\PhysicalDrive0";

/// What carries orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Datagrams: `\\.\IPCMD-host-port`.
    Ipcmd,
    /// The blocks of the command device, by the built-in initiator: `\\.\PhysicalDrive0`.
    InBand,
}

impl Carrier {
    /// The command device of the samples by this carrier, as HORCM_CMD spells it.
    #[must_use]
    pub const fn device(self) -> &'static str {
        match self {
            Self::Ipcmd => IPCMD,
            Self::InBand => DISK,
        }
    }

    /// A configuration for [`Carrier::Ipcmd`], of an instance or of the array, as one for this.
    #[must_use]
    pub fn carry(self, text: &str) -> String {
        match self {
            Self::Ipcmd => text.to_owned(),
            Self::InBand => text.replace(IPCMD, DISK),
        }
    }
}

/// Makes two tests of each function that takes a [`Carrier`]: `ipcmd::name` and `in_band::name`.
#[macro_export]
macro_rules! on_every_carrier {
    ($($name:ident),+ $(,)?) => {
        mod ipcmd {
            $(#[test]
            fn $name() {
                super::$name($crate::Carrier::Ipcmd);
            })+
        }
        mod in_band {
            $(#[test]
            fn $name() {
                super::$name($crate::Carrier::InBand);
            })+
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_name_the_disk_that_their_array_offers() {
        let array = include_str!("../../etc/array-62496.toml");
        assert!(array.contains("\n[iscsi]\nlisten = \"127.0.0.1:3260\"\n"), "{array}");
        assert!(array.contains("\ninitiators = [\"*\"]\n"), "{array}");
        for conf in [include_str!("../../etc/horcm50.conf"), include_str!("../../etc/horcm51.conf")]
        {
            assert!(conf.contains(DISK) && !conf.contains("IPCMD"), "{conf}");
        }
    }
}
