//! What people see: plain lines for logs, a caret on terminals, one report for a whole file.

use std::{fs, path::PathBuf};

use confparse::{LoadError, load, parse, report};
use model::{CciError, Code};

const TEXT: &str =
    "HORCM_MON\nNONE 1\nHORCM_CMD\n/dev/sdb\nHORCM_DEV\n\tsnap\tdev1 CL2-C 25 1 4711 # é\n";

/// A file in a directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str, bytes: &[u8]) -> Self {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{test}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("horcm.conf"), bytes).unwrap();
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.join("horcm.conf")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_plain_form_is_one_line_a_finding() {
    let parsed = parse(TEXT);
    assert_eq!(
        report(TEXT, "horcm50.conf", &parsed.diagnostics, false),
        "horcm50.conf:6:23: error: MU# is '4711'; expected a decimal MU# from 0 to 1023, or h0 to h3\n"
    );
}

#[test]
fn the_caret_form_shows_the_line_and_its_number() {
    let parsed = parse(TEXT);
    let shown = report(TEXT, "horcm50.conf", &parsed.diagnostics, true);
    for part in [
        "Error: MU# is '4711'",
        "horcm50.conf:6:23",
        "6 │",
        "CL2-C 25 1 4711 # é",
        "expected a decimal MU# from 0 to 1023, or h0 to h3",
    ] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    let line = shown.lines().find(|line| line.contains("4711 #")).unwrap();
    let caret = shown.lines().skip_while(|l| *l != line).nth(1).unwrap();
    let column = |text: &str, at: usize| text[..at].chars().count();
    let word = column(line, line.find("4711").unwrap());
    let mark = column(caret, caret.find('┬').or(caret.find('─')).unwrap());
    assert!((word..word + 4).contains(&mark), "{shown}");
}

#[test]
fn a_finding_at_the_end_of_an_empty_file_can_be_shown() {
    for text in ["", "\n", "\u{feff}", "HORCM_CMD\r\n"] {
        let parsed = parse(text);
        let shown = report(text, "h.conf", &parsed.diagnostics, true);
        assert!(shown.contains("HORCM_CMD"), "{shown}");
    }
}

#[test]
fn escapes_and_endless_lines_of_a_file_do_not_reach_the_terminal() {
    let text = format!("HORCM_CMD\n\u{1b}[2J\u{2028}x\n{}\n", "y".repeat(100_000));
    let parsed = parse(&text);
    for caret in [false, true] {
        let shown = report(&text, "a\u{1b}b", &parsed.diagnostics, caret);
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        assert!(shown.len() < 4_000, "{}", shown.len());
    }
}

#[test]
fn a_report_with_the_wrong_text_falls_back_to_plain_lines() {
    let parsed = parse(TEXT);
    let plain = report(TEXT, "h.conf", &parsed.diagnostics, false);
    assert_eq!(report("é", "h.conf", &parsed.diagnostics, true), plain);
}

#[test]
fn loading_tells_every_error_and_the_code() {
    let scratch = Scratch::new("every-error", b"HORCM_CMD\nsda\nsdb\n");
    let error = load(&scratch.file()).unwrap_err();
    let file = scratch.file().display().to_string();
    let text = error.report(false);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.lines().all(|line| line.starts_with(&file)), "{text}");
    assert!(error.report(true).contains("sdb"));
    assert_eq!(CciError::from(&error).code, Code::ExInvarg);
}

#[test]
fn loading_gives_warnings_with_the_configuration() {
    let scratch = Scratch::new("warnings", b"HORCM_CMD\r\n/dev/sda # \xff\r\n");
    let (config, warnings) = load(&scratch.file()).unwrap();
    assert_eq!(config.units.len(), 1);
    assert_eq!(warnings.report(false).lines().count(), 2, "{warnings}");
    assert!(warnings.report(true).contains("/dev/sda"));
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason() {
    let scratch = Scratch::new("unreadable", b"");
    let missing = scratch.0.join("none.conf");
    let error = load(&missing).unwrap_err();
    assert!(matches!(error, LoadError::Read { .. }), "{error}");
    assert!(error.to_string().contains("none.conf"), "{error}");
    assert_eq!(CciError::from(&error).code, Code::EwEnfile);
    let directory = load(&scratch.0).unwrap_err();
    assert_eq!(CciError::from(&directory).code, Code::ExEnodev);
}
