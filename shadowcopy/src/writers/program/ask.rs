//! One call of a hook or a program, and what its end means.
//!
//! | exit code | what it means |
//! |---|---|
//! | 0 | done |
//! | 75 | failed; the next backup may succeed ([`FaultKind::Retryable`]) |
//! | 76 | writes were not held ([`FaultKind::Inconsistent`]) |
//! | others | failed; it would again ([`FaultKind::NonRetryable`]) |
//!
//! Killed by a signal counts as 75; too late is [`FaultKind::Timeout`]. Standard error is the
//! message.

use std::{path::Path, time::Duration};

use super::{
    child::{self, Call, End, Ran},
    chosen, environment,
};
use crate::writer::{Begun, Fault, FaultKind};

/// `EX_TEMPFAIL`.
const RETRYABLE: i32 = 75;
/// `EX_PROTOCOL`: the promise was not kept.
const INCONSISTENT: i32 = 76;
/// How much of an answer is kept.
const ANSWER: usize = 1 << 20;

/// What is asked of whom.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub program: &'a Path,
    pub args: &'a [&'a str],
    pub begun: Option<&'a Begun>,
    /// Where it puts artifacts.
    pub artifacts: Option<&'a Path>,
    pub within: Duration,
}

/// Asks.
///
/// # Errors
/// What went wrong, with the last it said.
pub fn ask(asked: Asked<'_>) -> Result<Ran, Fault> {
    let Asked { program, args, begun, artifacts, within } = asked;
    let what = format!("{} {}", chosen::name(program), args.join(" "));
    let mut variables = environment::of(begun, within);
    variables.extend(artifacts.map(|path| ("SHADOWCOPY_ARTIFACTS", path.into())));
    let ran = child::run(Call { program, args, variables, within, output: ANSWER })
        .map_err(|error| Fault::new(FaultKind::NonRetryable, format!("{what}: {error}")))?;
    let said = if ran.said.is_empty() { String::new() } else { format!(": {}", ran.said) };
    Err(match ran.end {
        End::Code(0) => return Ok(ran),
        End::Code(code) => {
            let kind = match code {
                RETRYABLE => FaultKind::Retryable,
                INCONSISTENT => FaultKind::Inconsistent,
                _ => FaultKind::NonRetryable,
            };
            Fault::new(kind, format!("{what}: exit code {code}{said}"))
        }
        End::Signal(signal) => {
            Fault::new(FaultKind::Retryable, format!("{what}: killed by signal {signal}{said}"))
        }
        End::Late => Fault::new(
            FaultKind::Timeout,
            format!("{what}: not done after {} ms, killed{said}", within.as_millis()),
        )
        .action("let it do less, or give it more time: timeout in shadowcopy.toml"),
    })
}
