//! Man pages, made of the option tables by clap_mangen.

use commands::table::Spec;

use crate::dist::value;

/// A page of section 1. `call` is how the command is called: its own name, another one it answers
/// to, or `horcm NAME`. clap's long options become CCI's single-dash words.
pub fn page<R>(spec: &Spec<R>, call: &str) -> String {
    let mut command = clap::Command::new(spec.name)
        .display_name(call.replace(' ', "-"))
        .bin_name(call)
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
            Some(value) => arg.value_name(bare(value)).num_args(1),
            None => arg.action(clap::ArgAction::SetTrue),
        };
        command = command.arg(arg);
    }
    if let Some(operands) = spec.operands {
        // Brackets of its own say that it may be left out; clap puts its own around either.
        let shown = operands.shown.trim_start_matches('[').trim_end_matches(']');
        let arg = clap::Arg::new("operands").value_name(shown);
        let needed = shown == operands.shown;
        command = command.arg(arg.required(needed).help(format!("{}.", operands.doc)));
    }
    let mut page = Vec::new();
    // Writing to memory does not fail.
    drop(clap_mangen::Man::new(command).render(&mut page));
    String::from_utf8_lossy(&page).replace("\\-\\-", "\\-")
}

/// `<seconds>` without the brackets that clap puts around it again.
fn bare(value: &'static str) -> &'static str {
    let inner = value.strip_prefix('<').and_then(|value| value.strip_suffix('>'));
    inner.filter(|inner| !inner.contains(['<', '>'])).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use commands::multicall::Family;

    use super::*;

    /// A page as it is read, without the marks of its fonts.
    fn read<R>(spec: &Spec<R>, call: &str) -> String {
        let page = page(spec, call).replace("\\*(Aq", "'");
        ["\\fB", "\\fI", "\\fR", "\\"].iter().fold(page, |page, mark| page.replace(mark, ""))
    }

    #[test]
    fn every_page_tells_every_option_and_what_stands_without_one() {
        check(&commands::HORCM);
        check(&shadowcopy::command::DRM);
    }

    fn check<R>(family: &Family<R>) {
        for spec in family.linked.iter().chain(family.own) {
            let call = family.call(spec.name);
            let page = read(spec, &call);
            assert!(page.contains(&format!(".SH SYNOPSIS\n{call} ")), "{call}: {page}");
            assert!(page.contains(spec.about), "{call}: {page}");
            for opt in spec.all_options() {
                for name in opt.names() {
                    assert!(page.contains(&format!("-{name}")), "{call} -{name}: {page}");
                }
                assert!(page.contains(opt.doc), "{call} -{}: {page}", opt.name);
            }
            if let Some(operands) = spec.operands {
                assert!(page.contains(operands.shown.trim_matches(['[', ']'])), "{call}: {page}");
                assert!(page.contains(operands.doc), "{call}: {page}");
            }
        }
    }
}
