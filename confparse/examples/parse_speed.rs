//! Times the parsing of a `HORCM_LDEV` section: `parse_speed [LINES]`, 65536 unless told
//! otherwise. Prints the median and the fastest of 21 runs, and the peak of memory.

use std::{env, fmt::Write, process::ExitCode, time::Instant};

use confparse::parse;

const RUNS: usize = 21;

fn main() -> ExitCode {
    let lines = env::args().nth(1).map_or(Ok(65_536), |word| word.parse());
    let lines: usize = match lines {
        Ok(lines) if (1..=1_000_000).contains(&lines) => lines,
        _ => {
            eprintln!("usage: parse_speed [LINES], from 1 to 1000000");
            return ExitCode::FAILURE;
        }
    };
    let text = configuration(lines);
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        let parsed = parse(&text);
        times.push(start.elapsed());
        if parsed.config.is_none_or(|config| config.volumes.len() != lines) {
            eprintln!("the text did not parse to {lines} volumes");
            return ExitCode::FAILURE;
        }
    }
    times.sort_unstable();
    println!(
        "parse of {lines} HORCM_LDEV lines ({} bytes): median {:.2} ms, fastest {:.2} ms of {RUNS}",
        text.len(),
        times[RUNS / 2].as_secs_f64() * 1e3,
        times[0].as_secs_f64() * 1e3
    );
    match peak_kib() {
        Some(peak) => println!("peak memory of this process: {peak} KiB"),
        None => println!("peak memory of this process: not known on this system"),
    }
    ExitCode::SUCCESS
}

/// A configuration of so many volumes, in groups of 64.
fn configuration(lines: usize) -> String {
    let mut text =
        String::from("HORCM_MON\nNONE 31000 1000 3000\nHORCM_CMD\n/dev/sdb\nHORCM_LDEV\n");
    for n in 0..lines {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "vg{:05}\tdev{n:06}\t62496\t{}\t{}", n / 64, n % 65_536, n / 65_536);
    }
    text.push_str("HORCM_INST\n");
    for group in 0..lines.div_ceil(64) {
        let _ = writeln!(text, "vg{group:05}\t127.0.0.1\t52051");
    }
    text
}

/// The most memory this process ever had resident, in KiB.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
