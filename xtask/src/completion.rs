//! Completions for bash, zsh and fish, made of the option tables.
//!
//! bash and fish look for a file of the name that is typed, so each name has one; zsh is told by
//! the first line of a single file. Commands of our own stand behind the binary's name only, the others
//! there too.

use std::path::PathBuf;

use commands::{
    multicall::Family,
    table::{Arity, Opt, Spec},
};

use crate::dist::value;

/// Words behind the binary's name that are no commands.
const WORDS: &[(&str, &str)] = &[
    ("--list", "List every command name"),
    ("link", "Make a link for every command name in a directory"),
    ("-h", "Help/Usage"),
];

/// Files below `usr/share` for the commands of a binary, with their text.
pub fn files<R>(family: &'static Family<R>) -> Vec<(PathBuf, String)> {
    let binary = family.binary;
    let mut files = vec![
        (PathBuf::from("bash-completion/completions").join(binary), bash_binary(family)),
        (PathBuf::from(format!("zsh/site-functions/_{binary}")), zsh(family)),
        (PathBuf::from(format!("fish/vendor_completions.d/{binary}.fish")), fish_binary(family)),
    ];
    for spec in family.linked {
        for name in spec.names() {
            let bash = format!("complete -W {} {name}\n", quoted(&options(spec)));
            files.push((PathBuf::from("bash-completion/completions").join(name), bash));
            let fish = format!("fish/vendor_completions.d/{name}.fish");
            files.push((PathBuf::from(fish), fish_options(spec, &format!("-c {name}"))));
        }
    }
    files
}

/// Every command behind the binary's name, by each of its names.
fn behind<R>(family: &'static Family<R>) -> impl Iterator<Item = (&'static str, &'static Spec<R>)> {
    let specs = family.linked.iter().chain(family.own);
    specs.flat_map(|spec| spec.names().map(|name| (name, *spec)))
}

/// Whether a command is one of our own: its words that are no options are files.
fn takes_files<R>(family: &Family<R>, spec: &Spec<R>) -> bool {
    family.own.iter().any(|own| own.name == spec.name)
}

fn options<R>(spec: &Spec<R>) -> String {
    let words = spec.all_options().flat_map(Opt::names).map(|name| format!("-{name}"));
    words.collect::<Vec<_>>().join(" ")
}

/// What must follow an option.
fn needed(opt: &Opt) -> Option<&'static str> {
    value(opt).filter(|_| matches!(opt.arity, Arity::Words { least: 1.., .. }))
}

/// Quotes for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn bash_binary<R>(family: &'static Family<R>) -> String {
    let binary = family.binary;
    let first = behind(family).map(|(name, _)| name).chain(WORDS.iter().map(|(word, _)| *word));
    let first = quoted(&first.collect::<Vec<_>>().join(" "));
    let mut text = format!(
        "# bash completion for RAID Manager\n_{binary}() {{\n  local words\n  \
         if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words={first}\n  else\n    \
         case \"${{COMP_WORDS[1]}}\" in\n"
    );
    for (name, spec) in behind(family) {
        text += &format!("    {name}) words={} ;;\n", quoted(&options(spec)));
    }
    // Where no word fits, `default` offers files.
    text += &format!(
        "    *) words= ;;\n    esac\n  fi\n  \
         COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n}}\n\
         complete -o default -F _{binary} {binary}\n"
    );
    text
}

fn zsh<R>(family: &'static Family<R>) -> String {
    let binary = family.binary;
    let names: Vec<_> = family.names().collect();
    let mut text =
        format!("#compdef {binary} {}\n_{binary}_of() {{\n  case $1 in\n", names.join(" "));
    for (name, spec) in behind(family) {
        text += &format!("  {name})\n    _arguments");
        for opt in spec.all_options() {
            let word = needed(opt).map_or_else(String::new, |value| format!(":{}", plain(value)));
            for name in opt.names() {
                let described = format!("-{name}[{}]{word}", plain(opt.doc));
                text += &format!(" \\\n      {}", quoted(&described));
            }
        }
        if takes_files(family, spec) {
            text += " \\\n      '*:file:_files'";
        }
        text += "\n    ;;\n";
    }
    text += &format!(
        "  link) _files -/ ;;\n  esac\n}}\n\
         if [[ $service != {binary} ]]; then\n  _{binary}_of $service\n\
         elif (( CURRENT == 2 )); then\n  local -a words_of_{binary}=("
    );
    let abouts = behind(family).map(|(name, spec)| (name, spec.about));
    for (word, about) in abouts.chain(WORDS.iter().copied()) {
        text += &format!("\n    {}", quoted(&format!("{word}:{}", plain(about))));
    }
    text += &format!(
        "\n  )\n  _describe command words_of_{binary}\nelse\n  shift words\n  \
         (( CURRENT-- ))\n  _{binary}_of $words[1]\nfi\n"
    );
    text
}

/// Text without what `_arguments` takes for marks of its own.
fn plain(text: &str) -> String {
    text.replace('[', "(").replace(']', ")").replace(':', " ")
}

fn fish_options<R>(spec: &Spec<R>, place: &str) -> String {
    let mut text = String::new();
    for opt in spec.all_options() {
        let word = if needed(opt).is_some() { " -r" } else { "" };
        for name in opt.names() {
            text += &format!("complete {place} -o {name}{word} -d {}\n", quoted(opt.doc));
        }
    }
    text
}

fn fish_binary<R>(family: &'static Family<R>) -> String {
    let mut text = String::from("# fish completion for RAID Manager\n");
    let binary = family.binary;
    let abouts = behind(family).map(|(name, spec)| (name, spec.about));
    for (word, about) in abouts.chain(WORDS.iter().copied()) {
        let about = quoted(about);
        text += &format!("complete -c {binary} -f -n __fish_use_subcommand -a {word} -d {about}\n");
    }
    for (name, spec) in behind(family) {
        let seen = format!("-c {binary} -n '__fish_seen_subcommand_from {name}'");
        text += &fish_options(spec, &seen);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use commands::HORCM;
    use shadowcopy::command::DRM;

    use super::*;

    fn file<R>(family: &'static Family<R>, name: &str) -> String {
        let found = files(family).into_iter().find(|(path, _)| path.ends_with(name));
        found.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// What bash offers for the last of these words.
    fn offered(words: &[&str]) -> Vec<String> {
        let typed = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let ask = format!(
            "{}\nCOMP_WORDS=({typed}); COMP_CWORD={}; _horcm; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file(&HORCM, "bash-completion/completions/horcm"),
            words.len() - 1
        );
        let output = Command::new("bash").args(["--norc", "-c", &ask]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "{errors}");
        let said = String::from_utf8(output.stdout).unwrap();
        said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn bash_offers_every_command_behind_horcm_and_its_options() {
        let first = offered(&["horcm", ""]);
        for (name, spec) in behind(&HORCM) {
            assert!(first.iter().any(|word| word == name), "{name}");
            let options = offered(&["horcm", name, "-"]);
            for option in spec.all_options().flat_map(Opt::names) {
                assert!(options.contains(&format!("-{option}")), "{name} -{option}");
            }
        }
        assert_eq!(offered(&["horcm", "det"]), ["detach"]);
        assert_eq!(offered(&["horcm", "detach", "-f"]), ["-force"]);
        assert_eq!(offered(&["horcm", "detach", "/"]), Vec::<String>::new(), "files do");
    }

    #[test]
    fn every_name_has_its_file_and_every_shell_every_option() {
        check(&HORCM);
        check(&DRM);
    }

    fn check<R>(family: &'static Family<R>) {
        let binary = family.binary;
        let zsh = file(family, &format!("_{binary}"));
        let behind_it = file(family, &format!("{binary}.fish"));
        for (name, spec) in behind(family) {
            let own = takes_files(family, spec);
            assert!(zsh.contains(&format!("  {name})\n")), "{name}");
            for option in spec.all_options().flat_map(Opt::names) {
                assert!(zsh.contains(&format!("'-{option}[")), "{name} -{option}");
                let seen = format!("from {name}' -o {option} ");
                assert!(behind_it.contains(&seen), "{name} -{option}");
                if !own {
                    let fish = file(family, &format!("vendor_completions.d/{name}.fish"));
                    assert!(fish.contains(&format!("-c {name} -o {option} ")));
                    let bash = file(family, &format!("completions/{name}"));
                    assert!(
                        bash.contains(&format!("-{option}"))
                            && bash.ends_with(&format!(" {name}\n"))
                    );
                }
            }
        }
    }
}
