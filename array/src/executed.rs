//! Changes that were executed, and their answers: a resend gets the answer and changes nothing,
//! also after a restart. The record is written in the transaction of the change itself.

use std::collections::{HashMap, VecDeque};

use protocol::{RequestId, codec, orders::OrderAnswer};

use crate::store::{Records, Row, StoreError, Table};

/// How many are remembered; the oldest go first.
const KEPT: usize = 16_384;

/// The changes executed last.
#[derive(Default)]
pub struct Executed {
    answers: HashMap<RequestId, Vec<u8>>,
    /// Sequence numbers ascending.
    order: VecDeque<(u64, RequestId)>,
}

impl Executed {
    /// Reads them back. A record is id (16 bytes, most significant first) and encoded answer.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for a record that is none.
    pub fn load(records: &Records) -> Result<Self, StoreError> {
        let mut this = Self::default();
        for (key, bytes) in records.load(Table::Executed)? {
            let (id, answer) = bytes
                .split_first_chunk::<16>()
                .filter(|(_, answer)| codec::decode::<OrderAnswer>(answer).is_ok())
                .ok_or_else(|| records.damaged(Table::Executed, key, "it is not such a record"))?;
            let id = RequestId::from_bytes(*id);
            this.answers.insert(id, answer.to_vec());
            this.order.push_back((key, id));
        }
        Ok(this)
    }

    /// The answer of a change that was executed.
    #[must_use]
    pub fn answer(&self, id: RequestId) -> Option<OrderAnswer> {
        codec::decode(self.answers.get(&id)?).ok()
    }

    /// The rows that remember a change.
    #[must_use]
    pub fn rows(&self, id: RequestId, answer: &OrderAnswer) -> Vec<Row> {
        let mut record = id.to_bytes().to_vec();
        record.extend(codec::encode(answer));
        let mut rows = vec![Row::put(Table::Executed, self.next(), record)];
        if self.order.len() >= KEPT {
            rows.extend(
                self.order.front().map(|(oldest, _)| Row::remove(Table::Executed, *oldest)),
            );
        }
        rows
    }

    /// Remembers a change whose rows are durable.
    pub fn add(&mut self, id: RequestId, answer: &OrderAnswer) {
        let next = self.next();
        self.answers.insert(id, codec::encode(answer));
        self.order.push_back((next, id));
        if self.order.len() > KEPT
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
    }

    fn next(&self) -> u64 {
        self.order.back().map_or(0, |(last, _)| last + 1)
    }
}
