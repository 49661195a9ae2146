//! The attributes a requestor asks of a shadow copy (`_VSS_VOLUME_SNAPSHOT_ATTRIBUTES`), and which
//! of them a pair can honour.

use model::MuNumber;

/// The bits of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Context(pub u32);

impl Context {
    /// Stays over restarts of the host.
    pub const PERSISTENT: u32 = 0x1;
    /// Hosts' clients see it as a previous version: only the system's own provider can.
    pub const CLIENT_ACCESSIBLE: u32 = 0x4;
    /// Can be imported on another host.
    pub const TRANSPORTABLE: u32 = 0x20;
    /// Only the differences are kept.
    pub const DIFFERENTIAL: u32 = 0x2_0000;
    /// A full copy.
    pub const PLEX: u32 = 0x4_0000;
    /// Of a file share, not of a volume.
    pub const FILE_SHARE: u32 = 0x400_0000;

    const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// Why pairs of this mirror cannot be what is asked; `None` where they can. MU# 0 to 2 are
    /// full copies, MU# 3 and up snapshots. Asked for neither, the mirror is what it is; a copy
    /// of either kind can be transported.
    #[must_use]
    pub const fn unfit(self, mirror: MuNumber) -> Option<&'static str> {
        if self.has(Self::FILE_SHARE) {
            return Some("a file share has no LUN to copy");
        }
        if self.has(Self::CLIENT_ACCESSIBLE) {
            return Some("shadow copies for clients come from the system's own provider");
        }
        let snapshots = mirror.get() > 2;
        match (self.has(Self::DIFFERENTIAL), self.has(Self::PLEX)) {
            (true, true) => Some("a copy is either differential or plex"),
            (true, false) if !snapshots => {
                Some("differential copies need a Thin Image mirror, MU# 3 or higher")
            }
            (false, true) if snapshots => Some("full copies need a ShadowImage mirror, MU# 0 to 2"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_honours_what_it_is() {
        let fits = |bits, mu| Context(bits).unfit(MuNumber::new(mu).unwrap()).is_none();
        for (bits, shadow_image, thin_image) in [
            (0, true, true),
            (Context::PERSISTENT | Context::TRANSPORTABLE, true, true),
            (Context::PLEX, true, false),
            (Context::DIFFERENTIAL, false, true),
            (Context::PLEX | Context::DIFFERENTIAL, false, false),
            (Context::CLIENT_ACCESSIBLE, false, false),
            (Context::FILE_SHARE, false, false),
        ] {
            assert_eq!((fits(bits, 2), fits(bits, 3)), (shadow_image, thin_image), "{bits:#x}");
        }
    }
}
