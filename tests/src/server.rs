//! What database servers of others have in common: a user of their own, a process, its end.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// The system user a server runs as. Servers refuse to run as root; for anybody else they run as
/// they are.
#[derive(Debug, Clone, Copy)]
pub struct User(&'static str);

impl User {
    /// The user that a server's package made.
    #[must_use]
    pub fn named(name: &'static str) -> Self {
        Self(name)
    }

    /// A command that runs as this user. It becomes the program: its process id is the program's.
    #[must_use]
    pub fn command(self, program: &Path) -> Command {
        if !rustix::process::geteuid().is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", self.0, "--regid", self.0, "--clear-groups", "--"]).arg(program);
        command
    }

    /// Makes a directory that is this user's, and lets it through those above it up to `/tmp`.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn own(self, folder: &Path) {
        fs::create_dir_all(folder).expect("a directory");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("its mode");
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let [uid, gid] = ["-u", "-g"].map(|option| {
            let id = Command::new("id").args([option, self.0]).output().expect("id");
            let text = String::from_utf8_lossy(&id.stdout);
            text.trim().parse::<u32>().unwrap_or_else(|_| panic!("user {} is missing", self.0))
        });
        chown(folder, Some(uid), Some(gid)).expect("its owner");
        for above in folder.ancestors().skip(1).take_while(|path| path.starts_with("/tmp/")) {
            let mode = fs::metadata(above).expect("a directory").permissions().mode();
            fs::set_permissions(above, fs::Permissions::from_mode(mode | 0o011)).expect("its mode");
        }
    }
}

/// A server's process; killed when it is dropped.
#[derive(Debug)]
pub struct Daemon(Child);

impl Daemon {
    /// Starts it; all it says goes to a file.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(mut command: Command, log: &Path) -> Self {
        let log = fs::File::options().create(true).append(true).open(log).expect("a log");
        let errors = log.try_clone().expect("its descriptor");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        Self(command.spawn().expect("the server starts"))
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether it runs.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn runs(&mut self) -> bool {
        self.0.try_wait().expect("its state").is_none()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, signal).expect("a process");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn wait(&mut self) {
        self.0.wait().expect("its end");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
