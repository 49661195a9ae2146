//! An installation of its own for each test: a home, the binary, a scripted daemon.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
};

use model::Instance;
use protocol::{
    Endpoint, Home, Key, KeyRing, Registration, codec,
    horcm::{Answer, Request},
};
use tokio::sync::oneshot;

/// What a command left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A directory with the binary in `bin` and the home in `home`; gone when dropped.
pub struct Place {
    pub root: tempfile::TempDir,
    pub home: Home,
}

impl Place {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path().join("home"));
        home.ensure().unwrap();
        let bin = root.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let binary = bin.join("horcm");
        // A link of the same file system is quick; elsewhere it takes a copy.
        fs::hard_link(env!("CARGO_BIN_EXE_horcm"), &binary)
            .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_horcm"), &binary).map(drop))
            .unwrap();
        Self { root, home }
    }

    pub fn bin(&self, name: &str) -> PathBuf {
        self.root.path().join("bin").join(name)
    }

    pub fn key(&self) -> Key {
        Key::load_or_create(&self.home.key_file()).unwrap()
    }

    /// A command in this home, with no other HORCM variable of the test's own environment.
    pub fn command(&self, command: &str, line: &str) -> Command {
        let mut process = Command::new(self.bin("horcm"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HORC") {
                process.env_remove(name);
            }
        }
        process.env("HORCMROOT", self.home.root()).arg(command);
        process.args(line.split_whitespace()).stdin(Stdio::null());
        process
    }

    pub fn run(&self, command: &str, line: &str) -> Ran {
        ran(&mut self.command(command, line))
    }

    /// Runs with this on standard input.
    pub fn run_with(&self, command: &str, line: &str, input: &str) -> Ran {
        let mut process = self.command(command, line);
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        text(child.wait_with_output().unwrap())
    }

    /// Puts a program beside the binary, as `horcmd`.
    pub fn daemon_program(&self, script: &str) {
        write_script(&self.bin("horcmd"), script);
    }
}

pub fn ran(process: &mut Command) -> Ran {
    text(process.output().unwrap())
}

fn text(output: std::process::Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Writes a program from a process of its own. Were it written here, a process that another test
/// starts at this moment would hold it open for writing, and running it would fail.
fn write_script(path: &Path, script: &str) {
    let mut install = Command::new("install");
    install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut child = install.spawn().unwrap();
    let text = format!("#!/bin/sh\n{script}\n");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

pub fn instance(number: u16) -> Instance {
    Instance::numbered(number).unwrap()
}

type Script = Box<dyn FnMut(&Request) -> Option<Answer> + Send>;

/// A daemon that answers by a function, on a thread of its own; `None` leaves a request without
/// an answer.
pub struct ScriptedDaemon {
    pub address: SocketAddr,
    pub asked: Arc<Mutex<Vec<Request>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ScriptedDaemon {
    pub fn new(key: Key, script: impl FnMut(&Request) -> Option<Answer> + Send + 'static) -> Self {
        let mut script: Script = Box::new(script);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = mpsc::channel();
        let heard = asked.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let local = "127.0.0.1:0".parse().unwrap();
                let mut endpoint = Endpoint::bind(local, KeyRing::new(key)).await.unwrap();
                ready.send(endpoint.local_addr()).unwrap();
                let serve = async {
                    loop {
                        let incoming = endpoint.next().await;
                        let (_, request): protocol::horcm::Asked =
                            codec::decode(&incoming.body).unwrap();
                        heard.lock().unwrap().push(request.clone());
                        if let Some(answer) = script(&request) {
                            incoming.answer(codec::encode(&answer));
                        }
                    }
                };
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
        });
        let address = address.recv().unwrap();
        Self { address, asked, stop: Some(stop), thread: Some(thread) }
    }

    /// Registers it, with this test as its process.
    pub fn registered(self, home: &Home, instance: Instance) -> Self {
        let pid = std::process::id();
        Registration { address: self.address, pid }.write(home, instance).unwrap();
        self
    }

    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for ScriptedDaemon {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has failed the test already.
            let _ = thread.join();
        }
    }
}
