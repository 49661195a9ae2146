//! `-x <sub-command>`, on any command and at its prompt: what CCI has for Windows, where Linux has
//! the same thing (`cci` 2.22).
//!
//! | file | what it holds |
//! |---|---|
//! | `drives` | `findcmddev`, `drivescan`, `portscan` |
//! | `volumes` | `sync`, `syncd`, `mount`, `umount`, `umountd` |
//! | here | `sleep`, `env`, `setenv`, `usetenv` |

mod drives;
#[cfg(unix)]
mod volumes;
#[cfg(windows)]
#[path = "volumes_windows.rs"]
mod volumes;

use std::time::Duration;

use model::{CciError, Code};

use crate::{
    failure::{Failure, Outcome},
    session::Session,
};

/// A sub-command.
struct SubCommand {
    name: &'static str,
    /// What follows it.
    words: &'static str,
    /// The least and most words.
    count: (usize, usize),
    run: fn(&mut Session<'_, '_>, &[String]) -> Outcome,
}

const fn sub(
    name: &'static str,
    words: &'static str,
    count: (usize, usize),
    run: fn(&mut Session<'_, '_>, &[String]) -> Outcome,
) -> SubCommand {
    SubCommand { name, words, count, run }
}

/// The most words behind `-x`, the sub-command included.
pub const MOST_WORDS: usize = 65;

static ALL: &[SubCommand] = &[
    sub("drivescan", "[harddisk#,#|$Phys|device...]", (0, 64), drives::drivescan),
    sub("env", "", (0, 0), env),
    sub("findcmddev", "[harddisk#,#|$Phys|device...]", (0, 64), drives::findcmddev),
    sub("mount", "[-a] [directory device]", (0, 2), volumes::mount),
    sub("portscan", "[port#,#]", (0, 1), drives::portscan),
    sub("setenv", "variable value", (2, 2), setenv),
    sub("sleep", "milliseconds", (1, 1), sleep),
    sub("sync", "all|directory...|device...", (1, 64), volumes::sync),
    // Linux' flush returns when all is written: there is nothing more to wait for.
    sub("syncd", "all|directory...|device...", (1, 64), volumes::sync),
    sub("umount", "directory [seconds]", (1, 2), volumes::umount),
    sub("umountd", "directory [seconds]", (1, 2), volumes::umount),
    sub("usetenv", "variable", (1, 1), usetenv),
];

/// Runs what stands behind `-x`.
///
/// # Errors
/// EX_UNWCMD for what is none; EX_REQARG and EX_INVARG for too few and too many words; what it says
/// itself.
pub fn run(session: &mut Session<'_, '_>, words: &[String]) -> Outcome {
    let (name, words) = words.split_first().map_or(("", [].as_slice()), |(n, w)| (n.as_str(), w));
    let Some(found) = ALL.iter().find(|known| known.name == name) else {
        let names: Vec<_> = ALL.iter().map(|known| known.name).collect();
        return Err(failed(name, Code::ExUnwcmd, "there is no such sub-command")
            .advice(format!("these are there: {}", names.join(", ")))
            .into());
    };
    let (least, most) = found.count;
    let code = match words.len() {
        few if few < least => Code::ExReqarg,
        many if many > most => Code::ExInvarg,
        _ => return (found.run)(session, words),
    };
    let wrong = format!("expected -x {name} {}", found.words);
    Err(failed(name, code, wrong.trim_end().to_owned()).into())
}

fn failed(name: &str, code: Code, cause: impl Into<String>) -> CciError {
    CciError::new(code).object(format!("-x {name}")).cause(cause)
}

fn sleep(session: &mut Session<'_, '_>, words: &[String]) -> Outcome {
    let milliseconds = words[0].parse::<u32>().map_err(|_| {
        failed("sleep", Code::ExInvarg, format!("{}: expected milliseconds", words[0]))
    })?;
    session.world.clock.sleep(Duration::from_millis(milliseconds.into()));
    Ok(0)
}

fn env(session: &mut Session<'_, '_>, _: &[String]) -> Outcome {
    let world = &mut *session.world;
    for (name, value) in world.environment.all() {
        writeln!(world.output, "{name}={value}")?;
    }
    Ok(0)
}

fn setenv(session: &mut Session<'_, '_>, words: &[String]) -> Outcome {
    at_the_prompt(session, "setenv")?;
    let name = variable("setenv", &words[0])?;
    session.world.environment = session.world.environment.clone().with(name, words[1].clone());
    Ok(0)
}

fn usetenv(session: &mut Session<'_, '_>, words: &[String]) -> Outcome {
    at_the_prompt(session, "usetenv")?;
    let name = variable("usetenv", &words[0])?;
    session.world.environment = session.world.environment.clone().without(name);
    Ok(0)
}

fn variable<'a>(command: &str, name: &'a str) -> Result<&'a str, Failure> {
    let plain = !name.is_empty() && !name.contains('=');
    plain.then_some(name).ok_or_else(|| {
        failed(command, Code::ExInvarg, format!("{name:?} names no variable")).into()
    })
}

/// A command that ends at once has no environment worth changing.
fn at_the_prompt(session: &Session<'_, '_>, command: &str) -> Result<(), Failure> {
    if session.world.at_prompt {
        return Ok(());
    }
    Err(failed(command, Code::ExOptinv, "it changes the environment of the interactive mode only")
        .advice(format!("{} -z, and then -x {command} ...", session.command))
        .into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::fake::Fake;

    #[test]
    fn mistakes_have_the_code_of_their_kind_and_say_what_is_there() {
        for (line, code) in [
            ("-x", 254),
            ("-x drivescna", 230),
            ("-x sleep", 254),
            ("-x sleep soon", 253),
            ("-x sleep 1 2", 253),
            ("-x setenv A 1", 248),
            ("-x usetenv A", 248),
            ("-x umount", 254),
            ("-x mount D: \\vol2", 246),
            ("-x sync D:", 246),
            ("-x umount /no/such/place", 246),
            ("-x portscan x", 253),
            ("-x findcmddev harddisk5,4", 253),
        ] {
            let ran = Fake::done().run("raidqry", line);
            assert_eq!((ran.code, ran.output.as_str()), (code, ""), "{line}: {}", ran.errors);
        }
        assert!(Fake::done().run("raidqry", "-x what").errors.contains("findcmddev"));
        let drive = Fake::done().run("raidqry", "-x sync E:").errors;
        assert!(drive.contains("no drive letters"), "{drive}");
    }

    #[test]
    fn sleep_waits_so_many_milliseconds() {
        let mut fake = Fake::done();
        assert_eq!(fake.run("pairdisplay", "-x sleep 1500").code, 0);
        assert_eq!(fake.slept(), Duration::from_millis(1500));
    }

    #[test]
    fn the_prompts_environment_is_changed_and_shown() {
        let mut fake = Fake::done();
        fake.input = "-x setenv COLOUR blue\n-x env\n-x usetenv COLOUR\n-x env\n-q\n".to_owned();
        let ran = fake.run("raidqry", "-z");
        assert_eq!(ran.code, 0, "{}", ran.errors);
        assert_eq!(ran.output.matches("COLOUR=blue").count(), 1, "{}", ran.output);
        assert!(!fake.run("raidqry", "-x env").output.contains("COLOUR"));
    }

    #[test]
    fn the_prompts_instance_follows_its_environment() {
        let mut fake = Fake::done();
        fake.input = "-x setenv HORCMINST 51\n-l\n".to_owned();
        fake.run("raidqry", "-z -I50");
        assert_eq!(fake.instances().iter().map(|i| i.number()).collect::<Vec<_>>(), [Some(51)]);
    }
}
