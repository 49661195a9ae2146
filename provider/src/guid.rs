//! GUIDs, as VSS names sets and shadow copies.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A GUID; as a number its digits in the order in which they are written.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Guid(pub u128);

impl Guid {
    /// GUID_NULL.
    pub const NULL: Self = Self(0);
}

/// The provider's own id, by which requestors ask for it (MK-94HC074 3.5.3).
pub const PROVIDER: Guid = Guid(0x748b_abd3_8c62_4b3d_b6b7_430b_5f85_8c74);

impl fmt::Display for Guid {
    /// `{748babd3-8c62-4b3d-b6b7-430b5f858c74}`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let (a, rest) = digits.split_at(8);
        let (b, rest) = rest.split_at(4);
        let (c, rest) = rest.split_at(4);
        let (d, e) = rest.split_at(4);
        write!(f, "{{{a}-{b}-{c}-{d}-{e}}}")
    }
}

/// Not the text of a GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadGuid;

impl fmt::Display for BadGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a GUID such as {748babd3-8c62-4b3d-b6b7-430b5f858c74}")
    }
}

impl std::error::Error for BadGuid {}

impl FromStr for Guid {
    type Err = BadGuid;

    /// With or without braces.
    fn from_str(text: &str) -> Result<Self, BadGuid> {
        let inner = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'));
        let inner = inner.ok_or(BadGuid)?;
        let parts: Vec<&str> = inner.split('-').collect();
        let shape = parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]);
        let digits = parts.concat();
        if !shape || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BadGuid);
        }
        u128::from_str_radix(&digits, 16).map(Self).map_err(|_| BadGuid)
    }
}

/// A snapshot set: volumes copied at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SetId(pub Guid);

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The shadow copy of one volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SnapshotId(pub Guid);

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_written_as_it_is_read() {
        let text = "{748babd3-8c62-4b3d-b6b7-430b5f858c74}";
        let guid: Guid = text.parse().unwrap();
        assert_eq!(guid.to_string(), text);
        assert_eq!(text[1..37].parse(), Ok(guid));
        for bad in [
            "",
            "{}",
            "{748babd3",
            "748babd38c624b3db6b7430b5f858c74",
            "{748babd3-8c62-4b3d-b6b7-430b5f858c7g}",
        ] {
            assert_eq!(bad.parse::<Guid>(), Err(BadGuid), "{bad}");
        }
    }
}
