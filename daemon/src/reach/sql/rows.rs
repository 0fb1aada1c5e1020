//! Rows as text: an object on each line, or columns.

use std::collections::{HashMap, HashSet};

use policy::RowFormat;

use super::json::{Cell, quoted};

/// A table is measured by this many rows; those that follow keep its columns where they fit.
const MEASURED: usize = 100;
/// Or by this many bytes of them.
const MEASURED_BYTES: usize = 256 * 1024;
/// A column is not made wider for any value.
const WIDEST: usize = 60;

/// Writes rows.
pub(super) struct Rows {
    /// Each another.
    names: Vec<String>,
    shape: Shape,
    out: Vec<u8>,
    /// How many there were.
    pub(super) count: u64,
}

enum Shape {
    Objects,
    /// Rows that wait until it is known how wide the columns are, and their bytes.
    Measuring(Vec<Vec<String>>, usize),
    Table(Vec<usize>),
}

impl Rows {
    pub(super) fn new(format: RowFormat, names: impl IntoIterator<Item = String>) -> Self {
        let names = distinct(names);
        let (names, shape) = match format {
            RowFormat::Ndjson => (names.iter().map(|name| quoted(name)).collect(), Shape::Objects),
            RowFormat::Table => (names, Shape::Measuring(Vec::new(), 0)),
        };
        Self { names, shape, out: Vec::new(), count: 0 }
    }

    /// One more row.
    pub(super) fn add<'c>(&mut self, cells: impl Iterator<Item = Cell<'c>>) {
        self.count += 1;
        match &mut self.shape {
            Shape::Objects => object(&mut self.out, &self.names, cells),
            Shape::Table(widths) => {
                line(&mut self.out, widths, &cells.map(shown).collect::<Vec<_>>());
            }
            Shape::Measuring(waiting, bytes) => {
                let row: Vec<String> = cells.map(shown).collect();
                *bytes += row.iter().map(String::len).sum::<usize>();
                waiting.push(row);
                if waiting.len() >= MEASURED || *bytes >= MEASURED_BYTES {
                    self.measured();
                }
            }
        }
    }

    /// There are no more.
    pub(super) fn end(&mut self) {
        self.measured();
    }

    /// Bytes that are written, and not yet taken.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// What is written so far.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn measured(&mut self) {
        let Shape::Measuring(waiting, _) = &mut self.shape else { return };
        let waiting = std::mem::take(waiting);
        let width = |at: usize, name: &String| {
            let cells = waiting.iter().filter_map(|row| row.get(at)).chain([name]);
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default().min(WIDEST)
        };
        let widths: Vec<usize> =
            self.names.iter().enumerate().map(|(at, name)| width(at, name)).collect();
        line(&mut self.out, &widths, &self.names);
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        line(&mut self.out, &widths, &rule);
        for row in &waiting {
            line(&mut self.out, &widths, row);
        }
        self.shape = Shape::Table(widths);
    }
}

/// Two columns of one name would be one in an object: the second is `name_2`.
fn distinct(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let names: Vec<String> = names.into_iter().collect();
    let given: HashSet<&String> = names.iter().collect();
    let (mut known, mut last) = (HashSet::new(), HashMap::new());
    let one = |name: &String| {
        if known.insert(name.clone()) {
            return name.clone();
        }
        // Each number is tried once for each name, however many columns have it.
        let last: &mut u32 = last.entry(name.clone()).or_insert(1);
        loop {
            *last = last.saturating_add(1);
            let numbered = format!("{name}_{last}");
            if !given.contains(&numbered) && known.insert(numbered.clone()) {
                return numbered;
            }
        }
    };
    names.iter().map(one).collect()
}

fn object<'c>(out: &mut Vec<u8>, names: &[String], cells: impl Iterator<Item = Cell<'c>>) {
    out.push(b'{');
    for (at, (name, cell)) in names.iter().zip(cells).enumerate() {
        out.extend((at > 0).then_some(b','));
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        match cell {
            Cell::Null => out.extend_from_slice(b"null"),
            Cell::Json(text) => out.extend_from_slice(text.as_bytes()),
            Cell::Text(text) => out.extend_from_slice(quoted(&text).as_bytes()),
        }
    }
    out.extend_from_slice(b"}\n");
}

/// In a table a value stays on its line.
fn shown(cell: Cell<'_>) -> String {
    let text = match cell {
        Cell::Null => return String::new(),
        Cell::Json(text) | Cell::Text(text) => text,
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn line(out: &mut Vec<u8>, widths: &[usize], cells: &[String]) {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line.push_str(cell);
        let room = width.saturating_sub(cell.chars().count());
        line.extend(std::iter::repeat_n(' ', room + 2));
    }
    out.extend_from_slice(line.trim_end().as_bytes());
    out.push(b'\n');
}
