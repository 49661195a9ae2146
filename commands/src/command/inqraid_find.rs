//! `inqraid -find`: the pairs that disks are in, by asking `pairdisplay` for each.

use model::Code;
use scsi::disks::HostDisk;

use super::pairdisplay;
use crate::{
    failure::{Failure, Outcome},
    parse::{Typed, parse},
    session::Session,
};

/// Shows the pairs of each disk that is in a group of the instance: the rows of `pairdisplay -d`
/// under one heading, and behind them `->` and the disk (`-find`), or rows alone (`-findc`).
pub(super) fn find_pairs(
    session: &mut Session<'_, '_>,
    typed: &Typed,
    disks: &[HostDisk],
) -> Outcome {
    let columns = typed.has("findc");
    let mut titled = false;
    for disk in disks {
        let Some(identity) = &disk.identity else { continue };
        let mut line = format!("-d {} {}", identity.serial, identity.ldev);
        line.push_str(if columns { " -CLI" } else { "" });
        line.push_str(if typed.word("f").is_some_and(|f| f.contains('x')) { " -fx" } else { "" });
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let request = parse(&pairdisplay::SPEC, &words)?;
        let text = match shown(session, &request) {
            Ok(text) => text,
            Err(Failure::Cci(error)) if is_of_no_group(error.code) => continue,
            Err(failure) => return Err(failure),
        };
        let out = session.out();
        let rows = if std::mem::replace(&mut titled, true) { 1 } else { 0 };
        for row in text.lines().skip(rows) {
            writeln!(out, "{row}")?;
        }
        if !columns {
            writeln!(out, "->{}", disk.device_file)?;
        }
    }
    Ok(0)
}

/// What `pairdisplay` prints.
fn shown(session: &mut Session<'_, '_>, request: &Typed) -> Result<String, Failure> {
    let mut text = Vec::new();
    let world = &mut *session.world;
    let mut inner = crate::session::World {
        environment: world.environment.clone(),
        home: world.home.clone(),
        attach: world.attach,
        at_prompt: false,
        input: None,
        output: &mut text,
        errors: &mut *world.errors,
        clock: world.clock,
    };
    let mut asked = Session {
        world: &mut inner,
        command: pairdisplay::SPEC.name,
        scope: session.scope,
        quiet: session.quiet,
        daemon: None,
    };
    (pairdisplay::SPEC.run)(&mut asked, request)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Whether an error says that the instance has no such volume in a group.
fn is_of_no_group(code: Code) -> bool {
    matches!(code, Code::ExEnodev | Code::ExEnogrp | Code::ExEnldev)
}
