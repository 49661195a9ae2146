//! `cargo xtask dist`: a tree ready to copy to `/`, with links, samples, man pages and
//! completions, all of the option tables the commands themselves parse by.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use commands::{HORCM, multicall::Family, table::Opt};
use shadowcopy::command::DRM;

use crate::{
    cargo::{Result, cargo, succeed, workspace},
    completion, man,
};

/// Builds the tree in `target/dist` and a compressed archive beside it.
pub fn run() -> Result {
    succeed(cargo(&["build", "--release", "--bins", "--locked"]))?;
    let target = cargo_target();
    let name = concat!("raid-manager-", env!("CARGO_PKG_VERSION"));
    let tree = target.join("dist").join(name);
    if tree.exists() {
        fs::remove_dir_all(&tree).map_err(said(&tree))?;
    }
    let bin = tree.join("HORCM/usr/bin");
    for program in ["arrayd", "horcmd", "horcm", "drm"] {
        copy(&target.join("release").join(program), &bin.join(program))?;
    }
    for program in ["horcm", "drm"] {
        let mut link = Command::new(bin.join(program));
        link.arg("link").arg(&bin);
        succeed(link)?;
    }
    for sample in entries(&workspace().join("etc"))? {
        let Some(name) = sample.file_name().and_then(|n| n.to_str()) else { continue };
        if sample.is_dir() {
            continue;
        }
        let folder =
            if name.ends_with(".service") { "lib/systemd/system" } else { "HORCM/etc/samples" };
        copy(&sample, &tree.join(folder).join(name))?;
    }
    documents(&HORCM, &tree)?;
    documents(&DRM, &tree)?;
    let mut archive = Command::new("tar");
    archive.current_dir(target.join("dist")).args(["-czf", &format!("{name}.tar.gz"), name]);
    succeed(archive)?;
    println!("{}", target.join("dist").join(format!("{name}.tar.gz")).display());
    Ok(())
}

/// Man pages and completions of one binary's commands.
fn documents<R>(family: &'static Family<R>, tree: &Path) -> Result {
    let pages = tree.join("usr/share/man/man1");
    for spec in family.linked {
        for name in spec.names() {
            write(&pages.join(format!("{name}.1")), &man::page(spec, name))?;
        }
    }
    for spec in family.own {
        let page = pages.join(format!("{}-{}.1", family.binary, spec.name));
        write(&page, &man::page(spec, &family.call(spec.name)))?;
    }
    for (path, text) in completion::files(family) {
        write(&tree.join("usr/share").join(path), &text)?;
    }
    Ok(())
}

fn cargo_target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(said(folder))? {
        paths.push(entry.map_err(said(folder))?.path());
    }
    paths.sort();
    Ok(paths)
}

fn copy(from: &Path, to: &Path) -> Result {
    make_parent(to)?;
    fs::copy(from, to).map(drop).map_err(said(from))
}

fn write(path: &Path, text: &str) -> Result {
    make_parent(path)?;
    fs::write(path, text).map_err(said(path))
}

fn make_parent(path: &Path) -> Result {
    path.parent().map_or(Ok(()), |folder| fs::create_dir_all(folder).map_err(said(folder)))
}

fn said(path: &Path) -> impl Fn(std::io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}

/// What follows an option, as `-h` shows it behind the option's own name.
pub fn value(opt: &Opt) -> Option<&'static str> {
    let rest = opt.shown.split_once(' ').map(|(_, rest)| rest);
    rest.filter(|rest| !rest.starts_with("or "))
}
