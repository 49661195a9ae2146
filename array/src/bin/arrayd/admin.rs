//! `arrayd init`, `hash-password`, `check`, `repair`, `dump`, `status`, `pools` and `grow`.

use std::{
    io::{self, IsTerminal, Write},
    path::Path,
};

use array::{
    Array, Directory, config,
    control::{
        client::Client,
        frame::{Ask, StatusRow},
    },
    store::{PAGE, PoolFigures},
    users::password,
};
use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use model::Role;

use crate::Failure;

/// Makes the directory of a new array.
pub fn init(dir: &Path, from: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(from)
        .map_err(|error| format!("{}: cannot read: {error}", from.display()))?;
    let inventory = config::parse(&text).map_err(|error| format!("{}: {error}", from.display()))?;
    Directory::init(dir, &inventory)?;
    println!(
        "Serial# {}: {} LDEVs, {} LUNs in {}",
        inventory.head.serial,
        inventory.ldevs.len(),
        inventory.paths.len(),
        dir.display()
    );
    Ok(())
}

/// Prints the hash of a password that is typed, or stands on the first line of standard input.
pub fn hash_password() -> Result<(), Failure> {
    let password = if io::stdin().is_terminal() {
        let password = rpassword::prompt_password("Password :")?;
        if rpassword::prompt_password("Once more :")? != password {
            return Err("the two passwords differ".into());
        }
        password
    } else {
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    println!("{}", password::hash(&password)?);
    Ok(())
}

/// Verifies all of an array that does not run.
pub fn check(dir: &Path) -> Result<(), Failure> {
    let array = Array::open(dir)?;
    let bar = if io::stderr().is_terminal() {
        let style = "{wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
        ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?)
    } else {
        ProgressBar::hidden()
    };
    let report = array.check(&mut |progress| {
        bar.set_length(progress.of * PAGE as u64);
        bar.set_position(progress.pages * PAGE as u64);
    });
    bar.finish_and_clear();
    let report = report?;
    for finding in &report.findings {
        println!("{finding}");
    }
    if !report.is_clean() {
        let count = report.findings.len() as u64 + report.more;
        let dir = dir.display();
        return Err(format!("{dir}: {count} findings").into());
    }
    println!(
        "{}: whole: Serial# {}, {} LDEVs, {} pairs; {} pages, {} blocks verified",
        dir.display(),
        array.head().serial,
        array.ldev_count(),
        array.pair_count(),
        report.pages,
        report.blocks,
    );
    Ok(())
}

/// Restores what redundancy allows of an array that does not run, and verifies it.
pub fn repair(dir: &Path) -> Result<(), Failure> {
    let locked = Directory::open(dir)?;
    let done = array::store::repair(dir)?;
    for mended in &done.mended {
        println!("restored: {mended}");
    }
    for lost in &done.lost {
        println!("lost: {lost}");
    }
    if done.is_whole() {
        println!("{}: nothing to repair", dir.display());
    }
    drop(locked);
    check(dir)
}

/// Prints every record of an array that does not run.
pub fn dump(dir: &Path) -> Result<(), Failure> {
    let _locked = Directory::open(dir)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    array::dump(dir, &mut out)?;
    Ok(out.flush()?)
}

/// Shows the pools of a running array.
pub fn pools(dir: &Path) -> Result<(), Failure> {
    show_pools(&Client::connect(dir)?.pools()?)
}

/// Makes a pool of a running array larger.
pub fn grow(dir: &Path, ask: &Ask) -> Result<(), Failure> {
    show_pools(&Client::connect(dir)?.grow(ask)?)
}

/// One line a pool: PID, state, used percent, name, MiB free and in all, threshold.
fn show_pools(pools: &[PoolFigures]) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "PID",
        "POLS",
        "U(%)",
        "Name",
        "Pages",
        "Used",
        "Free(MiB)",
        "All(MiB)",
        "W(%)",
    ]);
    for pool in pools {
        let state = match pool {
            pool if pool.free == 0 => "POLE",
            pool if pool.is_above_threshold() => "POLF",
            _ => "POLN",
        };
        let mib = |pages: u64| (pages * PAGE as u64) >> 20;
        table.add_row([
            format!("{:03}", pool.id),
            state.into(),
            (pool.mapped * 100).checked_div(pool.pages).unwrap_or(0).to_string(),
            pool.name.clone(),
            pool.pages.to_string(),
            pool.mapped.to_string(),
            mib(pool.free).to_string(),
            mib(pool.pages).to_string(),
            pool.threshold.to_string(),
        ]);
    }
    writeln!(io::stdout(), "{}", table.trim_fmt())?;
    Ok(())
}

/// Shows the LDEVs and pairs of a running array.
pub fn status(dir: &Path) -> Result<(), Failure> {
    let (serial, rows) = Client::connect(dir)?.status()?;
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "LDEV", "Product", "Blocks", "Path", "MU#", "Role", "Status", "%", "Partner", "MU#",
    ]);
    for row in &rows {
        add_rows(&mut table, row);
    }
    let text = format!("Serial# {serial}\n{}\n", table.trim_fmt());
    // A reader that has seen enough is no failure.
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// One row a pair end; one row alone for an LDEV without pairs.
fn add_rows(table: &mut Table, row: &StatusRow) {
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let suffix = if row.command_device { "-CM" } else { "" };
    let ldev =
        || {
            vec![
                right(row.ldev.to_string()),
                Cell::new(format!("{}{suffix}", row.emulation)),
                right(row.size.to_string()),
                Cell::new(row.path.map_or("-".into(), |path| {
                    format!("{} {} {}", path.port, path.target, path.lun)
                })),
            ]
        };
    let paired = row.mirrors.iter().enumerate().filter(|(_, end)| end.role != Role::Smpl);
    let mut alone = true;
    for (mu, end) in paired {
        alone = false;
        let mut cells = ldev();
        cells.push(right(mu.to_string()));
        cells.push(Cell::new(end.role));
        cells.push(Cell::new(end.status));
        cells.push(right(end.percent.to_string()));
        let partner = end.partner.map(|partner| (partner.volume.ldev, partner.mu));
        cells.push(right(partner.map_or("-".into(), |(ldev, _)| ldev.to_string())));
        cells.push(right(partner.map_or("-".into(), |(_, mu)| mu.to_string())));
        table.add_row(cells);
    }
    if alone {
        let mut cells = ldev();
        cells.extend(["-", "SMPL", "SMPL", "-", "-", "-"].map(Cell::new));
        table.add_row(cells);
    }
}
