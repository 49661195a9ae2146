//! What initiators send.

use super::fields::{header, headers};
use crate::task::LunAddress;

header! {
    /// NOP-Out (11.18): a ping, or the answer to the target's.
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0 | I, 00h |
    /// | 1 | 80h |
    /// | 8-15 | LUN of the ping answered |
    /// | 16-19 | initiator task tag; FFFFFFFFh where no answer is wanted |
    /// | 20-23 | target transfer tag of the ping answered, or FFFFFFFFh |
    /// | 24-27, 28-31 | CmdSN, ExpStatSN |
    NopOut = 0x00, 0x80;
    /// Immediate delivery.
    immediate: bool = 0 & 0x40;
    /// Logical unit.
    lun: LunAddress = 8;
    /// Initiator task tag.
    itt: u32 = 16;
    /// Target transfer tag.
    ttt: u32 = 20;
    /// Command number.
    cmd_sn: u32 = 24;
    /// The next status number expected.
    exp_stat_sn: u32 = 28;
}

header! {
    /// SCSI Command (11.3).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0 | I, 01h |
    /// | 1 | F (80h), R (40h), W (20h), ATTR (07h) |
    /// | 8-15 | LUN |
    /// | 16-19 | initiator task tag |
    /// | 20-23 | expected data transfer length, in bytes |
    /// | 24-27, 28-31 | CmdSN, ExpStatSN |
    /// | 32-47 | CDB |
    ScsiCommand = 0x01, 0x00;
    /// Immediate delivery.
    immediate: bool = 0 & 0x40;
    /// No unsolicited Data-Out follows.
    last: bool = 1 & 0x80;
    /// The initiator expects data.
    read: bool = 1 & 0x40;
    /// The initiator has data.
    write: bool = 1 & 0x20;
    /// Task attribute: 0 untagged, 1 simple, 2 ordered, 3 head of queue, 4 ACA.
    attribute: u8 = 1 & 0x07;
    /// Logical unit.
    lun: LunAddress = 8;
    /// Initiator task tag.
    itt: u32 = 16;
    /// Expected data transfer length, in bytes.
    expected: u32 = 20;
    /// Command number.
    cmd_sn: u32 = 24;
    /// The next status number expected.
    exp_stat_sn: u32 = 28;
    /// The first 16 bytes of the CDB.
    cdb: [u8; 16] = 32;
}

header! {
    /// Task Management Function Request (11.5).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0 | I, 02h |
    /// | 1 | 80h, function |
    /// | 8-15 | LUN |
    /// | 16-19 | initiator task tag |
    /// | 20-23 | referenced task tag |
    /// | 24-27, 28-31 | CmdSN, ExpStatSN |
    /// | 32-35 | RefCmdSN |
    /// | 36-39 | ExpDataSN |
    TaskRequest = 0x02, 0x80;
    /// Immediate delivery.
    immediate: bool = 0 & 0x40;
    /// Function: 1 ABORT TASK, 2 ABORT TASK SET, 3 CLEAR ACA, 4 CLEAR TASK SET, 5 LOGICAL UNIT
    /// RESET, 6 TARGET WARM RESET, 7 TARGET COLD RESET, 8 TASK REASSIGN.
    function: u8 = 1 & 0x7f;
    /// Logical unit.
    lun: LunAddress = 8;
    /// Initiator task tag.
    itt: u32 = 16;
    /// The task to be aborted.
    referenced: u32 = 20;
    /// Command number.
    cmd_sn: u32 = 24;
    /// The next status number expected.
    exp_stat_sn: u32 = 28;
    /// The command number of the task to be aborted.
    ref_cmd_sn: u32 = 32;
    /// For TASK REASSIGN.
    exp_data_sn: u32 = 36;
}

header! {
    /// Login Request (11.12).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0 | 43h |
    /// | 1 | T (80h), C (40h), CSG (0Ch), NSG (03h) |
    /// | 2, 3 | Version-max, Version-min |
    /// | 8-13, 14-15 | ISID, TSIH |
    /// | 16-19 | initiator task tag |
    /// | 20-21 | CID |
    /// | 24-27, 28-31 | CmdSN, ExpStatSN |
    LoginRequest = 0x43, 0x00;
    /// Ready to go to the next stage.
    transit: bool = 1 & 0x80;
    /// The text goes on in the next request.
    more: bool = 1 & 0x40;
    /// Current stage: 0 security, 1 operational, 3 full feature.
    csg: u8 = 1 & 0x0c;
    /// Next stage.
    nsg: u8 = 1 & 0x03;
    /// Highest version supported.
    version_max: u8 = 2;
    /// Lowest version supported.
    version_min: u8 = 3;
    /// The initiator's part of the session's identity.
    isid: [u8; 6] = 8;
    /// The target's part; 0 for a new session.
    tsih: u16 = 14;
    /// Initiator task tag.
    itt: u32 = 16;
    /// Connection.
    cid: u16 = 20;
    /// Command number.
    cmd_sn: u32 = 24;
    /// The next status number expected.
    exp_stat_sn: u32 = 28;
}

header! {
    /// Text Request (11.10).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0 | I, 04h |
    /// | 1 | F (80h), C (40h) |
    /// | 8-15 | LUN |
    /// | 16-19 | initiator task tag |
    /// | 20-23 | target transfer tag of the response that this continues, or FFFFFFFFh |
    /// | 24-27, 28-31 | CmdSN, ExpStatSN |
    TextRequest = 0x04, 0x00;
    /// Immediate delivery.
    immediate: bool = 0 & 0x40;
    /// The initiator has no more to say.
    last: bool = 1 & 0x80;
    /// The text goes on in the next request.
    more: bool = 1 & 0x40;
    /// Logical unit.
    lun: LunAddress = 8;
    /// Initiator task tag.
    itt: u32 = 16;
    /// Target transfer tag.
    ttt: u32 = 20;
    /// Command number.
    cmd_sn: u32 = 24;
    /// The next status number expected.
    exp_stat_sn: u32 = 28;
}

header! {
    /// SCSI Data-Out (11.7).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0 | 05h |
    /// | 1 | F (80h) |
    /// | 8-15 | LUN |
    /// | 16-19 | initiator task tag |
    /// | 20-23 | target transfer tag of the R2T, or FFFFFFFFh |
    /// | 28-31 | ExpStatSN |
    /// | 36-39 | DataSN |
    /// | 40-43 | buffer offset, in bytes |
    DataOut = 0x05, 0x00;
    /// The last of its sequence.
    last: bool = 1 & 0x80;
    /// Logical unit.
    lun: LunAddress = 8;
    /// Initiator task tag.
    itt: u32 = 16;
    /// Target transfer tag.
    ttt: u32 = 20;
    /// The next status number expected.
    exp_stat_sn: u32 = 28;
    /// Number in its sequence, from 0.
    data_sn: u32 = 36;
    /// Where the data lies, in bytes.
    offset: u32 = 40;
}

header! {
    /// Logout Request (11.14).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0 | I, 06h |
    /// | 1 | 80h, reason |
    /// | 16-19 | initiator task tag |
    /// | 20-21 | CID |
    /// | 24-27, 28-31 | CmdSN, ExpStatSN |
    LogoutRequest = 0x06, 0x80;
    /// Immediate delivery.
    immediate: bool = 0 & 0x40;
    /// Reason: 0 close the session, 1 close the connection, 2 remove it for recovery.
    reason: u8 = 1 & 0x7f;
    /// Initiator task tag.
    itt: u32 = 16;
    /// Connection.
    cid: u16 = 20;
    /// Command number.
    cmd_sn: u32 = 24;
    /// The next status number expected.
    exp_stat_sn: u32 = 28;
}

header! {
    /// SNACK Request (11.16).
    ///
    /// | byte | what |
    /// |---|---|
    /// | 0 | 10h |
    /// | 1 | 80h, type (0Fh) |
    /// | 8-15 | LUN |
    /// | 16-19, 20-23 | initiator task tag, target transfer tag |
    /// | 28-31 | ExpStatSN |
    /// | 40-43, 44-47 | BegRun, RunLength |
    Snack = 0x10, 0x80;
    /// Type: 0 data or R2T, 1 status, 2 data acknowledged, 3 R-data.
    kind: u8 = 1 & 0x0f;
    /// Logical unit.
    lun: LunAddress = 8;
    /// Initiator task tag.
    itt: u32 = 16;
    /// Target transfer tag.
    ttt: u32 = 20;
    /// The next status number expected.
    exp_stat_sn: u32 = 28;
    /// The first number wanted again.
    begin: u32 = 40;
    /// How many.
    length: u32 = 44;
}

headers! {
    /// Any header of an initiator.
    Request:
    /// NOP-Out.
    NopOut,
    /// SCSI Command.
    ScsiCommand,
    /// Task Management Function Request.
    TaskRequest,
    /// Login Request.
    LoginRequest,
    /// Text Request.
    TextRequest,
    /// SCSI Data-Out.
    DataOut,
    /// Logout Request.
    LogoutRequest,
    /// SNACK Request.
    Snack,
}
