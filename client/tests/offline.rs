//! What the program says and does before it talks to anybody.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::net::UdpSocket;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::process::{Command, Output, Stdio};
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use ed25519_dalek::SigningKey;
    use policy::{
        Authority, Capability, Constraint, Scope, SeatId, ShareId, Timestamp, Value, passport,
    };
    use tempfile::TempDir;
    use wire::fingerprint::Fingerprint;
    use wire::handle::{Handle, Identity, Sealed, Secret};

    /// An ssh key that opens with its passphrase only.
    const ENCRYPTED: &str = include_str!("../../wire/src/handle/tests/ed25519_encrypted");

    /// One recipient's home, and a relay address at which every packet would be seen.
    struct World {
        home: TempDir,
        relay: UdpSocket,
    }

    /// What the program did.
    struct Ran {
        status: i32,
        stdout: String,
        stderr: String,
    }

    fn now() -> u64 {
        #[expect(clippy::disallowed_methods, reason = "the program under test reads this clock")]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::try_from(since.as_millis()).unwrap()
    }

    fn daemon_key() -> SigningKey {
        SigningKey::from_bytes(&[4; 32])
    }

    fn fingerprint() -> Fingerprint {
        Fingerprint::of(&daemon_key().verifying_key().to_bytes())
    }

    impl World {
        fn new() -> Self {
            let relay = UdpSocket::bind("127.0.0.1:0").unwrap();
            relay.set_nonblocking(true).unwrap();
            Self { home: tempfile::tempdir().unwrap(), relay }
        }

        fn authority(&self) -> Authority {
            let web = Constraint::exact(Value::text("web").unwrap());
            let tail =
                Capability::new("log.tail".parse().unwrap(), [("service".parse().unwrap(), web)]);
            let pin = "A".repeat(43);
            Authority {
                daemon: "web-1".parse().unwrap(),
                share: ShareId::from_random([7; 8]),
                seat: SeatId(0),
                owner: "alice".to_owned(),
                relays: vec![format!("{}#SHA256:{pin}", self.relay.local_addr().unwrap())],
                not_after: Timestamp(now() + 600_000),
                channel_key: [3; 32],
                redeem_key: SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes(),
                depth: 0,
                scope: Scope::new([tail]),
            }
        }

        fn handle(authority: &Authority) -> Handle {
            Handle {
                rendezvous: Secret::new([1; 32]),
                redeem: Some(Secret::new([2; 32])),
                ancestors: Vec::new(),
                daemon_key: daemon_key().verifying_key().to_bytes(),
                passport: passport::mint(&daemon_key(), authority).unwrap(),
            }
        }

        /// A handle for this home's own key.
        fn sealed(&self, authority: &Authority) -> String {
            let config = self.path("config/openscope");
            fs::create_dir_all(&config).unwrap();
            let file = config.join("identity.txt");
            if !file.exists() {
                fs::write(&file, Identity::generate().to_file().unwrap().as_bytes()).unwrap();
            }
            let text = fs::read_to_string(file).unwrap();
            let identity = Identity::parse(&text, || None).unwrap().remove(0);
            Self::handle(authority).seal(identity.recipient()).unwrap()
        }

        fn path(&self, name: &str) -> PathBuf {
            self.home.path().join(name)
        }

        fn command(&self) -> Command {
            #[expect(clippy::disallowed_methods, reason = "the program under test")]
            let mut command = Command::new(env!("CARGO_BIN_EXE_openscope-reflect-client"));
            command
                .env_clear()
                .env("HOME", self.home.path())
                .env("XDG_CONFIG_HOME", self.path("config"))
                .env("XDG_STATE_HOME", self.path("state"))
                .stdin(Stdio::null());
            command
        }

        fn run(&self, arguments: &[&str]) -> Ran {
            Ran::of(&self.command().args(arguments).output().unwrap())
        }

        /// The program refuses the handle with these words, and has sent nothing to anybody.
        fn refuses(&self, handle: &str, status: i32, words: &str) -> Ran {
            let pin = fingerprint().to_string();
            let ran = self.run(&["--passport", handle, "--fingerprint", &pin, "list"]);
            assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{}", ran.stderr);
            assert!(
                ran.stderr.starts_with("error: ") && ran.stderr.contains(words),
                "{}",
                ran.stderr
            );
            self.assert_silent();
            ran
        }

        fn assert_silent(&self) {
            let arrived = self.relay.recv(&mut [0; 2048]);
            assert_eq!(arrived.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
            assert!(!self.path("state").exists(), "a holder key was made");
        }
    }

    impl Ran {
        fn of(output: &Output) -> Self {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            Self {
                status: output.status.code().unwrap(),
                stdout: text(&output.stdout),
                stderr: text(&output.stderr),
            }
        }
    }

    #[test]
    fn pp4_each_damage_to_a_handle_is_refused_with_its_own_sentence_before_anything_is_sent() {
        let world = World::new();
        let handle = world.sealed(&world.authority());
        world.refuses("", 125, "no handle given");
        world.refuses("hello", 125, "this is not a handle");
        world.refuses(handle.split_at(handle.len() - 9).0, 125, "cut short");
        world.refuses(&handle.replacen("osp1_", "osp2_", 1), 125, "of version 2");
        world.refuses(&format!("osp1_{}", "A".repeat(16 * 1024)), 125, "too long for a handle");
        world.refuses(&handle.replacen(['x', 'y', 'z'], "é", 1), 125, "cannot be in a handle");
        for place in [60, 200, handle.len() / 2, handle.len() - 2] {
            let mut changed = handle.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            world.refuses(&changed, 125, "was changed on the way");
        }
    }

    #[test]
    fn pp2_an_expired_handle_is_refused_before_anything_is_sent() {
        let world = World::new();
        let past = Authority { not_after: Timestamp(now() - 1), ..world.authority() };
        world.refuses(&world.sealed(&past), 255, "the handle has expired: ask the owner");
    }

    #[test]
    fn pp5_a_handle_signed_by_another_key_is_refused_before_anything_is_sent() {
        let world = World::new();
        let identity = Identity::generate();
        let mut handle = World::handle(&world.authority());
        handle.passport =
            passport::mint(&SigningKey::from_bytes(&[5; 32]), &world.authority()).unwrap();
        let sealed = handle.seal(identity.recipient()).unwrap();
        world.sealed(&world.authority());
        fs::write(
            world.path("config/openscope/identity.txt"),
            identity.to_file().unwrap().as_bytes(),
        )
        .unwrap();
        world.refuses(&sealed, 125, "passport is not good");
    }

    #[test]
    fn pp8_another_recipients_handle_is_refused_and_says_which_keys_were_tried() {
        let world = World::new();
        world.sealed(&world.authority());
        let other = Identity::generate();
        let handle = World::handle(&world.authority()).seal(other.recipient()).unwrap();
        let ran = world.refuses(&handle, 125, "none of your keys opens this handle");
        assert!(ran.stderr.contains("identity.txt` does not open it"), "{}", ran.stderr);
    }

    #[test]
    fn without_any_key_it_says_how_to_name_one() {
        let world = World::new();
        let handle =
            World::handle(&world.authority()).seal(Identity::generate().recipient()).unwrap();
        let ran = world.refuses(&handle, 125, "no key given");
        assert!(ran.stderr.contains("--identity FILE"), "{}", ran.stderr);
    }

    #[test]
    fn pp3_a_wrong_and_a_missing_fingerprint_are_refused_before_anything_is_sent() {
        let world = World::new();
        let handle = world.sealed(&world.authority());
        let other = Fingerprint::of(&[9; 32]).to_string();
        let wrong = world.run(&["--passport", &handle, "--fingerprint", &other, "list"]);
        assert_eq!(wrong.status, 125);
        assert!(
            wrong.stderr.contains("not from the daemon that `--fingerprint` names"),
            "{}",
            wrong.stderr
        );
        let missing = world.run(&["--passport", &handle, "list"]);
        assert_eq!(missing.status, 125);
        assert!(missing.stderr.contains("nobody has confirmed"), "{}", missing.stderr);
        assert!(missing.stderr.contains("give it with `--fingerprint`"), "{}", missing.stderr);
        let garbage = world.run(&["--passport", &handle, "--fingerprint", "SHA256:x", "list"]);
        assert_eq!(garbage.status, 2, "{}", garbage.stderr);
        world.assert_silent();
    }

    #[test]
    fn pp3_the_right_fingerprint_goes_on_to_the_relay_and_makes_the_holder_key_first() {
        let world = World::new();
        let handle = world.sealed(&world.authority());
        let pin = fingerprint().words().join(" ");
        let mut child = world
            .command()
            .args(["--passport", &handle, "--fingerprint", &pin, "list"])
            .spawn()
            .unwrap();
        world.relay.set_nonblocking(false).unwrap();
        world.relay.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let arrived = loop {
            match world.relay.recv(&mut [0; 2048]) {
                Err(fault) if fault.kind() == std::io::ErrorKind::Interrupted => {}
                arrived => break arrived,
            }
        };
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(arrived.unwrap() >= 1200);
        let keys: Vec<_> =
            fs::read_dir(world.path("state/openscope/seats")).unwrap().flatten().collect();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].file_name(), "osp_0707070707070707-0");
        assert_eq!(keys[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_known_daemon_whose_key_changed_is_refused_loudly_even_with_its_pin() {
        let world = World::new();
        let handle = world.sealed(&world.authority());
        let known = format!("web-1 {}\n", Fingerprint::of(&[9; 32]));
        fs::write(world.path("config/openscope/known_daemons"), known).unwrap();
        let ran = world.refuses(&handle, 125, "THE KEY OF DAEMON `web-1` HAS CHANGED");
        assert!(ran.stderr.contains("remove line 1 of"), "{}", ran.stderr);
    }

    #[test]
    fn se2_a_bearer_handle_needs_its_second_value_and_never_from_the_command_line() {
        let world = World::new();
        let (handle, value) = World::handle(&world.authority()).seal_bearer().unwrap();
        world.refuses(&handle, 125, "no key given");
        let file = world.path("second");
        fs::write(&file, value.expose()).unwrap();
        let file = file.to_str().unwrap();
        let opened = world.run(&["--passport", &handle, "--secret-file", file, "inspect"]);
        assert_eq!(opened.status, 0, "{}", opened.stderr);
        let (_, other) = World::handle(&world.authority()).seal_bearer().unwrap();
        fs::write(file, other.expose()).unwrap();
        let wrong = world.run(&["--passport", &handle, "--secret-file", file, "inspect"]);
        assert_eq!(wrong.status, 125);
        assert!(wrong.stderr.contains("none of your keys opens"), "{}", wrong.stderr);
        let mut child = world
            .command()
            .args(["--passport", &handle, "--secret-file", "-", "inspect"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(value.expose().as_bytes()).unwrap();
        assert!(child.wait_with_output().unwrap().status.success());
    }

    #[test]
    fn pp1_inspect_tells_all_of_a_handle_from_every_place_that_it_may_be_in() {
        let world = World::new();
        let handle = world.sealed(&world.authority());
        let file = world.path("handle");
        let (first, second) = handle.split_at(700);
        fs::write(&file, format!("> {first}\n> {second}\n")).unwrap();
        let at_file = format!("@{}", file.display());
        let from_file = world.run(&["inspect", "--passport", &at_file]);
        assert_eq!(from_file.status, 0, "{}", from_file.stderr);
        for told in [
            "web-1",
            "alice",
            "osp_0707070707070707",
            "log.tail:service=web",
            "127.0.0.1:",
            &fingerprint().to_string(),
        ] {
            assert!(from_file.stdout.contains(told), "{told} in {}", from_file.stdout);
        }
        let from_environment =
            world.command().arg("inspect").env("OPENSCOPE_PASSPORT", &handle).output().unwrap();
        assert_eq!(Ran::of(&from_environment).stdout, from_file.stdout.clone());
        world.assert_silent();
    }

    #[test]
    fn inspect_tells_an_expired_handle_and_json_has_a_schema() {
        let world = World::new();
        let past = Authority { not_after: Timestamp(1_000), ..world.authority() };
        let handle = world.sealed(&past);
        let text = world.run(&["inspect", "--passport", &handle]);
        assert!(text.stdout.contains("1970-01-01T00:00:01Z (EXPIRED)"), "{}", text.stdout);
        let json = world.run(&["inspect", "--json", "--passport", &handle]);
        let told: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(told["schema"], "openscope.inspect/1");
        assert_eq!(told["expired"], true);
        assert_eq!(told["scope"][0], "log.tail:service=web");
    }

    #[test]
    fn keygen_makes_a_private_file_once_and_prints_the_public_key() {
        let world = World::new();
        let made = world.run(&["keygen"]);
        assert_eq!(made.status, 0, "{}", made.stderr);
        assert!(made.stdout.starts_with("age1") && made.stdout.lines().count() == 1);
        let file = world.path("config/openscope/identity.txt");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let before = fs::read(&file).unwrap();
        let again = world.run(&["keygen"]);
        assert_eq!((again.status, again.stdout.as_str()), (2, ""));
        assert!(again.stderr.contains("not overwritten"), "{}", again.stderr);
        assert_eq!(fs::read(&file).unwrap(), before);
        let recipient = made.stdout.trim().parse().unwrap();
        let handle = World::handle(&world.authority()).seal(&recipient).unwrap();
        assert_eq!(world.run(&["inspect", "--passport", &handle]).status, 0);
    }

    #[test]
    fn off_a_terminal_it_says_what_to_use_instead_of_the_prompt() {
        let world = World::new();
        let handle = world.sealed(&world.authority());
        let ran = world.run(&["--passport", &handle, "prompt"]);
        assert_eq!(ran.status, 2);
        assert!(ran.stderr.contains("`call VERB name=value …`"), "{}", ran.stderr);
        // Without a command it is a host's server, which asks nobody and reads nothing but the host.
        let ran = world.run(&["--passport", &handle]);
        assert_eq!((ran.status, ran.stdout.as_str()), (125, ""));
        assert!(ran.stderr.contains("nobody has confirmed the fingerprint"), "{}", ran.stderr);
        let ran = world.run(&["--passport", "-"]);
        assert_eq!(ran.status, 2);
        assert!(ran.stderr.contains("standard input is the host's"), "{}", ran.stderr);
    }

    #[test]
    fn a_wrong_command_line_is_2_and_says_what_was_wrong() {
        let world = World::new();
        let handle = world.sealed(&world.authority());
        assert_eq!(world.run(&["list"]).status, 2);
        assert_eq!(world.run(&["lisst"]).status, 2);
        assert_eq!(world.run(&["--passport", &handle, "call"]).status, 2);
        let id = world.run(&["--passport", &handle, "call", "log.tail", "--id", "xyz"]);
        assert_eq!(id.status, 2);
        assert!(id.stderr.contains("32 hexadecimal digits"), "{}", id.stderr);
        let both = world.run(&["--passport", "-", "--secret-file", "-", "list"]);
        assert_eq!(both.status, 2, "{}", both.stderr);
        let bytes = std::ffi::OsStr::from_bytes(b"\xff");
        let not_text = world.command().arg("--passport").arg(bytes).arg("list").output().unwrap();
        let not_text = Ran::of(&not_text);
        assert_eq!(not_text.status, 2);
        assert!(not_text.stderr.contains("not valid UTF-8"), "{}", not_text.stderr);
        world.assert_silent();
    }

    #[test]
    fn a_failure_is_json_where_json_was_asked_for() {
        let world = World::new();
        let ran = world.run(&["--json", "--passport", "hello", "call", "a.b"]);
        let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(told["outcome"]["kind"], "handle");
        assert_eq!((told["outcome"]["exit"].as_i64(), ran.status), (Some(125), 125));
    }

    #[test]
    fn completions_and_the_manual_page_are_printed() {
        let world = World::new();
        for shell in ["bash", "zsh", "fish", "powershell"] {
            let ran = world.run(&["completions", shell]);
            assert!(ran.status == 0 && ran.stdout.contains("openscope-reflect-client"), "{shell}");
        }
        assert!(world.run(&["man"]).stdout.contains(".TH openscope"));
    }

    impl World {
        /// `narrow` of a handle that may be handed on so often.
        fn narrow(&self, depth: u8, arguments: &[&str]) -> Ran {
            let handle = self.sealed(&Authority { depth, ..self.authority() });
            let pin = fingerprint().to_string();
            let whole = ["narrow", "--passport", &handle, "--fingerprint", &pin];
            let ran = self.run(&[&whole, arguments].concat());
            assert!(self.relay.recv(&mut [0; 2048]).is_err(), "nothing is sent to anybody");
            ran
        }
    }

    fn opened(handle: &str, identity: &Identity) -> Handle {
        Sealed::parse(handle).unwrap().open(std::slice::from_ref(identity)).unwrap()
    }

    #[test]
    fn a_handle_is_handed_on_to_another_key_with_the_complete_command() {
        let world = World::new();
        let agent = Identity::generate();
        let to = agent.recipient().to_string();
        let wish = [
            "--verb",
            "log.tail:service=web,lines<=50",
            "--ttl",
            "5m",
            "--to",
            &to,
            "--reason",
            "night\u{1b}[2J",
        ];
        let ran = world.narrow(2, &[&wish[..], &["--depth", "1"]].concat());
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        let words: Vec<_> = ran.stdout.split_whitespace().collect();
        let pin = fingerprint().to_string();
        assert_eq!(words[..2], ["openscope-reflect-client", "--passport"]);
        assert_eq!(words[3..], ["--fingerprint", &pin]);
        let handle = opened(words[2], &agent);
        let passport = handle.verify().unwrap();
        let [block] = passport.blocks() else { panic!("one block") };
        assert_eq!(passport.scope().to_string(), "log.tail:lines<=50,service=web");
        assert_eq!(block.narrowing().depth, 1);
        assert!(passport.not_after().0 <= now() + 300_000);
        assert!(block.handed_on().is_some() && handle.ancestors[0].is_some());
        assert_ne!(handle.redeem.unwrap().expose(), &[2; 32], "a secret of its own");
        assert!(ran.stderr.contains("may be handed on once; the eight words"), "{}", ran.stderr);

        let seen = World::new();
        fs::create_dir_all(seen.path("config/openscope")).unwrap();
        let file = seen.path("config/openscope/identity.txt");
        fs::write(file, agent.to_file().unwrap().as_bytes()).unwrap();
        let inspected = seen.run(&["inspect", "--passport", words[2]]);
        assert!(
            inspected.stdout.contains("block 1      handed on by SHA256:"),
            "{}",
            inspected.stdout
        );
        assert!(inspected.stdout.contains("in force     log.tail:lines<=50,service=web"));
        assert!(inspected.stdout.contains("reason       night"));
        assert!(!inspected.stdout.contains('\u{1b}'), "neutralised");
        let json = seen.run(&["inspect", "--json", "--passport", words[2]]);
        let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert!(json["blocks"][0]["handed_on_by"].as_str().unwrap().starts_with("SHA256:"));
        assert_eq!((&json["depth"], &json["redeems"]), (&1.into(), &true.into()));
    }

    #[test]
    fn what_the_daemon_would_refuse_is_refused_before_it_is_handed_on() {
        let world = World::new();
        let to = Identity::generate().recipient().to_string();
        let refused = |depth, arguments: &[&str], words: &str| {
            let ran = world.narrow(depth, &[arguments, &["--to", &to]].concat());
            assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
            assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
            ran.stderr
        };
        let wider = refused(1, &["--verb", "log.tail:service=web|vault"], "not with all of");
        let (text, mark) = (wider.lines().nth(1).unwrap(), wider.lines().nth(2).unwrap());
        assert_eq!(text.find("vault"), mark.find('^'), "{wider}");
        refused(1, &["--verb", "log.tial"], "did you mean `log.tail`");
        refused(1, &["--verb", "log.tail:"], "");
        refused(1, &["--ttl", "30m"], "the handle ends at");
        refused(1, &["--ttl", "0s"], "no time");
        refused(1, &["--ttl", "-5m"], "--ttl");
        refused(0, &[], "may not be handed on");
        refused(1, &["--depth", "1"], "at most `--depth 0`");
        refused(1, &["--reason", &"x".repeat(257)], "257 bytes");
        assert_eq!(world.narrow(1, &["--reason", &"x".repeat(256), "--to", &to]).status, 0);
        let secret = world.narrow(1, &["--to", "AGE-SECRET-KEY-1QQQ"]);
        assert!(secret.stderr.contains("secret key"), "{}", secret.stderr);
    }

    #[test]
    fn a_handle_is_narrowed_for_the_same_holder_once_the_seat_is_theirs() {
        let world = World::new();
        let unknown = world.narrow(0, &["--verb", "log.tail"]);
        assert_eq!(unknown.status, 2);
        assert!(
            unknown.stderr.contains("this seat's key is not on this machine"),
            "{}",
            unknown.stderr
        );
        // The key that an earlier call left.
        let to = Identity::generate().recipient().to_string();
        assert_eq!(world.narrow(1, &["--to", &to]).status, 0);
        let out = world.path("agent.handle");
        let ran =
            world.narrow(0, &["--verb", "log.tail:lines<=5", "--output", out.to_str().unwrap()]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        assert!(ran.stdout.contains(&format!("--passport @{} ", out.display())), "{}", ran.stdout);
        let own = fs::read_to_string(world.path("config/openscope/identity.txt")).unwrap();
        let own = Identity::parse(&own, || None).unwrap().remove(0);
        let handle = opened(fs::read_to_string(&out).unwrap().trim(), &own);
        assert!(handle.redeem.is_none());
        let passport = handle.verify().unwrap();
        assert_eq!(passport.scope().to_string(), "log.tail:lines<=5,service=web");
        assert!(passport.blocks()[0].handed_on().is_none());
        let again = world.narrow(0, &["--output", out.to_str().unwrap()]);
        assert_eq!(again.status, 2, "a file that is there is not overwritten");
    }

    #[test]
    fn a_narrowed_handle_is_of_no_use_where_the_seats_key_is_not() {
        let world = World::new();
        let to = Identity::generate().recipient().to_string();
        assert_eq!(world.narrow(1, &["--to", &to]).status, 0);
        let ran = world.narrow(0, &["--json"]);
        let made: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(made["schema"], "openscope.narrow/1");
        fs::remove_dir_all(world.path("state")).unwrap();
        world.refuses(made["handle"].as_str().unwrap(), 125, "that key is not here");
    }

    /// A document's findings of this level, each with what to do.
    fn findings(ran: &Ran, level: &str) -> Vec<String> {
        let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(told["schema"], "openscope.client.doctor/1");
        let findings = told["findings"].as_array().unwrap().iter();
        let text = |one: &serde_json::Value| format!("{} = {}", one["what"], one["remedy"]);
        findings.filter(|one| one["level"] == level).map(text).collect()
    }

    impl World {
        /// `doctor` of a handle: its status, and all that it says of this level.
        fn doctor(&self, handle: &str, level: &str, more: &[&str]) -> (i32, String) {
            let whole = ["doctor", "--json", "--passport", handle];
            let ran = self.run(&[&whole, more].concat());
            (ran.status, findings(&ran, level).join("\n"))
        }

        fn mode(&self, name: &str, mode: u32) {
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    #[test]
    fn doctor_without_a_handle_looks_at_this_machine_and_changes_nothing_there() {
        let world = World::new();
        let ran = world.run(&["doctor"]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        let said = "warning  there is no key of yours here: only bearer handles can be opened\n   = `openscope-reflect-client keygen` makes one";
        assert!(ran.stdout.contains(said), "{}", ran.stdout);
        assert!(ran.stdout.starts_with("ok       openscope-reflect-client "), "{}", ran.stdout);
        assert!(ran.stderr.contains("looked at, 0 would fail"), "{}", ran.stderr);
        assert_eq!(world.run(&["doctor", "--quiet"]).stderr, "");
        assert_eq!(fs::read_dir(world.home.path()).unwrap().count(), 0);
        world.run(&["keygen"]);
        let ran = world.run(&["doctor", "--json"]);
        assert!(findings(&ran, "ok").join("\n").contains("usable, and yours alone"));
        assert_eq!(findings(&ran, "warning"), [""; 0]);
        world.assert_silent();
    }

    #[test]
    fn doctor_says_where_a_home_is_missing_and_what_a_proxy_is_not_used_for() {
        let world = World::new();
        let mut command = world.command();
        command.env_remove("HOME").env_remove("XDG_CONFIG_HOME").env_remove("XDG_STATE_HOME");
        command.env("HTTPS_PROXY", "http://me:hunter2@proxy:3128").args(["doctor", "--json"]);
        let ran = Ran::of(&command.output().unwrap());
        assert_eq!(ran.status, 1, "{}", ran.stderr);
        let fails = findings(&ran, "fails");
        assert_eq!(fails.len(), 2, "{fails:?}");
        assert!(fails.iter().all(|one| one.contains("HOME names a place")), "{fails:?}");
        assert!(findings(&ran, "note").join("\n").contains("HTTPS_PROXY set: not used"));
        assert!(!ran.stdout.contains("hunter2"), "{}", ran.stdout);
    }

    #[test]
    fn doctor_names_a_key_and_a_directory_that_others_get_at_and_a_file_that_is_no_key() {
        let world = World::new();
        world.run(&["keygen"]);
        world.mode("config/openscope/identity.txt", 0o644);
        world.mode("config/openscope", 0o777);
        let ran = world.run(&["doctor", "--json"]);
        let warnings = findings(&ran, "warning");
        assert_eq!((ran.status, warnings.len()), (0, 2), "{warnings:?}");
        assert!(warnings[0].contains("(mode 0777)") && warnings[0].contains("chmod go= "));
        assert!(warnings[1].contains("(mode 0644)") && warnings[1].contains("make another"));
        let public = world.path("key.pub");
        fs::write(&public, "ssh-ed25519 AAAA").unwrap();
        let ran = world.run(&["doctor", "--identity", public.to_str().unwrap()]);
        assert_eq!(ran.status, 1, "{}", ran.stdout);
        assert!(ran.stdout.contains("this is a public key"), "{}", ran.stdout);
    }

    #[test]
    fn doctor_tells_what_is_wrong_with_a_handle_and_sends_nothing_to_anybody() {
        let world = World::new();
        let handle = world.sealed(&world.authority());
        let pin = fingerprint().to_string();
        let other = Fingerprint::of(&[9; 32]).to_string();
        let past = Authority { not_after: Timestamp(now() - 1), ..world.authority() };
        let past = world.sealed(&past);
        let bearer = World::handle(&world.authority()).seal_bearer().unwrap().0;
        let fails = |handle: &str, pin: &str, words: &str| {
            let (status, said) = world.doctor(handle, "fails", &["--fingerprint", pin]);
            assert_eq!(status, 1, "{words}");
            assert!(said.contains(words), "{words} in {said}");
            world.assert_silent();
        };
        fails("hello", &pin, "this is not a handle");
        fails("@/nonexistent/handle", &pin, "cannot read `/nonexistent/handle`");
        fails(handle.split_at(handle.len() - 9).0, &pin, "cut short");
        fails(&bearer, &pin, "none of your keys opens");
        fails(&past, &pin, "the handle has expired: it ended at");
        fails(&handle, &other, "is not from the daemon that `--fingerprint` names");
        // Nobody has said whose it is: that is no fault of the handle's, and nothing is sent either.
        let (status, said) = world.doctor(&handle, "warning", &[]);
        assert_eq!(status, 0);
        assert!(said.contains("nobody has confirmed the fingerprint of web-1"), "{said}");
        let (_, notes) = world.doctor(&handle, "note", &[]);
        assert!(notes.contains("were not asked: nothing is sent to anybody"), "{notes}");
        world.assert_silent();
        let known = format!("web-1 {other}\n");
        fs::write(world.path("config/openscope/known_daemons"), known).unwrap();
        fails(&handle, &pin, "THE KEY OF DAEMON `web-1` HAS CHANGED");
        let garbage = world.run(&["doctor", "--passport", &handle, "--fingerprint", "SHA256:x"]);
        assert_eq!(garbage.status, 2, "{}", garbage.stderr);
    }

    #[test]
    fn doctor_of_a_relay_that_does_not_answer_fails_with_what_to_do_and_takes_no_seat() {
        let world = World::new();
        let handle = world.sealed(&world.authority());
        let pin = fingerprint().to_string();
        let ran = world.run(&["doctor", "--json", "--passport", &handle, "--fingerprint", &pin]);
        let fails = findings(&ran, "fails");
        assert_eq!((ran.status, fails.len()), (1, 1), "{fails:?}");
        assert!(fails[0].contains("over UDP: no relay answers at"), "{fails:?}");
        assert!(fails[0].contains("whether this network lets UDP through"), "{fails:?}");
        let notes = findings(&ran, "note").join("\n");
        assert!(notes.contains("tcp 127.0.0.1:") && notes.contains("refused"), "{notes}");
        assert!(notes.contains("clock was not compared: no relay leads"), "{notes}");
        assert!(world.relay.recv(&mut [0; 2048]).is_ok(), "the relay was dialled");
        assert!(!world.path("state").exists(), "no holder key was made");
    }

    #[test]
    fn keys_are_shown_with_their_protection_and_never_with_a_secret() {
        let world = World::new();
        let none = world.run(&["keys"]);
        assert_eq!(none.status, 0, "{}", none.stderr);
        assert!(none.stdout.contains("there is no key of yours here"), "{}", none.stdout);
        assert!(none.stderr.contains("`openscope-reflect-client keygen` makes one"));
        // A key of each kind; the seat's is made where the handle is handed on.
        let public = world.run(&["keygen"]).stdout.trim().to_owned();
        fs::create_dir(world.path(".ssh")).unwrap();
        fs::write(world.path(".ssh/id_ed25519"), ENCRYPTED).unwrap();
        world.mode(".ssh/id_ed25519", 0o640);
        let to = Identity::generate().recipient().to_string();
        assert_eq!(world.narrow(1, &["--to", &to]).status, 0);
        fs::write(world.path("state/openscope/seats/damaged"), "cut").unwrap();

        let text = world.run(&["keys"]);
        for told in [
            &public,
            "passphrase  none",
            "passphrase  yes: it is asked for",
            "yours alone (mode 0600)",
            "OPEN to others of this machine (mode 0640)",
            "  osp_0707070707070707-0\n",
            &fingerprint().to_string(),
            "is not a holder key",
        ] {
            assert!(text.stdout.contains(told), "{told} in {}", text.stdout);
        }
        let json = world.run(&["keys", "--json"]);
        let told: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(told["schema"], "openscope.client.keys/1");
        assert_eq!(told["identities"][0]["public"][0], public);
        assert_eq!(told["identities"][1]["state"], "passphrase");
        assert_eq!(told["identities"][1]["protection"]["private"], false);
        assert_eq!(told["seats"][1]["share_and_seat"], "osp_0707070707070707-0");
        assert_eq!(told["seats"][1]["expired"], false);
        let seat =
            fs::read_to_string(world.path("state/openscope/seats/osp_0707070707070707-0")).unwrap();
        let secret = seat.lines().last().unwrap();
        for shown in [&text, &json] {
            assert!(!shown.stdout.contains("AGE-SECRET-KEY"), "{}", shown.stdout);
            assert!(!shown.stdout.contains(secret), "{}", shown.stdout);
        }
    }
}
