//! The reference of the book against the code: every key that there is, and no other.

#[cfg(test)]
mod docs {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::Path;

    use bytesize::ByteSize;
    use daemon::monitor::contacts::Contacts;
    use policy::Source;

    /// A key that no file has, and that is near to none.
    const STRAY: &str = "zzzzzzzz = 1";

    const VERB: &str = "[verb.\"a.b\"]\n";
    const LIMITING_ALL: &str = "effect = \"read\"\nrun = { exec = { argv = [\"/bin/true\"], limits = { total = { zzzzzzzz = 1 } } } }\n";
    const LIMITING: &str = "effect = \"read\"\nrun = { exec = { argv = [\"/bin/true\"], limits = { zzzzzzzz = 1 } } }\n";
    const RUNNING: &str =
        "summary = \"s\"\neffect = \"read\"\nrun = { exec = { argv = [\"/bin/true\"] } }\n";

    fn read(path: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        fs::read_to_string(root.join(path)).unwrap()
    }

    /// The table below a heading of the page: its keys, each with the cell beside it.
    fn table(page: &str, heading: &str) -> BTreeMap<String, String> {
        let page = read(&format!("docs/src/{page}.md"));
        let below = page.lines().skip_while(|line| *line != heading).skip(1);
        let rows: Vec<_> =
            below.take_while(|line| !line.starts_with('#')).filter_map(row).collect();
        let count = rows.len();
        let table: BTreeMap<_, _> = rows.into_iter().collect();
        assert!(!table.is_empty(), "there is no table below `{heading}`");
        assert_eq!(table.len(), count, "a key stands twice below `{heading}`");
        table
    }

    fn row(line: &str) -> Option<(String, String)> {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        let key = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        Some((key.to_owned(), cells.next()?.trim_matches('`').to_owned()))
    }

    fn keys(heading: &str) -> BTreeSet<String> {
        table("configuration", heading).into_keys().collect()
    }

    fn policy_keys(heading: &str) -> BTreeSet<String> {
        table("policy-reference", heading).into_keys().collect()
    }

    /// The fields of a struct of numbers and durations, as `{:#?}` shows them: one on each line.
    fn fields(shown: &str) -> BTreeMap<String, String> {
        let field = |line: &str| {
            let (key, value) = line.trim().strip_suffix(',')?.split_once(": ")?;
            Some((key.to_owned(), value.to_owned()))
        };
        shown.lines().filter_map(field).collect()
    }

    /// A default as a file would have it, as `{:?}` shows the number or duration that it means.
    fn meant(written: &str) -> String {
        if let Ok(span) = humantime::parse_duration(written) {
            return format!("{span:?}");
        }
        let size: ByteSize = written.parse().unwrap();
        size.as_u64().to_string()
    }

    fn assert_tells(heading: &str, limits: &str) {
        let told = table("configuration", heading)
            .into_iter()
            .map(|(key, default)| (key, meant(&default)));
        assert_eq!(told.collect::<BTreeMap<_, _>>(), fields(limits), "below `{heading}`");
    }

    #[test]
    fn every_limit_of_the_daemon_is_told_with_its_default() {
        let limits = daemon::config::Limits::default();
        assert_tells("### `[limits]` of the daemon", &format!("{limits:#?}"));
    }

    #[test]
    fn every_limit_of_the_relay_is_told_with_its_default() {
        let limits = relay::config::Limits::default();
        assert_tells("### `[limits]` of the relay", &format!("{limits:#?}"));
    }

    #[test]
    fn every_key_of_the_shipped_configuration_is_told() {
        let example = read("examples/web-team/openscoped.toml");
        let mut example: toml::Table = toml::from_str(&example).unwrap();
        example.remove("limits").unwrap();
        let relays = example.remove("relay").unwrap();
        let relay = relays.as_array().unwrap()[0].as_table().unwrap();
        let of = |table: &toml::Table| table.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys("## `openscoped.toml`"), of(&example));
        assert_eq!(keys("### `[[relay]]`"), of(relay));
    }

    /// What a reader says that it knows, when it meets a stray key.
    fn known(fault: &str) -> BTreeSet<String> {
        let (_, list) = fault.rsplit_once("known here: ").expect(fault);
        list.split(", ").map(str::to_owned).collect()
    }

    fn known_to_policy(verbs: &str, rules: &str) -> BTreeSet<String> {
        let source =
            |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
        let loaded = policy::load(&[source("v.toml", verbs)], &[source("r.toml", rules)]);
        known(&loaded.unwrap_err()[0].to_string())
    }

    #[test]
    fn every_key_of_a_verb_is_told() {
        for (heading, stray) in [
            ("### A verb", format!("{VERB}{STRAY}\n")),
            ("### What `exec` takes", format!("{VERB}run = {{ exec = {{ {STRAY} }} }}\n")),
            ("### What `ssh` takes", format!("{VERB}run = {{ ssh = {{ {STRAY} }} }}\n")),
            ("### `[ssh.NAME]`", format!("[ssh.a]\n{STRAY}\n")),
            ("### `[http.NAME]`", format!("[http.a]\n{STRAY}\n")),
            ("### `[sql.NAME]`", format!("[sql.a]\n{STRAY}\n")),
            ("### `[tcp.NAME]`", format!("[tcp.a]\n{STRAY}\n")),
            (
                "### What `http` takes",
                format!(
                    "[http.a]\nurl = \"http://h/\"\npaths = [\"/\"]\n{VERB}run = {{ http = {{ {STRAY} }} }}\n"
                ),
            ),
            (
                "### What `sql` takes",
                format!("[sql.a]\nsqlite = \"/a\"\n{VERB}run = {{ sql = {{ {STRAY} }} }}\n"),
            ),
            ("### What `forward` takes", format!("{VERB}run = {{ forward = {{ {STRAY} }} }}\n")),
            ("### What `file` takes", format!("{VERB}run = {{ file = {{ {STRAY} }} }}\n")),
            ("### `[redact.NAME]`", format!("[redact.a]\n{STRAY}\n")),
            ("### `limits`", format!("{VERB}{LIMITING}")),
            ("### `limits.total`", format!("{VERB}{LIMITING_ALL}")),
            ("### A parameter", format!("{VERB}params = {{ x = {{ {STRAY} }} }}\n")),
        ] {
            assert_eq!(policy_keys(heading), known_to_policy(&stray, ""), "below `{heading}`");
        }
    }

    #[test]
    fn every_key_of_a_rule_is_told() {
        let catalog = format!("{VERB}{RUNNING}");
        for (heading, kind) in [
            ("### `[[agent]]`", "agent"),
            ("### `[[role]]`", "role"),
            ("### `[[allow]]` and `[[deny]]`", "allow"),
            ("### `[[allow]]` and `[[deny]]`", "deny"),
            ("### `[[delegate]]`", "delegate"),
        ] {
            let stray = format!("[[{kind}]]\n{STRAY}\n");
            assert_eq!(policy_keys(heading), known_to_policy(&catalog, &stray), "`[[{kind}]]`");
        }
    }

    #[test]
    fn every_key_of_a_window_is_told() {
        let catalog = format!("{VERB}{RUNNING}");
        let stray = format!("[[allow]]\nuser = \"*\"\nwhen = {{ {STRAY} }}\nverbs = [\"*\"]\n");
        assert_eq!(policy_keys("### `when`"), known_to_policy(&catalog, &stray));
    }

    #[test]
    fn every_key_of_an_expectation_is_told() {
        let known_to_tests = |text: &str| {
            let source = Source { name: "t.toml".to_owned(), text: text.to_owned() };
            let read = policy::expectations(&source, &policy::Policy::default());
            known(&read.unwrap_err()[0].to_string())
        };
        assert_eq!(policy_keys("### The file"), known_to_tests(STRAY));
        let stray = format!("[[expect]]\n{STRAY}\n");
        assert_eq!(policy_keys("### `[[expect]]`"), known_to_tests(&stray));
    }

    /// Every code that lint can give stands in the guide, and no other.
    #[test]
    fn every_finding_of_lint_is_told() {
        let page = read("docs/src/policy.md");
        let below =
            page.lines().skip_while(|line| *line != "### What deserves a second look").skip(1);
        let told: BTreeSet<String> = below
            .take_while(|line| !line.starts_with('#'))
            .filter_map(row)
            .map(|(code, _)| code)
            .collect();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy/src/lint");
        let sources = fs::read_dir(root).unwrap().map(|file| file.unwrap().path());
        let code: String = sources.map(|file| fs::read_to_string(file).unwrap()).collect();
        for finding in &told {
            assert!(
                code.contains(&format!("\"{finding}\"")),
                "`{finding}` is told and never given"
            );
        }
        let calls = ["Finding::warning(", "Finding::note(", "Finding::new(level,"];
        let given = calls.iter().flat_map(|call| code.split(call).skip(1));
        let codes = given.filter_map(|after| after.split('"').nth(1)).map(str::to_owned);
        assert_eq!(codes.collect::<BTreeSet<_>>(), told);
    }

    #[test]
    fn every_key_of_a_contact_is_told() {
        let fault = Contacts::parse("contacts.toml", &format!("[contact.a]\n{STRAY}\n"));
        assert_eq!(keys("## `contacts.toml`"), known(&fault.unwrap_err().to_string()));
    }
}
