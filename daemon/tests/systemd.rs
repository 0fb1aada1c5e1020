//! The units of the examples, as systemd reads them.

#[cfg(test)]
mod systemd {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};
    use std::process::Output;

    use tempfile::TempDir;

    fn example(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/systemd").join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "systemd's own programs judge")]
    fn run(program: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = std::process::Command::new(program);
        // Where a user's manager would keep its sockets, were there one.
        command.args(arguments).env("XDG_RUNTIME_DIR", "/tmp");
        let Output { status, stdout, stderr } = command.output().unwrap();
        (status.code(), [stdout, stderr].map(|said| String::from_utf8(said).unwrap()).concat())
    }

    /// The files as they would be installed, but with the program that was built.
    fn installed(files: &[&str]) -> TempDir {
        let home = tempfile::tempdir().unwrap();
        for file in files {
            let text = fs::read_to_string(example(file)).unwrap();
            let place = home.path().join(file);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            let program = env!("CARGO_BIN_EXE_openscoped");
            fs::write(&place, text.replace("/usr/sbin/openscoped", program)).unwrap();
            fs::set_permissions(&place, fs::Permissions::from_mode(0o644)).unwrap();
        }
        home
    }

    #[test]
    fn systemd_has_nothing_to_say_of_the_units() {
        let system = installed(&["openscoped.service"]);
        let bound = installed(&["openscoped.service", "openscoped.service.d/network.conf"]);
        let own = installed(&["user/openscoped.service"]);
        for (home, unit, user) in [
            (&system, "openscoped.service", "--system"),
            (&bound, "openscoped.service", "--system"),
            (&own, "user/openscoped.service", "--user"),
        ] {
            let unit = home.path().join(unit);
            let said =
                run("systemd-analyze", &[user, "verify", "--man=no", unit.to_str().unwrap()]);
            assert_eq!(said, (Some(0), String::new()), "{}", unit.display());
        }
    }

    #[test]
    fn a_line_that_systemd_does_not_know_would_be_seen() {
        let home = installed(&["openscoped.service"]);
        let unit = home.path().join("openscoped.service");
        let text = fs::read_to_string(&unit).unwrap();
        fs::write(&unit, text.replace("OOMPolicy", "OomPolicy")).unwrap();
        let (_, said) = run("systemd-analyze", &["verify", "--man=no", unit.to_str().unwrap()]);
        assert!(said.contains("OomPolicy"), "{said}");
    }

    #[test]
    fn the_accounts_are_made() {
        let root = tempfile::tempdir().unwrap();
        let at = format!("--root={}", root.path().display());
        let file = example("openscope.sysusers");
        let text = fs::read_to_string(file).unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        let inline: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let arguments: Vec<&str> =
            [at.as_str(), "--inline"].into_iter().chain(inline.iter().copied()).collect();
        let (status, said) = run("systemd-sysusers", &arguments);
        assert_eq!(status, Some(0), "{said}");
        let accounts = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
        for name in ["openscope", "openscope-keys"] {
            let line = accounts.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
            assert!(line.ends_with(":/nonexistent:/usr/sbin/nologin"), "{line}");
        }
    }
}
