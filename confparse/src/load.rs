//! Reading a file: bounded, and whatever bytes are in it.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use model::{CciError, Code};

use crate::{
    config::Config,
    diagnostic::Diagnostic,
    parser::{self, MAX_SIZE},
    report::report,
};

/// What was found in one file, with all that is needed to show it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults {
    /// The file's name as it is shown.
    pub file: String,
    /// The text, as the spans count it; empty when nothing was found.
    pub text: String,
    /// Errors and warnings in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there were.
    pub omitted: usize,
}

impl Faults {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// All of them for people, each with its line and a caret if wanted; empty when there is
    /// nothing to tell.
    #[must_use]
    pub fn report(&self, caret: bool) -> String {
        let mut text = report(&self.text, &self.file, &self.diagnostics, caret);
        if self.omitted > 0 {
            text.push_str(&format!("{}: and {} more\n", self.file, self.omitted));
        }
        text
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.report(false).trim_end())
    }
}

/// Why a file gave no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is larger than [`MAX_SIZE`].
    #[error("{}: larger than {MAX_SIZE} bytes, which no configuration is", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It says something wrong.
    #[error("{0}")]
    Invalid(Faults),
}

impl LoadError {
    /// The error for people; with a caret below each bad line if wanted. Ends in a line end.
    #[must_use]
    pub fn report(&self, caret: bool) -> String {
        match self {
            Self::Invalid(faults) => faults.report(caret),
            other => format!("{other}\n"),
        }
    }
}

impl From<&LoadError> for CciError {
    /// Only a file that is not there is EW_ENFILE; what cannot be read is EX_EACCES or
    /// EX_ENODEV, what is too large EX_ERANGE, what is wrong EX_INVARG.
    fn from(error: &LoadError) -> Self {
        match error {
            LoadError::Read { path, source } => {
                let (code, advice) = match source.kind() {
                    io::ErrorKind::NotFound => {
                        (Code::EwEnfile, "create the file, or name another one in HORCM_CONF")
                    }
                    io::ErrorKind::PermissionDenied => {
                        (Code::ExEacces, "let this user read the file")
                    }
                    _ => (Code::ExEnodev, "check the file and the disk it is on"),
                };
                Self::new(code)
                    .object(path.display().to_string())
                    .cause(source.to_string())
                    .advice(advice)
            }
            LoadError::TooLarge { path } => Self::new(Code::ExErange)
                .object(path.display().to_string())
                .cause(format!("the file is larger than {MAX_SIZE} bytes"))
                .advice("check that it is a configuration file"),
            LoadError::Invalid(faults) => Self::new(Code::ExInvarg)
                .object(faults.file.clone())
                .cause(faults.to_string())
                .advice("correct the lines named and start again"),
        }
    }
}

/// Reads a configuration file. Warnings come with the configuration.
///
/// # Errors
/// The file cannot be read, is larger than [`MAX_SIZE`], or has errors; then all of them are
/// told at once.
pub fn load(path: &Path) -> Result<(Config, Faults), LoadError> {
    let (text, lossy) = read(path)?;
    let parsed = parser::run(&text, lossy);
    let mut faults = Faults {
        file: path.display().to_string(),
        text: String::new(),
        diagnostics: parsed.diagnostics,
        omitted: parsed.omitted,
    };
    if !faults.is_empty() {
        faults.text = text;
    }
    match parsed.config {
        Some(config) => Ok((config, faults)),
        None => Err(LoadError::Invalid(faults)),
    }
}

/// The text of a file, and whether bytes in it were not UTF-8.
pub(crate) fn read(path: &Path) -> Result<(String, bool), LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    // Opening a pipe that nobody writes to would wait for ever, and so would the start.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
        return Err(failed(source));
    }
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let size = usize::try_from(size).unwrap_or(usize::MAX).min(MAX_SIZE);
    let mut bytes = Vec::with_capacity(size.saturating_add(1));
    let limit = u64::try_from(MAX_SIZE).unwrap_or(u64::MAX);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_SIZE {
        return Err(LoadError::TooLarge { path: path.to_owned() });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok((text, false)),
        Err(error) => {
            // Replacing grows a byte to three, so the text may pass the limit again; the parser
            // then says so.
            Ok((String::from_utf8_lossy(error.as_bytes()).into_owned(), true))
        }
    }
}
