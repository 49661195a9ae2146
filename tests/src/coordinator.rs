//! A coordinator to `RMVSSPRV.dll` under Wine: `vss-harness.exe`.

use std::{
    fmt,
    io::{BufRead, BufReader, Read, Write as _},
    path::Path,
    process::{Child, ChildStdin},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use crate::{Lab, binaries, wine::Wine};

/// A line of the coordinator's may take so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often its end is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// A running coordinator. It ends with its standard input.
#[derive(Debug)]
pub struct Coordinator {
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Receiver<String>,
    errors: Receiver<String>,
    /// Standard error so far.
    said: Vec<String>,
    _own: Option<Wine>,
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
    /// Starts one in the Windows of a lab; beside daemons of Linux, in one of its own.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(lab: &Lab) -> Self {
        let own = lab.wine().is_none().then(|| Wine::set_up(lab.path("wine")));
        let wine = own.as_ref().or(lab.wine()).expect("one of both");
        let mut command = wine.talking(binaries::windows("vss-harness.exe"));
        for name in ["HORCMROOT", "HORCMINST", "HORCC_MRCF"] {
            command.env_remove(name);
        }
        let mut child = command.spawn().expect("wine starts; it made the prefix");
        let answers = lines(child.stdout.take().expect("piped"));
        let errors = lines(child.stderr.take().expect("piped"));
        let stdin = child.stdin.take();
        Self { child, stdin, answers, errors, said: Vec::new(), _own: own }
    }

    /// Makes a call and waits for its answer.
    ///
    /// # Panics
    /// When the call is none, the coordinator has died, or hangs; with all that it wrote to
    /// standard error.
    #[track_caller]
    pub fn say(&mut self, call: &str) -> Answer {
        let mut answer =
            Answer { call: call.to_owned(), lines: vec![], hresult: 0, events: vec![] };
        let stdin = self.stdin.as_mut().expect("it is open until the end");
        if let Err(error) = writeln!(stdin, "{call}") {
            self.give_up(&answer, &error.to_string());
        }
        loop {
            let line = self.next(|it| &it.answers, &answer);
            if let Some(hresult) = line.strip_prefix("= 0x") {
                answer.hresult = u32::from_str_radix(hresult, 16).expect("an HRESULT");
                break;
            }
            if line.starts_with("? ") {
                self.give_up(&answer, &line);
            }
            answer.lines.push(line);
        }
        loop {
            let line = self.next(|it| &it.errors, &answer);
            if line == "=" {
                return answer;
            }
            if let Some((_, text)) = line.split_once(":err:eventlog:ReportEventW L\"") {
                answer.events.push(text.to_owned());
            }
            self.said.push(line);
        }
    }

    /// Its next line. Its end is seen by itself, for what Wine has started for it may keep its
    /// pipes.
    #[track_caller]
    fn next(&mut self, from: fn(&Self) -> &Receiver<String>, so_far: &Answer) -> String {
        let begun = Instant::now();
        loop {
            match from(self).recv_timeout(LOOK) {
                Ok(line) => return line,
                Err(_) if begun.elapsed() > PATIENCE => self.give_up(so_far, "it hangs"),
                Err(RecvTimeoutError::Timeout) if self.runs() => {}
                Err(_) => self.give_up(so_far, "it has died"),
            }
        }
    }

    fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Says why, how it ended, and all that it wrote to standard error.
    #[track_caller]
    fn give_up(&mut self, so_far: &Answer, why: &str) -> ! {
        let status = (0..10).find_map(|_| {
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_none() {
                thread::sleep(LOOK);
            }
            ended
        });
        let status = status.map_or("it runs".to_owned(), |status| status.to_string());
        let mut said = std::mem::take(&mut self.said);
        while let Ok(line) = self.errors.recv_timeout(LOOK) {
            said.push(line);
        }
        panic!("{so_far}: {why} ({status}); standard error:\n{}", said.join("\n"));
    }
}

impl Drop for Coordinator {
    /// Ends it; what Wine has started for it ends with its Windows.
    fn drop(&mut self) {
        drop(self.stdin.take());
        let ended = (0..50).any(|_| {
            let runs = self.runs();
            if runs {
                thread::sleep(LOOK);
            }
            !runs
        });
        if !ended {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
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
