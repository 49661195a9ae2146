//! Host names to addresses.

use std::net::{IpAddr, SocketAddr};

use confparse::Host;

/// The addresses of a host, IPv4 first: CCI speaks IPv4 unless an address or `NONE6` says
/// otherwise, and `localhost` must mean the same for everybody who writes it.
///
/// # Errors
/// A sentence that names the host.
pub async fn addresses(host: &Host) -> Result<Vec<IpAddr>, String> {
    let found = tokio::net::lookup_host((host.as_str(), 0)).await;
    let found = found.map_err(|e| format!("the host {host} is unknown: {e}"))?;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses.dedup();
    Ok(addresses)
}

/// The first address of a host, with a port.
///
/// # Errors
/// A sentence that names the host.
pub async fn first(host: &Host, port: u16) -> Result<SocketAddr, String> {
    // An address with a scope, such as fe80::1%eth0, keeps it only when looked up whole.
    let scoped = host.as_str().contains('%');
    let looked_up = tokio::net::lookup_host((host.as_str(), port));
    if scoped && let Ok(mut found) = looked_up.await {
        return found.next().ok_or_else(|| format!("the host {host} has no address"));
    }
    let first = addresses(host).await?.first().copied();
    let ip = first.ok_or_else(|| format!("the host {host} has no address"))?;
    Ok(SocketAddr::from((ip, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_is_ipv4_and_addresses_are_themselves() {
        let first = async |host: &str| first(&host.parse().unwrap(), 7).await;
        assert_eq!(first("localhost").await.unwrap().to_string(), "127.0.0.1:7");
        assert_eq!(first("::1").await.unwrap().to_string(), "[::1]:7");
    }

    #[tokio::test]
    async fn an_unknown_host_is_named() {
        let said = first(&"no-such-host.invalid".parse().unwrap(), 7).await.unwrap_err();
        assert!(said.contains("no-such-host.invalid"), "{said}");
    }
}
