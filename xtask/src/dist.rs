//! `cargo xtask dist`: a tree ready to copy to `/`, with links, samples, man pages and
//! completions, all of the option tables the commands themselves parse by.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use commands::table::{Opt, Spec};

use crate::cargo::{Result, cargo, succeed, workspace};

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
    for program in ["arrayd", "horcmd", "horcm"] {
        copy(&target.join("release").join(program), &bin.join(program))?;
    }
    let mut link = Command::new(bin.join("horcm"));
    link.arg("link").arg(&bin);
    succeed(link)?;
    for sample in entries(&workspace().join("etc"))? {
        let Some(name) = sample.file_name().and_then(|n| n.to_str()) else { continue };
        let folder =
            if name.ends_with(".service") { "lib/systemd/system" } else { "HORCM/etc/samples" };
        copy(&sample, &tree.join(folder).join(name))?;
    }
    for spec in commands::all() {
        for name in spec.names() {
            write(&tree.join(format!("usr/share/man/man1/{name}.1")), &man_page(spec, name))?;
        }
    }
    for spec in commands::own() {
        let page = tree.join(format!("usr/share/man/man1/horcm-{}.1", spec.name));
        write(&page, &man_page(spec, spec.name))?;
    }
    let completions = tree.join("usr/share");
    write(&completions.join("bash-completion/completions/horcm"), &bash())?;
    write(&completions.join("zsh/site-functions/_horcm"), &zsh())?;
    write(&completions.join("fish/vendor_completions.d/horcm.fish"), &fish())?;
    let mut archive = Command::new("tar");
    archive.current_dir(target.join("dist")).args(["-czf", &format!("{name}.tar.gz"), name]);
    succeed(archive)?;
    println!("{}", target.join("dist").join(format!("{name}.tar.gz")).display());
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

/// A page of section 1, through clap_mangen; its long options become CCI's single-dash words.
fn man_page(spec: &Spec, name: &'static str) -> String {
    let mut command = clap::Command::new(name)
        .about(spec.about)
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_version_flag(true);
    for opt in spec.all_options() {
        let names: Vec<_> = opt.names().map(|n| format!("-{n}")).collect();
        let mut help = format!("{}.", opt.doc);
        if names.len() > 1 {
            help += &format!(" Also spelt {}.", names[1..].join(", "));
        }
        let mut arg = clap::Arg::new(opt.name).long(opt.name).help(help);
        arg = match value(opt) {
            Some(value) => arg.value_name(value).num_args(1),
            None => arg.action(clap::ArgAction::SetTrue),
        };
        command = command.arg(arg);
    }
    let mut page = Vec::new();
    // Writing to memory does not fail.
    drop(clap_mangen::Man::new(command).render(&mut page));
    String::from_utf8_lossy(&page).replace("\\-\\-", "\\-")
}

/// What follows an option, as `-h` shows it behind the option's own name.
fn value(opt: &Opt) -> Option<&'static str> {
    let rest = opt.shown.split_once(' ').map(|(_, rest)| rest);
    rest.filter(|rest| !rest.starts_with("or "))
}

/// Quotes for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn bash() -> String {
    let mut text = String::from("# bash completion for the commands of RAID Manager\n");
    for spec in commands::all() {
        let words: Vec<_> =
            spec.all_options().flat_map(Opt::names).map(|name| format!("-{name}")).collect();
        let names: Vec<_> = spec.names().collect();
        text += &format!("complete -W {} {}\n", quoted(&words.join(" ")), names.join(" "));
    }
    text
}

fn zsh() -> String {
    let names: Vec<_> = commands::all().iter().flat_map(|spec| spec.names()).collect();
    let mut text = format!("#compdef {}\ncase $service in\n", names.join(" "));
    for spec in commands::all() {
        let names: Vec<_> = spec.names().collect();
        text += &format!("{})\n  _arguments", names.join("|"));
        for opt in spec.all_options() {
            let doc = opt.doc.replace('[', "(").replace(']', ")").replace(':', " ");
            for name in opt.names() {
                text += &format!(" \\\n    {}", quoted(&format!("-{name}[{doc}]")));
            }
        }
        text += "\n  ;;\n";
    }
    text + "esac\n"
}

fn fish() -> String {
    let mut text = String::from("# fish completion for the commands of RAID Manager\n");
    for spec in commands::all() {
        for command in spec.names() {
            for opt in spec.all_options() {
                for name in opt.names() {
                    let doc = quoted(opt.doc);
                    text += &format!("complete -c {command} -o {name} -d {doc}\n");
                }
            }
        }
    }
    text
}
