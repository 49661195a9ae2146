//! iSCSI names (RFC 7143, 4.2.7): `iqn.`, `eui.` and `naa.`, at most 223 bytes.

/// A name as names are compared: in lower case. `None` for what is no iSCSI name.
#[must_use]
pub fn normal(name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    let legal = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | ':') || !c.is_ascii();
    let hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let form = match lower.split_at_checked(4)? {
        ("iqn.", rest) => !rest.is_empty(),
        ("eui.", rest) => rest.len() == 16 && hex(rest),
        ("naa.", rest) => matches!(rest.len(), 16 | 32) && hex(rest),
        _ => false,
    };
    (form && lower.len() <= 223 && lower.chars().all(legal)).then_some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_in_lower_case_and_what_is_none_is_refused() {
        assert_eq!(
            normal("IQN.1993-08.org.debian:01:AbC").unwrap(),
            "iqn.1993-08.org.debian:01:abc"
        );
        assert!(normal("eui.0123456789abcdef").is_some());
        assert!(normal("naa.52004567ba64678d").is_some());
        let long = format!("iqn.{}", "x".repeat(220));
        for bad in ["", "iqn.", "host", "iqn.a b", "iqn.a_b", "iqn.a,b", "eui.12", "naa.x", &long] {
            assert_eq!(normal(bad), None, "{bad}");
        }
    }
}
