//! Throws mangled configuration files at the parser: `fuzz_conf COUNT SEED`. Prints how many were
//! parsed, how many of them held, and the peak of memory. Any panic ends it.
//!
//! Each text is a seed file with some bytes flipped, lines doubled, cut or swapped, or words of
//! the grammar thrown in: near enough to a configuration to get past the first check.

use std::{env, process::ExitCode, time::Instant};

use confparse::parse_bytes;

const SEEDS: [&str; 3] = [
    include_str!("../../etc/horcm50.conf"),
    include_str!("../../etc/horcm51.conf"),
    "HORCM_MON\nNONE6 horcm -1 300\nHORCM_CMD\n\\\\.\\CMD-30095-250-CL1-A-1:/dev/rdsk/ /dev/sdb\n\
     \\\\.\\IPCMD-fe80::1-31001-2 \\\\.\\Volume{0-1}\nHORCM_LDEV\ng d1 30095 02:40 h1\ng d2 30095 0x241\n\
     HORCM_LDEVG\nora grp1 64034\nHORCM_INSTP\ng node-3 horcm 1\nHORCM_ALLOW_INST\nnode-3 horcm\n",
];

const WORDS: [&str; 16] = [
    "HORCM_DEV",
    "HORCM_LDEV",
    "HORCM_",
    "#",
    "NONE",
    "-1",
    "h3",
    "99999999999999999999",
    "0x",
    "FF:FF",
    "CL1-A-254",
    "\\\\.\\CMD-",
    "\\\\.\\IPCMD-[::1]-31001",
    "\u{feff}",
    "\r\n",
    "\0",
];

fn main() -> ExitCode {
    let mut args = env::args().skip(1).map(|word| word.parse::<u64>());
    let (Some(Ok(count)), Some(Ok(seed))) = (args.next(), args.next()) else {
        eprintln!("usage: fuzz_conf COUNT SEED");
        return ExitCode::FAILURE;
    };
    let mut dice = Dice(seed | 1);
    let started = Instant::now();
    let mut held = 0u64;
    for _ in 0..count {
        let text = mangled(&mut dice);
        let parsed = parse_bytes(&text);
        if let Some(config) = parsed.config {
            held += 1;
            // What was accepted must be writable and read back the same.
            let again = parse_bytes(config.to_string().as_bytes()).config;
            assert_eq!(again.as_ref(), Some(&config), "{:?}", String::from_utf8_lossy(&text));
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{count} files, {held} of them valid, {seconds:.1} s, peak memory {} KiB", peak_kib());
    ExitCode::SUCCESS
}

fn mangled(dice: &mut Dice) -> Vec<u8> {
    let mut text = SEEDS[dice.below(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..dice.below(6) {
        let at = dice.below(text.len().max(1)).min(text.len());
        match dice.below(5) {
            0 if at < text.len() => text[at] = dice.next().to_le_bytes()[3],
            1 => {
                let word = WORDS[dice.below(WORDS.len())];
                text.splice(at..at, word.bytes());
            }
            2 => text.truncate(at),
            3 => {
                let end = (at + dice.below(40)).min(text.len());
                let piece = text[at..end].to_vec();
                text.extend(piece);
            }
            _ => {
                let end = (at + dice.below(20)).min(text.len());
                text.drain(at..end);
            }
        }
    }
    text
}

/// xorshift64: the same seed gives the same files.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % limit
    }
}

fn peak_kib() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".into(), |line| line.trim().trim_end_matches(" kB").into())
}
