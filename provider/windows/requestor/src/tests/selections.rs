//! Which components and volumes a backup takes.

use messages::{
    failure::{Checked, Failure},
    message,
};
use provider::guid::Guid;

use super::fake::{Fake, Script, component, exchange};
use crate::{
    backup::{Wish, back_up},
    selection::select,
    vss::{BackupType, Writer},
};

fn with(components: Vec<crate::vss::Component>) -> Vec<Writer> {
    vec![Writer { components, ..exchange() }]
}

fn names(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn taken(writers: &[Writer], named: &[&str]) -> Vec<String> {
    let selection = select(writers, &names(named)).unwrap();
    selection.taken.into_iter().map(|choice| choice.id.name).collect()
}

fn refusal(writers: &[Writer], named: &[&str]) -> Failure {
    *select(writers, &names(named)).unwrap_err()
}

/// The components and volumes that VSS is told of.
fn told(writers: Vec<Writer>, named: &[&str]) -> Checked<Vec<String>> {
    let mut vss = Fake::new(Script { writers: Some(writers), ..Script::default() });
    let calls = vss.calls.clone();
    let wish = Wish { named: names(named), backup: BackupType::Copy };
    back_up(&mut vss, &wish, |_| Ok(()))?;
    let of = |call: String| call.strip_prefix("Add").map(str::to_owned);
    Ok(calls.take().into_iter().filter_map(of).collect())
}

#[test]
fn a_database_is_meant_by_its_caption_name_or_path_in_capitals_or_not() {
    let writers = [exchange()];
    let path = r"microsoft exchange server\microsoft information store\ex1\b";
    for name in ["B", "b", "database b", path] {
        assert_eq!(taken(&writers, &[name]), ["B"], "{name}");
    }
    assert_eq!(taken(&writers, &["b", "A"]), ["A", "B"]);
    assert_eq!(taken(&writers, &[]), ["A", "B"]);
}

#[test]
fn a_component_takes_along_what_hangs_below_it_on_any_level() {
    let deep = component(r"\A\Logs", "Archive", false, &[r"G:\A"]);
    let neighbour = component(r"\AB", "File", true, &[r"H:\AB"]);
    let mut writer = exchange();
    writer.components.extend([deep, neighbour]);
    let volumes = told(vec![writer], &["A"]).unwrap();
    assert_eq!(
        volumes,
        ["Component A", "ToSnapshotSet D:", "ToSnapshotSet E:", "ToSnapshotSet G:"],
        "AB only begins like A"
    );
}

#[test]
fn what_cannot_be_left_out_comes_along() {
    let mut writer = exchange();
    writer.components.push(component("", "Settings", false, &[r"C:\settings"]));
    assert_eq!(taken(&[writer], &["A"]), ["A", "Settings"]);
}

#[test]
fn names_that_mean_nothing_or_two_things_are_refused_with_what_there_is() {
    for name in ["C", "Logs", ""] {
        let failure = refusal(&[exchange()], &[name]);
        assert_eq!(failure.message, message::TARGET);
        assert!(failure.action.unwrap().ends_with("Database A, Database B"));
    }
    let failure = refusal(&[exchange(), exchange()], &["A"]);
    assert_eq!(failure.cause.unwrap(), "2 components have this name");
}

#[test]
fn without_exchanges_writer_or_without_files_there_is_nothing_to_back_up() {
    assert_eq!(refusal(&[], &[]).message, message::NOT_MOUNTED_STORES);
    let other = Writer { class: Guid(1), ..exchange() };
    assert_eq!(refusal(&[other], &[]).message, message::NOT_MOUNTED_STORES);
    assert_eq!(refusal(&with(Vec::new()), &[]).message, message::TARGET);
    assert_eq!(refusal(&with(vec![component("", "A", true, &[])]), &[]).message, message::TARGET);
}

#[test]
fn a_volume_is_not_shared_with_what_is_left_out() {
    let mut writer = exchange();
    writer.components.push(component("", "C", true, &[r"E:\C"]));
    let writers = vec![writer];
    let failure = told(writers.clone(), &["A"]).unwrap_err();
    assert_eq!(failure.message, message::TARGET);
    assert_eq!(failure.object.as_deref(), Some("E:"));
    assert!(failure.action.unwrap().starts_with("name Database C too"));
    assert_eq!(told(writers.clone(), &["B"]).unwrap(), ["Component B", "ToSnapshotSet F:"]);
    assert_eq!(told(writers, &["A", "C"]).unwrap().len(), 4);
}
