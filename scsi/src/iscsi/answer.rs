//! Data and status on their way out (RFC 7143, 11.4 and 11.7): Data-In PDUs cut to the initiator's
//! limits, the status in the last of them where there is nothing but GOOD to say.

use bytes::Bytes;

use super::{
    keys::Parameters,
    pdu::{Bhs, DataIn, NO_TAG, ScsiResponse},
};
use crate::task::{Completion, LunAddress, Status};

/// What the answer has to know of its command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) lun: LunAddress,
    pub(super) itt: u32,
    pub(super) read: bool,
    pub(super) write: bool,
    /// Expected data transfer length, in bytes.
    pub(super) expected: u32,
    /// What the command takes by its CDB, in bytes.
    pub(super) takes: u32,
    /// What it needs besides while it is carried out, in bytes.
    pub(super) scratch: u32,
    /// R2Ts sent.
    pub(super) r2ts: u32,
}

/// Bytes that found no room, or that were not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Residual {
    overflow: bool,
    underflow: bool,
    count: u32,
}

impl Residual {
    fn of(used: usize, expected: u32) -> Self {
        let used = u32::try_from(used).unwrap_or(u32::MAX);
        Self {
            overflow: used > expected,
            underflow: used < expected,
            count: used.abs_diff(expected),
        }
    }
}

/// Gives the PDUs that answer a command, each with its data and whether it takes a status number.
pub(super) fn answer(
    call: &Call,
    completion: &Completion,
    parameters: &Parameters,
    mut emit: impl FnMut(Bhs, &[Bytes], bool),
) {
    let there: usize = completion.data_in.iter().map(Bytes::len).sum();
    let whole = there.saturating_add(completion.left_out);
    let residual = match (call.read, call.write) {
        (_, true) => Residual::of(call.takes as usize, call.expected),
        (true, false) => Residual::of(whole, call.expected),
        (false, false) => Residual::of(whole.max(call.takes as usize), 0),
    };
    let room = if call.read { call.expected } else { 0 };
    let total = u32::try_from(there).unwrap_or(u32::MAX).min(room);
    let good = completion.status == Status::Good && completion.sense.is_none();

    let (mut at, mut burst, mut data_sn) = (0, 0, 0);
    let (mut rest, mut pieces) = (Pieces::new(&completion.data_in), Vec::new());
    while at < total {
        let length = (total - at).min(parameters.peer_segment).min(parameters.max_burst - burst);
        rest.take(length as usize, &mut pieces);
        let offset = at;
        (at, burst) = (at + length, burst + length);
        let end = at == total;
        let status = end && good;
        let last = end || burst == parameters.max_burst;
        if last {
            burst = 0;
        }
        let mut header = DataIn {
            last,
            status_there: status,
            lun: call.lun,
            itt: call.itt,
            ttt: NO_TAG,
            data_sn,
            offset,
            ..DataIn::default()
        };
        if status {
            header.overflow = residual.overflow;
            header.underflow = residual.underflow;
            header.residual = residual.count;
        }
        data_sn += 1;
        emit(header.write(), &pieces, status);
    }
    if total > 0 && good {
        return;
    }
    let header = ScsiResponse {
        overflow: residual.overflow,
        underflow: residual.underflow,
        residual: residual.count,
        status: completion.status as u8,
        itt: call.itt,
        exp_data_sn: data_sn + call.r2ts,
        ..ScsiResponse::default()
    };
    let sense = completion.sense.map(|_| segment(&completion.sense_data()));
    emit(header.write(), sense.as_slice(), true);
}

/// Sense data in a data segment: its length in two bytes, then itself.
fn segment(sense: &[u8]) -> Bytes {
    let length = u16::try_from(sense.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], sense].concat().into()
}

/// Pieces of data that are cut anew.
struct Pieces<'a> {
    rest: std::slice::Iter<'a, Bytes>,
    piece: Bytes,
}

impl<'a> Pieces<'a> {
    fn new(data: &'a [Bytes]) -> Self {
        Self { rest: data.iter(), piece: Bytes::new() }
    }

    /// The next so many bytes, of which there must be so many.
    fn take(&mut self, mut length: usize, into: &mut Vec<Bytes>) {
        into.clear();
        while length > 0 {
            if self.piece.is_empty() {
                let Some(next) = self.rest.next() else { return };
                self.piece = next.clone();
                continue;
            }
            let part = self.piece.split_to(length.min(self.piece.len()));
            length -= part.len();
            into.push(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sense::Sense;

    const CALL: Call = Call {
        lun: LunAddress(0),
        itt: 5,
        read: true,
        write: false,
        expected: 5000,
        takes: 0,
        scratch: 0,
        r2ts: 0,
    };

    fn parameters() -> Parameters {
        Parameters { peer_segment: 1024, max_burst: 2048, ..Parameters::default() }
    }

    fn pdus(call: &Call, completion: &Completion) -> Vec<(Bhs, Vec<u8>, bool)> {
        let mut pdus = Vec::new();
        answer(call, completion, &parameters(), |bhs, data, status| {
            pdus.push((bhs, data.concat(), status));
        });
        pdus
    }

    #[test]
    fn data_is_cut_to_segments_and_bursts_with_the_status_in_the_last() {
        let bytes: Vec<u8> = (0..5000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let data_in =
            vec![bytes[..700].to_vec().into(), Bytes::new(), bytes[700..].to_vec().into()];
        let pdus = pdus(&CALL, &Completion { data_in, ..Completion::good() });
        let all: Vec<u8> = pdus.iter().flat_map(|(_, data, _)| data.clone()).collect();
        assert_eq!(all, bytes);
        let heads: Vec<DataIn> = pdus.iter().map(|(bhs, ..)| DataIn::read(bhs)).collect();
        let flags: Vec<_> =
            heads.iter().map(|h| (h.offset, h.data_sn, h.last, h.status_there)).collect();
        let expected = [
            (0, 0, false, false),
            (1024, 1, true, false),
            (2048, 2, false, false),
            (3072, 3, true, false),
            (4096, 4, true, true),
        ];
        assert_eq!(flags, expected);
        assert!(pdus[4].2 && !pdus[3].2, "one status number");
        assert!(heads.iter().all(|h| h.residual == 0 && !h.overflow && !h.underflow));
    }

    #[test]
    fn residuals_say_what_was_lacking_or_had_no_room() {
        let residual = |call: Call, bytes: usize| {
            let pdus = pdus(&call, &Completion::data(vec![0; bytes]));
            let (bhs, ..) = pdus.last().unwrap();
            let (over, under, count) = if bhs[0] == DataIn::OPCODE {
                let head = DataIn::read(bhs);
                (head.overflow, head.underflow, head.residual)
            } else {
                let head = ScsiResponse::read(bhs);
                (head.overflow, head.underflow, head.residual)
            };
            let sent: usize = pdus.iter().map(|(_, data, _)| data.len()).sum();
            (sent, over, under, count)
        };
        assert_eq!(residual(CALL, 5000), (5000, false, false, 0));
        assert_eq!(residual(CALL, 36), (36, false, true, 4964));
        assert_eq!(residual(CALL, 6000), (5000, true, false, 1000));
        assert_eq!(residual(CALL, 0), (0, false, true, 5000));
        let none = Call { read: false, expected: 0, ..CALL };
        assert_eq!(residual(none, 512), (0, true, false, 512));
        let cut = Completion { left_out: 1000, ..Completion::data(vec![0; 5000]) };
        let (bhs, ..) = pdus(&CALL, &cut).pop().unwrap();
        assert_eq!(DataIn::read(&bhs).residual, 1000);
        let write = Call { read: false, write: true, takes: 512, ..CALL };
        assert_eq!(residual(write, 0), (0, false, true, 4488));
        assert_eq!(residual(Call { expected: 200, ..write }, 0), (0, true, false, 312));
    }

    #[test]
    fn sense_data_comes_with_its_length_in_a_response_of_its_own() {
        let call = Call { r2ts: 3, ..CALL };
        let pdus = pdus(&call, &Completion::check(Sense::LBA_OUT_OF_RANGE));
        assert_eq!(pdus.len(), 1);
        let (bhs, data, status) = &pdus[0];
        let head = ScsiResponse::read(bhs);
        assert_eq!((head.status, head.exp_data_sn, head.underflow, *status), (2, 3, true, true));
        assert_eq!(data[..2], [0, 18]);
        assert_eq!(data[2..], Sense::LBA_OUT_OF_RANGE.fixed());
    }
}
