//! Throws random and altered PDUs, texts and commands at the readers of iSCSI and at the device
//! server, and says how fast that went and how much memory it took.
//!
//! `cargo run --release -p scsi --example fuzz -- 10000000 1`: how many of each, and the seed. It
//! ends with an error when anything panics or the memory passes 256 MiB.

use std::{
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};
use fuzzing::{Random, Run};
use scsi::{
    device::{LogicalUnits, Session, Target},
    iscsi::{
        chap,
        pdu::{self, Request, Response, ScsiCommand},
        text::Text,
        wire::{Decoder, WireError},
    },
    medium::{Access, Failure, Identity, Inventory, Medium, Pending},
    nexus::{InitiatorPort, Nexus, TargetPort},
    service::Service,
    task::{Command, LunAddress, TaskAttribute},
};

/// Blocks of the disk that commands go to.
const BLOCKS: u64 = 64;

fn main() -> ExitCode {
    let run = match Run::of_arguments() {
        Ok(run) => run,
        Err(code) => return code,
    };
    let mut random = run.random();
    let mut pdus = Pdus::default();
    (0..run.count).for_each(|_| pdus.step(&mut random));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let good = runtime.expect("a runtime").block_on(commands(run.count, &mut random));
    let whole = pdus.whole;
    run.end("PDUs and commands", format_args!("{whole} PDUs were whole, {good} commands GOOD"))
}

/// A stream of PDUs, most of them nearly right.
#[derive(Default)]
struct Pdus {
    decoder: Option<Decoder>,
    whole: u64,
}

impl Pdus {
    fn step(&mut self, random: &mut Random) {
        let mut bytes = Self::some_pdu(random);
        if random.below(2) == 0 {
            random.alter(&mut bytes);
        }
        let decoder = self.decoder.get_or_insert_with(|| {
            let mut decoder = Decoder::new(8192);
            decoder.header_digest = random.below(4) == 0;
            decoder.data_digest = random.below(4) == 0;
            decoder
        });
        decoder.feed(&bytes);
        loop {
            match decoder.next::<WireError>(|_, _| Ok(BytesMut::new())) {
                Ok(Some(pdu)) => {
                    self.whole += 1;
                    read(&pdu.bhs, &pdu.ahs, &pdu.data);
                }
                Ok(None) => return,
                Err(_) => {
                    // As a connection: it ends with that.
                    self.decoder = None;
                    return;
                }
            }
        }
    }

    fn some_pdu(random: &mut Random) -> Vec<u8> {
        const OPCODES: [u8; 18] = [
            0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25,
            0x26, 0x31, 0x32, 0x3f,
        ];
        let mut bytes = random.bytes(48);
        bytes[0] = OPCODES[random.below(18) as usize] | (random.below(2) as u8) << 6;
        let words = if random.below(8) == 0 { random.below(70) as usize } else { 0 };
        bytes[4] = words as u8;
        let length = random.below(300) as usize;
        bytes[5..8].copy_from_slice(&[0, (length >> 8) as u8, length as u8]);
        bytes.extend(random.bytes(words * 4));
        if random.below(2) == 0 {
            let text = b"HeaderDigest=CRC32C,None\0MaxBurstLength=262144\0CHAP_R=0x00ff\0SendTargets=All\0";
            let text = text.iter().cycle().skip(random.below(80) as usize);
            bytes.extend(text.take(length.next_multiple_of(4)));
        } else {
            bytes.extend(random.bytes(length.next_multiple_of(4)));
        }
        bytes
    }
}

fn read(bhs: &pdu::Bhs, ahs: &[u8], data: &[u8]) {
    if let Some(request) = Request::read(bhs) {
        assert_eq!(Request::read(&request.write()), Some(request));
    }
    if let Some(response) = Response::read(bhs) {
        assert_eq!(Response::read(&response.write()), Some(response));
    }
    let _ = pdu::cdb_of(&ScsiCommand::read(bhs).cdb, ahs);
    let _ = Text::parse(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = chap::decode(text);
    }
}

/// Commands at a disk of some blocks, from two hosts; how many ended with GOOD.
async fn commands(count: u64, random: &mut Random) -> u64 {
    let port = TargetPort { name: "iqn.2020-01.t:t".into(), portal_group: 1, relative: 1 };
    let disk: Arc<dyn Inventory> = Arc::new(OneDisk(Arc::default()));
    let target = Target::new(disk, LogicalUnits::new(), port.clone(), "CL1-A", vec![port.clone()]);
    let sessions: Vec<Arc<Session>> = (0..2)
        .map(|isid| {
            let initiator = InitiatorPort { name: "iqn.2020-01.i:i".into(), isid };
            target.open(Nexus { initiator, target: port.clone() })
        })
        .collect();
    let mut good = 0;
    for n in 0..count {
        let session = &sessions[random.below(2) as usize];
        let cdb = some_cdb(random);
        let takes = target.needs(session, LunAddress(0), &cdb).takes;
        // What long writes carry is not what is looked for here.
        let offered = takes.min(8192);
        let data = if random.below(4) == 0 { random.bytes(offered) } else { vec![0; offered] };
        let lun = if random.below(64) == 0 { random.any() } else { 0 };
        let room = [0, 700, usize::MAX][random.below(3) as usize];
        let data_out = if data.is_empty() { Vec::new() } else { vec![Bytes::from(data)] };
        let attribute = [TaskAttribute::Simple, TaskAttribute::Ordered][random.below(2) as usize];
        let command =
            Command { lun: LunAddress(lun), cdb: cdb.into(), attribute, data_out, offered, room };
        let completion = target.execute(session, &target.arrive(session), command).await;
        good += u64::from(completion.status as u8 == 0);
        if n % 4096 == 0 {
            // Reservations and mode parameters shall not end all the rest.
            for session in &sessions {
                let reset = scsi::task::Management::LogicalUnitReset;
                if let Ok(ended) = target.manage(session, LunAddress(0), reset) {
                    ended.await;
                }
            }
            clear(&target, &sessions).await;
        }
    }
    good
}

async fn clear(target: &Target, sessions: &[Arc<Session>]) {
    for session in sessions {
        let mut list = vec![0; 24];
        list[15] = 1;
        for action in [6_u8, 3] {
            let cdb = vec![0x5f, action, 0, 0, 0, 0, 0, 0, 24, 0];
            let mut data = list.clone();
            if action == 3 {
                data.rotate_left(8);
            }
            for _ in 0..8 {
                let command = Command {
                    lun: LunAddress(0),
                    cdb: cdb.clone().into(),
                    attribute: TaskAttribute::Simple,
                    data_out: vec![data.clone().into()],
                    offered: 24,
                    room: 0,
                };
                target.execute(session, &target.arrive(session), command).await;
            }
        }
    }
}

/// Commands that a disk knows.
const KNOWN: [u8; 38] = [
    0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x16, 0x17, 0x1a, 0x1b, 0x1d, 0x25, 0x28, 0x2a, 0x2e, 0x2f,
    0x34, 0x35, 0x41, 0x42, 0x55, 0x56, 0x5a, 0x5e, 0x5f, 0x88, 0x89, 0x8a, 0x8b, 0x8e, 0x8f, 0x91,
    0x93, 0x9e, 0xa0, 0xa3, 0xa8, 0xaa,
];

fn some_cdb(random: &mut Random) -> Vec<u8> {
    let length = [6, 10, 12, 16, 16, 32][random.below(6) as usize];
    let mut cdb = if random.below(3) == 0 { random.bytes(length) } else { vec![0; length] };
    cdb[0] = match random.below(8) {
        0 => random.any() as u8,
        _ => KNOWN[random.below(KNOWN.len() as u64) as usize],
    };
    for _ in 0..random.below(5) {
        let at = 1 + random.below(length as u64 - 1) as usize;
        cdb[at] = [0, 1, 2, 8, 0x10, 0x3f, 0xff, random.any() as u8][random.below(8) as usize];
    }
    if random.below(100) == 0 {
        cdb.truncate(random.below(length as u64 + 1) as usize);
    }
    cdb
}

struct OneDisk(Arc<Mutex<Vec<u8>>>);

impl Inventory for OneDisk {
    fn epoch(&self) -> u64 {
        1
    }

    fn units(&self, _: &str) -> Vec<(u16, u32)> {
        vec![(0, 1)]
    }

    fn medium(&self, _: u32) -> Option<Arc<dyn Medium>> {
        Some(Arc::new(OneDisk(Arc::clone(&self.0))))
    }
}

fn ready<T: Send + 'static>(value: T) -> Pending<T> {
    Box::pin(std::future::ready(Ok::<T, Failure>(value)))
}

impl Medium for OneDisk {
    fn identity(&self) -> Identity {
        let (product, revision) = ("OPEN-V".into(), "0001".into());
        Identity { serial: 1, ldev: 1, product, revision, thin: true }
    }

    fn blocks(&self) -> u64 {
        BLOCKS
    }

    fn access(&self) -> Access {
        Access { hidden: false, sizeless: false, unreadable: false, unwritable: false }
    }

    fn read(&self, lba: u64, blocks: u32) -> Pending<Vec<Bytes>> {
        assert!(lba + u64::from(blocks) <= BLOCKS, "within the disk");
        ready(vec![vec![0; blocks as usize * 512].into()])
    }

    fn write(&self, lba: u64, data: Vec<Bytes>, _: bool) -> Pending<()> {
        let bytes: usize = data.iter().map(Bytes::len).sum();
        assert!(bytes.is_multiple_of(512) && lba + bytes as u64 / 512 <= BLOCKS, "within the disk");
        ready(())
    }

    fn zero(&self, lba: u64, blocks: u64) -> Pending<()> {
        assert!(lba.checked_add(blocks).is_some_and(|end| end <= BLOCKS), "within the disk");
        ready(())
    }

    fn flush(&self) -> Pending<()> {
        ready(())
    }

    fn mapped(&self, lba: u64) -> Pending<(bool, u64)> {
        ready((lba.is_multiple_of(2), 1))
    }

    fn kept(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, reservations: Vec<u8>) -> Pending<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reservations;
        ready(())
    }
}
