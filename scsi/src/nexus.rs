//! Who talks to whom.

use std::fmt;

/// An initiator port: for iSCSI the initiator's name and its ISID (RFC 7143, 4.4.1). Persistent
/// reservations are held by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InitiatorPort {
    /// The iSCSI name, such as `iqn.1993-08.org.debian:01:abc`; 1 to 223 bytes.
    pub name: String,
    /// The initiator's part of the session's identity; 48 bits.
    pub isid: u64,
}

impl fmt::Display for InitiatorPort {
    /// As SPC-4 7.6.4.6 writes it: `NAME,i,0x00023d000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},i,0x{:012x}", self.name, self.isid)
    }
}

/// A target port: what VPD page 83h and REPORT TARGET PORT GROUPS call it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetPort {
    /// The iSCSI name of the target; 1 to 223 bytes.
    pub name: String,
    /// The portal group tag.
    pub portal_group: u16,
    /// The relative target port identifier; 1 to 65,535.
    pub relative: u16,
}

impl fmt::Display for TargetPort {
    /// As RFC 7143, 4.4.1 writes it: `NAME,t,0x0001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},t,0x{:04x}", self.name, self.portal_group)
    }
}

/// An I_T nexus.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nexus {
    /// The initiator port.
    pub initiator: InitiatorPort,
    /// The target port.
    pub target: TargetPort,
}
