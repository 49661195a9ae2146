//! Partition tables, from blocks of 512 bytes: MBR (four primary partitions) and GPT (UEFI 5.3).

/// Bytes of a block.
pub const BLOCK: usize = 512;
/// The most blocks that the entries of a GPT take: 128 entries of 128 bytes need 32.
const MOST_ENTRY_BLOCKS: u64 = 128;

/// One block.
pub type Block = [u8; BLOCK];

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from 1.
    pub number: usize,
    /// Its first block.
    pub first: u64,
    /// How many blocks it has.
    pub blocks: u64,
}

/// What block 0 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mbr {
    /// The disk's signature.
    pub signature: u32,
    /// Its primary partitions.
    pub partitions: Vec<Partition>,
    /// Whether it only guards a GPT.
    pub protective: bool,
}

/// What block 1 says, where there is a GPT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpt {
    /// The disk's GUID as bytes of the table; its first four stand for a signature.
    pub disk: [u8; 16],
    /// The block of the header at the disk's other end.
    pub alternate: u64,
    /// The first block of the entries.
    pub entries: u64,
    /// How many entries.
    count: usize,
    /// Bytes of each.
    size: usize,
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// Reads block 0; `None` where it is no MBR.
#[must_use]
pub fn mbr(block: &Block) -> Option<Mbr> {
    if block[510..] != [0x55, 0xaa] {
        return None;
    }
    let entries = block[446..510].as_chunks::<16>().0;
    // The other two values are all that an active flag may be.
    if entries.iter().any(|entry| entry[0] & 0x7f != 0) {
        return None;
    }
    let kept = entries.iter().zip(1..).filter(|(entry, _)| entry[4] != 0);
    let partitions = kept.map(|(entry, n)| Partition {
        number: n,
        first: number(&entry[8..12]),
        blocks: number(&entry[12..16]),
    });
    Some(Mbr {
        signature: u32::from_le_bytes([block[440], block[441], block[442], block[443]]),
        partitions: partitions.collect(),
        protective: entries.iter().any(|entry| entry[4] == 0xee),
    })
}

/// Reads a header of a GPT; `None` where it is none, or one that cannot be on a disk of so many
/// blocks.
#[must_use]
pub fn gpt(block: &Block, blocks: u64) -> Option<Gpt> {
    if !block.starts_with(b"EFI PART") {
        return None;
    }
    let (alternate, entries) = (number(&block[32..40]), number(&block[72..80]));
    let (count, size) = (number(&block[80..84]), number(&block[84..88]));
    let length = count.checked_mul(size)?.div_ceil(BLOCK as u64);
    let fits = (1..=MOST_ENTRY_BLOCKS).contains(&length)
        && (128..=4096).contains(&size)
        && alternate < blocks
        && alternate > length
        && entries.checked_add(length)? <= blocks;
    fits.then_some(Gpt {
        disk: *block[56..].first_chunk()?,
        alternate,
        entries,
        count: count as usize,
        size: size as usize,
    })
}

impl Gpt {
    /// How many blocks the entries take.
    #[must_use]
    pub const fn entry_blocks(&self) -> u64 {
        (self.count * self.size).div_ceil(BLOCK) as u64
    }

    /// The partitions, from the bytes of the entries.
    #[must_use]
    pub fn partitions(&self, entries: &[u8]) -> Vec<Partition> {
        let used = entries.chunks_exact(self.size).zip(1..).take(self.count);
        let used = used.filter(|(entry, _)| entry[..16] != [0; 16]);
        used.map(|(entry, n)| {
            let (first, last) = (number(&entry[32..40]), number(&entry[40..48]));
            let blocks = last.saturating_sub(first).saturating_add(1);
            Partition { number: n, first, blocks }
        })
        .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An MBR with a partition of type 07h.
    pub(crate) fn sample(signature: u32) -> Block {
        let mut block = [0; BLOCK];
        block[440..444].copy_from_slice(&signature.to_le_bytes());
        block[446] = 0x80;
        block[450] = 0x07;
        block[454..458].copy_from_slice(&2048u32.to_le_bytes());
        block[458..462].copy_from_slice(&4096u32.to_le_bytes());
        block[510..].copy_from_slice(&[0x55, 0xaa]);
        block
    }

    #[test]
    fn an_mbr_has_a_signature_and_its_primary_partitions() {
        let mbr = mbr(&sample(0xda7c_0d91)).unwrap();
        assert_eq!(mbr.signature, 0xda7c_0d91);
        assert_eq!(mbr.partitions, [Partition { number: 1, first: 2048, blocks: 4096 }]);
        assert!(!mbr.protective);
    }

    #[test]
    fn a_boot_sector_of_a_file_system_is_no_mbr() {
        let mut block = sample(1);
        block[446] = 0x33;
        assert_eq!(mbr(&block), None);
        assert_eq!(mbr(&[0; BLOCK]), None);
    }

    fn header(alternate: u64, entries: u64, count: u32, size: u32) -> Block {
        let mut block = [0; BLOCK];
        block[..8].copy_from_slice(b"EFI PART");
        block[32..40].copy_from_slice(&alternate.to_le_bytes());
        block[72..80].copy_from_slice(&entries.to_le_bytes());
        block[80..84].copy_from_slice(&count.to_le_bytes());
        block[84..88].copy_from_slice(&size.to_le_bytes());
        block
    }

    #[test]
    fn a_gpt_lists_its_partitions_by_number() {
        let gpt = gpt(&header(9999, 2, 128, 128), 10_000).unwrap();
        assert_eq!(gpt.entry_blocks(), 32);
        let mut entries = vec![0; 32 * BLOCK];
        entries[128] = 1;
        entries[128 + 32..128 + 40].copy_from_slice(&2048u64.to_le_bytes());
        entries[128 + 40..128 + 48].copy_from_slice(&4095u64.to_le_bytes());
        assert_eq!(gpt.partitions(&entries), [Partition { number: 2, first: 2048, blocks: 2048 }]);
    }

    #[test]
    fn a_gpt_that_cannot_be_is_none() {
        for (alternate, entries, count, size) in [
            (10_000, 2, 128, 128),
            (9999, 9990, 128, 128),
            (9999, u64::MAX, 128, 128),
            (9999, 2, u32::MAX, u32::MAX),
            (9999, 2, 0, 128),
            (9999, 2, 128, 0),
            (3, 2, 128, 128),
        ] {
            assert_eq!(gpt(&header(alternate, entries, count, size), 10_000), None);
        }
    }
}
