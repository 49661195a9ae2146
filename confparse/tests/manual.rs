//! What `docs/horcm.conf.md` shows is what the program does.

use confparse::{parse, report};

const MANUAL: &str = include_str!("../../docs/horcm.conf.md");

/// The quoted blocks of the manual.
fn blocks() -> impl Iterator<Item = &'static str> {
    MANUAL.split("```\n").skip(1).step_by(2)
}

#[test]
fn the_samples_of_the_manual_are_a_configuration() {
    let samples: String = blocks().filter(|block| block.starts_with("HORCM_")).collect();
    let parsed = parse(&samples);
    let config = parsed.config.unwrap_or_else(|| panic!("{:?}", parsed.diagnostics));
    assert_eq!((config.units.len(), config.units[0].devices.len()), (2, 2));
    assert_eq!((config.volumes.len(), config.ldev_groups.len()), (2, 1));
    assert_eq!((config.remotes.len(), config.allowed.len()), (2, 1));
}

#[test]
fn the_mistake_in_the_manual_is_shown_as_it_says() {
    let text = "HORCM_MON\nNONE 1\nHORCM_CMD\n/dev/sdb\nHORCM_DEV\nsnap    dev1 CL2-C 25 1 4711\n";
    let parsed = parse(text);
    for caret in [false, true] {
        let shown = report(text, "horcm50.conf", &parsed.diagnostics, caret);
        assert!(blocks().any(|block| block == shown), "not in the manual:\n{shown}");
    }
}
