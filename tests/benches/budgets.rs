//! The budgets of the control plane, measured on the real programs: `cargo xtask bench`.
//!
//! Each figure stands beside its budget, and beside the same measurement of an empty process
//! where the operating system's own part matters. Machines are noisy: the median of many runs
//! is shown, with the fastest and the slowest.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use lab::{
    Lab,
    lab::{group_conf, until},
};

/// How many volumes make a large configuration.
const MANY: u32 = 65_536;

/// How many pairs make a large group of one consistency group's size.
const GROUP: u32 = 8_192;

fn main() {
    println!(
        "{:<62} {:>10} {:>22} {:>9}  verdict",
        "what", "median", "(fastest - slowest)", "budget"
    );
    parsing();
    one_command();
    for (pairs, budget) in [(GROUP, 50), (MANY, 400)] {
        large_group(pairs, Duration::from_millis(budget));
    }
}

/// Runs `work` some times and gives the sorted durations.
fn times(runs: usize, mut work: impl FnMut()) -> Vec<Duration> {
    let mut all: Vec<_> = (0..runs)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed()
        })
        .collect();
    all.sort();
    all
}

fn median(times: &[Duration]) -> Duration {
    times[times.len() / 2]
}

fn row(what: &str, times: &[Duration], less: Duration, budget: Option<Duration>) {
    let value = median(times).saturating_sub(less);
    let spread = format!("({} - {})", ms(times[0]), ms(times[times.len() - 1]));
    let (limit, verdict) = match budget {
        None => (String::new(), ""),
        Some(budget) => (ms(budget), if value <= budget { "within" } else { "OVER" }),
    };
    println!("{what:<62} {:>10} {spread:>22} {limit:>10}  {verdict}", ms(value));
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn parsing() {
    let text = group_conf(50, "big", "dev", MANY, 0);
    let parse = times(20, || {
        let parsed = confparse::parse(&text);
        assert_eq!(parsed.config.expect("a valid file").volumes.len(), MANY as usize);
    });
    row(
        "parse a HORCM_LDEV of 65,536 lines",
        &parse,
        Duration::ZERO,
        Some(Duration::from_millis(100)),
    );
}

fn one_command() {
    let mut lab = Lab::new();
    lab.init_array().ok();
    lab.start_array();
    lab.start(&[50, 51]).ok();
    let empty = lab::binaries::folder().join("examples/empty");
    let quiet = |mut command: Command| {
        let status =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.expect("it runs").success());
    };
    let (mut nothing, mut display) = (Vec::new(), Vec::new());
    // Alternating, so that both meet the same noise.
    for _ in 0..300 {
        nothing.extend(times(1, || quiet(Command::new(&empty))));
        display.extend(times(1, || {
            let mut command = lab.command("pairdisplay");
            command.args(["-g", "snap"]).env("HORCMINST", "51").env("HORCC_MRCF", "1");
            quiet(command);
        }));
    }
    nothing.sort();
    display.sort();
    row("an empty process, start to exit", &nothing, Duration::ZERO, None);
    row(
        "pairdisplay of one pair, start to exit, beyond an empty process",
        &display,
        median(&nothing),
        Some(Duration::from_millis(5)),
    );
}

fn large_group(pairs: u32, budget: Duration) {
    let mut lab = Lab::new();
    // P-VOLs from LDEV 0x1000 on, S-VOLs behind them.
    let (first, second) = (4096, 4096 + pairs);
    lab.many_ldevs(first, 2 * pairs, 1 << 20);
    for (instance, first) in [(50, first), (51, second)] {
        let text = group_conf(instance, "big", "dev", pairs, first);
        lab.write_conf(&format!("horcm{instance}.conf"), &text);
    }
    lab.init_array().ok();
    lab.start_array();

    if pairs == MANY {
        start_up(&lab);
    }
    lab.start(&[50, 51]).ok();
    let created = times(1, || assert_eq!(lab.cci(50, "paircreate -g big -vl -nocopy").ok(), ""));
    row(
        &format!("paircreate -nocopy of {pairs} pairs in one order"),
        &created,
        Duration::ZERO,
        None,
    );
    let shown = times(15, || {
        let outcome = lab.cci(50, "pairdisplay -g big");
        assert_eq!(outcome.ok().lines().count() as u32, 1 + 2 * pairs);
        assert!(outcome.stdout.contains("P-VOL PAIR") && outcome.stdout.contains("S-VOL PAIR"));
    });
    row(
        &format!("pairdisplay of {pairs} pairs, local and remote rows"),
        &shown,
        Duration::ZERO,
        Some(budget),
    );
    for (who, pid) in [
        ("horcmd", lab.horcmd_pid(50).expect("it runs")),
        ("arrayd", lab.array_pid().expect("it runs")),
    ] {
        println!(
            "{:<62} {:>7.1} MiB {:>22} {:>9}",
            format!("memory of {who} with {pairs} pairs, now (most)"),
            resident(pid, "VmRSS:"),
            format!("({:.1} MiB)", resident(pid, "VmHWM:")),
            if who == "horcmd" { "32 MiB" } else { "" }
        );
    }
    let split = times(1, || assert_eq!(lab.cci(50, "pairsplit -g big").ok(), ""));
    row(&format!("pairsplit of {pairs} pairs in one order"), &split, Duration::ZERO, None);
}

/// From the start of `horcmd` itself until it serves.
fn start_up(lab: &Lab) {
    let mut all = Vec::new();
    for _ in 0..5 {
        let mut command = lab.binary("horcmd");
        command
            .env("HORCMINST", "50")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let began = Instant::now();
        let mut child = command.spawn().expect("horcmd starts");
        until("horcmd serves", || lab.horcmd_pid(50) == Some(child.id()));
        all.push(began.elapsed());
        lab.cci(50, "horcmshutdown 50").ok();
        child.wait().expect("it ends");
    }
    all.sort();
    row(
        "horcmd start with 65,536 volumes configured",
        &all,
        Duration::ZERO,
        Some(Duration::from_secs(1)),
    );
}

/// A field of `/proc/PID/status`, in MiB.
fn resident(pid: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with(field)).expect("a field");
    let kib: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    kib / 1024.0
}
