//! Service names to UDP ports, from the host's services file.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use confparse::Service;

use crate::platform::services_file;

/// The most of a services file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// The UDP port of a service.
///
/// # Errors
/// A sentence that names the service and the file it should stand in.
pub fn port(service: &Service) -> Result<u16, String> {
    let name = match service {
        Service::Port(port) => return Ok(*port),
        Service::Name(name) => name,
    };
    let path = services_file();
    let text = read(&path).map_err(|e| {
        let file = path.display();
        format!("the service {name} is unknown: {file} cannot be read: {e}")
    })?;
    find(&text, name).ok_or_else(|| {
        let file = path.display();
        format!("the service {name} is unknown: add \"{name} <port>/udp\" to {file}, or write the port number")
    })
}

fn read(path: &PathBuf) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The first `name port/udp` row that carries the name or alias.
fn find(text: &str, name: &str) -> Option<u16> {
    text.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (first, port) = (words.next()?, words.next()?);
        let (port, protocol) = port.split_once('/')?;
        let named = first == name || words.any(|alias| alias == name);
        if named && protocol.eq_ignore_ascii_case("udp") {
            port.parse().ok().filter(|port| *port != 0)
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICES: &str = "\
# local
horcm0   11000/tcp
horcm0   11000/udp   # RAID Manager
horcm1   11001/udp  ccione horcmone
broken
zero     0/udp
";

    #[test]
    fn names_and_aliases_of_udp_services_are_found() {
        assert_eq!(find(SERVICES, "horcm0"), Some(11000));
        assert_eq!(find(SERVICES, "horcmone"), Some(11001));
    }

    #[test]
    fn other_words_are_not() {
        for name in ["RAID", "horcm", "zero", "broken", ""] {
            assert_eq!(find(SERVICES, name), None, "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_said_with_the_remedy() {
        let said = port(&Service::Name("no-such-svc".into())).unwrap_err();
        assert!(said.contains("no-such-svc"), "{said}");
        assert_eq!(port(&Service::Port(52050)), Ok(52050));
    }
}
