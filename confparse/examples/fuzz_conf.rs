//! Throws mangled configuration files at the parser, and says how many of them were valid, how fast
//! that went and how much memory it took.
//!
//! `cargo run --release -p confparse --example fuzz_conf -- 10000000 1`: how many, and the seed.
//! It ends with an error when anything panics or the memory passes 256 MiB.
//!
//! Each text is a seed file with some bytes flipped, lines doubled, cut or swapped, or words of
//! the grammar thrown in: near enough to a configuration to get past the first check.

use std::process::ExitCode;

use confparse::parse_bytes;
use fuzzing::{Random, Run};

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
    let run = match Run::of_arguments() {
        Ok(run) => run,
        Err(code) => return code,
    };
    let mut random = run.random();
    let mut held = 0u64;
    for _ in 0..run.count {
        let text = mangled(&mut random);
        let parsed = parse_bytes(&text);
        if let Some(config) = parsed.config {
            held += 1;
            // What was accepted must be writable and read back the same.
            let again = parse_bytes(config.to_string().as_bytes()).config;
            assert_eq!(again.as_ref(), Some(&config), "{:?}", String::from_utf8_lossy(&text));
        }
    }
    run.end("files", format_args!("{held} of them valid"))
}

fn mangled(random: &mut Random) -> Vec<u8> {
    let mut text = SEEDS[random.index(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..random.index(6) {
        let at = random.index(text.len()).min(text.len());
        match random.index(5) {
            0 if at < text.len() => text[at] = random.any().to_le_bytes()[3],
            1 => {
                let word = WORDS[random.index(WORDS.len())];
                text.splice(at..at, word.bytes());
            }
            2 => text.truncate(at),
            3 => {
                let end = (at + random.index(40)).min(text.len());
                let piece = text[at..end].to_vec();
                text.extend(piece);
            }
            _ => {
                let end = (at + random.index(20)).min(text.len());
                text.drain(at..end);
            }
        }
    }
    text
}
