//! Who the provider is. Provider id and name are the manual's (MK-94HC074 3.5.3); the rest is
//! chosen here, for nothing public names it.

use windows::core::GUID;

/// The provider, as `vssadmin list providers` shows it.
pub const PROVIDER: GUID = GUID::from_u128(provider::guid::PROVIDER.0);
/// Its class.
pub const CLASS: GUID = GUID::from_u128(0x7ee0_29c4_8eb4_4a12_9a85_8918_2048_3ea9);
/// Its name.
pub const NAME: &str = "RM Shadow Copy Provider";
/// Its version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Its events' source in the Application log.
pub const EVENT_SOURCE: &str = "RMVSSPRV";

/// VSS wants another id for another version: this one ends in the version's three numbers.
pub fn version_id() -> GUID {
    let numbers = VERSION.split('.').map(|number| number.parse().unwrap_or(u16::MAX));
    let last = numbers.take(3).fold(0, |all, number| all << 16 | u128::from(number));
    GUID::from_u128(0x5fa2_225e_1d00_4453 << 64 | 0x901e << 48 | last)
}
