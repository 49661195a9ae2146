//! Mode parameters: MODE SENSE and MODE SELECT (SPC-4 6.11 to 6.14 and 7.5, SBC-3 6.5).
//!
//! The pages there are, and what of them can be changed:
//!
//! | page | bytes | what is not 0 | changeable |
//! |---|---|---|---|
//! | 01h Read-Write Error Recovery | 12 | 2: AWRE, ARRE | |
//! | 08h Caching | 20 | 2: WCE | WCE: without it every write is durable when it ends |
//! | 0Ah Control | 12 | 2: D_SENSE, GLTSD; 3: unrestricted reordering; 4: SWP; 5: TAS; 8-9: 30 s busy | D_SENSE, SWP, TAS |
//! | 1Ch Informational Exceptions | 12 | 2: DEXCPT | |

use super::{
    answer::{Answer, parameters},
    operation::ModeSense,
};
use crate::{medium::BLOCK, sense::Sense, task::Completion};

/// What can be changed. All nexuses share it, and LOGICAL UNIT RESET brings the default back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameters {
    /// Writes may end before they are durable (WCE).
    pub write_cache: bool,
    /// Sense data in descriptors (`D_SENSE`).
    pub descriptors: bool,
    /// Writes are refused (SWP).
    pub protected: bool,
    /// Tasks that another nexus aborts end with TASK ABORTED (TAS). So it is by default: a host
    /// then repeats them at once, rather than when it loses patience.
    pub tell_aborted: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { write_cache: true, descriptors: false, protected: false, tell_aborted: true }
    }
}

const WCE: (usize, u8) = (2, 0x04);
const D_SENSE: (usize, u8) = (2, 0x04);
const SWP: (usize, u8) = (4, 0x08);
const TAS: (usize, u8) = (5, 0x40);

impl Parameters {
    /// The pages, by page code.
    fn pages(self) -> [Vec<u8>; 4] {
        let flag = |on: bool, (_, bit): (usize, u8)| if on { bit } else { 0 };
        let mut caching = vec![0x08, 18, flag(self.write_cache, WCE)];
        caching.resize(20, 0);
        [
            vec![0x01, 10, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            caching,
            vec![
                0x0a,
                10,
                0x02 | flag(self.descriptors, D_SENSE),
                0x10,
                flag(self.protected, SWP),
                flag(self.tell_aborted, TAS),
                0,
                0,
                0x01,
                0x2c,
                0,
                0,
            ],
            vec![0x1c, 10, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
    }

    /// The bits of the pages that can be changed.
    fn changeable() -> [Vec<u8>; 4] {
        let mut pages = Self::default().pages();
        for page in &mut pages {
            page[2..].fill(0);
        }
        pages[1][WCE.0] = WCE.1;
        for (at, bit) in [D_SENSE, SWP, TAS] {
            pages[2][at] |= bit;
        }
        pages
    }

    /// With what a page of MODE SELECT says; `at` is where it stands in the parameter list.
    fn with(mut self, page: &[u8], at: usize) -> Result<Self, Sense> {
        let refuse = |byte| Sense::INVALID_FIELD_IN_DATA.in_data(place(at + byte), None);
        let code = page.first().map_or(0, |code| code & 0x7f);
        let pages = self.pages().into_iter().zip(Self::changeable());
        let (now, mask) = pages
            .into_iter()
            .find(|(now, _)| now.first() == Some(&code))
            .ok_or_else(|| refuse(0))?;
        if page.len() != now.len() || page[1] != now[1] {
            return Err(refuse(1));
        }
        for byte in 2..now.len() {
            if (page[byte] ^ now[byte]) & !mask[byte] != 0 {
                return Err(refuse(byte));
            }
        }
        let flag = |(at, bit): (usize, u8)| page[at] & bit != 0;
        match code {
            0x08 => self.write_cache = flag(WCE),
            0x0a => {
                self.descriptors = flag(D_SENSE);
                self.protected = flag(SWP);
                self.tell_aborted = flag(TAS);
            }
            _ => {}
        }
        Ok(self)
    }

    /// With what the parameter list of MODE SELECT says, all of it or nothing (SPC-4 6.11).
    pub fn select(self, ten: bool, list: &[u8], blocks: u64) -> Result<Self, Sense> {
        if list.is_empty() {
            return Ok(self);
        }
        let header = if ten { 8 } else { 4 };
        let Some((head, rest)) = list.split_at_checked(header) else {
            return Err(Sense::DATA_LENGTH);
        };
        let (long, descriptors) = if ten {
            (head[4] & 1 == 1, usize::from(u16::from_be_bytes([head[6], head[7]])))
        } else {
            (false, usize::from(head[3]))
        };
        let Some((descriptor, mut rest)) = rest.split_at_checked(descriptors) else {
            return Err(Sense::DATA_LENGTH);
        };
        let wrong = Sense::INVALID_FIELD_IN_DATA.in_data(place(header), None);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
        // Blocks and their length are as they are; 0 blocks stand for as many as now.
        let (count, length) = match (descriptors, long) {
            (0, _) => (0, BLOCK.into()),
            (8, false) => (number(&descriptor[1..4]), number(&descriptor[5..8])),
            (16, true) => (number(&descriptor[..8]), number(&descriptor[12..16])),
            _ => return Err(wrong),
        };
        let clipped = descriptors == 8 && count == 0xff_ffff && blocks > count;
        if length != u64::from(BLOCK) || !(count == 0 || count == blocks || clipped) {
            return Err(wrong);
        }
        let (mut new, mut at) = (self, header + descriptors);
        while !rest.is_empty() {
            // Subpages have a longer header, and there are none.
            if rest[0] & 0x40 != 0 {
                return Err(Sense::INVALID_FIELD_IN_DATA.in_data(place(at), Some(6)));
            }
            let length = rest.get(1).map_or(usize::MAX, |length| usize::from(*length) + 2);
            let Some((page, behind)) = rest.split_at_checked(length) else {
                return Err(Sense::DATA_LENGTH);
            };
            new = new.with(page, at)?;
            (rest, at) = (behind, at + length);
        }
        Ok(new)
    }

    /// MODE SENSE. The headers (SPC-4 7.5.5), of 4 or 8 bytes:
    ///
    /// | byte (6) | byte (10) | what |
    /// |---|---|---|
    /// | 0 | 0-1 | bytes behind this field |
    /// | 2 | 3 | WP (bit 7), DPOFUA (bit 4) |
    /// | | 4 | LONGLBA (bit 0) |
    /// | 3 | 6-7 | bytes of the block descriptor, which follows |
    pub fn sense(self, request: &ModeSense, protected: bool, blocks: u64) -> Answer {
        let pages = match request.control {
            0 => self.pages(),
            1 => Self::changeable(),
            2 => Self::default().pages(),
            _ => return Err(Sense::SAVING_NOT_SUPPORTED.into()),
        };
        let pages: Vec<u8> = match (request.page, request.subpage) {
            (0x3f, 0 | 0xff) => pages.concat(),
            (page, 0 | 0xff) => {
                let page = pages.into_iter().find(|its| its[0] == page);
                page.ok_or(Sense::INVALID_FIELD_IN_CDB.in_cdb(2, Some(5)))?
            }
            _ => return Err(Sense::INVALID_FIELD_IN_CDB.in_cdb(3, None).into()),
        };
        let device = u8::from(protected || self.protected) << 7 | 0x10;
        let descriptor = match (request.no_descriptors, request.long) {
            (true, _) => Vec::new(),
            (false, true) => [&blocks.to_be_bytes()[..], &[0; 4], &BLOCK.to_be_bytes()].concat(),
            (false, false) => {
                let count = u32::try_from(blocks.min(0xff_ffff)).unwrap_or(0xff_ffff);
                [count.to_be_bytes(), BLOCK.to_be_bytes()].concat()
            }
        };
        let size = u8::try_from(descriptor.len()).unwrap_or(0);
        let mut bytes = if request.ten {
            let long = u8::from(request.long && !request.no_descriptors);
            vec![0, 0, 0, device, long, 0, 0, size]
        } else {
            vec![0, 0, device, size]
        };
        bytes.extend(descriptor);
        bytes.extend(pages);
        if request.ten {
            let length = u16::try_from(bytes.len() - 2).unwrap_or(u16::MAX);
            bytes[..2].copy_from_slice(&length.to_be_bytes());
        } else {
            bytes[0] = u8::try_from(bytes.len() - 1).unwrap_or(u8::MAX);
        }
        parameters(bytes, request.allocation)
    }
}

fn place(byte: usize) -> u16 {
    u16::try_from(byte).unwrap_or(u16::MAX)
}

/// MODE SELECT on a logical unit; whether anything has changed.
pub(super) fn select(
    now: &mut Parameters,
    ten: bool,
    list: &[u8],
    blocks: u64,
) -> Result<(Completion, bool), Sense> {
    let new = now.select(ten, list, blocks)?;
    let changed = new != *now;
    *now = new;
    Ok((Completion::good(), changed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::answer::Refusal;

    const ALL: ModeSense = ModeSense {
        ten: false,
        no_descriptors: false,
        long: false,
        control: 0,
        page: 0x3f,
        subpage: 0,
        allocation: 255,
    };

    fn sense(request: &ModeSense) -> Vec<u8> {
        Parameters::default().sense(request, false, 0x0100_0000).unwrap().data_in.concat()
    }

    #[test]
    fn both_headers_say_how_much_follows_and_what_the_device_can() {
        let six = sense(&ALL);
        assert_eq!(six.len(), 4 + 8 + 12 + 20 + 12 + 12);
        assert_eq!(six[..12], [67, 0, 0x10, 8, 0, 0xff, 0xff, 0xff, 0, 0, 2, 0]);
        let ten = sense(&ModeSense { ten: true, long: true, ..ALL });
        let head = [0, 78, 0, 0x10, 1, 0, 0, 16, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0];
        assert_eq!(ten[..24], head);
        assert_eq!(ten[24..], six[12..]);
        let protected = Parameters::default().sense(&ALL, true, 1).unwrap().data_in.concat();
        assert_eq!(protected[2], 0x90);
        let one = sense(&ModeSense { page: 8, no_descriptors: true, allocation: 7, ..ALL });
        assert_eq!(one, [23, 0, 0x10, 0, 8, 18, 4]);
    }

    #[test]
    fn nothing_is_saved_and_there_are_no_other_pages() {
        let refused = |request| Parameters::default().sense(&request, false, 1).unwrap_err();
        let saved = refused(ModeSense { control: 3, ..ALL });
        assert_eq!(saved, Refusal::Check(Sense::SAVING_NOT_SUPPORTED));
        let page = refused(ModeSense { page: 0x19, ..ALL });
        assert_eq!(page, Refusal::Check(Sense::INVALID_FIELD_IN_CDB.in_cdb(2, Some(5))));
        let subpage = refused(ModeSense { page: 0x0a, subpage: 5, ..ALL });
        assert_eq!(subpage, Refusal::Check(Sense::INVALID_FIELD_IN_CDB.in_cdb(3, None)));
    }

    /// What a host sends to change one page: the page as it was read, with some bits turned.
    fn list(page: u8, turn: &[(usize, u8)]) -> Vec<u8> {
        let mut bytes = sense(&ModeSense { page, no_descriptors: true, ..ALL });
        (bytes[0], bytes[2]) = (0, 0);
        for (at, bits) in turn {
            bytes[4 + at] ^= bits;
        }
        bytes
    }

    #[test]
    fn every_changeable_bit_changes_and_every_other_bit_is_refused() {
        let now = Parameters::default();
        for (page, mask) in [0x01, 0x08, 0x0a, 0x1c].into_iter().zip(Parameters::changeable()) {
            for (at, mask) in mask.iter().enumerate().skip(2) {
                for bit in (0..8).map(|bit| 1 << bit) {
                    let answer = now.select(false, &list(page, &[(at, bit)]), 9);
                    if mask & bit == 0 {
                        let at = u16::try_from(4 + at).unwrap();
                        let sense = Sense::INVALID_FIELD_IN_DATA.in_data(at, None);
                        assert_eq!(answer, Err(sense), "page {page:#x}");
                    } else {
                        assert_ne!(answer.unwrap(), now);
                    }
                }
            }
        }
        let swp = now.select(false, &list(0x0a, &[SWP]), 9).unwrap();
        assert_eq!(swp, Parameters { protected: true, ..now });
        let wce = now.select(false, &list(0x08, &[WCE]), 9).unwrap();
        assert_eq!(wce, Parameters { write_cache: false, ..now });
    }

    #[test]
    fn a_list_that_is_cut_anywhere_changes_nothing() {
        let mut whole = list(0x0a, &[SWP]);
        whole.extend(&list(0x08, &[WCE])[4..]);
        for length in 1..whole.len() {
            let answer = Parameters::default().select(false, &whole[..length], 9);
            if length == 4 || length == 16 {
                assert!(answer.is_ok(), "whole pages");
            } else {
                assert_eq!(answer, Err(Sense::DATA_LENGTH), "{length}");
            }
        }
    }
}
