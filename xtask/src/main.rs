//! The project's own tasks: `cargo xtask demo`, `test`, `bench`, `torture`, `conformance`, `deny`,
//! `dist`.
//!
//! | file | what it holds |
//! |---|---|
//! | `demo` | the seed's session, run and verified |
//! | `check` | everything that must pass: builds, tests, doctests, the demo |
//! | `conformance` | libiscsi's suite against our target and tgt's |
//! | `dist` | a tree to copy to `/`, with links, man pages and completions |
//! | `man`, `completion` | man pages and completions, made of the option tables |
//! | `provider_dll` | RMVSSPRV.dll and the coordinator that tests it, for Windows |
//! | `torture` | crash points, for as long as is wished |
//! | `tools` | programs of others: found, or installed, or named |
//! | `cargo` | calling cargo |

mod cargo;
mod check;
mod completion;
mod conformance;
mod demo;
mod dist;
mod man;
mod provider_dll;
mod tools;
mod torture;

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
        .subcommand(Command::new("dist").about("Make a tree and an archive ready to install"))
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
        Some(("dist", _)) => dist::run(),
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
