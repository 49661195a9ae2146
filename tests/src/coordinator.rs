//! A coordinator to `RMVSSPRV.dll` under Wine: `vss-harness.exe`.

use std::{
    fmt,
    io::{BufRead, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use crate::{Lab, binaries};

/// A line of the coordinator's may take so long; a Wine prefix is made first.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running coordinator. It ends with its standard input.
#[derive(Debug)]
pub struct Coordinator {
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Receiver<String>,
    events: Receiver<String>,
    prefix: PathBuf,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The call.
    pub call: String,
    /// What it printed.
    pub lines: Vec<String>,
    /// What it returned.
    pub hresult: u32,
    /// The events it wrote, as Wine shows them: `[EV_INVSEQ] Invalid sequence\r\nOBJECT ...`, cut
    /// at about 300 characters.
    pub events: Vec<String>,
}

impl Answer {
    /// Asserts S_OK without an event, and gives what was printed.
    ///
    /// # Panics
    /// When it was something else.
    #[track_caller]
    pub fn ok(&self) -> &[String] {
        assert_eq!((self.hresult, self.events.len()), (0, 0), "{self}");
        &self.lines
    }

    /// Asserts an HRESULT with one event, and gives its text.
    ///
    /// # Panics
    /// When it was something else.
    #[track_caller]
    pub fn fails(&self, hresult: u32, event: &str) -> &str {
        assert_eq!((self.hresult, self.events.len()), (hresult, 1), "{self}");
        assert!(self.events[0].starts_with(&format!("[{event}] ")), "{self}");
        &self.events[0]
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, lines, hresult, events } = self;
        write!(f, "{call}: {lines:?} {hresult:#010x} {events:?}")
    }
}

impl Coordinator {
    /// Starts one with a Wine prefix of its own in the lab's directory, made by the first.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(lab: &Lab) -> Self {
        let prefix = lab.path("wine");
        let mut command = Command::new("wine");
        command.arg(binaries::windows("vss-harness.exe")).envs([
            ("WINEPREFIX", prefix.as_os_str()),
            ("WINEDEBUG", "-all,err+eventlog".as_ref()),
            // Nobody asks for .NET or HTML here.
            ("WINEDLLOVERRIDES", "mscoree,mshtml=".as_ref()),
        ]);
        for name in ["DISPLAY", "HORCMROOT", "HORCMINST", "HORCC_MRCF"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("wine starts; it is Debian's package wine");
        let answers = lines(child.stdout.take().expect("piped"));
        let events = lines(child.stderr.take().expect("piped"));
        let stdin = child.stdin.take();
        Self { child, stdin, answers, events, prefix }
    }

    /// Makes a call and waits for its answer.
    ///
    /// # Panics
    /// When the call is none, the coordinator has died, or hangs.
    #[track_caller]
    pub fn say(&mut self, call: &str) -> Answer {
        let stdin = self.stdin.as_mut().expect("it is open until the end");
        writeln!(stdin, "{call}").expect("the coordinator listens");
        let mut answer =
            Answer { call: call.to_owned(), lines: vec![], hresult: 0, events: vec![] };
        loop {
            let line = self.answers.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("{call}: {error}: {answer}"));
            assert!(!line.starts_with("? "), "{line}");
            if let Some(hresult) = line.strip_prefix("= 0x") {
                answer.hresult = u32::from_str_radix(hresult, 16).expect("an HRESULT");
                break;
            }
            answer.lines.push(line);
        }
        loop {
            let line = self.events.recv_timeout(PATIENCE).expect("the end of the events");
            if line == "=" {
                return answer;
            }
            if let Some((_, text)) = line.split_once(":err:eventlog:ReportEventW L\"") {
                answer.events.push(text.to_owned());
            }
        }
    }
}

impl Drop for Coordinator {
    /// Ends it and what Wine has started for its prefix.
    fn drop(&mut self) {
        drop(self.stdin.take());
        let ended = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(50));
            matches!(self.child.try_wait(), Ok(Some(_)))
        });
        if !ended {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        for order in ["-k", "-w"] {
            let mut server = Command::new("wineserver");
            let _ = server.arg(order).env("WINEPREFIX", &self.prefix).status();
        }
    }
}

/// A path as Windows programs under Wine see it.
#[must_use]
pub fn seen_by_windows(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let lines = BufReader::new(from).split(b'\n').map_while(Result::ok);
        for line in lines {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if send.send(line).is_err() {
                break;
            }
        }
    });
    receive
}
