//! Ports and LUN paths: which LDEV stands where.

use model::{LdevId, LuPath, PortAddress};
use protocol::orders::{ScanFilter, Sighting};

/// The paths of a storage system, by path and by LDEV.
#[derive(Debug)]
pub struct Ports {
    /// Ascending.
    paths: Vec<(LuPath, LdevId)>,
    /// The same by LDEV, ascending.
    of_ldevs: Vec<(LdevId, LuPath)>,
}

/// Host group 0 is the port itself: `CL1-A-0` and `CL1-A` are one place.
#[must_use]
pub fn canonical(mut path: LuPath) -> LuPath {
    path.port.host_group = path.port.host_group.filter(|group| *group != 0);
    path
}

impl Ports {
    /// Over the paths of an inventory.
    #[must_use]
    pub fn new(mut paths: Vec<(LuPath, LdevId)>) -> Self {
        paths.sort_unstable();
        let mut of_ldevs: Vec<_> = paths.iter().map(|(path, ldev)| (*ldev, *path)).collect();
        of_ldevs.sort_unstable();
        Self { paths, of_ldevs }
    }

    /// The LDEV at a path.
    #[must_use]
    pub fn locate(&self, path: LuPath) -> Option<LdevId> {
        let path = canonical(path);
        let at = self.paths.binary_search_by_key(&path, |(path, _)| *path);
        at.ok().and_then(|at| self.paths.get(at)).map(|(_, ldev)| *ldev)
    }

    /// The first path of an LDEV.
    #[must_use]
    pub fn first(&self, ldev: LdevId) -> Option<LuPath> {
        self.leading_to(ldev).next()
    }

    /// The path at which a host sees an LDEV: the one with its LUN, or else the first at the port.
    #[must_use]
    pub fn trace(&self, seen: Sighting) -> Option<LuPath> {
        let at_port = || self.leading_to(seen.ldev).filter(|path| path.port.port == seen.port);
        at_port().find(|path| path.lun.get() == seen.lun).or_else(|| at_port().next())
    }

    /// The paths of an LDEV, in ascending order.
    fn leading_to(&self, ldev: LdevId) -> impl Iterator<Item = LuPath> + '_ {
        let start = self.of_ldevs.partition_point(|(other, _)| *other < ldev);
        let rest = self.of_ldevs.get(start..).unwrap_or_default();
        rest.iter().take_while(move |(other, _)| *other == ldev).map(|(_, path)| *path)
    }

    /// The LUs of a host group, in ascending order.
    pub fn of(&self, at: PortAddress) -> impl Iterator<Item = (LuPath, LdevId)> + '_ {
        let group = at.host_group.filter(|group| *group != 0);
        let at = PortAddress { host_group: group, ..at };
        let first = self.paths.partition_point(|(path, _)| path.port < at);
        self.paths.iter().skip(first).take_while(move |(path, _)| path.port == at).copied()
    }

    /// The LUs that a filter lets through, in ascending order. A port without a host group means
    /// all of its host groups.
    pub fn scan(&self, filter: ScanFilter) -> impl Iterator<Item = (LuPath, LdevId)> + '_ {
        let port = move |at: PortAddress| {
            filter.port.is_none_or(|wanted| {
                wanted.port == at.port
                    && wanted.host_group.is_none_or(|group| group == at.host_group.unwrap_or(0))
            })
        };
        self.paths
            .iter()
            .filter(move |(path, _)| {
                port(path.port)
                    && filter.target.is_none_or(|target| target == path.target)
                    && filter.lun.is_none_or(|lun| lun == path.lun)
            })
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use model::{Lun, TargetId};

    use super::*;

    fn path(port: &str, target: u32, lun: u32) -> LuPath {
        LuPath {
            port: port.parse().unwrap(),
            target: TargetId::new(target).unwrap(),
            lun: Lun::new(lun).unwrap(),
        }
    }

    fn ldev(n: u32) -> LdevId {
        LdevId::new(n).unwrap()
    }

    #[test]
    fn host_group_0_is_the_port_itself() {
        let ports = Ports::new(vec![
            (path("CL2-C", 25, 1), ldev(18)),
            (path("CL2-C-1", 25, 1), ldev(19)),
            (path("CL1-A", 0, 0), ldev(18)),
        ]);
        assert_eq!(ports.locate(path("CL2-C-0", 25, 1)), Some(ldev(18)));
        assert_eq!(ports.locate(path("CL2-C-1", 25, 1)), Some(ldev(19)));
        assert_eq!(ports.locate(path("CL2-C", 25, 2)), None);
        assert_eq!(ports.first(ldev(18)), Some(path("CL1-A", 0, 0)));
        let trace = |port: &str, lun| {
            let port = port.parse().unwrap();
            ports.trace(Sighting { ldev: ldev(18), port, lun })
        };
        assert_eq!(trace("CL2-C", 1), Some(path("CL2-C", 25, 1)));
        assert_eq!(trace("CL2-C", 9), Some(path("CL2-C", 25, 1)), "hosts number as they like");
        assert_eq!(trace("CL3-A", 1), None);
        let count = |word: &str| {
            ports
                .scan(ScanFilter { port: Some(word.parse().unwrap()), ..ScanFilter::default() })
                .count()
        };
        assert_eq!((count("CL2-C"), count("CL2-C-0"), count("CL3-A")), (2, 1, 0));
    }
}
