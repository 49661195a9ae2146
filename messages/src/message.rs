//! The messages of the backup commands, as one table.
//!
//! A message is `KAVXnnnn-Z text`; Z is I (information), W (warning), E (error) or Q (question).
//! Those of the manual (MK-94HC074, examples and Table 4.1) stand here with its ids and texts.
//! What it has none for has an id of our own, in the range that the vendor keeps for the subject
//! (`docs/backup-commands.md` lists them).

use std::fmt;

use model::error::printable;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Something happens as it should.
    Information,
    /// The command goes on, but somebody should know.
    Warning,
    /// The command did not do its work.
    Error,
}

impl Severity {
    const fn letter(self) -> char {
        match self {
            Self::Information => 'I',
            Self::Warning => 'W',
            Self::Error => 'E',
        }
    }
}

/// Where a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The manual has it, word for word.
    Manual,
    /// It is our own.
    Own,
}

/// A message of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Its number: four digits behind `KAVX`; five behind `DRM-`, and then it has no letter.
    pub number: u16,
    /// How bad it is.
    pub severity: Severity,
    /// Its text. Every `{}` is a place for a word.
    pub text: &'static str,
    /// Whose it is.
    pub origin: Origin,
}

impl Message {
    /// `KAVX0001-I`, `DRM-10434`.
    #[must_use]
    pub fn id(&self) -> String {
        match self.number {
            0..=9999 => format!("KAVX{:04}-{}", self.number, self.severity.letter()),
            _ => format!("DRM-{}", self.number),
        }
    }

    /// The places of the text.
    #[must_use]
    pub fn places(&self) -> usize {
        self.text.matches("{}").count()
    }

    /// Id and text with words in the places. Words stand on one line, whatever is in them; a
    /// place without a word shows as `-`.
    #[must_use]
    pub fn with(&self, words: &[&dyn fmt::Display]) -> String {
        debug_assert_eq!(self.places(), words.len(), "{}", self.id());
        let mut shown = self.id();
        shown.push(' ');
        let mut words = words.iter();
        for (at, part) in self.text.split("{}").enumerate() {
            if at > 0 {
                let word = words.next().map_or_else(|| "-".to_owned(), ToString::to_string);
                shown.push_str(&printable(&word));
            }
            shown.push_str(part);
        }
        shown
    }
}

macro_rules! messages {
    ($($name:ident $number:literal $severity:ident $origin:ident $text:literal;)*) => {
        $(
            #[doc = $text]
            pub const $name: Message = Message {
                number: $number,
                severity: Severity::$severity,
                text: $text,
                origin: Origin::$origin,
            };
        )*
        /// Every message, by number.
        pub const ALL: &[Message] = &[$($name),*];
    };
}

// Ranges (3020-3-P94): 0-99 common, 100-149 file system, 200-299 common, 400-449 tape, 1500-1999
// Exchange, 5000-5099 VSS, 5100-5199 core.
messages! {
    COMMAND_STARTS 1 Information Manual "The {} command will now start.";
    COMMAND_ENDS 2 Information Manual "The {} command will now end.";
    COMMAND_FAILED 3 Error Own "The {} command ended with an error.";
    BACKUP_ID 40 Information Manual "The backup ID has been assigned as follows.\nBackup ID = {}";
    COMMAND_LINE 50 Error Own "The command line is wrong.";
    OUTPUT_FAILED 51 Error Own "The output of the command cannot be written.";
    RAID_MANAGER 52 Error Own "RAID Manager returned an error. code = {}";
    TARGET 100 Error Own "The backup target cannot be backed up.";
    GENERATION 101 Error Own "No generation can be used for the backup.";
    ACCESS 110 Error Own "A volume cannot be brought to this host, or given back.";
    MOUNT_FAILED 111 Error Own "The backup cannot be mounted.";
    UNMOUNT_FAILED 112 Error Own "The backup cannot be unmounted.";
    IN_USE 113 Error Own "A volume is in use.";
    MOUNTED 114 Information Own "The backup was mounted. mount point = {}";
    UNMOUNTED 115 Information Own "The backup was unmounted. mount point = {}";
    RESTORE_START 116 Information Own "The volumes are now being restored. Backup ID = {}";
    BROUGHT_BACK 117 Information Own "The volumes are what they were at the backup. Backup ID = {}";
    CONSUMED 118 Information Own "The backup was given up: its S-VOLs follow the restored volumes. Backup ID = {}";
    CATALOGUE_FAILED 200 Error Own "The backup catalog cannot be used.";
    NO_BACKUP 201 Error Own "The backup catalog has no such backup. Backup ID = {}";
    DAMAGED 202 Warning Own "A damaged file of the backup catalog was set aside. file = {}";
    CATALOGUE_EMPTY 203 Information Own "No backup in the backup catalog matches.";
    BACKUP_RUNNING 204 Error Own "Another backup is running.";
    BACKUP_STATE 205 Error Own "The backup cannot be used in its state. Backup ID = {}";
    STILL_MOUNTED 206 Error Own "The backup is still mounted. Backup ID = {}";
    NO_SET 207 Error Own "There is no such shadow copy set. ID = {}";
    NOT_DELETED 208 Error Own "Not every shadow copy was deleted.";
    LOCKED 210 Information Own "The backup is locked. Backup ID = {}";
    UNLOCKED 211 Information Own "The backup is unlocked. Backup ID = {}";
    EXPORTED 212 Information Own "{} backups were exported. file = {}";
    IMPORTED 213 Information Own "{} backups were imported. file = {}";
    FILE_FAILED 214 Error Own "The file cannot be used. file = {}";
    OVERWRITTEN 220 Information Own "The backup was given up: its S-VOLs are needed. Backup ID = {}";
    BACKUP_GONE 221 Warning Own "The backup is gone: its pairs were resynchronised. Backup ID = {}";
    DELETED 222 Information Own "The shadow copy was deleted. ID = {}";
    ARCHIVE_FAILED 400 Error Own "The archive cannot be written. archive = {}";
    ARCHIVE_BAD 401 Error Own "The archive cannot be read. archive = {}";
    SOURCE_FAILED 402 Error Own "The volume cannot be read. volume = {}";
    RESTORE_FAILED 403 Error Own "The volume cannot be restored. volume = {}";
    PROGRESS 410 Information Own "{} % of {} MiB done.";
    ARCHIVED 411 Information Own "{} MiB of volumes were archived in {} bytes. archive = {}";
    VERIFIED 412 Information Own "The archive is whole. archive = {}";
    RESTORED 413 Information Own "The volume was restored. volume = {}";
    ARTIFACT_WRITTEN 414 Information Own "A file of a writer was written. file = {}";
    BACKUP_START 1600 Information Manual "Backup processing will now start.";
    BACKUP_END 1601 Information Manual "Backup processing has finished.";
    NOT_MOUNTED_STORES 1608 Error Manual "Information stores that have not been mounted exist. For a storage group to be backed up using VSS, all information stores must be mounted.";
    DIRECTORY_DIFFERS 1609 Error Manual "The system stops processing if information from Active Directory and VSS do not match.";
    DOCUMENTS_KEPT 1610 Information Own "The documents of the backup were written. folder = {}";
    NOT_VERIFIED 1611 Warning Own "The databases in the shadow copies were not verified. Backup ID = {}";
    VSS_SYSTEM 5000 Error Manual "Backup by VSS cannot be performed in this OS.";
    VSS_CLUSTER 5001 Error Manual "Backup by VSS cannot be performed in the cluster environment.";
    VSS_GENERATION 5002 Error Manual "The system environment variable VSHTCHOMRCF_MUN is not set, or an illegal value is set. Make sure that VSS has been set up correctly.";
    VSS_PROVIDER 5003 Error Manual "CCI Shadow Copy Provider could not be used. Make sure that VSS has been set up correctly.";
    WRITER_TIMEOUT 5004 Error Manual "A timeout error occurred in the writer. writer name = {}";
    PROVIDER 5100 Error Own "The shadow-copy provider returned an error. code = {}";
    BACKUP_ABORTED 5101 Error Own "The backup was given up. step = {}";
    CRASH_CONSISTENT 5102 Warning Own "The backup is crash-consistent only. Backup ID = {}, cause = {}";
    FROZEN 5103 Information Own "The file systems were frozen. time = {} ms";
    LEFT 5104 Warning Own "Something needs a look. {}";
    SET_DAMAGED 5105 Warning Own "A damaged record of a snapshot set was set aside. file = {}";
    NOT_RECOVERED 5106 Error Own "What a command left that died could not be undone.";
    RECOVERED 5107 Information Own "What a command left that died was undone. Backup ID = {}";
    WRITER_FAILED 5108 Error Own "A writer cannot take part in the backup. writer name = {}";
    CONFIGURATION 5109 Error Own "The configuration of writers cannot be used.";
    VSS_LATE 5110 Error Own "VSS did not finish in time. call = {}";
    VSS_FAILED 10434 Error Manual "An error occurred in VSS.";
    VDS_FAILED 10435 Error Manual "An error occurred in Virtual Disk Service.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manuals_messages_are_its_own_word_for_word() {
        for (message, words, line) in [
            (
                COMMAND_STARTS,
                vec!["drmexgbackup"],
                "KAVX0001-I The drmexgbackup command will now start.",
            ),
            (BACKUP_START, vec![], "KAVX1600-I Backup processing will now start."),
            (
                BACKUP_ID,
                vec!["0000000001"],
                "KAVX0040-I The backup ID has been assigned as follows.\nBackup ID = 0000000001",
            ),
            (BACKUP_END, vec![], "KAVX1601-I Backup processing has finished."),
            (
                COMMAND_ENDS,
                vec!["drmexgbackup"],
                "KAVX0002-I The drmexgbackup command will now end.",
            ),
            (VSS_SYSTEM, vec![], "KAVX5000-E Backup by VSS cannot be performed in this OS."),
            (
                WRITER_TIMEOUT,
                vec!["postgresql/main"],
                "KAVX5004-E A timeout error occurred in the writer. writer name = postgresql/main",
            ),
            (VSS_FAILED, vec![], "DRM-10434 An error occurred in VSS."),
        ] {
            let words: Vec<&dyn fmt::Display> = words.iter().map(|w| w as _).collect();
            assert_eq!(message.with(&words), line);
            assert_eq!(message.origin, Origin::Manual);
        }
    }

    #[test]
    fn no_number_is_given_twice_and_the_table_is_in_order() {
        for pair in ALL.windows(2) {
            assert!(pair[0].number < pair[1].number, "{} before {}", pair[0].id(), pair[1].id());
        }
        for message in ALL.iter().filter(|message| message.number <= 9999) {
            assert!(message.id().len() == 10, "{}", message.id());
        }
    }

    #[test]
    fn a_word_forges_no_second_line() {
        let name: &dyn fmt::Display = &"x\nKAVX0002-I done";
        assert_eq!(
            WRITER_TIMEOUT.with(&[name]),
            "KAVX5004-E A timeout error occurred in the writer. writer name = x\\nKAVX0002-I done"
        );
    }
}
