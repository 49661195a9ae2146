//! The keys of the file, as serde reads them.

use serde::Deserialize;

use crate::users::UserRole;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) serial: u32,
    #[serde(default = "default_model")]
    pub(super) model: String,
    #[serde(default = "default_microcode")]
    pub(super) microcode: String,
    #[serde(default = "default_cache")]
    pub(super) cache_mb: u32,
    pub(super) ssid: Option<String>,
    #[serde(default)]
    pub(super) ipcmd: IpcmdSection,
    pub(super) iscsi: Option<IscsiSection>,
    #[serde(default)]
    pub(super) pool: Vec<PoolSection>,
    #[serde(default)]
    pub(super) port: Vec<PortSection>,
    #[serde(default)]
    pub(super) ldev: Vec<LdevSection>,
    #[serde(default)]
    pub(super) lun: Vec<LunSection>,
    #[serde(default)]
    pub(super) user: Vec<UserSection>,
}

fn default_model() -> String {
    "9980V".into()
}

fn default_microcode() -> String {
    "21-14-02/00".into()
}

const fn default_cache() -> u32 {
    16_384
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IpcmdSection {
    #[serde(default = "default_listen")]
    pub(super) listen: String,
    #[serde(default)]
    pub(super) security: SecuritySection,
}

fn default_listen() -> String {
    "127.0.0.1:31001".into()
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SecuritySection {
    #[serde(default)]
    pub(super) protection: bool,
    #[serde(default)]
    pub(super) user_authentication: bool,
    #[serde(default)]
    pub(super) device_groups: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserSection {
    pub(super) name: String,
    pub(super) password_hash: String,
    #[serde(default)]
    pub(super) roles: Vec<UserRole>,
}

impl Default for IpcmdSection {
    fn default() -> Self {
        Self { listen: default_listen(), security: SecuritySection::default() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IscsiSection {
    pub(super) listen: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolSection {
    pub(super) id: u16,
    pub(super) name: Option<String>,
    pub(super) threshold: Option<u8>,
    pub(super) raid_group: Option<String>,
    #[serde(default)]
    pub(super) file: Vec<MemberSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberSection {
    pub(super) path: String,
    pub(super) size: Option<Word>,
    #[serde(default)]
    pub(super) preallocate: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PortSection {
    pub(super) name: String,
    #[serde(default)]
    pub(super) host_group: Vec<HostGroupSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostGroupSection {
    pub(super) number: u8,
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) initiators: Vec<String>,
    pub(super) chap: Option<ChapSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChapSection {
    pub(super) user: String,
    pub(super) secret: String,
    pub(super) target_user: Option<String>,
    pub(super) target_secret: Option<String>,
}

/// A number, or text in one of the field's notations.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
pub(super) enum Word {
    Number(u64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LdevSection {
    pub(super) ldev: Word,
    pub(super) emulation: String,
    pub(super) size: Option<Word>,
    #[serde(default)]
    pub(super) command_device: bool,
    pub(super) security: Option<SecuritySection>,
    pub(super) pool: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LunSection {
    pub(super) port: String,
    pub(super) target: u32,
    pub(super) lun: u32,
    pub(super) ldev: Word,
    pub(super) luns_per_target: Option<u32>,
}
