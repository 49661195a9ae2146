//! Throws random and altered messages at the array's side of a mailbox, from several clients into
//! few slots, and says how fast that went and how much memory it took.
//!
//! `cargo run --release -p protocol --example fuzz_mailbox -- 10000000 1`: how many, and the seed.
//! It ends with an error when anything panics or the memory passes 256 MiB.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use fuzzing::{Random, Run};
use protocol::{
    Kind, RequestId,
    mailbox::{
        device::Device,
        layout::{ClientId, HEAD, Message, Piece, Plate, What, answer_area, request_area},
    },
};

const SLOTS: u32 = 8;

fn main() -> ExitCode {
    let run = match Run::of_arguments() {
        Ok(run) => run,
        Err(code) => return code,
    };
    let mut random = run.random();
    let mut device = Device::new(Plate { slots: SLOTS, serial: 1, ldev: 1 });
    let (mut now, mut orders, mut sequence) = (Instant::now(), 0_u64, 0_u32);
    for _ in 0..run.count {
        now += Duration::from_millis(random.below(20));
        sequence = sequence.wrapping_add(1);
        let slot = random.below(u64::from(SLOTS) + 1) as u32;
        let bytes = message(&mut random, sequence);
        let offset = request_area(slot) + random.below(40) / 39 * random.below(200_000);
        for order in device.write(now, offset, &bytes).unwrap_or_default() {
            orders += 1;
            if random.below(8) > 0 {
                device.answer(
                    order.slot,
                    order.id,
                    order.body.into_iter().take(order.room).collect(),
                );
            }
        }
        if random.below(16) == 0 {
            let mut buffer = vec![0; 64 + random.below(5000) as usize];
            let at = answer_area(slot) + random.below(2) * random.below(100_000);
            device.read(at, &mut buffer);
            let _ = device.is_awaited(at, buffer.len());
        }
    }
    run.end("messages", format_args!("{orders} orders were complete"))
}

fn message(random: &mut Random, sequence: u32) -> Vec<u8> {
    let length = 1 + random.below(300) as u32;
    let body = vec![random.any() as u8; length as usize];
    let at = if random.below(3) == 0 { random.below(600) as u32 } else { 0 };
    let more = if random.below(3) == 0 { random.below(600) as u32 } else { 0 };
    let kind = if random.below(2) == 0 { Kind::Read } else { Kind::Change };
    let id = RequestId(u128::from(random.below(1000)));
    let room = random.any() as u32;
    let what = match random.below(8) {
        0 => What::Claim,
        1 => What::Release,
        _ => What::Piece(Piece { kind, id, total: at + length + more, at, length, room }),
    };
    let client = ClientId([random.below(4) as u8; 16]);
    let message = Message { what, client, sequence };
    let body: &[u8] = if matches!(what, What::Piece(_)) { &body } else { &[] };
    let mut bytes = [&message.encode(body)[..], body].concat();
    match random.below(8) {
        0 => bytes.truncate(random.below(bytes.len() as u64) as usize),
        1 => {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
        }
        2 => bytes[..HEAD].iter_mut().skip(4).for_each(|byte| *byte = random.any() as u8),
        _ => {}
    }
    bytes
}
