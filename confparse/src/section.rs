//! The names of sections, and what a misspelled one may have meant.

/// The sections whose rows are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Mon,
    Cmd,
    Dev,
    Ldev,
    Ldevg,
    Inst,
    Instp,
    AllowInst,
    Other,
}

impl Section {
    pub(crate) const KNOWN: [(&'static str, Self); 8] = [
        ("HORCM_MON", Self::Mon),
        ("HORCM_CMD", Self::Cmd),
        ("HORCM_DEV", Self::Dev),
        ("HORCM_LDEV", Self::Ldev),
        ("HORCM_LDEVG", Self::Ldevg),
        ("HORCM_INST", Self::Inst),
        ("HORCM_INSTP", Self::Instp),
        ("HORCM_ALLOW_INST", Self::AllowInst),
    ];

    /// The known section of that name, in whatever case it is written.
    pub(crate) fn named(word: &str) -> Option<(&'static str, Self)> {
        Self::KNOWN.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word))
    }

    /// The known name nearest to a misspelled one, if at most two letters away.
    pub(crate) fn resembling(word: &str) -> Option<&'static str> {
        // Every known name is shorter than this; longer words need no comparing.
        if word.len() > 20 {
            return None;
        }
        Self::KNOWN
            .into_iter()
            .map(|(name, _)| (distance(word.as_bytes(), name.as_bytes()), name))
            .filter(|(distance, _)| *distance <= 2)
            .min()
            .map(|(_, name)| name)
    }
}

/// Letters to insert, drop or exchange to come from one word to the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let exchanged = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_section_is_found_by_its_name_and_stands_in_its_place() {
        for (at, (name, section)) in Section::KNOWN.into_iter().enumerate() {
            assert_eq!(Section::named(&name.to_lowercase()), Some((name, section)));
            assert_eq!(section as usize, at, "{name} indexes a table by its place");
        }
    }

    #[test]
    fn misspelled_names_resemble_what_was_meant() {
        assert_eq!(Section::resembling("HORCM_INTS"), Some("HORCM_INST"));
        assert_eq!(Section::resembling("HORCM_LDVE"), Some("HORCM_LDEV"));
        assert_eq!(Section::resembling("HORCM_ALOW_INST"), Some("HORCM_ALLOW_INST"));
        assert_eq!(Section::resembling("HORCM_WHATEVER"), None);
        assert_eq!(Section::resembling(&"HORCM_".repeat(1_000)), None);
    }
}
