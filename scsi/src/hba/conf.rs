//! `$HORCMROOT/etc/horcm.hba`, or the file that HORCM_HBA names: the portals of the built-in
//! initiator, one a line.
//!
//! ```text
//! # portal            initiator                       CHAP user, secret   target's user, secret
//! 127.0.0.1:3260
//! array-2:3260        iqn.1993-08.org.debian:01:host  host 0123456789ab   array ba9876543210
//! ```

/// The initiator's name where a line has none.
pub const INITIATOR: &str = "iqn.2026-11.internal.raidmanager:host";
/// The port where a line has none (RFC 7143, 14).
const PORT: u16 = 3260;

/// A portal, and who logs in there.
#[derive(Clone, PartialEq, Eq)]
pub struct Portal {
    /// `HOST:PORT`.
    pub address: String,
    /// The initiator's iSCSI name.
    pub initiator: String,
    /// What it shows by CHAP: name and secret.
    pub chap: Option<(String, String)>,
    /// What the target has to show.
    pub target_chap: Option<(String, String)>,
}

impl std::fmt::Debug for Portal {
    /// Without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} as {}", self.address, self.initiator)
    }
}

/// A line that says nothing sensible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadLine {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and what was expected.
    pub problem: &'static str,
}

/// Reads the file.
///
/// # Errors
/// The first bad line.
pub fn parse(text: &str) -> Result<Vec<Portal>, BadLine> {
    let mut portals = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        let bad = |problem| BadLine { line: n + 1, problem };
        portals.push(portal(&words).map_err(bad)?);
    }
    Ok(portals)
}

fn portal(words: &[&str]) -> Result<Portal, &'static str> {
    let pair = |at: usize| match (words.get(at), words.get(at + 1)) {
        (Some(name), Some(secret)) => Ok(Some(((*name).to_owned(), (*secret).to_owned()))),
        (None, _) => Ok(None),
        (Some(_), None) => Err("a CHAP name without its secret"),
    };
    if words.len() > 6 {
        return Err("expected at most: portal, initiator, CHAP user and secret, and the target's");
    }
    let (address, initiator) = (words[0], words.get(1).copied().unwrap_or(INITIATOR));
    let well_formed = ["iqn.", "eui.", "naa."].iter().any(|start| initiator.starts_with(start));
    if !well_formed || initiator.len() > 223 {
        return Err(
            "expected an iSCSI name for the initiator, such as iqn.1993-08.org.debian:01:host",
        );
    }
    let address = match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !host.ends_with(':') => {
            if port.parse::<u16>().is_err() {
                return Err("expected HOST:PORT, such as 192.0.2.7:3260");
            }
            address.to_owned()
        }
        _ => format!("{address}:{PORT}"),
    };
    Ok(Portal { address, initiator: initiator.to_owned(), chap: pair(2)?, target_chap: pair(4)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_defaults_and_comments() {
        let text =
            "# nothing\n\n127.0.0.1:41000  # here\narray-2 iqn.2020-01.a:b me secret you other\n";
        let portals = parse(text).unwrap();
        assert_eq!(portals[0].address, "127.0.0.1:41000");
        assert_eq!((portals[0].initiator.as_str(), &portals[0].chap), (INITIATOR, &None));
        assert_eq!(portals[1].address, "array-2:3260");
        assert_eq!(portals[1].chap, Some(("me".into(), "secret".into())));
        assert_eq!(portals[1].target_chap, Some(("you".into(), "other".into())));
        assert!(!format!("{portals:?}").contains("secret"));
    }

    #[test]
    fn bad_lines_are_named() {
        for (text, line) in [
            ("a:b", 1),
            ("\nhost:1 me", 2),
            ("host iqn.2020-01.a:b user", 1),
            ("host iqn.2020-01.a:b u s t", 1),
            ("host iqn.2020-01.a:b u s t s more", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text}");
        }
    }
}
