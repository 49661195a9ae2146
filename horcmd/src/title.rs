//! The process title: what `ps` shows and scripts look for (`cci` 8).

use std::{env, fs};

use model::Instance;

use crate::platform::start_again_as;

/// Makes the process carry the title of its instance. The command line is what `ps` prints, and
/// only `exec` can set it, so a daemon started under another name starts itself once more; its
/// process id stays. The short name of `ps -o comm` follows. On Windows there are no such titles.
///
/// Returns only when the title stands, or cannot be set: then the daemon runs without it.
pub fn set(instance: Instance) {
    let title = instance.process_title();
    let shown = env::args_os().next();
    if shown.is_none_or(|name| name != title.as_str()) && env::var_os(RENAMED).is_none() {
        start_again_as(&title, RENAMED);
    }
    // Absent outside Linux, where the command line has to do.
    let _ = fs::write("/proc/self/comm", &title);
}

/// Set for the second start, so that a system that refuses the name cannot make a loop.
const RENAMED: &str = "HORCMD_RENAMED";
