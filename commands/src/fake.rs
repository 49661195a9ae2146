//! A daemon of memory, for the tests of the commands.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io::Cursor,
    rc::Rc,
    time::Duration,
};

use model::{CciError, CciResult, Code, GroupName, Instance};
use protocol::{
    Home,
    horcm::{Member, Reply, Request},
};

use crate::{
    daemon::Daemon,
    environment::Environment,
    find_behind_horcm, run,
    session::{Attach, Clock, World},
};

/// What a command printed and returned.
pub(crate) struct Ran {
    pub(crate) code: u8,
    pub(crate) output: String,
    pub(crate) errors: String,
}

/// The scripted daemon and the world around it.
pub(crate) struct Fake {
    pub(crate) page: usize,
    pub(crate) remote_error: Option<CciError>,
    pub(crate) environment: Environment,
    pub(crate) input: String,
    pub(crate) log: tempfile::TempDir,
    members: Option<(GroupName, Vec<Member>)>,
    script: Rc<RefCell<VecDeque<CciResult<Reply>>>>,
    asked: Rc<RefCell<Vec<(Instance, Request)>>>,
    slept: Rc<Cell<Duration>>,
}

impl Fake {
    /// Answers with these, in order; the last one again and again.
    pub(crate) fn answering(script: impl IntoIterator<Item = CciResult<Reply>>) -> Self {
        Self {
            page: usize::MAX,
            remote_error: None,
            environment: Environment::default(),
            input: String::new(),
            log: tempfile::tempdir().unwrap(),
            members: None,
            script: Rc::new(RefCell::new(script.into_iter().collect())),
            asked: Rc::default(),
            slept: Rc::default(),
        }
    }

    pub(crate) fn failing(error: CciError) -> Self {
        Self::answering([Err(error)])
    }

    pub(crate) fn done() -> Self {
        Self::answering([Ok(Reply::Done)])
    }

    /// Answers questions for members from a list, in pages of [`Fake::page`].
    pub(crate) fn with_members(group: &str, members: Vec<Member>) -> Self {
        let mut fake = Self::answering([]);
        fake.members = Some((group.parse().unwrap(), members));
        fake
    }

    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.borrow().iter().map(|(_, request)| request.clone()).collect()
    }

    pub(crate) fn instances(&self) -> Vec<Instance> {
        self.asked.borrow().iter().map(|(instance, _)| *instance).collect()
    }

    pub(crate) fn slept(&self) -> Duration {
        self.slept.get()
    }

    pub(crate) fn run(&mut self, command: &str, line: &str) -> Ran {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let spec = find_behind_horcm(command).unwrap();
        let code = run::run(
            spec,
            &words,
            &mut World {
                environment: self.environment.clone(),
                home: Home::at(self.log.path().to_owned()),
                attach: self,
                at_prompt: false,
                input: Some(Box::new(Cursor::new(self.input.clone().into_bytes()))),
                output: &mut output,
                errors: &mut errors,
                clock: self,
            },
        );
        Ran {
            code,
            output: String::from_utf8(output).unwrap(),
            errors: String::from_utf8(errors).unwrap(),
        }
    }
}

impl Clock for Fake {
    fn now(&self) -> Duration {
        self.slept.get()
    }

    fn sleep(&self, time: Duration) {
        self.slept.set(self.slept.get() + time);
    }
}

impl Attach for Fake {
    fn attach(&self, instance: Instance) -> CciResult<Box<dyn Daemon>> {
        Ok(Box::new(Asked {
            instance,
            page: self.page,
            remote_error: self.remote_error.clone(),
            members: self.members.clone(),
            script: Rc::clone(&self.script),
            asked: Rc::clone(&self.asked),
        }))
    }
}

struct Asked {
    instance: Instance,
    page: usize,
    remote_error: Option<CciError>,
    members: Option<(GroupName, Vec<Member>)>,
    script: Rc<RefCell<VecDeque<CciResult<Reply>>>>,
    asked: Rc<RefCell<Vec<(Instance, Request)>>>,
}

impl Daemon for Asked {
    fn ask(&mut self, request: &Request) -> CciResult<Reply> {
        self.asked.borrow_mut().push((self.instance, request.clone()));
        if let (Some((group, all)), Request::Members { from, .. }) = (&self.members, request) {
            let from = *from as usize;
            let to = all.len().min(from.saturating_add(self.page));
            return Ok(Reply::Members {
                group: group.clone(),
                members: all[from..to].to_vec(),
                next: (to < all.len()).then_some(to as u32),
                remote_error: self.remote_error.clone(),
            });
        }
        let mut script = self.script.borrow_mut();
        let last = script.len() <= 1;
        let answer = if last { script.front().cloned() } else { script.pop_front() };
        answer.unwrap_or_else(|| Err(Code::ExUnwcod.into()))
    }
}
