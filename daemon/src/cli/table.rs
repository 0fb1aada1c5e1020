//! Columns that line up.

/// Rows under a heading. The last column is as wide as it likes.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| width(column, &head, rows));
    let mut lines = vec![line(head.iter().copied(), &widths)];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str), &widths)));
    lines.join("\n")
}

fn width<const N: usize>(column: usize, head: &[&str; N], rows: &[[String; N]]) -> usize {
    let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
    let heading = head.get(column).map_or(0, |cell| cell.chars().count());
    cells.max().unwrap_or(0).max(heading)
}

fn line<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    let padded: Vec<String> =
        cells.zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    padded.join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_blanks() {
        let rows = [["a".to_owned(), "é".to_owned()], ["long".to_owned(), String::new()]];
        assert_eq!(table(["ID", "TO"], &rows), "ID    TO\na     é\nlong");
    }
}
