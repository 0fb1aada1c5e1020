use super::*;

const SET: &str = "[redact.internal]\nliterals = [\"secrets/db\"]\n";

fn with(values: &str, mode: u32) -> tempfile::TempDir {
    let dir = place(MINIMAL);
    put(&dir.path().join("verbs.d/redact.toml"), SET, 0o644);
    put(&dir.path().join("secrets/db"), values, mode);
    dir
}

fn refused(values: &str) -> String {
    let faults = faults(with(values, 0o600).path());
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].clone()
}

#[test]
fn values_are_sealed_as_they_are_read_and_nowhere_in_what_was_read() {
    let dir = with("  correct horse battery\r\n\nTr0ub4dor&3\ncorrect horse battery\n", 0o600);
    let loaded = read(dir.path()).unwrap();
    let set = &loaded.redact.sets[0];
    assert_eq!((set.name.as_str(), set.label.as_str()), ("internal", "internal"));
    let lengths: std::collections::BTreeSet<u16> =
        set.literals.iter().map(|sealed| sealed.length).collect();
    assert_eq!((set.literals.len(), lengths), (2, [11, 21].into()));
    assert!(loaded.files.contains(&dir.path().join("secrets/db")));
    let told = format!("{loaded:?}{:?}", wire::privsep::encode(&loaded.redact).unwrap());
    assert!(!told.contains("battery") && !told.contains("Tr0ub"), "{told}");
    let again = read(dir.path()).unwrap();
    assert_ne!(again.redact.key, loaded.redact.key, "a key for each reading");
    put(&dir.path().join("secrets/db"), "something else\n", 0o600);
    assert_eq!(read(dir.path()).unwrap().digest, loaded.digest, "by which it could be guessed");
}

#[test]
fn a_value_that_cannot_be_looked_for_is_named_by_its_line_and_not_by_itself() {
    for (values, wanted) in [
        ("long enough\nhunter2\n".to_owned(), ":2: the value has 7 bytes: one of fewer than 8"),
        ("x".repeat(1025), ":1: the value has 1025 bytes: at most 1024"),
        ("********\n".to_owned(), ":1: the value has fewer than 4 different characters"),
        ("\n \n".to_owned(), "has no value"),
        (String::new(), "has no value"),
    ] {
        let said = refused(&values);
        assert!(said.contains("secrets/db") && said.contains(wanted), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("xxx"), "{said}");
    }
    assert!(read(with("12345678\n", 0o600).path()).is_ok());
    assert!(read(with(&"abcd".repeat(256), 0o600).path()).is_ok());
}

#[test]
fn there_are_256_values_and_no_more() {
    let values = |count: usize| {
        let values: Vec<String> = (0..count).map(|at| format!("value-{at:03}\n")).collect();
        values.concat()
    };
    let loaded = read(with(&values(256), 0o600).path()).unwrap();
    assert_eq!(loaded.redact.sets[0].literals.len(), 256);
    assert!(refused(&values(257)).contains("257 values are looked for: at most 256"));
}

#[test]
fn a_file_of_secrets_that_others_read_or_that_is_not_there_is_refused() {
    let said = faults(with("correct horse battery\n", 0o640).path()).remove(0);
    assert!(said.contains("secrets/db` is readable by group or others"), "{said}");
    let dir = with("correct horse battery\n", 0o600);
    fs::remove_file(dir.path().join("secrets/db")).unwrap();
    assert!(faults(dir.path())[0].contains("secrets/db` cannot be opened"));
}
