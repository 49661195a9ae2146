//! A Windows of its own under Wine: a prefix with the programs that `cargo xtask windows build` made.

use std::{
    env, fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The programs of another folder than the one where the task puts them.
const FOLDER: &str = "LAB_WINDOWS_BIN";

/// Runs a program with files for its output: what it starts, Wine's own services and a daemon among
/// it, keeps what it was given, and whoever reads a pipe to its end would wait for all of them.
const RUN: &str = r#"out=$(mktemp) && err=$(mktemp) || exit 125
wine "$@" >"$out" 2>"$err"
code=$?
cat "$out"
cat "$err" >&2
rm -f "$out" "$err"
exit $code"#;

/// A prefix. Whatever runs in it ends with it.
#[derive(Debug)]
pub struct Wine {
    prefix: PathBuf,
    /// UDP ports of this prefix' own, in place of those of the samples.
    ports: [u16; 2],
}

/// The ports of instances 50 and 51 in the samples.
const PORTS: [&str; 2] = ["52050", "52051"];

impl Wine {
    /// Makes the prefix and puts the programs into `C:\HORCM\etc`, where CCI has them.
    ///
    /// # Panics
    /// When Wine or the programs are missing: a test that ran without them would prove nothing.
    #[must_use]
    pub fn set_up(prefix: PathBuf) -> Self {
        let sockets = PORTS.map(|_| UdpSocket::bind("0.0.0.0:0").expect("a free port"));
        let ports = sockets.map(|socket| socket.local_addr().expect("an address").port());
        let wine = Self { prefix, ports };
        let mut boot = wine.environment(Command::new("wineboot"));
        boot.arg("-i").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let made = boot.status().unwrap_or_else(|error| {
            panic!("wineboot: {error}; install wine, or run `cargo xtask test`, which does")
        });
        assert!(made.success() && wine.drive_c().join("windows").is_dir(), "wineboot: {made}");
        let etc = wine.etc();
        fs::create_dir_all(&etc).expect("C:\\HORCM\\etc");
        for program in ["horcm.exe", "horcmd.exe"] {
            let built = folder().join(program);
            fs::copy(&built, etc.join(program)).unwrap_or_else(|error| {
                panic!("{}: {error}; run `cargo xtask windows build` first", built.display())
            });
        }
        wine
    }

    /// `C:\`.
    #[must_use]
    pub fn drive_c(&self) -> PathBuf {
        self.prefix.join("drive_c")
    }

    /// `C:\HORCM\etc`, the folder of the commands.
    #[must_use]
    pub fn etc(&self) -> PathBuf {
        self.drive_c().join("HORCM/etc")
    }

    /// A configuration of the samples with the ports of this prefix.
    #[must_use]
    pub fn with_own_ports(&self, text: &str) -> String {
        let own = self.ports.map(|port| port.to_string());
        PORTS.iter().zip(own).fold(text.to_owned(), |text, (port, own)| text.replace(port, &own))
    }

    /// A program of Windows by its path or name, not yet run.
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = self.environment(Command::new("sh"));
        command.args(["-c", RUN, "sh"]).arg(program.as_ref()).env("TMPDIR", &self.prefix);
        command
    }

    fn environment(&self, mut command: Command) -> Command {
        command.env("WINEPREFIX", &self.prefix).env("WINEDEBUG", "-all");
        // Neither .NET nor a browser is wanted, nor a window that asks for them.
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml=").env_remove("DISPLAY");
        command.current_dir(env::temp_dir());
        command
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        let mut end = self.environment(Command::new("wineserver"));
        drop(
            end.arg("-k").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status(),
        );
    }
}

/// Where the task puts the programs for tests.
fn folder() -> PathBuf {
    let target = || {
        let set = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        set.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"))
    };
    env::var_os(FOLDER).map_or_else(|| target().join("windows/test"), PathBuf::from)
}
