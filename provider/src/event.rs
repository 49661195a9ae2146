//! The error messages of the provider: Table 3.5 of the CCI Shadow Copy Provider's manual
//! (MK-94HC074 3.9), word for word.

use std::fmt;

macro_rules! events {
    ($($variant:ident = $id:literal, $name:literal, $text:literal, $cause:literal, $correction:literal;)*) => {
        /// An error message of the provider.
        #[allow(missing_docs, reason = "name and text of each stand in the table below")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Event { $($variant),* }

        impl Event {
            /// Every message, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its number in the event log. The manual has none; they count its rows.
            #[must_use]
            pub const fn id(self) -> u16 {
                match self { $(Self::$variant => $id),* }
            }

            /// The name between the brackets.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The text behind the brackets.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// Column "Error Cause".
            #[must_use]
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause),* }
            }

            /// Column "Correction".
            #[must_use]
            pub const fn correction(self) -> &'static str {
                match self { $(Self::$variant => $correction),* }
            }
        }
    };
}

events! {
    Erperm = 1, "EV_ERPERM", "Permission denied with the VSS hardware provider",
        "CCI Shadow Copy Provider is activated except for the Local System account.",
        "Confirm the CCI Shadow Copy Provider start up account.";
    Enomem = 2, "EV_ENOMEM", "The memory is insufficient",
        "The memory for executing a CCI Shadow Copy Provider could not be retained.",
        "Increase the virtual memory capacity of the whole system, or terminate unnecessary programs or daemon processes that are running simultaneously.";
    Invstp = 3, "EV_INVSTP", "Invalid pair status",
        "The pair status of a target volume is not appropriate.",
        "Use the pairdisplay command to confirm volume status.";
    Atthor = 4, "EV_ATTHOR", "Can't attach to a HORCM daemon",
        "The HORCM daemon is not working.",
        "Verify whether the HORCM daemon is working.";
    Cmdioe = 5, "EV_CMDIOE", "Control command I/O error",
        "Control command I/O error, or rejected",
        "Remove a cause of an error after confirming with system error code.";
    Egetev = 6, "EV_EGETEV", "An error occurred in GetEnvironmentVariable()",
        "The system environment variable could not be obtained from GetEnvironmentVariable() system call.",
        "Verify whether the system environment variable is defined.";
    Enosup = 7, "EV_ENOSUP", "No supported device",
        "The specified device is a command device or unsupported disk.",
        "Verify whether a target disk is the supported disk.";
    Enoinq = 8, "EV_ENOINQ", "No such inquiry",
        "An Error occurred in the inquiry to the specified device.",
        "Check the connection to the device.";
    Enoobj = 9, "EV_ENOOBJ", "Not found object",
        "The SnapshotSetID that is specified by the Provider is invalid.",
        "Check the Event log for any errors pertaining to Shadow Copy.";
    Enoser = 10, "EV_ENOSER", "No such serial number",
        "A Serial number could not be acquired from the specified device information.",
        "Check the Event log for any errors pertaining to Shadow Copy.";
    Enrmcm = 11, "EV_ENRMCM", "A RAID Manager command binary file is not found",
        "The file of CCI command was removed by an operation miss.",
        "Reinstall CCI.";
    Enrmph = 12, "EV_ENRMPH", "RAID Manager was not found in the \"HORCM\\ETC\" directory in C-Z drives",
        "The directory \"HORCM\\ETC\" was removed by an operation miss.",
        "Reinstall CCI.";
    Esetev = 13, "EV_ESETEV", "The system environment variable could not be set",
        "The system environment variable could not be set on SetEnvironmentVariable() system call.",
        "Please remove a cause of an error after confirming it with event log if system is unstable with event log.";
    Except = 14, "EV_EXCEPT", "An exception occurred",
        "An Exception occurred during a process of CCI Shadow Copy Provider.",
        "Please remove a cause of an error after confirming it with event log if system is unstable with event log.";
    Invarg = 15, "EV_INVARG", "Invalid argument",
        "The argument which a coordinator specified is invalid.",
        "Please remove a cause of an error after confirming it with event log if an error about Shadow Copy Service is written in it.";
    Invseq = 16, "EV_INVSEQ", "Invalid sequence",
        "The order specified from a coordinator is invalid.",
        "Please remove a cause of an error after confirming it with event log if an error about Shadow Copy Service is written in it";
    Eopdev = 17, "EV_EOPDEV", "Cannot open a device",
        "The specified device special file failed to open.",
        "Please remove a cause of an error after confirming it with system error code.";
}

impl fmt::Display for Event {
    /// `[EV_INVSTP] Invalid pair status`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.name(), self.text())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_has_its_seventeen_rows_each_once() {
        assert_eq!(Event::ALL.len(), 17);
        let names: HashSet<_> = Event::ALL.iter().map(|event| event.name()).collect();
        assert_eq!(names.len(), 17);
        let ids: Vec<_> = Event::ALL.iter().map(|event| event.id()).collect();
        assert_eq!(ids, (1..=17).collect::<Vec<_>>());
        let texts = [
            (Event::Erperm, "[EV_ERPERM] Permission denied with the VSS hardware provider"),
            (Event::Invstp, "[EV_INVSTP] Invalid pair status"),
            (Event::Atthor, "[EV_ATTHOR] Can't attach to a HORCM daemon"),
            (Event::Egetev, "[EV_EGETEV] An error occurred in GetEnvironmentVariable()"),
            (Event::Eopdev, "[EV_EOPDEV] Cannot open a device"),
        ];
        assert!(texts.iter().all(|(event, text)| event.to_string() == *text));
    }
}
