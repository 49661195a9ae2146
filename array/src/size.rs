//! Sizes as people write them: `2400 MiB`, `1 TiB`, `4806720 blocks`.

use model::Blocks;

/// Reads a size. A number alone is blocks of 512 bytes.
///
/// # Errors
/// What was expected.
pub fn parse_size(text: &str) -> Result<Blocks, String> {
    let expected =
        || format!("{text:?}; expected a size such as \"2400 MiB\" or \"4806720 blocks\"");
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let unit: u64 = match unit.trim() {
        "" | "blocks" => Blocks::SIZE,
        "B" => 1,
        "KB" | "KiB" => 1 << 10,
        "MB" | "MiB" => 1 << 20,
        "GB" | "GiB" => 1 << 30,
        "TB" | "TiB" => 1 << 40,
        _ => return Err(expected()),
    };
    let bytes = number.checked_mul(unit).ok_or_else(expected)?;
    if bytes % Blocks::SIZE == 0 {
        Ok(Blocks::from_bytes(bytes))
    } else {
        Err(format!("{text:?} is not a multiple of 512 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_binary_as_storage_systems_count() {
        assert_eq!(parse_size("2400 MiB"), Ok(Blocks(4_915_200)));
        assert_eq!(parse_size("2403360KB"), Ok(Blocks(4_806_720)));
        assert_eq!(parse_size("8"), Ok(Blocks(8)));
        assert_eq!(parse_size("1024 B"), Ok(Blocks(2)));
    }

    #[test]
    fn other_words_are_refused() {
        for text in ["", "MiB", "-1 MiB", "1.5 GiB", "100 B", "9 cm", "99999999999999 TiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
