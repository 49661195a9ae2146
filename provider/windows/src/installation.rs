//! Where RAID Manager is: `\HORCM` on one of the drives C: to Z:, or `%HORCMROOT%`.

use std::{env, path::PathBuf};

use provider::host::Installation;

/// What a backup needs at hand, beside the daemons. The manual has the commands in `etc`.
const COMMANDS: [&str; 5] =
    ["horcmstart.exe", "paircreate.exe", "pairdisplay.exe", "pairresync.exe", "pairsplit.exe"];

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// RAID Manager's directory, or where it should be.
    pub root: PathBuf,
    /// Whether all of it is there.
    pub state: Installation,
}

/// Looks for it.
pub fn find() -> Found {
    let named = env::var_os("HORCMROOT").filter(|root| !root.is_empty()).map(PathBuf::from);
    let (roots, where_it_should_be) = match named {
        Some(root) => (vec![root.clone()], root),
        None => {
            let roots = ('C'..='Z').map(|drive| PathBuf::from(format!("{drive}:\\HORCM")));
            (roots.collect(), PathBuf::from("C:\\HORCM"))
        }
    };
    let Some(root) = roots.into_iter().find(|root| root.join("etc").is_dir()) else {
        let missing = where_it_should_be.join("etc").display().to_string();
        return Found { root: where_it_should_be, state: Installation::Missing(missing) };
    };
    let lacking = COMMANDS.iter().map(|name| root.join("etc").join(name)).find(|it| !it.is_file());
    let state =
        lacking.map_or(Installation::Whole, |it| Installation::Without(it.display().to_string()));
    Found { root, state }
}
