//! Basic header segments (RFC 7143, 11): 48 bytes at the head of every PDU, as typed structs.
//!
//! Bytes 4 to 7 of each are the same: TotalAHSLength in words of four bytes, then
//! DataSegmentLength in three bytes. [`crate::iscsi::wire`] reads and writes those; the structs
//! here are about the rest. Numbers are big-endian. What is reserved is not looked at when read,
//! and is zero when written.

mod ahs;
mod fields;
mod request;
mod response;

pub use ahs::{BadAhs, cdb_of, extended};
pub use request::{
    DataOut, LoginRequest, LogoutRequest, NopOut, Request, ScsiCommand, Snack, TaskRequest,
    TextRequest,
};
pub use response::{
    AsyncMessage, DataIn, LoginResponse, LogoutResponse, NopIn, R2t, Reject, Response,
    ScsiResponse, TaskResponse, TextResponse,
};

/// Bytes of a basic header segment.
pub const BHS: usize = 48;
/// A basic header segment.
pub type Bhs = [u8; BHS];
/// The task tag that stands for none.
pub const NO_TAG: u32 = u32::MAX;

/// Why a PDU is rejected (RFC 7143, 11.17.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// A data digest is wrong.
    DataDigest = 0x02,
    /// SNACK is not supported.
    Snack = 0x03,
    /// The PDU should not have come now, or contradicts itself.
    Protocol = 0x04,
    /// The command is not supported.
    NotSupported = 0x05,
    /// Too many immediate commands.
    TooManyImmediate = 0x06,
    /// The task tag is in use.
    TaskInProgress = 0x07,
    /// A field is invalid.
    InvalidField = 0x09,
    /// Too much to do at a time.
    OutOfResources = 0x0a,
}

/// Puts the numbers that every response carries in their places: StatSN at 24, ExpCmdSN at 28,
/// MaxCmdSN at 32.
pub fn stamp(bhs: &mut Bhs, stat_sn: u32, exp_cmd_sn: u32, max_cmd_sn: u32) {
    bhs[24..28].copy_from_slice(&stat_sn.to_be_bytes());
    bhs[28..32].copy_from_slice(&exp_cmd_sn.to_be_bytes());
    bhs[32..36].copy_from_slice(&max_cmd_sn.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::task::LunAddress;

    proptest! {
        #[test]
        fn any_header_is_read_without_panic_and_what_is_written_reads_the_same(
            bytes in proptest::collection::vec(any::<u8>(), BHS),
        ) {
            let bhs: Bhs = bytes.try_into().unwrap();
            if let Some(request) = Request::read(&bhs) {
                prop_assert_eq!(Request::read(&request.write()), Some(request));
            }
            if let Some(response) = Response::read(&bhs) {
                prop_assert_eq!(Response::read(&response.write()), Some(response));
            }
        }
    }

    #[test]
    fn fields_lie_where_the_standard_puts_them() {
        let command = ScsiCommand {
            immediate: true,
            last: true,
            read: true,
            attribute: 2,
            lun: LunAddress(0x0001_0000_0000_0000),
            itt: 0x0102_0304,
            expected: 512,
            cmd_sn: 7,
            exp_stat_sn: 8,
            cdb: [0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
            ..ScsiCommand::default()
        };
        let bhs = command.write();
        assert_eq!(bhs[..4], [0x41, 0xc2, 0, 0]);
        assert_eq!(bhs[8..16], [0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bhs[16..32], [1, 2, 3, 4, 0, 0, 2, 0, 0, 0, 0, 7, 0, 0, 0, 8]);
        assert_eq!(bhs[32], 0x28);

        let login = LoginRequest { transit: true, csg: 1, nsg: 3, tsih: 5, ..Default::default() };
        let bhs = login.write();
        assert_eq!((bhs[0], bhs[1], bhs[15]), (0x43, 0x87, 5));

        let data = DataIn { last: true, status_there: true, residual: 9, ..Default::default() };
        let bhs = data.write();
        assert_eq!((bhs[0], bhs[1], bhs[47]), (0x25, 0x81, 9));
        assert_eq!(R2t { length: 3, ..Default::default() }.write()[47], 3);
        assert_eq!(Request::read(&[0x3e; BHS]), None);
    }
}
