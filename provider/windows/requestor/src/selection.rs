//! Which components are backed up.
//!
//! Writers hang components below others (`\` apart). What stands at the top, or below nothing that
//! can be chosen, is named to VSS; what hangs below a component goes with it, files and all.

use std::collections::BTreeSet;

use messages::{
    failure::{Checked, Failure},
    message,
};

use crate::vss::{Component, ComponentId, EXCHANGE, Writer};

/// A component that is named to VSS, with what hangs below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its name.
    pub id: ComponentId,
    /// What people call it.
    pub caption: Option<String>,
    /// The directories of its files.
    pub directories: BTreeSet<String>,
    /// Whether it may be left out.
    optional: bool,
}

impl Choice {
    /// Whether a person means it by this name, in capitals or not.
    fn is_called(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let caption = self.caption.as_deref().unwrap_or_default();
        [caption, &self.id.name, &self.id.full()].iter().any(|own| own.to_lowercase() == name)
    }

    /// How people know it.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.caption.as_deref().filter(|it| !it.is_empty()).unwrap_or(&self.id.name)
    }
}

/// What is backed up and what is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Goes into the backup; at least one.
    pub taken: Vec<Choice>,
    /// Does not.
    pub left: Vec<Choice>,
}

/// Takes what was named; all of it when nothing was. What cannot be left out comes along.
///
/// # Errors
/// KAVX1608-E when Exchange's writer does not run. KAVX0100-E when it has nothing, or not what was
/// named.
pub fn select(writers: &[Writer], named: &[String]) -> Checked<Selection> {
    let exchange: Vec<&Writer> = writers.iter().filter(|it| it.class == EXCHANGE).collect();
    if exchange.is_empty() {
        return Err(Failure::new(message::NOT_MOUNTED_STORES)
            .object("Microsoft Exchange Writer")
            .cause("VSS knows no such writer: the Exchange Information Store service does not run")
            .action("start the service; vssadmin list writers then shows the writer")
            .into());
    }
    let offered: Vec<Choice> = exchange.iter().flat_map(|it| offered(it)).collect();
    for name in named {
        let meant = offered.iter().filter(|it| it.optional && it.is_called(name)).count();
        if meant != 1 {
            return Err(not_one(name, meant, &offered));
        }
    }
    let taken = |it: &Choice| {
        !it.optional || named.is_empty() || named.iter().any(|name| it.is_called(name))
    };
    let (taken, left): (Vec<_>, Vec<_>) = offered.into_iter().partition(taken);
    if taken.iter().all(|it| it.directories.is_empty()) {
        return Err(Failure::new(message::TARGET)
            .object("Microsoft Exchange Writer")
            .state(format!("{} components", taken.len()))
            .cause("none of them has a file")
            .action("vssadmin list writers shows whether the writer is well")
            .into());
    }
    Ok(Selection { taken, left })
}

fn offered(writer: &Writer) -> Vec<Choice> {
    let all = &writer.components;
    let tops =
        all.iter().filter(|it| !all.iter().any(|above| above.selectable && below(it, above)));
    let choice = |top: &Component| Choice {
        id: top.id.clone(),
        caption: top.caption.clone(),
        directories: all
            .iter()
            .filter(|it| it.id == top.id || (top.selectable && below(it, top)))
            .flat_map(|it| it.directories.iter().cloned())
            .collect(),
        optional: top.selectable,
    };
    tops.map(choice).collect()
}

/// Whether a component hangs below another, on any level.
fn below(component: &Component, above: &Component) -> bool {
    let path = component.id.path.as_deref().unwrap_or_default().to_lowercase();
    let above = above.id.full().to_lowercase();
    path.strip_prefix(&above).is_some_and(|rest| rest.is_empty() || rest.starts_with('\\'))
}

fn not_one(name: &str, meant: usize, offered: &[Choice]) -> Box<Failure> {
    let names: Vec<&str> = offered.iter().filter(|it| it.optional).map(Choice::shown).collect();
    let failure = Failure::new(message::TARGET).object(name).action(format!(
        "name what the writer has, by caption, name or path: {}",
        if names.is_empty() { "nothing at present".to_owned() } else { names.join(", ") }
    ));
    Box::new(match meant {
        0 => failure.cause("Exchange's writer has no such storage group or database"),
        _ => failure.cause(format!("{meant} components have this name")),
    })
}
