//! Answers that come in pages, asked for until the last one.

use model::{CciError, CciResult, Code, GroupName};
use protocol::horcm::{Member, Reply, Request, Selection};

use crate::{failure::Failure, session::Session};

/// What to ask about each volume.
#[derive(Debug, Clone)]
pub struct Members {
    /// Which volumes.
    pub selection: Selection,
    /// Whether to ask the remote instance for its side.
    pub remote: bool,
    /// Whether to add the guards.
    pub guards: bool,
    /// Whether to add the device files.
    pub devices: bool,
}

impl Members {
    /// Hands over every volume as its page arrives.
    ///
    /// # Errors
    /// As [`Session::ask`]; and, after the last volume, why the remote side is missing.
    pub fn each(
        self,
        session: &mut Session<'_, '_>,
        mut take: impl FnMut(&mut Session<'_, '_>, &GroupName, &Member) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let mut remote_error = None;
        let mut from = 0;
        loop {
            let request = Request::Members {
                selection: self.selection.clone(),
                remote: self.remote,
                guards: self.guards,
                devices: self.devices,
                from,
            };
            let Reply::Members { group, members, next, remote_error: missing } =
                session.ask(&request)?
            else {
                return Err(session.unexpected().into());
            };
            for member in &members {
                take(session, &group, member)?;
            }
            remote_error = remote_error.or(missing);
            match next {
                Some(next) => from = onward(from, next)?,
                None => break,
            }
        }
        remote_error.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// The next page; one that does not lie ahead would be asked for ever.
///
/// # Errors
/// EX_COMERR.
pub fn onward(from: u32, next: u32) -> CciResult<u32> {
    if next > from {
        return Ok(next);
    }
    Err(CciError::new(Code::ExComerr)
        .object("the answer of HORCM")
        .cause(format!("after page {from} it offers page {next}")))
}
