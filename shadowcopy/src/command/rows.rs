//! Tables of words: each column as wide as its widest cell, one blank between two.

use model::error::printable;

/// Lines with these headings over these rows. The last column is not filled up.
#[must_use]
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let shown = |cell: &str| match printable(cell).trim() {
        "" => "-".to_owned(),
        word => word.to_owned(),
    };
    let mut lines = vec![headings.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| std::array::from_fn(|at| shown(&row[at]))));
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<_> =
            line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join(" ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_no_cell_is_empty() {
        let rows = [["a".to_owned(), String::new()], ["bbbb".to_owned(), "x\ny z".to_owned()]];
        assert_eq!(table(["ID", "WORDS"], &rows), "ID   WORDS\na    -\nbbbb x\\ny z\n");
    }
}
