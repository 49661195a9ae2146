//! `arrayd`: one process is one storage system.
//!
//! | file | what it holds |
//! |---|---|
//! | `main.rs` | the command line |
//! | `run.rs` | `arrayd run`: the daemon |
//! | `iscsi.rs` | its iSCSI portal |
//! | `admin.rs` | `arrayd init`, `hash-password`, `check`, `repair`, `dump`, `status`, `pools` and `grow` |
//! | `transfer.rs` | `arrayd import` and `export` |

mod admin;
mod iscsi;
mod run;
mod transfer;

use std::{path::PathBuf, process::ExitCode};

use array::control::frame::Ask;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use model::LdevId;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info"))
        .format_target(false)
        .init();
    array::store::quiet_contained_panics();
    match dispatch(&cli().get_matches()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("arrayd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Any failure of a subcommand; its text says what to do.
type Failure = Box<dyn std::error::Error>;

fn cli() -> Command {
    let dir = || {
        Arg::new("dir")
            .value_name("DIR")
            .help("The directory of the array")
            .required(true)
            .value_parser(value_parser!(PathBuf))
    };
    let ldev = || {
        Arg::new("ldev")
            .value_name("LDEV")
            .help("The LDEV: decimal, 0x hexadecimal or CU:LDEV")
            .required(true)
            .value_parser(|word: &str| word.parse::<LdevId>().map_err(|error| error.to_string()))
    };
    let file =
        |help: &'static str| Arg::new("file").value_name("FILE").help(help).default_value("-");
    let bytes = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("BYTES").help(help).value_parser(value_parser!(u64))
    };
    Command::new("arrayd")
        .about("A storage system in software, for RAID Manager")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("init").about("Make the directory of a new array").arg(dir()).arg(
                Arg::new("from")
                    .long("from")
                    .value_name("FILE.toml")
                    .help("The description of the array, see docs/array.md")
                    .required(true)
                    .value_parser(value_parser!(PathBuf)),
            ),
        )
        .subcommand(
            Command::new("run")
                .about("Run the array until SIGTERM or SIGINT")
                .arg(dir())
                .arg(
                    Arg::new("listen")
                        .long("listen")
                        .value_name("ADDRESS:PORT")
                        .help("Where the command device listens, instead of what the array's description says"),
                )
                .arg(
                    Arg::new("iscsi")
                        .long("iscsi")
                        .value_name("ADDRESS:PORT")
                        .help("Where hosts reach the ports by iSCSI, instead of what the array's description says"),
                )
                .arg(
                    Arg::new("key")
                        .long("key")
                        .value_name("FILE")
                        .help("A further key that clients may hold, beside $HORCMROOT/.uds/horcm.key")
                        .action(ArgAction::Append)
                        .value_parser(value_parser!(PathBuf)),
                ),
        )
        .subcommand(
            Command::new("hash-password")
                .about("Read a password and print its hash for the description of an array"),
        )
        .subcommand(
            Command::new("check")
                .about("Verify the directory of an array that does not run")
                .arg(dir()),
        )
        .subcommand(
            Command::new("repair")
                .about("Restore what redundancy allows of an array that does not run, say what is lost, and verify it")
                .arg(dir()),
        )
        .subcommand(
            Command::new("dump")
                .about("Print every record of an array that does not run")
                .arg(dir()),
        )
        .subcommand(
            Command::new("import")
                .about("Write a file into an LDEV of a running array, as a host does")
                .arg(dir())
                .arg(ldev())
                .arg(file("What to write; - is the standard input"))
                .arg(bytes("offset", "The first byte of the LDEV to write").default_value("0")),
        )
        .subcommand(
            Command::new("export")
                .about("Read an LDEV of a running array into a file")
                .arg(dir())
                .arg(ldev())
                .arg(file("Where to write; - is the standard output"))
                .arg(bytes("offset", "The first byte of the LDEV to read").default_value("0"))
                .arg(bytes("length", "How many bytes to read; up to the end if not given"))
                .arg(
                    Arg::new("force")
                        .long("force")
                        .help("Also from an S-VOL whose bytes are moving")
                        .action(ArgAction::SetTrue),
                ),
        )
        .subcommand(
            Command::new("pools").about("Show the pools of a running array").arg(dir()),
        )
        .subcommand(
            Command::new("grow")
                .about("Make a file of a pool longer, or take a further one into it, while the array runs")
                .arg(dir())
                .arg(
                    Arg::new("pool")
                        .value_name("POOL")
                        .help("The pool's number")
                        .required(true)
                        .value_parser(value_parser!(u16)),
                )
                .arg(
                    Arg::new("path")
                        .value_name("FILE")
                        .help("The file, as the array's description spells it, or a new one; or a block device")
                        .required(true),
                )
                .arg(
                    Arg::new("size")
                        .value_name("SIZE")
                        .help("Its size from now on, such as \"64 GiB\"; not needed for a block device")
                        .value_parser(|word: &str| array::size::parse_size(word)),
                )
                .arg(
                    Arg::new("preallocate")
                        .long("preallocate")
                        .help("Reserve its space on the file system at once")
                        .action(ArgAction::SetTrue),
                ),
        )
        .subcommand(
            Command::new("status").about("Show the LDEVs and pairs of a running array").arg(dir()),
        )
}

fn dispatch(matches: &ArgMatches) -> Result<(), Failure> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(());
    };
    if name == "hash-password" {
        return admin::hash_password();
    }
    let path = |name: &str| matches.get_one::<PathBuf>(name).cloned().unwrap_or_default();
    let dir = path("dir");
    match name {
        "init" => admin::init(&dir, &path("from")),
        "run" => {
            let listen = matches.get_one::<String>("listen").map(String::as_str);
            let keys: Vec<PathBuf> =
                matches.get_many("key").into_iter().flatten().cloned().collect();
            let iscsi = matches.get_one::<String>("iscsi").map(String::as_str);
            run::run(&dir, listen, iscsi, &keys)
        }
        "check" => admin::check(&dir),
        "repair" => admin::repair(&dir),
        "dump" => admin::dump(&dir),
        "status" => admin::status(&dir),
        "pools" => admin::pools(&dir),
        "grow" => {
            let bytes = matches.get_one::<model::Blocks>("size").map(|blocks| blocks.bytes());
            admin::grow(
                &dir,
                &Ask::Grow {
                    pool: matches.get_one::<u16>("pool").copied().unwrap_or_default(),
                    path: matches.get_one::<String>("path").cloned().unwrap_or_default(),
                    bytes,
                    preallocate: matches.get_flag("preallocate"),
                },
            )
        }
        _ => {
            let number = |name: &str| matches.get_one::<u64>(name).copied();
            let request = transfer::Request {
                dir,
                ldev: matches.get_one::<LdevId>("ldev").copied().unwrap_or_default(),
                file: matches.get_one::<String>("file").cloned().unwrap_or_default(),
                offset: number("offset").unwrap_or(0),
            };
            if name == "import" {
                transfer::import(&request)
            } else {
                let length = matches.try_get_one::<u64>("length").ok().flatten().copied();
                transfer::export(&request, length, matches.get_flag("force"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        cli().debug_assert();
    }
}
