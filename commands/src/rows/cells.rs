//! What the columns of a pair hold, before they are laid out.

use std::borrow::Cow;

use model::{LdevId, Mode, PairStatus, Role};
use protocol::{horcm::Row, orders::EndStatus};

/// What `pairdisplay -f..` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Columns {
    /// HORC or HOMRCF.
    pub mode: Mode,
    /// `-fx`: LDEV numbers in hexadecimal.
    pub hex: bool,
    /// `-fc`: the copy ratio instead of the partner's serial, and statuses unfolded.
    pub percent: bool,
    /// `-fd`: the device file instead of port, target and LUN.
    pub device: bool,
    /// `-fe`: the columns of the extended view.
    pub extended: bool,
}

/// Which side a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowSide {
    /// This instance's.
    Local,
    /// The remote instance's.
    Remote,
}

impl RowSide {
    /// `L` or `R`.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Local => 'L',
            Self::Remote => 'R',
        }
    }
}

/// The columns from `P/S` on. `None` is a missing value: dashes, as many as the view likes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    /// `SMPL`, `P-VOL` or `S-VOL`; `None` when the storage system has no such LDEV.
    pub role: Option<&'static str>,
    /// The status word.
    pub status: Option<&'static str>,
    /// How much is identical, 0 to 100.
    pub percent: Option<u8>,
    /// The partner's serial number; shown on P-VOL rows only.
    pub partner_serial: Option<u32>,
    /// The partner's LDEV.
    pub partner_ldev: Option<LdevId>,
    /// `W`: the split S-VOL can be written. `N`: the paired S-VOL cannot be read.
    pub mark: char,
    /// Consistency group.
    pub ctg: Option<u16>,
}

impl Cells {
    /// The cells of a pair end. Only `-fc` shows PFUL and PFUS as such.
    #[must_use]
    pub fn of(status: Option<&EndStatus>, columns: Columns) -> Self {
        let paired = status.filter(|end| end.role != Role::Smpl);
        let shown = |status: PairStatus| {
            if columns.percent { status.word() } else { status.folded().word() }
        };
        Self {
            role: status.map(|end| match end.role {
                Role::Smpl => "SMPL",
                Role::PVol => "P-VOL",
                Role::SVol => "S-VOL",
            }),
            status: paired.map(|end| shown(end.status)),
            percent: paired.map(|end| end.percent),
            partner_serial: paired
                .filter(|end| end.role == Role::PVol)
                .and_then(|end| Some(end.partner?.volume.serial.get())),
            partner_ldev: paired.and_then(|end| Some(end.partner?.volume.ldev)),
            mark: paired.map_or('-', mark),
            ctg: paired.and_then(|end| end.ctg),
        }
    }
}

/// The `M` column, which speaks of the S-VOL and stands on the P-VOL's row.
fn mark(end: &EndStatus) -> char {
    use PairStatus::{Copy, Pair, Pful, Pfus, Psue, Psus, Rcpy};
    match (end.role, end.status) {
        (Role::PVol, Psus | Pfus) if end.svol_writable => 'W',
        (Role::PVol, Copy | Rcpy | Pair | Pful | Psue) if end.noread => 'N',
        _ => '-',
    }
}

/// An LDEV number as the columns show it: decimal, or hexadecimal in small letters.
#[must_use]
pub fn ldev(number: LdevId, hex: bool) -> String {
    if hex { format!("{:x}", number.get()) } else { number.to_string() }
}

/// What stands for everything about a volume that its host may not use (`cci` 6.2).
pub const HIDDEN: &str = "****";

/// The serial number of a row's volume, its LDEV and its device file, as far as they may be seen.
#[must_use]
pub fn volume(row: &Row, hex: bool) -> (String, String, &str) {
    if row.permitted {
        let device = row.device.as_deref().unwrap_or("Unknown");
        (row.volume.serial.to_string(), ldev(row.volume.ldev, hex), device)
    } else {
        (HIDDEN.to_owned(), HIDDEN.to_owned(), HIDDEN)
    }
}

/// A value, or dashes.
#[must_use]
pub fn or_dashes<T: ToString>(value: Option<T>, dashes: &'static str) -> Cow<'static, str> {
    value.map_or(Cow::Borrowed(dashes), |value| Cow::Owned(value.to_string()))
}
