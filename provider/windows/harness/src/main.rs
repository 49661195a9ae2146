//! A coordinator for the tests of `RMVSSPRV.dll`: it reads a call a line, makes it through the
//! provider's vtables, and prints what came back, ending with `= HRESULT`; then `=` to standard
//! error.
//!
//! | file | what it holds |
//! |---|---|
//! | `coordinator` | the class VSS would be: `IVssAdmin` |
//! | `dll` | the DLL as a file: registered, asked for a class, its messages |
//! | `luns` | LUNs by name, in COM task memory, and their text |
//! | `calls` | the provider's methods |
//! | `malformed` | arguments that no coordinator would hand in |
//!
//! Windows only; it runs under Wine, started by `tests/tests/vss.rs`.

#[cfg(windows)]
mod calls;
#[cfg(windows)]
mod coordinator;
#[cfg(windows)]
mod dll;
#[cfg(windows)]
mod luns;
#[cfg(windows)]
mod malformed;

#[cfg(windows)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::io::{BufRead as _, Write as _};

    use windows::Win32::System::Com::{COINIT_MULTITHREADED, CoInitializeEx};

    // SAFETY: once, on the main thread, which lasts as long as the process.
    unsafe { CoInitializeEx(None, COINIT_MULTITHREADED) }.ok()?;
    let coordinator = coordinator::Coordinator::start()?;
    let mut caller = calls::Caller::default();
    let mut luns = luns::Luns::default();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((name, words)) = words.split_first() else { continue };
        let answer = match *name {
            "lun" => luns.define(words),
            "show" => luns.show(words),
            "answer" => coordinator.answer(words),
            "told" => Ok((coordinator.told(), windows_core::HRESULT(0))),
            "malformed" => malformed::all(&caller),
            name if dll::COMMANDS.contains(&name) => dll::command(name, words),
            name => caller.call(name, words, &mut luns),
        };
        match answer {
            Ok((lines, hresult)) => {
                for line in lines {
                    writeln!(out, "{line}")?;
                }
                writeln!(out, "= {:#010x}", hresult.0)?;
            }
            Err(error) => writeln!(out, "? {line}: {error}")?,
        }
        out.flush()?;
        // Wine writes events to standard error; here end those of this call.
        eprintln!("=");
    }
    Ok(())
}

/// Windows programs need Windows.
#[cfg(not(windows))]
const fn main() {}

/// What a command prints and returns, or why it is none.
#[cfg(windows)]
type Answer = Result<(Vec<String>, windows_core::HRESULT), Box<dyn std::error::Error>>;
