//! How commands find the daemon of an instance: a small file that is there while it runs.
//!
//! Text, one line: `127.0.0.1:31050 4711`, the address the daemon listens on and its process id.
//! A daemon that was killed leaves the file behind; nobody then answers at that address, and the
//! next daemon of the instance replaces it.

use std::fs;
use std::io;
use std::net::SocketAddr;

use model::Instance;

use crate::durable;
use crate::home::Home;
use crate::request_id::RequestId;

/// Where a running daemon can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration {
    /// The address commands on this host send to.
    pub address: SocketAddr,
    /// The daemon's process id.
    pub pid: u32,
}

impl Registration {
    /// The registration of an instance, or `None` when there is none.
    ///
    /// # Errors
    /// What the file system says, or [`io::ErrorKind::InvalidData`] for a damaged file; both name
    /// the file.
    pub fn read(home: &Home, instance: Instance) -> io::Result<Option<Self>> {
        let path = home.registration_file(instance);
        let named = |kind: io::ErrorKind, what: &dyn std::fmt::Display| {
            io::Error::new(kind, format!("{}: {what}", path.display()))
        };
        match fs::read_to_string(&path) {
            Ok(text) => parse(&text).map(Some).ok_or_else(|| {
                named(
                    io::ErrorKind::InvalidData,
                    &"damaged registration; remove it and start the instance again",
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(named(error.kind(), &error)),
        }
    }

    /// Makes this the registration of an instance, in one step: readers see the old or the new.
    ///
    /// # Errors
    /// What the file system says, naming the file.
    pub fn write(&self, home: &Home, instance: Instance) -> io::Result<()> {
        home.ensure()?;
        let path = home.registration_file(instance);
        let draft = home.uds().join(format!(".{}", RequestId::random()));
        fs::write(&draft, format!("{} {}\n", self.address, self.pid))
            .and_then(|()| durable::replace(&draft, &path))
            .map_err(|error| {
                // The draft may not even exist; the first error is the one that matters.
                let _ = fs::remove_file(&draft);
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })
    }

    /// Removes the registration of an instance; none there is fine.
    ///
    /// # Errors
    /// What the file system says, naming the file.
    pub fn remove(home: &Home, instance: Instance) -> io::Result<()> {
        let path = home.registration_file(instance);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
            }
            _ => Ok(()),
        }
    }
}

fn parse(text: &str) -> Option<Registration> {
    let (address, pid) = text.trim_end().split_once(' ')?;
    Some(Registration { address: address.parse().ok()?, pid: pid.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_registration_is_there_from_write_to_remove() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        let fifty = Instance::numbered(50).unwrap();
        assert_eq!(Registration::read(&home, fifty).unwrap(), None);
        let first = Registration { address: "127.0.0.1:31051".parse().unwrap(), pid: 1 };
        let second = Registration { address: "[::1]:31051".parse().unwrap(), pid: 2 };
        first.write(&home, fifty).unwrap();
        second.write(&home, fifty).unwrap();
        assert_eq!(Registration::read(&home, fifty).unwrap(), Some(second));
        assert_eq!(fs::read_dir(home.uds()).unwrap().count(), 1, "a draft stayed behind");
        Registration::remove(&home, fifty).unwrap();
        Registration::remove(&home, fifty).unwrap();
        assert_eq!(Registration::read(&home, fifty).unwrap(), None);
    }

    #[test]
    fn a_registration_that_others_read_all_the_time_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        let fifty = Instance::numbered(50).unwrap();
        let new = |pid| Registration { address: "127.0.0.1:31051".parse().unwrap(), pid };
        new(0).write(&home, fifty).unwrap();
        thread::scope(|scope| {
            let writer = scope.spawn(|| (1..=200).try_for_each(|pid| new(pid).write(&home, fifty)));
            while !writer.is_finished() {
                assert!(Registration::read(&home, fifty).unwrap().is_some());
            }
            writer.join().unwrap().unwrap();
        });
        assert_eq!(Registration::read(&home, fifty).unwrap(), Some(new(200)));
    }

    #[test]
    fn a_damaged_registration_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        home.ensure().unwrap();
        let fifty = Instance::numbered(50).unwrap();
        for text in ["", "127.0.0.1:1", "here 5", "127.0.0.1:1 -5", "127.0.0.1:1 5 6"] {
            fs::write(home.registration_file(fifty), text).unwrap();
            let error = Registration::read(&home, fifty).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text:?}");
            assert!(error.to_string().contains("horcmd_050"));
        }
    }
}
