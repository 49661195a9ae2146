//! The event log of the provider on Linux: standard error, and syslog where one listens.

use std::{io::Write as _, os::unix::net::UnixDatagram};

use model::error::printable;
use provider::{error::Refused, host::EventLog};

/// Where syslog listens.
const SYSLOG: &str = "/dev/log";
/// Facility daemon (3), severity error (3): RFC 5424 6.2.1.
const PRIORITY: u8 = 3 * 8 + 3;

/// Standard error and syslog, under the name of the command.
#[derive(Debug, Clone, Copy)]
pub struct Events(pub &'static str);

impl EventLog for Events {
    fn write(&mut self, refused: &Refused) {
        let text = refused.to_string();
        // Whoever closed it does not want to hear of it.
        let _ = writeln!(std::io::stderr(), "{}: {text}", self.0);
        let line = line(self.0, std::process::id(), &text);
        // Without a syslog, standard error has to do.
        let _ = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.send_to(line.as_bytes(), SYSLOG)
        });
    }
}

/// `<27>drmfsbackup[17]: ...`, on one line.
fn line(command: &str, pid: u32, text: &str) -> String {
    let one_line = text.lines().map(str::trim).collect::<Vec<_>>().join("; ");
    format!("<{PRIORITY}>{command}[{pid}]: {}", printable(&one_line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_syslog() {
        let text = "[EV_INVSTP] Invalid pair\n  STATE : PSUE\u{1b}\n";
        let expected = "<27>drmfsbackup[17]: [EV_INVSTP] Invalid pair; STATE : PSUE\\u{1b}";
        assert_eq!(line("drmfsbackup", 17, text), expected);
    }
}
