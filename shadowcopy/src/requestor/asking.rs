//! The writers of the configuration, as they are now.

use std::time::Duration;

use crate::{
    worker::{Silence, Station, Worker},
    writer::{Fault, FaultKind, Metadata, Writer},
    writers::{Config, config::writers::Named, deadline::Deadline},
};

/// How long they have to say what they are, all at once.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What a writer's thread may need, TLS and all.
const STACK: usize = 2 * 1024 * 1024;

/// A writer, and what it says.
#[derive(Debug, PartialEq, Eq)]
pub struct Live {
    /// As the configuration knows it; a program has its own name once it answers.
    pub name: String,
    /// What it says of itself, or why it cannot take part in a backup.
    pub said: Result<Metadata, Fault>,
}

/// A writer on its thread.
struct Seat(Box<dyn Writer>);

impl Station for Seat {
    type Call = Duration;
    type Answer = Result<Metadata, Fault>;

    fn call(&mut self, within: Duration) -> Self::Answer {
        self.0.describe(within)
    }
}

/// Asks every writer of a configuration what it is, at once; nothing is begun. One that does not
/// answer in time is left behind.
#[must_use]
pub fn all(config: &Config, within: Duration) -> Vec<Live> {
    ask(config.named(), within)
}

fn ask(writers: Vec<Named>, within: Duration) -> Vec<Live> {
    let deadline = Deadline::of(within);
    let seated = |writer| {
        let worker = Worker::new("writer", STACK, Seat(writer));
        worker.map_err(|error| Fault::new(FaultKind::Retryable, error.to_string()))
    };
    let mut asked = Vec::new();
    for (name, writer) in writers {
        let worker = writer.and_then(seated);
        if let Ok(worker) = &worker {
            // What it says of its own limit is better than what can be said of its silence.
            worker.ask(within - within / 8);
        }
        asked.push((name, worker));
    }
    let answer = |worker: Worker<Seat>| match worker.wait(deadline.left()) {
        Ok(said) => said,
        Err(Silence::Timeout) => Err(Fault::new(
            FaultKind::Timeout,
            format!("it did not answer within {} ms", within.as_millis()),
        )),
        Err(Silence::Gone) => Err(Fault::new(FaultKind::NonRetryable, "it died when asked")),
    };
    asked.into_iter().map(|(name, worker)| Live { name, said: worker.and_then(answer) }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::writer::{Artifact, Begun, Outcome};

    /// Takes so long to answer.
    struct Slow(Duration);

    impl Writer for Slow {
        fn describe(&mut self, _: Duration) -> Result<Metadata, Fault> {
            std::thread::sleep(self.0);
            let (name, version) = ("slow".to_owned(), "1".to_owned());
            Ok(Metadata { name, version, limit: None, paths: Vec::new() })
        }
        fn prepare(&mut self, _: &Begun, _: Duration) -> Result<(), Fault> {
            panic!("only asked")
        }
        fn freeze(&mut self, _: Duration) -> Result<(), Fault> {
            panic!("only asked")
        }
        fn thaw(&mut self, _: Duration) -> Result<(), Fault> {
            panic!("only asked")
        }
        fn post(&mut self, _: Outcome, _: Duration) -> Result<Vec<Artifact>, Fault> {
            panic!("only asked")
        }
    }

    #[test]
    fn those_that_hang_have_one_limit_together_and_hold_up_nobody() {
        let writer = |seconds| Ok(Box::new(Slow(Duration::from_secs(seconds))) as Box<dyn Writer>);
        let broken = Err(Fault::new(FaultKind::NonRetryable, "no directory"));
        let mut writers: Vec<_> = (0..8).map(|n| (format!("hangs {n}"), writer(3600))).collect();
        writers.push(("answers".to_owned(), writer(0)));
        writers.push(("broken".to_owned(), broken));
        let began = Instant::now();
        let live = ask(writers, Duration::from_secs(2));
        assert!(began.elapsed() < Duration::from_secs(8), "one after the other");
        assert_eq!(live.len(), 10);
        for hung in &live[..8] {
            assert_eq!(hung.said.as_ref().unwrap_err().kind, FaultKind::Timeout, "{}", hung.name);
        }
        assert_eq!(live[8].said.as_ref().unwrap().name, "slow");
        assert_eq!(live[9].said.as_ref().unwrap_err().cause, "no directory");
    }
}
