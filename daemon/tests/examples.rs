//! The policies to start from say what they are expected to say, and deserve no second look.

#[cfg(test)]
mod examples {
    use std::path::{Path, PathBuf};
    use std::process::Output;

    const STARTS: [&str; 3] = ["small-team", "vendor-four-eyes", "agents-read-only"];
    const CATALOG: &str = "verbs";

    fn example(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "the real program is what is tested")]
    fn openscope(arguments: &[&str]) -> (Option<i32>, String) {
        let program =
            std::process::Command::new(env!("CARGO_BIN_EXE_openscope")).args(arguments).output();
        let Output { status, stdout, stderr } = program.unwrap();
        (status.code(), [stdout, stderr].map(|said| String::from_utf8(said).unwrap()).concat())
    }

    #[test]
    fn what_each_example_is_expected_to_say_it_says() {
        for name in STARTS.into_iter().chain([CATALOG]) {
            let file = example(name).join("policy.test.toml");
            let (status, said) = openscope(&["policy", "test", file.to_str().unwrap()]);
            assert_eq!(status, Some(0), "{name}: {said}");
            assert!(said.contains("all met"), "{said}");
        }
    }

    #[test]
    fn an_example_that_says_something_else_fails() {
        let file = example("small-team").join("policy.test.toml");
        let other = example("agents-read-only");
        let (status, said) = openscope(&[
            "policy",
            "test",
            "--config",
            other.to_str().unwrap(),
            file.to_str().unwrap(),
        ]);
        assert_eq!(status, Some(2), "verbs that are not there: {said}");
        let text = std::fs::read_to_string(&file).unwrap();
        let home = tempfile::tempdir().unwrap();
        let changed = home.path().join("changed.test.toml");
        std::fs::write(
            &changed,
            text.replace("\"refused\"", "\"permitted\"")
                .replace("call   = \"host.disk\"\n", "call   = \"host.disk\"\nto = \"x\"\n"),
        )
        .unwrap();
        let place = example("small-team");
        let (status, said) = openscope(&[
            "policy",
            "test",
            "--config",
            place.to_str().unwrap(),
            changed.to_str().unwrap(),
        ]);
        assert_eq!(status, Some(1), "{said}");
    }

    #[test]
    fn the_book_lists_each_verb_of_the_catalog() {
        let page = std::fs::read_to_string(example("../docs/src/catalog.md")).unwrap();
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let first = rows.filter_map(|row| row.split('|').nth(1));
        let told = first.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let told: std::collections::BTreeSet<String> =
            told.filter(|name| name.contains('.')).map(str::to_owned).collect();
        let mut held = std::collections::BTreeSet::new();
        for file in std::fs::read_dir(example(CATALOG).join("verbs.d")).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let names =
                text.lines().filter_map(|line| line.strip_prefix("[verb.\"")?.strip_suffix("\"]"));
            held.extend(names.map(str::to_owned));
        }
        assert_eq!(told, held);
    }

    #[test]
    fn of_the_catalog_that_is_known_which_deserves_a_second_look() {
        let place = example(CATALOG);
        let (status, said) = openscope(&["policy", "lint", "--config", place.to_str().unwrap()]);
        assert_eq!(status, Some(0), "{said}");
        let notes: Vec<&str> =
            said.lines().filter(|line| line.contains("hands the path")).collect();
        assert_eq!(notes.len(), 2, "those that take paths of other hosts: {said}");
        let bare = said.lines().filter(|line| line.contains("[unmasked]"));
        assert_eq!(bare.count(), 3, "what is reflected, or fetched, comes as it is: {said}");
        assert!(said.contains("`staging.connect` carries bytes that nobody here reads"), "{said}");
        assert!(said.contains("`dev.open` opens WebSockets to `dev`"), "{said}");
        assert!(said.contains("`host.top` lets its recipient type to `/usr/bin/top`"), "{said}");
        assert!(said.contains("`ssh.top` lets its recipient type to `top`"), "{said}");
        assert!(said.contains("`app.errors` may what `app` may, and not its owner"), "{said}");
        assert!(said.contains("no warnings, 10 notes"), "{said}");
    }

    #[test]
    fn no_example_deserves_a_second_look() {
        for name in STARTS.into_iter().chain(["web-team"]) {
            let place = example(name);
            let (status, said) =
                openscope(&["policy", "lint", "--strict", "--config", place.to_str().unwrap()]);
            assert_eq!((status, said.as_str()), (Some(0), "no warnings, no notes\n"), "{name}");
        }
    }
}
