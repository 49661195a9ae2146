//! Why a call was refused: the event with what the operator needs, and what VSS is told.

use std::{fmt, io};

use model::{CciError, Code, error::printable};

use crate::{entry::Entry, event::Event, hresult::Hresult};

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The message.
    pub event: Event,
    /// What VSS is told where its call allows it; `None` is what the event says.
    pub wish: Option<Hresult>,
    /// What it was about, such as `snap/snapdev1 (LDEV 18 of Serial# 62496 MU# 2)`.
    pub object: Option<String>,
    /// The state that object was found in.
    pub state: Option<String>,
    /// Why that is an error.
    pub cause: Option<String>,
    /// What to do about it.
    pub action: Option<String>,
}

/// What the provider does inside a call.
pub type Outcome<T> = Result<T, Fault>;

impl Fault {
    /// A bare message.
    #[must_use]
    pub const fn new(event: Event) -> Self {
        Self { event, wish: None, object: None, state: None, cause: None, action: None }
    }

    /// What VSS should be told.
    #[must_use]
    pub const fn tell(mut self, hresult: Hresult) -> Self {
        self.wish = Some(hresult);
        self
    }

    /// What it was about.
    #[must_use]
    pub fn object(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// The state the object was in.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Why it is an error.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What to do.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// A journal that cannot be read or written.
    #[must_use]
    pub fn journal(error: &io::Error) -> Self {
        Self::new(Event::Eopdev)
            .object("the journal of snapshot sets")
            .cause(error.to_string())
            .action("make its directory writable, on a disk that is not copied itself")
    }

    /// Whether it is of the way to the storage system (EX_ATTHOR, EX_ENORMT, EX_CMDIOE, EX_COMERR
    /// ...), and says nothing of the pairs: asked again, the answer may be another.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self.event, Event::Atthor | Event::Cmdioe)
    }

    /// The refusal of a call.
    #[must_use]
    pub fn at(self, entry: Entry) -> Refused {
        let wish = self.wish.unwrap_or(Hresult::of(self.event));
        let hresult = if wish.allowed_at(entry) { wish } else { Hresult::ProviderVeto };
        Refused { entry, hresult, fault: self }
    }
}

impl From<CciError> for Fault {
    /// What HORCM says, in the words of the provider.
    fn from(error: CciError) -> Self {
        let name = error.code.name();
        let cause = match error.cause {
            Some(cause) => format!("{name}: {cause}"),
            None => format!("{name}: {}", error.code.text()),
        };
        Self {
            event: event_of(error.code),
            wish: wish_of(error.code),
            object: error.object,
            state: error.state,
            cause: Some(cause),
            action: error.advice,
        }
    }
}

const fn event_of(code: Code) -> Event {
    match code {
        Code::ExAtthor | Code::ExAttdbg | Code::ExEnormt | Code::ExEstmon => Event::Atthor,
        Code::ExInvstp
        | Code::ExInvvol
        | Code::ExEnqvol
        | Code::ExIncstg
        | Code::ExEvolce
        | Code::ExEwsuse
        | Code::ExEwstot
        | Code::ExEwslto
        | Code::ExVolcur
        | Code::ExVolcue
        | Code::ExVolcre
        | Code::ExEnqsiz
        | Code::ExEsvold => Event::Invstp,
        Code::ExEnomem => Event::Enomem,
        Code::ExEacces
        | Code::ExErperm
        | Code::ExEnperm
        | Code::ExEpperm
        | Code::ExEsperm
        | Code::ExEnauth => Event::Erperm,
        Code::ExEnogrp | Code::ExEnldev | Code::ExEnount | Code::ExEnosup => Event::Enosup,
        Code::ExEnodev | Code::ExEnoent => Event::Eopdev,
        Code::ExInvmun | Code::ExInvarg | Code::ExErange => Event::Invarg,
        _ => Event::Cmdioe,
    }
}

const fn wish_of(code: Code) -> Option<Hresult> {
    match code {
        Code::ExEnopol => Some(Hresult::InsufficientStorage),
        _ => None,
    }
}

impl fmt::Display for Fault {
    /// The message, then `OBJECT : ...`, `STATE : ...`, `CAUSE : ...`, `ACTION : ...` on a line
    /// each, as the commands print them; without a detail the table's own cause and correction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event.fmt(f)?;
        let cause = self.cause.as_deref().unwrap_or(self.event.cause());
        let action = self.action.as_deref().unwrap_or(self.event.correction());
        for (label, text) in [
            ("OBJECT", self.object.as_deref()),
            ("STATE", self.state.as_deref()),
            ("CAUSE", Some(cause)),
            ("ACTION", Some(action)),
        ] {
            if let Some(text) = text {
                write!(f, "\n{label} : {}", printable(text))?;
            }
        }
        Ok(())
    }
}

/// A call that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which call.
    pub entry: Entry,
    /// What it returns: one that VSS takes from it.
    pub hresult: Hresult,
    /// Why.
    pub fault: Fault,
}

impl fmt::Display for Refused {
    /// The text for the event log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nCALL : {}: {}", self.fault, self.entry, self.hresult.name())
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hresult_that_the_call_must_not_return_becomes_a_veto() {
        let fault = Fault::new(Event::Invarg).tell(Hresult::MaximumNumberOfVolumes);
        let there = fault.clone().at(Entry::BeginPrepareSnapshot);
        assert_eq!(there.hresult, Hresult::MaximumNumberOfVolumes);
        assert_eq!(fault.at(Entry::CommitSnapshots).hresult, Hresult::ProviderVeto);
    }

    #[test]
    fn what_horcm_says_keeps_its_words_and_finds_its_event() {
        for (code, event) in [
            (Code::ExAtthor, Event::Atthor),
            (Code::ExEnormt, Event::Atthor),
            (Code::ExCmdioe, Event::Cmdioe),
            (Code::ExCmdrje, Event::Cmdioe),
            (Code::ExComerr, Event::Cmdioe),
            (Code::ExInvstp, Event::Invstp),
            (Code::ExEnomem, Event::Enomem),
            (Code::ExEacces, Event::Erperm),
            (Code::ExEnount, Event::Enosup),
            (Code::ExEnodev, Event::Eopdev),
            (Code::ExInvmun, Event::Invarg),
        ] {
            assert_eq!(Fault::from(CciError::new(code)).event, event, "{}", code.name());
        }
        let error = CciError::new(Code::ExInvstp).object("snap/snapdev1").state("PSUE");
        let text = Fault::from(error).at(Entry::EndPrepareSnapshots).to_string();
        assert_eq!(
            text,
            "[EV_INVSTP] Invalid pair status\nOBJECT : snap/snapdev1\nSTATE : PSUE\n\
             CAUSE : EX_INVSTP: Invalid pair status\n\
             ACTION : Use the pairdisplay command to confirm volume status.\n\
             CALL : EndPrepareSnapshots: VSS_E_PROVIDER_VETO"
        );
    }

    #[test]
    fn a_full_pool_is_told_as_such() {
        let refused = Fault::from(CciError::new(Code::ExEnopol)).at(Entry::BeginPrepareSnapshot);
        assert_eq!(refused.hresult, Hresult::InsufficientStorage);
    }
}
