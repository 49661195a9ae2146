//! The words of RAID Manager, and nothing else.
//!
//! Every other room speaks with the types of this one: a serial number is a [`Serial`], not a
//! `u32`, and a failure is a [`CciError`] with CCI's own name, number and text. Nothing here does
//! I/O, knows a clock or keeps state.
//!
//! | file | what it holds |
//! |---|---|
//! | [`ids`] | serial, LDEV, MU#, target id, LUN, instance, pair ends |
//! | [`names`] | group and volume names as `horcm.conf` may spell them |
//! | [`port`] | port names `CL1-A` .. `CLG-R`, with or without a host group, and LU paths |
//! | [`status`] | pair status words, the role of a volume in a pair |
//! | [`mode`] | HORC or HOMRCF, and the options that choose between them |
//! | [`pair`] | the words of pair commands: fence, pace, split mode, side |
//! | [`guard`] | the access guard of `raidvchkset -vg` |
//! | [`capacity`] | blocks, emulation types and their sizes |
//! | [`code`] | every EX_ and EW_ code with number and text |
//! | [`mod@version`] | the version as CCI spells versions |
//! | [`error`] | [`CciError`]: a code with its object, state, cause and advice |

pub mod capacity;
pub mod code;
pub mod error;
pub mod guard;
pub mod ids;
pub mod mode;
pub mod names;
pub mod pair;
pub mod port;
pub mod status;
pub mod version;

pub use capacity::{Blocks, Emulation};
pub use code::Code;
pub use error::{CciError, CciResult};
pub use guard::{Guard, GuardType};
pub use ids::{Instance, LdevId, Lun, MuNumber, PairEnd, Serial, TargetId, VolumeId};
pub use mode::Mode;
pub use names::{DevName, GroupName};
pub use pair::{CopyPace, Fence, Side, SplitMode};
pub use port::{LuPath, PortAddress, PortName};
pub use status::{PairStatus, Role};
pub use version::version;
