//! Why a daemon did not start: the HORCM message, the reason, the exit code.

use std::fmt;

use model::Instance;

/// A daemon that does not start. `Display` is what stderr and the start-up log show; the first
/// line carries the message of `cci` 4.5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartFailure {
    message: String,
    reason: String,
    exit: u8,
}

/// Exit code when the instance runs already, the one scripts accept from `horcmstart`.
const EXIT_RUNNING: u8 = 1;
/// Exit code of every other failure (`cci` 8).
const EXIT_FAILED: u8 = 3;

impl StartFailure {
    fn horcm(id: &str, text: &str, reason: impl Into<String>) -> Self {
        Self { message: format!("[{id}] {text}"), reason: reason.into(), exit: EXIT_FAILED }
    }

    /// Another process serves this instance.
    #[must_use]
    pub fn already_running(instance: Instance) -> Self {
        let name = instance.number().map(|n| format!(" inst {n}"));
        Self {
            message: format!("HORCM{} has already been running.", name.unwrap_or_default()),
            reason: String::new(),
            exit: EXIT_RUNNING,
        }
    }

    /// HORCM_001: the log cannot be opened.
    #[must_use]
    pub fn log(reason: impl Into<String>) -> Self {
        let text = "The HORCM log file cannot be opened.";
        Self::horcm("HORCM_001", text, reason)
    }

    /// HORCM_003: the process cannot be set up.
    #[must_use]
    pub fn process(reason: impl Into<String>) -> Self {
        let text = "The HORCM daemon process cannot be created due to an error.";
        Self::horcm("HORCM_003", text, reason)
    }

    /// HORCM_005: no address to serve on.
    #[must_use]
    pub fn endpoint(reason: impl Into<String>) -> Self {
        let text = "The CCI software failed to create the end point for remote communication.";
        Self::horcm("HORCM_005", text, reason)
    }

    /// HORCM_007: the configuration says something that cannot be.
    #[must_use]
    pub fn setup(reason: impl Into<String>) -> Self {
        let text = "An error exists in the HORCM setup file.";
        Self::horcm("HORCM_007", text, reason)
    }

    /// HORCM_008: the configuration cannot be read.
    #[must_use]
    pub fn configuration(reason: impl Into<String>) -> Self {
        let text = "HORCM configuration file parameters could not be read.";
        Self::horcm("HORCM_008", text, reason)
    }

    /// HORCM_009: no storage system answers.
    #[must_use]
    pub fn connection(reason: impl Into<String>) -> Self {
        let text = "HORC/HOMRCF connection to the CCI software failed.";
        Self::horcm("HORCM_009", text, reason)
    }

    /// What the process exits with.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        self.exit
    }
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.reason.is_empty() {
            write!(f, "\nCAUSE : {}", self.reason)?;
        }
        Ok(())
    }
}

impl std::error::Error for StartFailure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_message_and_the_cause_follows() {
        let failure = StartFailure::endpoint("127.0.0.1:31000 is in use");
        assert_eq!(
            failure.to_string(),
            "[HORCM_005] The CCI software failed to create the end point for remote \
             communication.\nCAUSE : 127.0.0.1:31000 is in use"
        );
        assert_eq!(failure.exit_code(), 3);
    }

    #[test]
    fn a_running_instance_is_named_as_horcmstart_names_it() {
        let fifty = Instance::numbered(50).unwrap();
        let failure = StartFailure::already_running(fifty);
        assert_eq!(failure.to_string(), "HORCM inst 50 has already been running.");
        assert_eq!(failure.exit_code(), 1);
        assert_eq!(
            StartFailure::already_running(Instance::UNNUMBERED).to_string(),
            "HORCM has already been running."
        );
    }
}
