//! The version, as CCI spells versions.

/// `NN-NN-NN/NN` from the package's version, as `-h` and `raidqry -l` show it. The last pair is
/// always `00`.
#[must_use]
pub fn version() -> String {
    let part = |text: &str| text.parse::<u32>().unwrap_or_default();
    format!(
        "{:02}-{:02}-{:02}/00",
        part(env!("CARGO_PKG_VERSION_MAJOR")),
        part(env!("CARGO_PKG_VERSION_MINOR")),
        part(env!("CARGO_PKG_VERSION_PATCH"))
    )
}
