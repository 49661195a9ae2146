//! The disks of the built-in initiator by their numbers: `\\.\PhysicalDrive0`, 1 and so on.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use scsi::hba::{self, Disk, Portal};
use tokio::{sync::Mutex, task::JoinSet};

use crate::in_band::blocking;

/// What is searched for disks: those of the built-in initiator. Clones share what they know.
#[derive(Debug, Clone)]
pub struct Disks {
    /// `horcm.hba`.
    hba: PathBuf,
    /// What was found last. A portal that is gone keeps its numbers: otherwise the names of its
    /// disks would go over to somebody else's.
    known: Arc<Mutex<Vec<Behind>>>,
}

/// The disks behind a portal.
#[derive(Debug, Clone)]
pub struct Behind {
    portal: Portal,
    /// Whether it answers. If not, its disks are those that it had when it last did.
    pub answers: bool,
    /// In the order of their numbers.
    pub disks: Vec<Disk>,
}

impl Disks {
    /// Those behind the portals of a file.
    #[must_use]
    pub fn listed_in(hba: PathBuf) -> Self {
        Self { hba, known: Arc::default() }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.hba
    }

    /// Asks all portals at once; in the order of the file.
    ///
    /// # Errors
    /// Why there is not a single disk, in words.
    pub async fn find(&self) -> Result<Vec<Behind>, String> {
        let file = self.hba.display();
        let read = std::fs::read_to_string::<PathBuf>;
        let path = self.hba.clone();
        let text = blocking(move || read(path)).await.map_err(|e| format!("{file}: {e}"))?;
        let portals = hba::conf::parse(&text).map_err(|e| format!("{file}: {e}"))?;
        let mut asked = JoinSet::new();
        for (n, portal) in portals.into_iter().enumerate() {
            asked.spawn(async move {
                let (disks, faults) = hba::disks(std::slice::from_ref(&portal)).await;
                (n, Behind { portal, answers: faults.is_empty(), disks }, faults)
            });
        }
        let mut answers = asked.join_all().await;
        answers.sort_unstable_by_key(|(n, ..)| *n);
        let (mut found, mut reasons) = (Vec::new(), Vec::new());
        let mut known = self.known.lock().await;
        for (_, mut behind, faults) in answers {
            if !behind.answers {
                let before = known.iter().find(|before| before.portal == behind.portal);
                behind.disks = before.map(|before| before.disks.clone()).unwrap_or_default();
            }
            reasons.extend(faults.iter().map(|(portal, error)| format!("{portal}: {error}")));
            found.push(behind);
        }
        known.clone_from(&found);
        drop(known);
        for reason in &reasons {
            log::warn!("{file}: portal {reason}");
        }
        if found.iter().all(|behind| behind.disks.is_empty()) {
            return Err(format!("{file} leads to no disk: {}", reasons.join("; ")));
        }
        Ok(found)
    }
}
