//! Where an installation keeps its files: logs, keys, registrations, configuration.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use model::Instance;

use crate::platform;

/// The directory of one installation. Two homes share nothing, so that several can run side by
/// side on one host as ordinary users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
    conf: Option<PathBuf>,
}

impl Home {
    /// The home this process' environment names: `$HORCMROOT`; else `/HORCM` for root; else
    /// `$XDG_STATE_HOME/horcm`; else `~/.local/state/horcm`. On Windows `%HORCMROOT%`, else
    /// `\HORCM` on the system drive. `$HORCM_CONF`, where set, is the configuration file.
    #[must_use]
    pub fn from_env() -> Self {
        let root = path_from_env("HORCMROOT").unwrap_or_else(platform::default_root);
        Self { root, conf: path_from_env("HORCM_CONF") }
    }

    /// The home at a directory; `$HORCM_CONF` has no say in it.
    #[must_use]
    pub const fn at(root: PathBuf) -> Self {
        Self { root, conf: None }
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `.uds`: keys and registrations. It may not exist yet: [`Home::ensure`].
    #[must_use]
    pub fn uds(&self) -> PathBuf {
        self.root.join(".uds")
    }

    /// Makes `.uds`, and what leads to it, where missing; only its owner can enter it (0700; on
    /// Windows, only its owner, the administrators and the system).
    ///
    /// # Errors
    /// What the file system says, naming the directory; on Windows
    /// [`io::ErrorKind::PermissionDenied`] for a `.uds` that belongs to another account.
    pub fn ensure(&self) -> io::Result<()> {
        let named = |path: &Path, error: &io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        };
        fs::create_dir_all(&self.root).map_err(|error| named(&self.root, &error))?;
        let uds = self.uds();
        match platform::make_private_folder(&uds) {
            Err(error) if !uds.is_dir() => Err(named(&uds, &error)),
            Err(_) => platform::check_folder(&uds).map_err(|error| named(&uds, &error)),
            Ok(()) => Ok(()),
        }
    }

    /// `.uds/horcm.key`: the key of this host.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.uds().join("horcm.key")
    }

    /// `.uds/horcmd_0N`: there while the daemon of that instance runs.
    #[must_use]
    pub fn registration_file(&self, instance: Instance) -> PathBuf {
        self.uds().join(instance.process_title())
    }

    /// `logN`: the log directory of an instance; `log` for the one without a number.
    #[must_use]
    pub fn log_dir(&self, instance: Instance) -> PathBuf {
        self.root.join(format!("log{}", instance.suffix()))
    }

    /// The configuration file of an instance: `$HORCM_CONF`; else `etc/horcmN.conf` of this home
    /// if it is there; else `/etc/horcmN.conf` (`%windir%\horcmN.conf` on Windows).
    #[must_use]
    pub fn conf_file(&self, instance: Instance) -> PathBuf {
        if let Some(conf) = &self.conf {
            return conf.clone();
        }
        self.etc(&instance.conf_name())
    }

    /// The default permission file of an instance, `horcmpermN.conf`: that of this home if it is
    /// there, else the system's.
    #[must_use]
    pub fn perm_file(&self, instance: Instance) -> PathBuf {
        self.etc(&format!("horcmperm{}.conf", instance.suffix()))
    }

    /// A file of `etc/` of this home if it is there, else the system's.
    fn etc(&self, name: &str) -> PathBuf {
        let own = self.root.join("etc").join(name);
        if own.exists() { own } else { platform::system_conf_dir().join(name) }
    }
}

/// An unset variable and an empty one say the same: nothing.
fn path_from_env(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_where_cci_users_look_for_them() {
        let home = Home::at(PathBuf::from("/HORCM"));
        let fifty = Instance::numbered(50).unwrap();
        assert_eq!(home.key_file(), Path::new("/HORCM/.uds/horcm.key"));
        assert_eq!(home.registration_file(fifty), Path::new("/HORCM/.uds/horcmd_050"));
        assert_eq!(home.log_dir(fifty), Path::new("/HORCM/log50"));
        assert_eq!(home.log_dir(Instance::UNNUMBERED), Path::new("/HORCM/log"));
    }

    #[test]
    fn the_homes_own_configuration_comes_before_the_systems() {
        let dir = tempfile::tempdir().unwrap();
        let mut home = Home::at(dir.path().join("home"));
        let fifty = Instance::numbered(50).unwrap();
        assert_eq!(home.conf_file(fifty), platform::system_conf_dir().join("horcm50.conf"));
        let own = home.root().join("etc/horcm50.conf");
        fs::create_dir_all(own.parent().unwrap()).unwrap();
        fs::write(&own, "").unwrap();
        assert_eq!(home.conf_file(fifty), own);
        let perm = home.root().join("etc/horcmperm50.conf");
        assert_eq!(home.perm_file(fifty), platform::system_conf_dir().join("horcmperm50.conf"));
        fs::write(&perm, "").unwrap();
        assert_eq!(home.perm_file(fifty), perm);
        home.conf = Some(PathBuf::from("elsewhere.conf"));
        assert_eq!(home.conf_file(fifty), Path::new("elsewhere.conf"));
    }

    #[test]
    fn uds_is_made_for_its_owner_only_and_twice_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("a/b"));
        home.ensure().unwrap();
        home.ensure().unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            assert_eq!(fs::metadata(home.uds()).unwrap().mode() & 0o777, 0o700);
        }
    }
}
