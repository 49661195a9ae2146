//! The daemon's log: lines through a bounded queue to a thread of their own.
//!
//! The daemon never waits for its log: while a P-VOL is frozen the log may be on it. When the
//! queue is full, lines are dropped and counted, and the count is logged once there is room.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, SystemTime},
};

use log::{Level, Log, Metadata, Record};

use crate::{stamp::Stamp, trace::TraceSettings};

/// How many lines may wait for the disk.
const QUEUE: usize = 4096;
/// The longest line, in bytes; what is beyond is cut.
const MAX_LINE: usize = 4096;

enum Message {
    Line(String),
    Flush(SyncSender<()>),
}

/// The writing end. Install it with [`Journal::install`].
#[derive(Debug, Clone)]
pub struct Journal {
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

impl Journal {
    /// Opens `file` for appending and starts the writing thread.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread not started.
    pub fn open(file: PathBuf, settings: Arc<TraceSettings>) -> io::Result<Self> {
        let target = Target::open(file, settings)?;
        let (queue, lines) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = dropped.clone();
        thread::Builder::new()
            .name("log".into())
            .stack_size(128 * 1024)
            .spawn(move || write_lines(&lines, target, &counter))?;
        Ok(Self { queue, dropped })
    }

    /// Makes this the log of the process. A second call changes nothing.
    pub fn install(&self, settings: &TraceSettings) {
        if log::set_boxed_logger(Box::new(self.clone())).is_ok() {
            log::set_max_level(settings.filter());
        }
    }

    /// Waits until everything logged so far is written, at most `patience`: the disk may be
    /// frozen, and the end of the daemon must not hang on it.
    pub fn flush_within(&self, patience: Duration) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            // Either it is written now or it is not; there is nothing to do about the latter.
            let _ = written.recv_timeout(patience);
        }
    }

    fn push(&self, line: String) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Message::Line(line)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Log for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.push(line(record.level(), &record.args().to_string()));
        }
    }

    fn flush(&self) {
        self.flush_within(Duration::from_secs(1));
    }
}

/// `2026-11-21T00:34:26.120Z 4711 WARN  text`, on one line whatever the text holds.
fn line(level: Level, text: &str) -> String {
    let mut end = text.len().min(MAX_LINE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text[..end].replace('\n', " | ");
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    let pid = std::process::id();
    format!("{} {pid} {level:5} {plain}\n", Stamp(SystemTime::now()))
}

/// The thread: writes until the daemon is gone. A failing disk loses lines, never the daemon.
fn write_lines(lines: &Receiver<Message>, mut target: Target, dropped: &AtomicU64) {
    while let Ok(message) = lines.recv() {
        match message {
            Message::Line(text) => target.write(&text),
            Message::Flush(done) => {
                target.flush();
                // Nobody waits any more: as good as done.
                let _ = done.try_send(());
            }
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text = format!("{lost} log lines were dropped: the log's disk was too slow");
            target.write(&line(Level::Warn, &text));
        }
    }
}

/// The file, rotated to `.old` when it has the size of the settings.
struct Target {
    path: PathBuf,
    file: BufWriter<File>,
    size: u64,
    settings: Arc<TraceSettings>,
}

impl Target {
    fn open(path: PathBuf, settings: Arc<TraceSettings>) -> io::Result<Self> {
        let (file, size) = append(&path)?;
        Ok(Self { path, file, size, settings })
    }

    fn write(&mut self, text: &str) {
        let (_, buffered, size_kb) = self.settings.get();
        if self.size >= u64::from(size_kb) * 1024 {
            self.rotate();
        }
        if self.file.write_all(text.as_bytes()).is_ok() {
            self.size += text.len() as u64;
        }
        if !buffered {
            self.flush();
        }
    }

    fn flush(&mut self) {
        // A full disk: the lines are lost, and there is no better place to say so.
        let _ = self.file.flush();
    }

    fn rotate(&mut self) {
        self.flush();
        let mut old = self.path.clone().into_os_string();
        old.push(".old");
        let renamed = fs::rename(&self.path, &old).and_then(|()| append(&self.path));
        match renamed {
            Ok((file, size)) => (self.file, self.size) = (file, size),
            // The old file goes on; try again when it has grown as much once more.
            Err(_) => self.size = 0,
        }
    }
}

fn append(path: &Path) -> io::Result<(BufWriter<File>, u64)> {
    let file = File::options().create(true).append(true).open(path)?;
    let size = file.metadata()?.len();
    Ok((BufWriter::new(file), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(dir: &Path, size_kb: u32) -> Journal {
        let settings = TraceSettings::default();
        settings.set(None, None, Some(size_kb));
        Journal::open(dir.join("horcm.log"), Arc::new(settings)).unwrap()
    }

    #[test]
    fn lines_reach_the_file_in_order_and_on_one_line_each() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(dir.path(), 1024);
        journal.push(line(Level::Info, "one\ntwo\x1b[31m"));
        journal.push(line(Level::Warn, "three"));
        journal.flush_within(Duration::from_secs(10));
        let text = fs::read_to_string(dir.path().join("horcm.log")).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with("INFO  one | two[31m"), "{}", lines[0]);
        assert!(lines[1].ends_with("WARN  three"), "{}", lines[1]);
    }

    #[test]
    fn the_file_is_bounded_by_one_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let journal = journal(dir.path(), 4);
        for n in 0..1000 {
            journal.push(line(Level::Info, &format!("line {n} {}", "x".repeat(100))));
        }
        journal.flush_within(Duration::from_secs(10));
        let size = |name: &str| fs::metadata(dir.path().join(name)).unwrap().len();
        assert!(size("horcm.log") <= 8 * 1024);
        assert!(size("horcm.log.old") <= 8 * 1024);
    }

    #[test]
    fn a_frozen_disk_drops_lines_and_never_the_caller() {
        // A queue nobody reads stands for a disk that does not answer.
        let (queue, _lines) = sync_channel(2);
        let dropped = Arc::new(AtomicU64::new(0));
        let journal = Journal { queue, dropped };
        for _ in 0..5 {
            journal.push("line\n".into());
        }
        assert_eq!(journal.dropped.load(Ordering::Relaxed), 3);
        journal.flush_within(Duration::from_secs(3600));
    }
}
