//! What is said on the socket between coordinator and guard, a message a packet.
//!
//! An order is 13 bytes: what (1), its number (4, little-endian), a time since the boot in
//! nanoseconds, or which file system, or 0 (8). The guard answers with the number once it has heard the order. The first
//! message is one byte with the descriptors: the coordinator's pidfd, the journal, a mount point of
//! each file system; it is answered with number 0 when the guard is ready.

use std::time::Duration;

/// Length of an order.
pub const ORDER: usize = 13;
/// What the guard needs beside the file systems: the coordinator's pidfd and the journal.
pub const OTHERS: usize = 2;
/// VSS: volumes of a set.
pub const MOST: usize = 64;
/// Answer: the guard is ready.
pub const READY: u32 = 0;

/// What the coordinator says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Writers are about to freeze; when their limit passes.
    WritersFreeze(Duration),
    /// File systems are about to freeze; when their limit passes.
    FileSystemsFreeze(Duration),
    /// This one is not frozen and will not be, though another may be; counted from 0 in the order
    /// of the mount points.
    Thawed(u32),
    /// No file system is frozen, and none is being frozen.
    FileSystemsThawed,
    /// No writer is frozen.
    WritersThawed,
    /// The coordinator is about to end, and leaves the rest to the guard.
    Leaving,
    /// The backup is over: end.
    Over,
}

/// An order on the wire.
#[must_use]
pub fn encode(order: Order, number: u32) -> [u8; ORDER] {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let (what, value) = match order {
        Order::WritersFreeze(time) => (1, nanoseconds(time)),
        Order::FileSystemsFreeze(time) => (2, nanoseconds(time)),
        Order::FileSystemsThawed => (3, 0),
        Order::WritersThawed => (4, 0),
        Order::Leaving => (5, 0),
        Order::Over => (6, 0),
        Order::Thawed(which) => (7, u64::from(which)),
    };
    let mut bytes = [0; ORDER];
    bytes[0] = what;
    bytes[1..5].copy_from_slice(&number.to_le_bytes());
    bytes[5..].copy_from_slice(&value.to_le_bytes());
    bytes
}

/// The order and its number; `None` for anything else.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<(Order, u32)> {
    let (what, rest) = bytes.split_first()?;
    let (number, rest) = rest.split_first_chunk::<4>()?;
    let value = u64::from_le_bytes(rest.try_into().ok()?);
    let time = Duration::from_nanos(value);
    let order = match what {
        1 => Order::WritersFreeze(time),
        2 => Order::FileSystemsFreeze(time),
        3 => Order::FileSystemsThawed,
        4 => Order::WritersThawed,
        5 => Order::Leaving,
        6 => Order::Over,
        7 => Order::Thawed(value.try_into().ok()?),
        _ => return None,
    };
    Some((order, u32::from_le_bytes(*number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_it_was_written() {
        let time = Duration::new(123_456, 789);
        for order in [
            Order::WritersFreeze(time),
            Order::FileSystemsFreeze(time),
            Order::FileSystemsThawed,
            Order::WritersThawed,
            Order::Leaving,
            Order::Over,
            Order::Thawed(63),
        ] {
            let bytes = encode(order, 7);
            assert_eq!(decode(&bytes), Some((order, 7)));
            assert_eq!(decode(&bytes[..ORDER - 1]), None);
        }
        assert_eq!(decode(&[9; ORDER]), None);
        assert_eq!(decode(&[]), None);
    }
}
