//! The project's own tasks: `cargo xtask demo`, `test`, `bench`, `torture`, `conformance`, `deny`,
//! `dist`, `windows`.
//!
//! | file | what it holds |
//! |---|---|
//! | `demo` | the seed's session, run and verified |
//! | `check` | everything that must pass: builds, tests, doctests, the demo |
//! | `conformance` | libiscsi's suite against our target and tgt's |
//! | `dist` | a tree to copy to `/`, with links, man pages and completions |
//! | `dist_windows` | a zip file with installation scripts |
//! | `man`, `completion` | man pages and completions, made of the option tables |
//! | `torture` | crash points, for as long as is wished |
//! | `windows` | the programs of Windows, built here |
//! | `tools` | programs of others: found, or installed, or named |
//! | `cargo` | calling cargo |

mod cargo;
mod check;
mod completion;
mod conformance;
mod demo;
mod dist;
mod dist_windows;
mod man;
mod tools;
mod torture;
mod windows;

use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};

fn main() -> ExitCode {
    let matches = Command::new("cargo xtask")
        .about("Tasks of the RAID Manager project")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("demo")
                .about("Build, run the seed's session from horcmstart to horcmshutdown, verify it")
                .arg(
                    Arg::new("keep")
                        .long("keep")
                        .action(ArgAction::SetTrue)
                        .help("Leave array and instances running and print the environment"),
                ),
        )
        .subcommand(Command::new("test").about("Install or name what is needed, run everything"))
        .subcommand(
            Command::new("bench")
                .about("Measure the budgets of docs/bench.md on release builds")
                .subcommand(Command::new("store").about(
                "Measure the store beside reflink, btrfs, qcow2 and plain files; writes docs/bench",
            ))
                .subcommand(
                    Command::new("iscsi")
                        .about("Measure the iSCSI target beside tgt; writes docs/bench"),
                ),
        )
        .subcommand(
            Command::new("torture")
                .about("Crash an array at random points and judge what is left: torture --help")
                .disable_help_flag(true)
                .arg(
                    Arg::new("arguments")
                        .num_args(0..)
                        .allow_hyphen_values(true)
                        .trailing_var_arg(true),
                ),
        )
        .subcommand(Command::new("conformance").about(
            "Run libiscsi's suite against our target and against tgt; writes docs/conformance.md",
        ))
        .subcommand(
            Command::new("dist").about("Make a tree and an archive ready to install").subcommand(
                Command::new("windows").about("The same for Windows, as a zip file"),
            ),
        )
        .subcommand(
            Command::new("windows")
                .about("The programs of Windows")
                .subcommand_required(true)
                .subcommand(
                    Command::new("build")
                        .about("Build them; for tests under Wine unless --release")
                        .arg(
                            Arg::new("release")
                                .long("release")
                                .action(ArgAction::SetTrue)
                                .help("With optimisation, to be given away"),
                        ),
                ),
        )
        .subcommand(Command::new("deny").about("Check licences, bans and sources (cargo-deny)"))
        .get_matches();
    let result = match matches.subcommand() {
        Some(("demo", args)) => demo::run(args.get_flag("keep")),
        Some(("test", _)) => check::test(),
        Some(("bench", args)) if args.subcommand_name() == Some("store") => check::bench_store(),
        Some(("bench", args)) if args.subcommand_name() == Some("iscsi") => check::bench_iscsi(),
        Some(("bench", _)) => check::bench(),
        Some(("torture", args)) => {
            let given = args.get_many::<String>("arguments").into_iter().flatten();
            torture::run(&given.map(String::as_str).collect::<Vec<_>>())
        }
        Some(("conformance", _)) => conformance::run(),
        Some(("dist", args)) if args.subcommand_name() == Some("windows") => dist_windows::run(),
        Some(("dist", _)) => dist::run(),
        Some(("windows", args)) => build_windows(args),
        Some(("deny", _)) => check::deny(),
        _ => Err("no such task".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn build_windows(args: &clap::ArgMatches) -> cargo::Result {
    let release = args.subcommand().is_some_and(|(_, args)| args.get_flag("release"));
    let purpose = if release { windows::Purpose::Release } else { windows::Purpose::Test };
    let folder = windows::build(purpose)?;
    println!("{}", folder.display());
    Ok(())
}
