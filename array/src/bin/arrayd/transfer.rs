//! `arrayd import` and `export`: the bytes of one LDEV while the array runs.

use std::{
    fs::File,
    io::{self, IsTerminal},
    path::PathBuf,
};

use array::control::{
    client::Client,
    ends::{Input, Output},
    frame::Ask,
};
use indicatif::{ProgressBar, ProgressStyle};
use model::LdevId;

use crate::Failure;

/// Which bytes, and the file on this side.
pub struct Request {
    pub dir: PathBuf,
    pub ldev: LdevId,
    /// `-` is the standard input or output.
    pub file: String,
    pub offset: u64,
}

/// A host's write of a whole file.
pub fn import(request: &Request) -> Result<(), Failure> {
    let mut length = None;
    let mut input = if request.file == "-" {
        Input::Plain(Box::new(io::stdin().lock()))
    } else {
        let file = File::open(&request.file)
            .map_err(|error| format!("{}: cannot open: {error}", request.file))?;
        length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
        if length.is_some() { Input::Sparse(file) } else { Input::Plain(Box::new(file)) }
    };
    let bar = bar(length);
    let moved = Client::connect(&request.dir)?.import(
        (request.ldev, request.offset),
        &mut input,
        &request.file,
        |done| bar.set_position(done),
    );
    bar.finish_and_clear();
    eprintln!("{} bytes written to LDEV {}", moved?, request.ldev);
    Ok(())
}

/// A management read.
pub fn export(request: &Request, length: Option<u64>, force: bool) -> Result<(), Failure> {
    // The array is asked first: a refusal leaves an older file as it is.
    let mut client = Client::connect(&request.dir)?;
    let ask = Ask::Export { ldev: request.ldev, offset: request.offset, length, force };
    let bar = bar(None);
    let to_stdout = request.file == "-";
    let moved = client.export(
        ask,
        &mut || {
            if to_stdout {
                return Ok(Output::Plain(Box::new(io::stdout().lock())));
            }
            let file = File::create(&request.file)?;
            let plain = file.metadata()?.is_file();
            Ok(if plain { Output::Sparse(file) } else { Output::Plain(Box::new(file)) })
        },
        &request.file,
        |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        },
    );
    bar.finish_and_clear();
    eprintln!("{} bytes read from LDEV {}", moved?, request.ldev);
    Ok(())
}

/// A bar on a terminal, nothing elsewhere.
fn bar(length: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length),
            "{wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}",
        ),
        None => (ProgressBar::no_length(), "{spinner} {binary_bytes} {binary_bytes_per_sec}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
