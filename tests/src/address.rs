//! Loopback addresses that belong to one lab at a time.

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
};

/// The UDP port whose binding marks an address as taken; above 1024, so that anyone may bind it.
const MARK: u16 = 40_009;

/// A loopback address held for the life of this value.
#[derive(Debug)]
pub struct Address {
    ip: Ipv4Addr,
    _mark: UdpSocket,
}

impl Address {
    /// Takes a free address of `127.0.0.0/8` other than `127.0.0.1`.
    ///
    /// # Errors
    /// When no address can be bound at all, as on systems that configure only `127.0.0.1`.
    pub fn take() -> io::Result<Self> {
        let seed = std::process::id();
        let mut last = None;
        for attempt in 0..4096u32 {
            let n = seed.wrapping_mul(2_654_435_761).wrapping_add(attempt.wrapping_mul(40_503));
            let [_, a, b, c] = n.to_be_bytes();
            let ip = Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254));
            match UdpSocket::bind((ip, MARK)) {
                Ok(mark) => return Ok(Self { ip, _mark: mark }),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    /// The address.
    #[must_use]
    pub const fn ip(&self) -> Ipv4Addr {
        self.ip
    }
}
