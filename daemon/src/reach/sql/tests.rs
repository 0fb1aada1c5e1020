//! Rows as they are written, and a file that is asked, without a daemon around them.

use policy::RowFormat;

use super::fault::plain;
use super::json::{Cell, is_number, on_one_line};
use super::rows::Rows;

fn written(format: RowFormat, names: &[&str], rows: &[&[Cell<'static>]]) -> String {
    let mut all = Rows::new(format, names.iter().map(|name| (*name).to_owned()));
    for row in rows {
        all.add(row.iter().cloned());
    }
    all.end();
    String::from_utf8(all.take()).unwrap()
}

const ONE: Cell<'static> = Cell::Json(std::borrow::Cow::Borrowed("1"));

fn text(text: &'static str) -> Cell<'static> {
    Cell::Text(text.into())
}

#[test]
fn an_object_is_one_line_whatever_is_in_it() {
    let odd = text("a\"b\\c\n\u{0}\u{2028}é");
    let said = written(RowFormat::Ndjson, &["a\"", "b"], &[&[odd, Cell::Null]]);
    assert_eq!(said.matches('\n').count(), 1);
    let read: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(read, serde_json::json!({ "a\"": "a\"b\\c\n\u{0}\u{2028}é", "b": null }));
    assert_eq!(written(RowFormat::Ndjson, &[], &[&[]]), "{}\n");
    assert_eq!(written(RowFormat::Ndjson, &["a"], &[]), "");
}

#[test]
fn columns_of_one_name_are_told_apart() {
    let names = ["a", "a", "a_2", "b", "a"];
    let said = written(RowFormat::Ndjson, &names, &[&[ONE, ONE, ONE, ONE, ONE]]);
    assert_eq!(said, "{\"a\":1,\"a_3\":1,\"a_2\":1,\"b\":1,\"a_4\":1}\n");
}

#[test]
fn a_table_is_as_wide_as_what_is_in_it_and_no_wider_than_it_may_be() {
    let long: &'static str = "x".repeat(70).leak();
    let said = written(
        RowFormat::Table,
        &["id", "text"],
        &[&[ONE, text("a\u{1b}[2Jb\nc")], &[Cell::Null, text(long)]],
    );
    let rule = "-".repeat(60);
    assert_eq!(said, format!("id  text\n--  {rule}\n1   a [2Jb c\n    {long}\n"));
    // What follows the rows that were measured comes as it comes.
    let row = [ONE, text("x")];
    let rows: Vec<&[Cell<'static>]> = vec![&row; 250];
    let said = written(RowFormat::Table, &["id", "text"], &rows);
    assert_eq!(said.lines().count(), 252);
    assert!(said.lines().skip(2).all(|line| line == "1   x"));
}

#[test]
fn a_number_is_one_that_json_knows() {
    for good in ["0", "-1", "1.50", "1e-07", "1e+300", "12345678901234567890.123456789"] {
        assert!(is_number(good), "{good}");
    }
    for bad in ["", "-", "NaN", "Infinity", "-Infinity", "01", ".5", "1.", "0x1", "1 ", "+1", "1,0"]
    {
        assert!(!is_number(bad), "{bad}");
    }
}

#[test]
fn a_document_keeps_its_texts_and_loses_its_lines() {
    assert_eq!(
        on_one_line("{\n \"a b\" : [ 1.0,\t\"\\\" \\\\\" ] }"),
        "{\"a b\":[1.0,\"\\\" \\\\\"]}"
    );
    assert_eq!(plain("a\nb\u{1b}[2Jc"), "a b [2Jc");
}
