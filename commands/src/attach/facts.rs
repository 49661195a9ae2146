//! What a LUN says about itself.

use bytes::Bytes;

/// VPD pages that are kept as they came, for who decodes them.
pub const PAGES: [u8; 4] = [0x80, 0x83, 0xb0, 0xc0];

/// What a LUN says about itself. Sizes are in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The standard INQUIRY data.
    pub inquiry: Bytes,
    /// The VPD pages of [`PAGES`] that it has, in that order.
    pub pages: Vec<(u8, Bytes)>,
    /// Bytes of a block.
    pub block: u32,
    /// How large it is.
    pub size: u64,
    /// The largest size it had so far, at least `size`. Its file does not end before: a loop
    /// device makes zeros of what is missing behind an end.
    pub extent: u64,
    /// Whether it takes no writes.
    pub protected: bool,
    /// The most that one READ or WRITE moves.
    pub most_transfer: u32,
    /// The most that one WRITE SAME fills.
    pub most_same: u64,
    /// Whether WRITE SAME can give space back (LBPWS), and unmapped blocks read as zeros (LBPRZ).
    pub unmaps: bool,
}

/// What is moved at once where a LUN names no limit, in bytes.
const TRANSFER: u32 = 1 << 20;
/// What is filled at once where a LUN names no limit, in blocks: what WRITE SAME (10) can say.
const SAME: u64 = 0xffff;

impl Facts {
    /// A page, as it came.
    #[must_use]
    pub fn page(&self, page: u8) -> Option<&Bytes> {
        self.pages.iter().find(|(number, _)| *number == page).map(|(_, bytes)| bytes)
    }

    /// The limits of the Block Limits page: at 8-11 the most of a transfer and at 36-43 of WRITE
    /// SAME, in blocks; 0 where there is none.
    pub fn take_limits(&mut self, page: &[u8]) {
        let block = u64::from(self.block.max(1));
        let number = |from: usize, to: usize| {
            let bytes = page.get(from..to).unwrap_or_default();
            bytes.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
        };
        let transfer = match number(8, 12).saturating_mul(block) {
            0 => TRANSFER,
            most => u32::try_from(most).unwrap_or(u32::MAX).min(TRANSFER),
        };
        self.most_transfer = transfer.max(self.block);
        let same = match number(36, 44) {
            0 => SAME,
            most => most.min(1 << 20),
        };
        self.most_same = same * block;
    }

    /// READ CAPACITY (16): at 0-7 the last block, at 8-11 the length of one; whether that makes
    /// sense.
    pub fn take_capacity(&mut self, data: &[u8]) -> bool {
        let Some((head, _)) = data.split_first_chunk::<12>() else { return false };
        let [last @ .., a, b, c, d] = head;
        let block = u32::from_be_bytes([*a, *b, *c, *d]);
        let blocks = u64::from_be_bytes(*last).saturating_add(1);
        if !(512..=65_536).contains(&block) || !block.is_power_of_two() {
            return false;
        }
        self.block = block;
        self.size = blocks.saturating_mul(block.into());
        self.extent = self.extent.max(self.size);
        true
    }

    /// Whether two LUNs are the same: by the designators of the logical unit in page 83h, or
    /// where there are none by serial number, or else by nothing but their INQUIRY data.
    #[must_use]
    pub fn is_same_unit(&self, other: &Self) -> bool {
        let (own, others) = (self.page(0x83), other.page(0x83));
        let [own, others] =
            [own, others].map(|page| page.map(|page| unit_designators(page)).unwrap_or_default());
        if !own.is_empty() || !others.is_empty() {
            return own == others;
        }
        match (self.page(0x80), other.page(0x80)) {
            (None, None) => self.inquiry == other.inquiry,
            (own, others) => own == others,
        }
    }

    /// Vendor, product and, from the vendor's page C0h, serial and LDEV number, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        let product = product(&self.inquiry);
        match self.page(0xc0).and_then(|page| ldev(page)) {
            Some((serial, ldev)) => format!("{serial}:{ldev} ({product})"),
            None => product,
        }
    }
}

/// Vendor and product of INQUIRY data.
#[must_use]
pub fn product(inquiry: &[u8]) -> String {
    let text = String::from_utf8_lossy(inquiry.get(8..32).unwrap_or_default()).into_owned();
    let printable = text.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' });
    printable.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Serial and LDEV number of this project's page C0h (`scsi::device`).
#[must_use]
pub fn ldev(page: &[u8]) -> Option<(u32, u32)> {
    if page.get(1) != Some(&0xc0) || page.len() < 32 {
        return None;
    }
    let number = |at: usize| page[at..at + 4].iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
    Some((number(4), number(8)))
}

/// The designators of page 83h that are the logical unit's own (association 0), one after the
/// other; those of ports differ by path.
fn unit_designators(page: &[u8]) -> Vec<&[u8]> {
    let mut rest = page.get(4..).unwrap_or_default();
    let mut found = Vec::new();
    while let Some(head) = rest.first_chunk::<4>() {
        let end = (4 + usize::from(head[3])).min(rest.len());
        let (designator, behind) = rest.split_at(end);
        if head[1] >> 4 & 3 == 0 {
            found.push(designator);
        }
        rest = behind;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_83(unit: &[u8], port: u8) -> Bytes {
        let mut page = vec![0, 0x83, 0, 0, 1, 3, 0, unit.len() as u8];
        page.extend(unit);
        page.extend([0x51, 0x94, 0, 4, 0, 0, 0, port]);
        page.into()
    }

    fn named(unit: &[u8], port: u8) -> Facts {
        Facts { pages: vec![(0x83, page_83(unit, port))], ..Facts::default() }
    }

    #[test]
    fn a_unit_is_known_by_its_own_designators_on_every_path() {
        assert!(named(b"12345678", 1).is_same_unit(&named(b"12345678", 2)));
        assert!(!named(b"12345678", 1).is_same_unit(&named(b"12345679", 1)));
        assert!(!named(b"12345678", 1).is_same_unit(&Facts::default()));
        let cut =
            Facts { pages: vec![(0x83, page_83(b"12345678", 1).slice(..6))], ..named(b"", 0) };
        assert!(!named(b"12345678", 1).is_same_unit(&cut));
    }

    #[test]
    fn limits_and_capacity_are_taken_where_they_make_sense() {
        let mut facts = Facts::default();
        let mut capacity = [0; 32];
        capacity[7] = 99;
        capacity[10] = 2;
        assert!(facts.take_capacity(&capacity));
        assert_eq!((facts.block, facts.size, facts.extent), (512, 51_200, 51_200));
        let mut smaller = facts.clone();
        assert!(smaller.take_capacity(&[&[0; 8], &capacity[8..]].concat()));
        assert_eq!((smaller.size, smaller.extent), (512, 51_200));
        let mut page = vec![0; 64];
        page[11] = 16;
        facts.take_limits(&page);
        assert_eq!((facts.most_transfer, facts.most_same), (8192, 0xffff * 512));
        page[8] = 0xff;
        facts.take_limits(&page[..30]);
        assert_eq!(facts.most_transfer, TRANSFER);
        for wrong in [&capacity[..11], &[0; 32][..], &[0xff; 32][..]] {
            assert!(!facts.take_capacity(wrong));
        }
    }
}
