//! `arrayd init`, `check` and `status`.

use std::{
    io::{self, IsTerminal, Write},
    path::Path,
};

use array::{
    Array, Directory, config,
    control::{client::Client, frame::StatusRow},
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

/// Verifies all of an array that does not run.
pub fn check(dir: &Path) -> Result<(), Failure> {
    let bar =
        if io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::with_template("{spinner} {pos} LDEVs verified")?);
    let opened = Array::open_seen(dir, &mut || bar.inc(1));
    bar.finish_and_clear();
    let array = opened?;
    println!(
        "{}: whole: Serial# {}, {} LDEVs, {} pairs",
        dir.display(),
        array.head().serial,
        array.ldev_count(),
        array.pair_count()
    );
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
