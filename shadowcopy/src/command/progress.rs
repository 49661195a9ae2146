//! How far a long copy is: a bar for a person, a line now and then for a log.

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    console::Console,
    failure::{Outcome, Stop},
    message,
};

/// A line is told every so many per cent.
const STEP: u64 = 10;

/// The progress of a copy of so many bytes.
#[derive(Debug)]
pub struct Progress {
    total: u64,
    bar: Option<ProgressBar>,
    told: u64,
    failed: Option<Stop>,
}

impl Progress {
    /// Nothing is done yet.
    #[must_use]
    pub fn new(console: &Console<'_>, total: u64) -> Self {
        let bar = console.terminal.then(|| {
            let bar = ProgressBar::new(total);
            let look = "{bar:40} {percent} % {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
            bar.set_style(
                ProgressStyle::with_template(look).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar
        });
        Self { total, bar, told: 0, failed: None }
    }

    /// So many bytes are done.
    pub fn at(&mut self, console: &mut Console<'_>, done: u64) {
        if let Some(bar) = &self.bar {
            return bar.set_position(done);
        }
        let percent = done.saturating_mul(100).checked_div(self.total).unwrap_or(100);
        if percent >= self.told + STEP {
            self.told = percent - percent % STEP;
            let told = console.say(message::PROGRESS, &[&self.told, &(self.total >> 20)]);
            self.failed = self.failed.take().or(told.err());
        }
    }

    /// The copy has ended.
    ///
    /// # Errors
    /// Standard output did not take a line.
    pub fn end(self) -> Outcome {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        self.failed.map_or(Ok(()), Err)
    }
}
