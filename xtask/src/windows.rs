//! `cargo xtask windows build`: the programs of Windows and the provider's DLL, built here.
//!
//! Either way gives programs of 64-bit Windows that need nothing but the system:
//!
//! | toolchain | target | runs under Wine 8 |
//! |---|---|---|
//! | Debian's `rustc-web`, which brings the standard library's source | `x86_64-win7-windows-gnu` | yes |
//! | rustup's, after `rustup target add x86_64-pc-windows-gnu` | `x86_64-pc-windows-gnu` | no: it has no `ProcessPrng` |

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    cargo::{Result, cargo, succeed, workspace},
    tools,
};

/// The compiler of Debian's second toolchain, which is on no path.
const DEBIANS: [&str; 2] = ["/usr/bin/rustc", "/usr/bin/cargo"];
/// The linker of both.
const LINKER: &str = "x86_64-w64-mingw32-gcc";
/// The provider's DLL as cargo names it.
const PROVIDER: &str = "rmvssprv.dll";

/// What is given away, in one build: packages that share libraries share what these are made with.
const PACKAGES: [&str; 7] =
    ["rmvssprv", "--package", "horcmd", "--package", "commands", "--package", "drmexgbackup"];
/// The programs that are given away.
pub const PROGRAMS: [&str; 3] = ["horcm.exe", "horcmd.exe", "drmexgbackup.exe"];

/// What programs are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be run under Wine by tests, soon.
    Test,
    /// To be given away.
    Release,
}

impl Purpose {
    const fn profile(self) -> &'static str {
        match self {
            Self::Test => "windows-test",
            Self::Release => "release",
        }
    }

    const fn folder(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Release => "release",
        }
    }
}

/// Builds the programs; the folder where they are then, `target/windows/test` or `/release`.
pub fn build(purpose: Purpose) -> Result<PathBuf> {
    let ours = has_target() && purpose == Purpose::Release;
    if !ours {
        tools::ensure_windows_compiler()?;
    }
    let build = Build { ours, purpose, target: target() };
    let folder = build.target.join(purpose.folder());
    fs::create_dir_all(&folder).map_err(said(&folder))?;
    let mut taken = vec![(PROVIDER, "RMVSSPRV.dll")];
    taken.extend(PROGRAMS.map(|program| (program, program)));
    let mut packages = PACKAGES.to_vec();
    if purpose == Purpose::Test {
        build.packages(&["rmvssprv", "--features", "fault-injection"])?;
        take(&build.made(PROVIDER), &folder.join("rmvssprv-faults.dll"))?;
        packages.extend(["--package", "vss-harness", "--package", "vss-mock"]);
        taken.extend([("vss-harness.exe", "vss-harness.exe"), ("vss_mock.dll", "vss-mock.dll")]);
    }
    build.packages(&packages)?;
    for (made, name) in taken {
        take(&build.made(made), &folder.join(name))?;
    }
    Ok(folder)
}

/// By which toolchain, for what and where.
struct Build {
    ours: bool,
    purpose: Purpose,
    target: PathBuf,
}

impl Build {
    /// Builds the packages behind `--package`.
    fn packages(&self, packages: &[&str]) -> Result {
        let (mut command, triple) = if self.ours { by_rustup() } else { by_debian() };
        command.args(["build", "--locked", "--target", triple]);
        command.args(["--profile", self.purpose.profile()]);
        command.arg("--target-dir").arg(&self.target).arg("--package").args(packages);
        succeed(command)
    }

    fn made(&self, file: &str) -> PathBuf {
        let triple = if self.ours { by_rustup().1 } else { by_debian().1 };
        self.target.join(triple).join(self.purpose.profile()).join(file)
    }
}

/// `target/windows`, a folder of its own: another compiler makes what is in it.
fn target() -> PathBuf {
    let set = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    set.unwrap_or_else(|| workspace().join("target")).join("windows")
}

/// Whether rustup's toolchain has the target, and the linker is there.
fn has_target() -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", "x86_64-pc-windows-gnu"]);
    let folder = rustc.current_dir(workspace()).output().ok();
    let folder = folder.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    folder.is_some_and(|folder| Path::new(&folder).is_dir()) && tools::found(LINKER)
}

fn by_rustup() -> (Command, &'static str) {
    (cargo(&[]), "x86_64-pc-windows-gnu")
}

/// The standard library is built with the programs. What cargo and rustup have put into the
/// environment of this program would lead the other toolchain astray.
fn by_debian() -> (Command, &'static str) {
    let [rustc, cargo] = DEBIANS;
    let mut command = Command::new(cargo);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO") || text.starts_with("RUST") || text == "LD_LIBRARY_PATH" {
            command.env_remove(&name);
        }
    }
    command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1").current_dir(workspace());
    command.arg("-Zbuild-std=std,panic_unwind");
    (command, "x86_64-win7-windows-gnu")
}

fn take(from: &Path, to: &Path) -> Result {
    fs::copy(from, to).map(drop).map_err(said(from))
}

fn said(path: &Path) -> impl Fn(std::io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}
