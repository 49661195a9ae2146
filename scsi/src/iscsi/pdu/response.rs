//! What targets send. Bytes 24 to 35 of each are StatSN, ExpCmdSN and MaxCmdSN.

use super::fields::{header, headers};
use crate::task::LunAddress;

header! {
    /// NOP-In (11.19): the answer to a ping, or the target's own.
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0, 1 | 20h, 80h |
    /// | 8-15 | LUN |
    /// | 16-19 | initiator task tag, or FFFFFFFFh |
    /// | 20-23 | target transfer tag where an answer is wanted, or FFFFFFFFh |
    /// | 24-35 | StatSN, ExpCmdSN, MaxCmdSN |
    NopIn = 0x20, 0x80;
    /// Logical unit.
    lun: LunAddress = 8;
    /// Initiator task tag.
    itt: u32 = 16;
    /// Target transfer tag.
    ttt: u32 = 20;
    /// Status number.
    stat_sn: u32 = 24;
    /// The next command number expected.
    exp_cmd_sn: u32 = 28;
    /// The highest command number taken.
    max_cmd_sn: u32 = 32;
}

header! {
    /// SCSI Response (11.4).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0 | 21h |
    /// | 1 | 80h, o (10h), u (08h), O (04h), U (02h) |
    /// | 2 | response: 0 completed, 1 target failure |
    /// | 3 | SCSI status |
    /// | 16-19 | initiator task tag |
    /// | 20-23 | SNACK tag |
    /// | 24-35 | StatSN, ExpCmdSN, MaxCmdSN |
    /// | 36-39 | ExpDataSN: Data-In and R2T PDUs sent |
    /// | 40-43 | bidirectional read residual count |
    /// | 44-47 | residual count |
    ScsiResponse = 0x21, 0x80;
    /// Bidirectional overflow.
    read_overflow: bool = 1 & 0x10;
    /// Bidirectional underflow.
    read_underflow: bool = 1 & 0x08;
    /// Overflow: bytes that found no room.
    overflow: bool = 1 & 0x04;
    /// Underflow: bytes that were not used.
    underflow: bool = 1 & 0x02;
    /// iSCSI service response.
    response: u8 = 2;
    /// SCSI status.
    status: u8 = 3;
    /// Initiator task tag.
    itt: u32 = 16;
    /// SNACK tag.
    snack: u32 = 20;
    /// Status number.
    stat_sn: u32 = 24;
    /// The next command number expected.
    exp_cmd_sn: u32 = 28;
    /// The highest command number taken.
    max_cmd_sn: u32 = 32;
    /// Data-In and R2T PDUs sent.
    exp_data_sn: u32 = 36;
    /// Bidirectional read residual count, in bytes.
    read_residual: u32 = 40;
    /// Residual count, in bytes.
    residual: u32 = 44;
}

header! {
    /// Task Management Function Response (11.6).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0, 1 | 22h, 80h |
    /// | 2 | response |
    /// | 16-19 | initiator task tag |
    /// | 24-35 | StatSN, ExpCmdSN, MaxCmdSN |
    TaskResponse = 0x22, 0x80;
    /// Response: 0 complete, 1 no such task, 2 no such LUN, 3 task still allegiant, 4 reassignment
    /// not supported, 5 not supported, 6 authorisation failed, 255 rejected.
    response: u8 = 2;
    /// Initiator task tag.
    itt: u32 = 16;
    /// Status number.
    stat_sn: u32 = 24;
    /// The next command number expected.
    exp_cmd_sn: u32 = 28;
    /// The highest command number taken.
    max_cmd_sn: u32 = 32;
}

header! {
    /// Login Response (11.13).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0 | 23h |
    /// | 1 | T (80h), C (40h), CSG (0Ch), NSG (03h) |
    /// | 2, 3 | Version-max, Version-active |
    /// | 8-13, 14-15 | ISID, TSIH |
    /// | 16-19 | initiator task tag |
    /// | 24-35 | StatSN, ExpCmdSN, MaxCmdSN |
    /// | 36-37 | status class and detail |
    LoginResponse = 0x23, 0x00;
    /// Goes to the next stage.
    transit: bool = 1 & 0x80;
    /// The text goes on in the next response.
    more: bool = 1 & 0x40;
    /// Current stage.
    csg: u8 = 1 & 0x0c;
    /// Next stage.
    nsg: u8 = 1 & 0x03;
    /// Highest version supported.
    version_max: u8 = 2;
    /// Version in use.
    version_active: u8 = 3;
    /// The initiator's part of the session's identity.
    isid: [u8; 6] = 8;
    /// The target's part.
    tsih: u16 = 14;
    /// Initiator task tag.
    itt: u32 = 16;
    /// Status number.
    stat_sn: u32 = 24;
    /// The next command number expected.
    exp_cmd_sn: u32 = 28;
    /// The highest command number taken.
    max_cmd_sn: u32 = 32;
    /// Status class above, detail below; 0 is success.
    status: u16 = 36;
}

header! {
    /// Text Response (11.11).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0 | 24h |
    /// | 1 | F (80h), C (40h) |
    /// | 8-15 | LUN |
    /// | 16-19 | initiator task tag |
    /// | 20-23 | target transfer tag where more is to come, or FFFFFFFFh |
    /// | 24-35 | StatSN, ExpCmdSN, MaxCmdSN |
    TextResponse = 0x24, 0x00;
    /// The target has no more to say.
    last: bool = 1 & 0x80;
    /// The text goes on in the next response.
    more: bool = 1 & 0x40;
    /// Logical unit.
    lun: LunAddress = 8;
    /// Initiator task tag.
    itt: u32 = 16;
    /// Target transfer tag.
    ttt: u32 = 20;
    /// Status number.
    stat_sn: u32 = 24;
    /// The next command number expected.
    exp_cmd_sn: u32 = 28;
    /// The highest command number taken.
    max_cmd_sn: u32 = 32;
}

header! {
    /// SCSI Data-In (11.7).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0 | 25h |
    /// | 1 | F (80h), A (40h), O (04h), U (02h), S (01h) |
    /// | 3 | SCSI status, with S |
    /// | 8-15 | LUN |
    /// | 16-19, 20-23 | initiator task tag, target transfer tag |
    /// | 24-35 | StatSN with S, ExpCmdSN, MaxCmdSN |
    /// | 36-39 | DataSN |
    /// | 40-43 | buffer offset, in bytes |
    /// | 44-47 | residual count, with S |
    DataIn = 0x25, 0x00;
    /// The last of its sequence.
    last: bool = 1 & 0x80;
    /// The initiator shall acknowledge; not at error recovery level 0.
    acknowledge: bool = 1 & 0x40;
    /// Overflow, with S.
    overflow: bool = 1 & 0x04;
    /// Underflow, with S.
    underflow: bool = 1 & 0x02;
    /// S: the status is in it, and no SCSI Response follows.
    status_there: bool = 1 & 0x01;
    /// SCSI status.
    status: u8 = 3;
    /// Logical unit.
    lun: LunAddress = 8;
    /// Initiator task tag.
    itt: u32 = 16;
    /// Target transfer tag.
    ttt: u32 = 20;
    /// Status number.
    stat_sn: u32 = 24;
    /// The next command number expected.
    exp_cmd_sn: u32 = 28;
    /// The highest command number taken.
    max_cmd_sn: u32 = 32;
    /// Number among the Data-In PDUs of the command, from 0.
    data_sn: u32 = 36;
    /// Where the data lies, in bytes.
    offset: u32 = 40;
    /// Residual count, in bytes.
    residual: u32 = 44;
}

header! {
    /// Logout Response (11.15).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0, 1 | 26h, 80h |
    /// | 2 | response: 0 closed, 1 no such CID, 2 no recovery, 3 failed |
    /// | 16-19 | initiator task tag |
    /// | 24-35 | StatSN, ExpCmdSN, MaxCmdSN |
    /// | 40-41, 42-43 | Time2Wait, Time2Retain, in seconds |
    LogoutResponse = 0x26, 0x80;
    /// Response.
    response: u8 = 2;
    /// Initiator task tag.
    itt: u32 = 16;
    /// Status number.
    stat_sn: u32 = 24;
    /// The next command number expected.
    exp_cmd_sn: u32 = 28;
    /// The highest command number taken.
    max_cmd_sn: u32 = 32;
    /// Seconds before the initiator may come back.
    time2wait: u16 = 40;
    /// Seconds after that for which tasks are kept.
    time2retain: u16 = 42;
}

header! {
    /// Ready To Transfer (11.8).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0, 1 | 31h, 80h |
    /// | 8-15 | LUN |
    /// | 16-19, 20-23 | initiator task tag, target transfer tag |
    /// | 24-35 | StatSN (not used up), ExpCmdSN, MaxCmdSN |
    /// | 36-39 | R2TSN |
    /// | 40-43, 44-47 | buffer offset, desired length, in bytes |
    R2t = 0x31, 0x80;
    /// Logical unit.
    lun: LunAddress = 8;
    /// Initiator task tag.
    itt: u32 = 16;
    /// Target transfer tag.
    ttt: u32 = 20;
    /// The next status number.
    stat_sn: u32 = 24;
    /// The next command number expected.
    exp_cmd_sn: u32 = 28;
    /// The highest command number taken.
    max_cmd_sn: u32 = 32;
    /// Number among the R2Ts of the command, from 0.
    r2t_sn: u32 = 36;
    /// Where the data wanted begins, in bytes.
    offset: u32 = 40;
    /// How much is wanted, in bytes; not 0.
    length: u32 = 44;
}

header! {
    /// Asynchronous Message (11.9).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0, 1 | 32h, 80h |
    /// | 8-15 | LUN |
    /// | 16-19 | FFFFFFFFh |
    /// | 24-35 | StatSN, ExpCmdSN, MaxCmdSN |
    /// | 36, 37 | event, vendor's code |
    /// | 38-43 | three parameters of two bytes |
    AsyncMessage = 0x32, 0x80;
    /// Logical unit.
    lun: LunAddress = 8;
    /// Always [`super::NO_TAG`].
    itt: u32 = 16;
    /// Status number.
    stat_sn: u32 = 24;
    /// The next command number expected.
    exp_cmd_sn: u32 = 28;
    /// The highest command number taken.
    max_cmd_sn: u32 = 32;
    /// Event: 0 SCSI, 1 logout is asked for, 2 the connection will be dropped, 3 all of the
    /// session's will, 4 negotiation is asked for.
    event: u8 = 36;
    /// Vendor's code.
    vendor: u8 = 37;
    /// With events 2 and 3: the connection.
    parameter1: u16 = 38;
    /// Seconds before the initiator may come back.
    parameter2: u16 = 40;
    /// Seconds after that for which tasks are kept, or with event 1 to log out.
    parameter3: u16 = 42;
}

header! {
    /// Reject (11.17); the header rejected is its data.
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0, 1 | 3Fh, 80h |
    /// | 2 | reason |
    /// | 16-19 | FFFFFFFFh |
    /// | 24-35 | StatSN, ExpCmdSN, MaxCmdSN |
    /// | 36-39 | DataSN or R2TSN |
    Reject = 0x3f, 0x80;
    /// A [`super::Reason`].
    reason: u8 = 2;
    /// Always [`super::NO_TAG`].
    itt: u32 = 16;
    /// Status number.
    stat_sn: u32 = 24;
    /// The next command number expected.
    exp_cmd_sn: u32 = 28;
    /// The highest command number taken.
    max_cmd_sn: u32 = 32;
    /// For digest errors.
    data_sn: u32 = 36;
}

headers! {
    /// Any header of a target.
    Response:
    /// NOP-In.
    NopIn,
    /// SCSI Response.
    ScsiResponse,
    /// Task Management Function Response.
    TaskResponse,
    /// Login Response.
    LoginResponse,
    /// Text Response.
    TextResponse,
    /// SCSI Data-In.
    DataIn,
    /// Logout Response.
    LogoutResponse,
    /// Ready To Transfer.
    R2t,
    /// Asynchronous Message.
    AsyncMessage,
    /// Reject.
    Reject,
}
