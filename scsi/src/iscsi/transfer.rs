//! Data on its way in: immediate, unsolicited and solicited (RFC 7143, 4.2.5 and 11.8).
//!
//! Data comes in order (DataPDUInOrder and DataSequenceInOrder are Yes), so one number says how
//! much is there. What nobody wants of the unsolicited data is taken and dropped.

use std::collections::VecDeque;

use bytes::BytesMut;

use super::{
    keys::Parameters,
    pdu::{DataOut, NO_TAG},
};

/// A sequence that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    /// Target transfer tag.
    pub(super) ttt: u32,
    pub(super) offset: u32,
    pub(super) length: u32,
    /// R2TSN.
    pub(super) number: u32,
}

/// Data that was not asked for, or comes out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stray;

/// The data of one command.
#[derive(Debug)]
pub(super) struct Transfer {
    /// What is there, as far as it is wanted.
    pub(super) buffer: BytesMut,
    /// How much the command takes.
    want: u32,
    /// How much has come, wanted or not.
    come: u32,
    /// Up to where unsolicited data may go; 0 when no more comes.
    unsolicited: u32,
    /// DataSN of the next PDU of the sequence.
    data_sn: u32,
    asked: VecDeque<Asked>,
    /// Up to where was asked for.
    asked_to: u32,
    /// R2TSN of the next R2T.
    r2t_sn: u32,
    /// A PDU had the wrong number, so one before it may be lost.
    spoiled: bool,
}

impl Transfer {
    /// For a command that offers `expected` bytes, of which `want` are taken; `last` says that no
    /// unsolicited Data-Out follows.
    pub(super) fn new(
        immediate: BytesMut,
        want: u32,
        expected: u32,
        last: bool,
        parameters: &Parameters,
    ) -> Result<Self, Stray> {
        let come = u32::try_from(immediate.len()).map_err(|_| Stray)?;
        let most = parameters.first_burst.min(expected);
        let allowed = (come == 0 || parameters.immediate_data && come <= most)
            && (last || !parameters.initial_r2t && come < most);
        if !allowed {
            return Err(Stray);
        }
        let mut transfer = Self {
            buffer: immediate,
            want,
            come,
            unsolicited: if last { 0 } else { most },
            data_sn: 0,
            asked: VecDeque::new(),
            asked_to: 0,
            r2t_sn: 0,
            spoiled: false,
        };
        transfer.trim();
        Ok(transfer)
    }

    fn trim(&mut self) {
        self.buffer.truncate(self.want as usize);
        self.asked_to = self.asked_to.max(self.come.min(self.want));
    }

    /// How much the command takes, in bytes.
    pub(super) const fn want(&self) -> u32 {
        self.want
    }

    /// Whether everything is there, or nothing more comes and it is spoiled.
    pub(super) fn complete(&self) -> bool {
        let all = self.come >= self.want || self.spoiled && self.asked.is_empty();
        self.unsolicited == 0 && all
    }

    /// What is there, and what may come unsolicited, as far as it is wanted; in bytes.
    pub(super) fn loose(&self) -> usize {
        self.come.max(self.unsolicited).min(self.want) as usize
    }

    /// Whether data is announced or was asked for that has not come.
    pub(super) fn awaits(&self) -> bool {
        self.unsolicited > 0 || !self.asked.is_empty()
    }

    /// Whether a number was wrong (RFC 7143, 7.9): the command is not to be carried out.
    pub(super) const fn spoiled(&self) -> bool {
        self.spoiled
    }

    /// How many R2Ts were sent.
    pub(super) const fn r2ts(&self) -> u32 {
        self.r2t_sn
    }

    /// Whether a PDU may come now with so much data; if so its data goes behind the buffer, which
    /// the caller takes for that and gives back with [`Transfer::take`].
    pub(super) fn place(&mut self, header: &DataOut, length: usize) -> Result<BytesMut, Stray> {
        let length = u32::try_from(length).map_err(|_| Stray)?;
        let end = header.offset.checked_add(length).ok_or(Stray)?;
        let limit = if header.ttt == NO_TAG {
            self.unsolicited
        } else {
            let asked = self.asked.front().filter(|asked| asked.ttt == header.ttt).ok_or(Stray)?;
            asked.offset + asked.length
        };
        let early = header.ttt != NO_TAG && header.last && end < limit;
        if header.offset != self.come || end > limit || early {
            return Err(Stray);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        if header.ttt != NO_TAG {
            buffer.reserve(self.want as usize - buffer.len().min(self.want as usize));
        }
        Ok(buffer)
    }

    /// Takes what [`Transfer::place`] let in.
    pub(super) fn take(&mut self, header: &DataOut, length: usize, buffer: BytesMut) {
        self.buffer = buffer;
        self.come = self.come.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
        self.spoiled |= header.data_sn != self.data_sn;
        self.data_sn = self.data_sn.wrapping_add(1);
        if header.ttt == NO_TAG {
            if header.last || self.come >= self.unsolicited {
                (self.unsolicited, self.data_sn) = (0, 0);
            }
        } else if let Some(asked) = self.asked.front()
            && self.come >= asked.offset + asked.length
        {
            self.asked.pop_front();
            self.data_sn = 0;
        }
        self.trim();
    }

    /// What to ask for next; `tag` gives target transfer tags.
    pub(super) fn ask(
        &mut self,
        parameters: &Parameters,
        tag: impl FnOnce() -> u32,
    ) -> Option<Asked> {
        let room = self.asked.len() < parameters.max_outstanding_r2t as usize;
        if self.unsolicited > 0 || self.spoiled || self.asked_to >= self.want || !room {
            return None;
        }
        let length = (self.want - self.asked_to).min(parameters.max_burst);
        let asked = Asked { ttt: tag(), offset: self.asked_to, length, number: self.r2t_sn };
        self.asked.push_back(asked);
        self.asked_to += length;
        self.r2t_sn += 1;
        Some(asked)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parameters(first_burst: u32, max_burst: u32) -> Parameters {
        Parameters { initial_r2t: false, first_burst, max_burst, ..Parameters::default() }
    }

    fn send(transfer: &mut Transfer, header: &DataOut, data: &[u8]) -> Result<(), Stray> {
        let mut buffer = transfer.place(header, data.len())?;
        buffer.extend_from_slice(data);
        transfer.take(header, data.len(), buffer);
        Ok(())
    }

    proptest! {
        #[test]
        fn data_in_any_cut_arrives_whole_and_never_more_than_is_wanted(
            expected in 1..9000_u32,
            less in 0..2000_u32,
            immediate in 0..2000_usize,
            first in 512..4096_u32,
            burst in 512..4096_u32,
            outstanding in 1..4_u32,
            segment in 100..3000_usize,
            unsolicited: bool,
        ) {
            let parameters = Parameters {
                max_outstanding_r2t: outstanding, ..parameters(first, burst) };
            let data: Vec<u8> = (0..expected).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
            let want = expected.saturating_sub(less);
            let most = first.min(expected) as usize;
            let immediate = immediate.min(most);
            let last = !unsolicited || immediate == most;
            let begin = BytesMut::from(&data[..immediate]);
            let mut transfer = Transfer::new(begin, want, expected, last, &parameters).unwrap();
            let send_all = |transfer: &mut Transfer, ttt, from: usize, to: usize| {
                for (n, at) in (from..to).step_by(segment).enumerate() {
                    let end = (at + segment).min(to);
                    let header = DataOut { last: end == to, ttt, data_sn: n as u32,
                        offset: at as u32, ..DataOut::default() };
                    send(transfer, &header, &data[at..end]).unwrap();
                }
            };
            if !last {
                prop_assert!(!transfer.complete() && transfer.ask(&parameters, || 1).is_none());
                send_all(&mut transfer, NO_TAG, immediate, most);
            }
            let (mut tag, mut asked) = (0, VecDeque::new());
            loop {
                while let Some(more) = transfer.ask(&parameters, || { tag += 1; tag }) {
                    asked.push_back(more);
                }
                prop_assert!(asked.len() <= outstanding as usize);
                let Some(next) = asked.pop_front() else { break };
                let from = next.offset as usize;
                send_all(&mut transfer, next.ttt, from, from + next.length as usize);
            }
            prop_assert!(transfer.complete());
            prop_assert_eq!(&transfer.buffer[..], &data[..want as usize]);
        }
    }

    #[test]
    fn data_that_nobody_asked_for_or_out_of_order_is_stray() {
        let new = |immediate: usize, last, parameters: &Parameters| {
            Transfer::new(BytesMut::zeroed(immediate), 4096, 4096, last, parameters)
        };
        let open = parameters(1024, 2048);
        let closed = Parameters { initial_r2t: true, immediate_data: false, ..open };
        assert!(new(1025, true, &open).is_err(), "more than the first burst");
        assert!(new(1, true, &closed).is_err(), "immediate data was not agreed on");
        assert!(new(0, false, &closed).is_err(), "nor was unsolicited data");
        let header = |ttt, data_sn, offset, last| DataOut {
            last,
            ttt,
            data_sn,
            offset,
            ..Default::default()
        };
        let mut transfer = new(512, false, &open).unwrap();
        for (bad, length) in [
            (header(NO_TAG, 0, 500, false), 100),
            (header(NO_TAG, 0, 512, true), 513),
            (header(7, 0, 512, false), 100),
            (header(NO_TAG, 0, u32::MAX, false), 100),
        ] {
            assert!(transfer.place(&bad, length).is_err(), "{bad:?}");
        }
        send(&mut transfer, &header(NO_TAG, 0, 512, true), &[0; 512]).unwrap();
        let asked = transfer.ask(&open, || 9).unwrap();
        assert_eq!(asked, Asked { ttt: 9, offset: 1024, length: 2048, number: 0 });
        assert!(transfer.place(&header(9, 0, 1024, true), 100).is_err(), "it ends too early");
        assert!(transfer.place(&header(8, 0, 1024, false), 100).is_err(), "another tag");
        assert!(transfer.place(&header(NO_TAG, 0, 1024, true), 100).is_err(), "unsolicited again");
        assert!(transfer.place(&header(9, 0, 1024, false), 2049).is_err(), "more than asked for");
    }

    #[test]
    fn a_wrong_number_spoils_the_transfer_which_ends_with_its_sequence() {
        let open = parameters(1024, 1024);
        let mut transfer = Transfer::new(BytesMut::new(), 4096, 4096, true, &open).unwrap();
        let ttt = transfer.ask(&open, || 3).unwrap().ttt;
        let header = DataOut { ttt, data_sn: 1, ..DataOut::default() };
        send(&mut transfer, &header, &[0; 512]).unwrap();
        assert!(transfer.spoiled() && !transfer.complete());
        let rest = DataOut { last: true, offset: 512, ..header };
        send(&mut transfer, &rest, &[0; 512]).unwrap();
        assert!(transfer.complete() && transfer.ask(&open, || 4).is_none());
    }
}
