//! Programs of others that tests use: found, installed when we may, or named.

use std::{env, path::Path, process::Command};

use crate::cargo::{self, Result};

/// A program and the Debian package that brings it.
struct Tool {
    program: &'static str,
    package: &'static str,
}

const TOOLS: [Tool; 18] = [
    Tool { program: "mkfs.ext4", package: "e2fsprogs" },
    Tool { program: "e2fsck", package: "e2fsprogs" },
    Tool { program: "ip", package: "iproute2" },
    Tool { program: "mount", package: "mount" },
    Tool { program: "umount", package: "mount" },
    Tool { program: "ps", package: "procps" },
    Tool { program: "iscsi-test-cu", package: "libiscsi-bin" },
    Tool { program: "losetup", package: "mount" },
    Tool { program: "fsfreeze", package: "util-linux" },
    Tool { program: "mkfs.xfs", package: "xfsprogs" },
    Tool { program: "xfs_repair", package: "xfsprogs" },
    Tool { program: "fio", package: "fio" },
    Tool { program: "qemu-img", package: "qemu-utils" },
    Tool { program: "sg_inq", package: "sg3-utils" },
    Tool { program: "sg_vpd", package: "sg3-utils" },
    Tool { program: "pg_ctlcluster", package: "postgresql" },
    Tool { program: "mariadbd", package: "mariadb-server" },
    Tool { program: "setpriv", package: "util-linux" },
];

/// Makes sure that every tool and cargo-nextest is there: installs the missing ones as root on a Debian-like
/// system, and names them elsewhere.
pub fn ensure() -> Result {
    if !found("cargo-nextest") {
        cargo::succeed(cargo::cargo(&["install", "--locked", "--quiet", "cargo-nextest"]))?;
    }
    install(&TOOLS)
}

/// Programs that the store is measured beside.
const PEERS: &[Tool] = &[
    Tool { program: "fio", package: "fio" },
    Tool { program: "mkfs.xfs", package: "xfsprogs" },
    Tool { program: "mkfs.btrfs", package: "btrfs-progs" },
    Tool { program: "qemu-img", package: "qemu-utils" },
    Tool { program: "qemu-storage-daemon", package: "qemu-system-common" },
    Tool { program: "losetup", package: "mount" },
];

/// The target that ours is measured beside.
const TGT: &[Tool] = &[
    Tool { program: "tgtd", package: "tgt" },
    Tool { program: "iscsi-test-cu", package: "libiscsi-bin" },
];

/// What builds programs of Windows. The first is known by a file, for its compiler hides behind
/// rustup's on the path.
const WINDOWS_COMPILER: &[Tool] = &[
    Tool { program: "/usr/bin/rustc", package: "rustc-web" },
    Tool { program: "/usr/bin/cargo", package: "cargo-web" },
    Tool { program: "/usr/lib/rustlib/src/rust/library/Cargo.lock", package: "rust-web-src" },
    Tool { program: "x86_64-w64-mingw32-gcc", package: "gcc-mingw-w64-x86-64" },
];

/// What runs them.
const WINE: &[Tool] =
    &[Tool { program: "wine", package: "wine" }, Tool { program: "wineserver", package: "wine64" }];

/// Debian's loader of Wine, and what keeps the kernel from laying things where Windows has its own:
/// without it one start of a program in 6,000 fails (`tests/src/wine.rs`). Other packages of Wine
/// bring it themselves.
const LOADER: &str = "/usr/lib/wine/wine64";
const PRELOADER: &[Tool] =
    &[Tool { program: "/usr/lib/wine/wine64-preloader", package: "wine64-preloader" }];

/// Makes sure that programs of Windows can be built.
pub fn ensure_windows_compiler() -> Result {
    install(WINDOWS_COMPILER)
}

/// Makes sure that programs of Windows can be run.
pub fn ensure_wine() -> Result {
    install(WINE)?;
    if found(LOADER) { install(PRELOADER) } else { Ok(()) }
}

/// Makes sure that the other target is there.
pub fn ensure_tgt() -> Result {
    install(TGT)
}

/// The same for the peers of a benchmark, which goes on without those that cannot be had.
pub fn ensure_peers() {
    if let Err(missing) = install(PEERS) {
        eprintln!("xtask: {missing}");
    }
}

fn install(tools: &[Tool]) -> Result {
    let missing: Vec<_> = tools.iter().filter(|tool| !found(tool.program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<_> = missing.iter().map(|tool| tool.package).collect();
    packages.dedup();
    if !(is_root() && found("apt-get")) {
        return Err(format!(
            "{} are needed; install them: apt-get install {}",
            missing.iter().map(|tool| tool.program).collect::<Vec<_>>().join(", "),
            packages.join(" ")
        ));
    }
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq").args(args);
        cargo::succeed(command)
    };
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], packages.as_slice()].concat())
}

/// Whether a program is on the path, or there, if it is named by a path of its own; `sbin` counts too, where ordinary users do not look, and
/// cargo's own folder, where `cargo install` puts things.
pub fn found(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let home = env::home_dir().unwrap_or_default().join(".cargo/bin");
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(Into::into))
        .chain([home])
        .any(|folder| Path::new(&folder).join(program).is_file())
}

/// Whether we may install packages, make network namespaces and mount disks.
pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}
