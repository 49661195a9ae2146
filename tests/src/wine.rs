//! A Windows of its own under Wine: a prefix with the programs that `cargo xtask windows build` made.
//!
//! Programs of one prefix find each other through its wineserver. Debian's Wine puts the sockets of
//! that into a directory which the first program makes below `TMPDIR`; its name, without the part of
//! `TMPDIR`, stands in the file `wineserver` of the prefix. So whoever comes with another `TMPDIR`
//! starts a second server over the same files, and neither sees nor ends what runs at the first.
//! Here every program has the same one, in the prefix itself.
//!
//! Wine needs its preloader (Debian's package `wine64-preloader`). Without it the kernel lays the heap
//! of one program in 6,000 over 0x7ffe0000, where Windows has its shared data; Wine then ends that
//! program with c0000018, and where it was one of those that make a prefix, the prefix stays empty:
//! `could not load kernel32.dll, status c0000135`.

use std::{
    env, fs, io,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use crate::run;

/// The programs of another folder than the one where the task puts them.
const FOLDER: &str = "LAB_WINDOWS_BIN";

/// How long a prefix may take to be made.
const BOOT: Duration = Duration::from_secs(300);

/// What Wine tells when it shall tell of errors.
const ERRORS: &str = "-all,err+all";

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
    ports: [Port; 2],
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
        fs::create_dir_all(&prefix).expect("a folder for the prefix");
        let wine = Self { prefix, ports: [Port::take(), Port::take()] };
        wine.boot();
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
        let own = self.ports.iter().map(|port| port.number.to_string());
        PORTS.iter().zip(own).fold(text.to_owned(), |text, (port, own)| text.replace(port, &own))
    }

    /// A program of Windows by its path or name, not yet run. It tells what it has to tell when it
    /// has ended.
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = self.environment("sh");
        command.args(["-c", RUN, "sh"]).arg(program.as_ref());
        command
    }

    /// The same to talk with: standard input and output are its own, and standard error has Wine's
    /// errors too.
    #[must_use]
    pub fn talking(&self, program: impl AsRef<Path>) -> Command {
        let mut command = self.environment("wine");
        command.arg(program.as_ref()).env("WINEDEBUG", ERRORS);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts Windows; the first time, makes it. It stays until it is told to end: Debian's Wine
    /// would end with the last program, and start all services again with the next.
    pub(crate) fn boot(&self) {
        let stays = self.server("-p").unwrap_or_else(|error| {
            panic!("wineserver: {error}; install wine, or run `cargo xtask test`, which does")
        });
        assert!(stays.success(), "wineserver: {stays}");
        // The first program waits for Wine's own `wineboot --init`; one that is asked for would be a
        // second, and start a second manager of services.
        let mut first = self.command("cmd");
        first.args(["/c", "exit"]).env("WINEDEBUG", ERRORS);
        let booted = run::run(first, "wine cmd /c exit".into(), b"", BOOT);
        // wineboot is content with a prefix that the programs it starts have left empty.
        let whole = self.drive_c().join("windows/system32/kernel32.dll").is_file();
        assert!(
            booted.code == Some(0) && whole,
            "Windows does not start: {booted}\nIs Wine's preloader there? `cargo xtask test` \
             installs it"
        );
    }

    /// Ends what runs in it, and waits until its server has written the last of its files: they
    /// would come back after the folder was removed.
    pub(crate) fn end(&self) {
        for order in ["-k", "-w"] {
            drop(self.server(order));
        }
    }

    fn server(&self, order: &str) -> io::Result<ExitStatus> {
        let mut server = self.environment("wineserver");
        server.arg(order).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        server.status()
    }

    fn environment(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("WINEPREFIX", &self.prefix).env("WINEDEBUG", "-all");
        command.env("TMPDIR", &self.prefix);
        // Neither .NET nor a browser is wanted, nor a window that asks for them.
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml=").env_remove("DISPLAY");
        command.current_dir(env::temp_dir());
        command
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        self.end();
    }
}

/// A UDP port below those that the system hands out by itself. Wine binds sockets of datagrams to
/// every address, so an address of a lab's own does not help, and the port cannot be held until
/// it is used. The TCP port of the same number, which nobody uses, is held instead.
#[derive(Debug)]
struct Port {
    number: u16,
    _mark: TcpListener,
}

impl Port {
    fn take() -> Self {
        let span = 20_000..30_000_u16;
        let from = std::process::id() % u32::from(span.end - span.start);
        let from = span.start + u16::try_from(from).expect("below the span");
        (from..span.end).chain(span.start..from).find_map(Self::at).expect("a free port")
    }

    fn at(number: u16) -> Option<Self> {
        let mark = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, number)).ok()?;
        Some(Self { number, _mark: mark })
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
