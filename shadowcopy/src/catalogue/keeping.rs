//! What a coordinator and a recovery say of a backup, in the catalogue.

use super::{
    BackupId,
    artifact::Allowance,
    error::Error,
    record::{Backup, State},
    store::Store,
};
use crate::ledger::{Findings, Ledger};

impl Ledger for Store {
    fn finish(&mut self, id: BackupId, findings: &Findings) -> Result<(), String> {
        keep(self, id, findings).map_err(|error| error.to_string())
    }

    fn abort(&mut self, id: BackupId, findings: &Findings) -> Result<(), String> {
        // What writers handed over is for a copy, and there is none.
        let mut findings = findings.clone();
        findings.writers.iter_mut().for_each(|writer| writer.artifacts.clear());
        let aborted = self.update(id, |backup| apply(backup, &findings));
        aborted.map(drop).map_err(|error| error.to_string())
    }

    fn state(&mut self, id: BackupId) -> Result<Option<State>, String> {
        match self.get(id) {
            Ok(kept) => Ok(Some(kept.backup.state)),
            Err(Error::Unknown(_)) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The files of the writers are there before the record says how the backup ended.
fn keep(store: &Store, id: BackupId, findings: &Findings) -> Result<(), Error> {
    Allowance::take_all(&findings.artifacts).map_err(|limit| Error::Unwritable {
        object: "what the writers handed over".to_owned(),
        cause: limit.to_owned(),
    })?;
    for (writer, file) in &findings.artifacts {
        let writer = findings.writers.get(*writer).map_or("", |writer| &writer.metadata.name);
        store.put_artifact(id, writer, file)?;
    }
    store.update(id, |backup| apply(backup, findings)).map(drop)
}

fn apply(backup: &mut Backup, findings: &Findings) {
    // A recovery that comes later knows less than the command that said how it ended.
    if backup.state != State::Running {
        return;
    }
    backup.state = findings.state.clone();
    backup.ended = Some(std::time::SystemTime::now());
    if !findings.evidence.is_empty() {
        backup.evidence.clone_from(&findings.evidence);
    }
    backup.held = findings.held.or(backup.held);
    if !findings.writers.is_empty() {
        backup.writers.clone_from(&findings.writers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalogue::{
            artifact,
            record::{Participant, fake::backup},
        },
        step::Step,
        writer::{Artifact, Metadata},
    };

    fn running() -> (tempfile::TempDir, Store, Findings) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path().to_owned());
        let claim = store.claim("drmfsbackup").unwrap();
        let begin = |id| Backup { id, state: State::Running, ended: None, ..backup(1) };
        let begun = store.begin(&claim, begin).unwrap();
        (directory, store, Findings::new(begun.set))
    }

    #[test]
    fn a_finished_backup_has_its_state_evidence_and_files() {
        let (_directory, mut store, mut findings) = running();
        let metadata = Metadata {
            name: "postgresql/main".to_owned(),
            version: "15".to_owned(),
            limit: None,
            paths: Vec::new(),
        };
        let artifacts = vec!["backup_label".to_owned()];
        findings.writers = vec![Participant { metadata, fault: None, kind: None, artifacts }];
        let label = Artifact { name: "backup_label".to_owned(), bytes: b"START".to_vec() };
        findings.artifacts = vec![(0, label.clone())];
        findings.state = State::Consistent;
        findings.evidence = vec![(Step::Commit, 7)];
        findings.held = Some(9);
        assert_eq!(store.state(BackupId::FIRST), Ok(Some(State::Running)));
        store.finish(BackupId::FIRST, &findings).unwrap();
        assert_eq!(store.state(BackupId::FIRST), Ok(Some(State::Consistent)));
        assert_eq!(store.state("7".parse().unwrap()), Ok(None));
        let kept = store.get(BackupId::FIRST).unwrap();
        assert_eq!((kept.backup.held, kept.died), (Some(9), false));
        assert_eq!(kept.backup.evidence, findings.evidence);
        assert!(kept.backup.is_there() && kept.backup.ended.is_some());
        let files = store.artifacts(BackupId::FIRST).unwrap();
        assert_eq!(files, [("postgresql/main".to_owned(), label)]);
    }

    #[test]
    fn files_that_are_too_many_fail_the_backup_and_not_its_abort() {
        let (_directory, mut store, mut findings) = running();
        let file = |n: usize| (0, Artifact { name: n.to_string(), bytes: Vec::new() });
        findings.artifacts = (0..=artifact::MOST_FILES).map(file).collect();
        findings.state = State::Consistent;
        let refused = store.finish(BackupId::FIRST, &findings).unwrap_err();
        assert!(refused.contains("more than 1024 files"), "{refused}");
        assert_eq!(store.state(BackupId::FIRST), Ok(Some(State::Running)));
        findings.state = State::Aborted { step: Step::Catalogue, cause: refused };
        store.abort(BackupId::FIRST, &findings).unwrap();
        assert_eq!(store.state(BackupId::FIRST), Ok(Some(findings.state)));
        assert_eq!(store.artifacts(BackupId::FIRST).unwrap(), []);
    }

    #[test]
    fn an_abort_may_be_said_twice_and_changes_no_finished_backup() {
        let (_directory, mut store, mut findings) = running();
        let aborted = |cause: &str| State::Aborted { step: Step::Commit, cause: cause.to_owned() };
        findings.state = aborted("late");
        store.abort(BackupId::FIRST, &findings).unwrap();
        findings.state = aborted("found by a recovery");
        store.abort(BackupId::FIRST, &findings).unwrap();
        assert_eq!(store.get(BackupId::FIRST).unwrap().backup.state, aborted("late"));
        assert!(store.abort("7".parse().unwrap(), &findings).is_err(), "an unknown backup");
    }
}
