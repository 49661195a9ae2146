//! Completions for bash, zsh and fish, made of the option tables.
//!
//! bash and fish look for a file of the name that is typed, so each name has one; zsh is told by
//! the first line of a single file. Commands of our own stand behind `horcm` only, the others
//! there too.

use std::path::PathBuf;

use commands::table::{Arity, Opt, Spec};

use crate::dist::value;

/// Words behind `horcm` that are no commands.
const WORDS: &[(&str, &str)] = &[
    ("--list", "List every command name"),
    ("link", "Make a link for every command name in a directory"),
    ("-h", "Help/Usage"),
];

/// Files below `usr/share`, with their text.
pub fn files() -> Vec<(PathBuf, String)> {
    let mut files = vec![
        (PathBuf::from("bash-completion/completions/horcm"), bash_horcm()),
        (PathBuf::from("zsh/site-functions/_horcm"), zsh()),
        (PathBuf::from("fish/vendor_completions.d/horcm.fish"), fish_horcm()),
    ];
    for spec in commands::all() {
        for name in spec.names() {
            let bash = format!("complete -W {} {name}\n", quoted(&options(spec)));
            files.push((PathBuf::from("bash-completion/completions").join(name), bash));
            let fish = format!("fish/vendor_completions.d/{name}.fish");
            files.push((PathBuf::from(fish), fish_options(spec, &format!("-c {name}"))));
        }
    }
    files
}

/// Every command behind `horcm`, by each of its names.
fn behind_horcm() -> impl Iterator<Item = (&'static str, &'static Spec)> {
    let specs = commands::all().iter().chain(commands::own());
    specs.flat_map(|spec| spec.names().map(|name| (name, *spec)))
}

/// Whether a command is one of our own: its words that are no options are files.
fn takes_files(spec: &Spec) -> bool {
    commands::own().iter().any(|own| own.name == spec.name)
}

fn options(spec: &Spec) -> String {
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

fn bash_horcm() -> String {
    let first = behind_horcm().map(|(name, _)| name).chain(WORDS.iter().map(|(word, _)| *word));
    let first = quoted(&first.collect::<Vec<_>>().join(" "));
    let mut text = format!(
        "# bash completion for RAID Manager\n_horcm() {{\n  local words\n  \
         if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words={first}\n  else\n    \
         case \"${{COMP_WORDS[1]}}\" in\n"
    );
    for (name, spec) in behind_horcm() {
        text += &format!("    {name}) words={} ;;\n", quoted(&options(spec)));
    }
    // Where no word fits, `default` offers files.
    text += "    *) words= ;;\n    esac\n  fi\n  \
             COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n\
             complete -o default -F _horcm horcm\n";
    text
}

fn zsh() -> String {
    let names: Vec<_> = commands::all().iter().flat_map(|spec| spec.names()).collect();
    let mut text = format!("#compdef horcm {}\n_horcm_of() {{\n  case $1 in\n", names.join(" "));
    for (name, spec) in behind_horcm() {
        text += &format!("  {name})\n    _arguments");
        for opt in spec.all_options() {
            let word = needed(opt).map_or_else(String::new, |value| format!(":{}", plain(value)));
            for name in opt.names() {
                let described = format!("-{name}[{}]{word}", plain(opt.doc));
                text += &format!(" \\\n      {}", quoted(&described));
            }
        }
        if takes_files(spec) {
            text += " \\\n      '*:file:_files'";
        }
        text += "\n    ;;\n";
    }
    text += "  link) _files -/ ;;\n  esac\n}\n\
             if [[ $service != horcm ]]; then\n  _horcm_of $service\n\
             elif (( CURRENT == 2 )); then\n  local -a words_of_horcm=(";
    let abouts = behind_horcm().map(|(name, spec)| (name, spec.about));
    for (word, about) in abouts.chain(WORDS.iter().copied()) {
        text += &format!("\n    {}", quoted(&format!("{word}:{}", plain(about))));
    }
    text + "\n  )\n  _describe command words_of_horcm\nelse\n  shift words\n  (( CURRENT-- ))\n  _horcm_of $words[1]\nfi\n"
}

/// Text without what `_arguments` takes for marks of its own.
fn plain(text: &str) -> String {
    text.replace('[', "(").replace(']', ")").replace(':', " ")
}

fn fish_options(spec: &Spec, place: &str) -> String {
    let mut text = String::new();
    for opt in spec.all_options() {
        let word = if needed(opt).is_some() { " -r" } else { "" };
        for name in opt.names() {
            text += &format!("complete {place} -o {name}{word} -d {}\n", quoted(opt.doc));
        }
    }
    text
}

fn fish_horcm() -> String {
    let mut text = String::from("# fish completion for RAID Manager\n");
    let abouts = behind_horcm().map(|(name, spec)| (name, spec.about));
    for (word, about) in abouts.chain(WORDS.iter().copied()) {
        let about = quoted(about);
        text += &format!("complete -c horcm -f -n __fish_use_subcommand -a {word} -d {about}\n");
    }
    for (name, spec) in behind_horcm() {
        let seen = format!("-c horcm -n '__fish_seen_subcommand_from {name}'");
        text += &fish_options(spec, &seen);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn file(name: &str) -> String {
        let found = files().into_iter().find(|(path, _)| path.ends_with(name));
        found.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// What bash offers for the last of these words.
    fn offered(words: &[&str]) -> Vec<String> {
        let typed = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let ask = format!(
            "{}\nCOMP_WORDS=({typed}); COMP_CWORD={}; _horcm; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file("bash-completion/completions/horcm"),
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
        for (name, spec) in behind_horcm() {
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
        let (zsh, horcm) = (file("_horcm"), file("horcm.fish"));
        for (name, spec) in behind_horcm() {
            let own = takes_files(spec);
            assert!(zsh.contains(&format!("  {name})\n")), "{name}");
            for option in spec.all_options().flat_map(Opt::names) {
                assert!(zsh.contains(&format!("'-{option}[")), "{name} -{option}");
                let seen = format!("from {name}' -o {option} ");
                assert!(horcm.contains(&seen), "{name} -{option}");
                if !own {
                    let fish = file(&format!("vendor_completions.d/{name}.fish"));
                    assert!(fish.contains(&format!("-c {name} -o {option} ")));
                    let bash = file(&format!("completions/{name}"));
                    assert!(
                        bash.contains(&format!("-{option}"))
                            && bash.ends_with(&format!(" {name}\n"))
                    );
                }
            }
        }
    }
}
