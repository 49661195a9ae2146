//! What follows a failure, whatever step it was in.

use super::{run::Run, trouble::Trouble};
use crate::{
    catalogue::State,
    copies::Copies,
    copyist::{Call, Failed},
    step::Step,
    writer::Outcome,
};

impl<C: Copies + Send + 'static> Run<'_, C> {
    /// Undoes what was begun: file systems, writers in reverse order, the provider, the catalogue.
    /// Says whether nothing is left for the guard to undo.
    pub(super) fn undo(&mut self, step: Step, trouble: &Trouble) -> bool {
        let writers_late = self.are_writers_late(trouble);
        let thawed = self.thaw_all();
        if writers_late {
            self.crew.frozen_too_long(self.limits.writers);
        }
        self.crew.post(Outcome::Aborted, self.limits.writer_call);
        let aborted = !self.done.unknown && self.abort_copies();
        self.findings.state = State::Aborted { step, cause: trouble.to_string() };
        (self.findings.writers, self.findings.artifacts) = self.crew.findings();
        let kept = match self.done.unknown {
            true => Ok(()),
            false => self.around.ledger.abort(self.plan.id, &self.findings),
        };
        let clean = thawed && aborted && kept.is_ok() && !self.crew.hanging();
        self.findings.notes.extend(kept.err().map(|cause| format!("the catalogue: {cause}")));
        clean
    }

    /// Whether the backup is given up because no copy was made in the time that writers may be frozen.
    fn are_writers_late(&self, trouble: &Trouble) -> bool {
        match trouble {
            Trouble::WritersLate(_) => true,
            // The time that the provider had for its answer was theirs.
            Trouble::Copies(Failed::Late(_)) => {
                self.window.is_some_and(|window| window.to_hold(self.now()).is_zero())
            }
            _ => false,
        }
    }

    fn thaw_all(&mut self) -> bool {
        let mut clean = true;
        if self.done.file_systems
            && let Err(fault) = self.around.freezer.thaw()
        {
            self.findings.notes.push(fault.to_string());
            // It may only have come too late, or have found no guard: is anything left now?
            clean = self.around.freezer.thaw().is_ok();
        }
        if let Some(window) = self.window.take() {
            let clock = self.around.clock;
            self.crew.thaw(|| window.to_thaw(clock.now()));
            if !self.crew.hanging() {
                // It is over, late or not; a guard that is gone has nothing to do any more.
                let _ = self.around.freezer.writers_thaw();
            }
        }
        clean
    }

    fn abort_copies(&mut self) -> bool {
        if !self.done.copies {
            return true;
        }
        let aborted = self.copyist.call(Call::Abort(self.plan.set), self.limits.writer_call);
        self.findings.notes.extend(aborted.as_ref().err().map(ToString::to_string));
        aborted.is_ok()
    }
}
