//! The commands that are sent to a LUN (SPC-4, SBC-3). Addresses and counts are in blocks.

/// TEST UNIT READY.
pub const TEST_UNIT_READY: [u8; 6] = [0; 6];
/// SYNCHRONIZE CACHE (10) of everything.
pub const SYNCHRONIZE_CACHE: [u8; 10] = [0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// READ CAPACITY (16), 32 bytes.
pub const READ_CAPACITY: [u8; 16] = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
/// MODE SENSE (6) of the header and all pages, whose third byte has the WP bit; 255 bytes.
pub const MODE_SENSE: [u8; 6] = [0x1a, 0x08, 0x3f, 0, 0xff, 0];
/// Bytes that an INQUIRY asks for.
pub const INQUIRY_ROOM: u16 = 4096;

/// INQUIRY: the standard data, or a VPD page.
#[must_use]
pub const fn inquiry(page: Option<u8>) -> [u8; 6] {
    let [high, low] = INQUIRY_ROOM.to_be_bytes();
    match page {
        Some(page) => [0x12, 1, page, high, low, 0],
        None => [0x12, 0, 0, high, low, 0],
    }
}

/// READ (16).
#[must_use]
pub fn read(lba: u64, blocks: u32) -> [u8; 16] {
    sixteen(0x88, 0, lba, blocks)
}

/// WRITE (16).
#[must_use]
pub fn write(lba: u64, blocks: u32) -> [u8; 16] {
    sixteen(0x8a, 0, lba, blocks)
}

/// WRITE SAME (16) with one block of data; `unmap` gives the space back.
#[must_use]
pub fn write_same(lba: u64, blocks: u32, unmap: bool) -> [u8; 16] {
    sixteen(0x93, if unmap { 0x08 } else { 0 }, lba, blocks)
}

/// GET LBA STATUS from a block on, with room for so many bytes.
#[must_use]
pub fn lba_status(lba: u64, room: u32) -> [u8; 16] {
    sixteen(0x9e, 0x12, lba, room)
}

fn sixteen(opcode: u8, second: u8, lba: u64, count: u32) -> [u8; 16] {
    let mut cdb = [0; 16];
    (cdb[0], cdb[1]) = (opcode, second);
    cdb[2..10].copy_from_slice(&lba.to_be_bytes());
    cdb[10..14].copy_from_slice(&count.to_be_bytes());
    cdb
}
