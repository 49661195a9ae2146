//! The resources of the DLL, for Windows only: its version, and the message table of its events,
//! which is the core's table.
//!
//! `windres` (of the mingw-w64 binutils, which the linker needs anyway) or `rc` (of the Windows
//! SDK; run cargo from a developer prompt) compiles them; `$WINDRES` names another. Without one the
//! build fails: the event viewer would show events without a text.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[allow(dead_code, reason = "only names and numbers are needed here")]
#[path = "../src/event.rs"]
mod event;

/// Severity "error" of a message id, as `event_log.rs` reports it.
const ERROR: u32 = 0xc000_0000;
/// The whole message is what is inserted: name, text and details.
const TEXT: &str = "%1\r\n";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../src/event.rs");
    println!("cargo::rerun-if-env-changed=WINDRES");
    if env::var("CARGO_CFG_WINDOWS").is_err() {
        return Ok(());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("messages.bin"), message_table())?;
    fs::write(out.join("rmvssprv.rc"), script()?)?;
    let compiled = compile(&out)?;
    println!("cargo::rustc-cdylib-link-arg={}", compiled.display());
    Ok(())
}

/// MESSAGE_RESOURCE_DATA: one block of consecutive ids, from the first event's to the last's.
///
/// | bytes | what |
/// |---|---|
/// | 0..4 | number of blocks, 1 |
/// | 4..8, 8..12 | first and last id |
/// | 12..16 | where its entries begin, 16 |
/// | then each | length of the entry, 1 for UTF-16, the text with a NUL, filled up to 4 bytes |
fn message_table() -> Vec<u8> {
    let ids = event::Event::ALL.iter().map(|event| ERROR | u32::from(event.id()));
    let (first, last) = (ids.clone().min().unwrap_or(ERROR), ids.max().unwrap_or(ERROR));
    let mut table: Vec<u8> = [1, first, last, 16].into_iter().flat_map(u32::to_le_bytes).collect();
    let mut text: Vec<u8> = TEXT.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    text.resize(text.len().next_multiple_of(4), 0);
    let length = u16::try_from(text.len() + 4).unwrap_or(u16::MAX);
    for _ in first..=last {
        table.extend(length.to_le_bytes());
        table.extend(1_u16.to_le_bytes());
        table.extend(&text);
    }
    table
}

/// Resource types: 11 is a message table, 1 of VERSIONINFO a fixed part.
fn script() -> Result<String, env::VarError> {
    let version = env::var("CARGO_PKG_VERSION")?;
    let numbers = format!("{},0", version.replace('.', ","));
    Ok(format!(
        "1 11 \"messages.bin\"
1 VERSIONINFO
FILEVERSION {numbers}
PRODUCTVERSION {numbers}
FILEOS 0x40004
FILETYPE 2
BEGIN
  BLOCK \"StringFileInfo\"
  BEGIN
    BLOCK \"040904b0\"
    BEGIN
      VALUE \"FileDescription\", \"RM Shadow Copy Provider\"
      VALUE \"FileVersion\", \"{version}\"
      VALUE \"OriginalFilename\", \"RMVSSPRV.dll\"
      VALUE \"ProductName\", \"RAID Manager\"
      VALUE \"ProductVersion\", \"{version}\"
    END
  END
  BLOCK \"VarFileInfo\"
  BEGIN
    VALUE \"Translation\", 0x409, 1200
  END
END
"
    ))
}

fn compile(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let msvc = env::var("CARGO_CFG_TARGET_ENV")? == "msvc";
    let name = match env::var("WINDRES") {
        Ok(name) => name,
        Err(_) if msvc => "rc".to_owned(),
        Err(_) if cfg!(windows) => "windres".to_owned(),
        Err(_) => format!("{}-w64-mingw32-windres", env::var("CARGO_CFG_TARGET_ARCH")?),
    };
    let (product, args) = if msvc {
        ("rmvssprv.res", vec!["/nologo", "/fo", "rmvssprv.res", "rmvssprv.rc"])
    } else {
        ("rmvssprv.o", vec!["-i", "rmvssprv.rc", "-o", "rmvssprv.o", "-O", "coff"])
    };
    let mut command = Command::new(&name);
    let status = command.args(args).current_dir(out).status().map_err(|error| {
        format!(
            "{name}, which compiles the resources of RMVSSPRV.dll: {error}; on Debian it is in \
             binutils-mingw-w64-x86-64, elsewhere name it by $WINDRES"
        )
    })?;
    if status.success() { Ok(out.join(product)) } else { Err(format!("{name}: {status}").into()) }
}
