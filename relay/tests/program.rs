//! The program, as an operator meets it.

#[cfg(test)]
mod program {
    use std::io::{BufRead, BufReader, Read};
    use std::path::{Path, PathBuf};
    use std::process::{Child, ChildStderr, Command, Output, Stdio};
    use std::time::Duration;

    use relay::config::key_file::{public_to_text, read_seed};
    use relay::leg::{
        Dialer, GuestLeg, HostEvent, HostEvents, HostLeg, LegKey, RelayAddress, Trust,
    };
    use relay::protocol::token::{Terms, mint};
    use relay::protocol::{DeploymentToken, OperatorKey, RendezvousKey};
    use rustix::process::{Pid, Signal, kill_process};

    const SEED: [u8; 32] = [61; 32];

    /// The program's own default.
    const LOGGED: &str = "off,relay=info";

    struct Place(tempfile::TempDir);

    impl Place {
        /// The shipped example, with keys made beside it.
        fn new() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            let example =
                concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/relay/openscope-relay.toml");
            std::fs::copy(example, place.path("openscope-relay.toml")).unwrap();
            let keygen = place.run(&["keygen", "--out", place.text("").as_str()]);
            assert!(keygen.status.success(), "{}", err(&keygen));
            place
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn text(&self, name: &str) -> String {
            self.path(name).display().to_string()
        }

        #[expect(clippy::disallowed_methods, reason = "the program under test")]
        fn command(&self, arguments: &[&str]) -> Command {
            let mut command = Command::new(env!("CARGO_BIN_EXE_openscope-relay"));
            command.args(arguments).current_dir(self.0.path()).env_remove("RUST_LOG");
            command
        }

        fn run(&self, arguments: &[&str]) -> Output {
            self.command(arguments).output().unwrap()
        }

        /// Any port of loopback; a leg that never leaves would be waited for.
        fn on_loopback(&self) {
            let path = self.path("openscope-relay.toml");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(path, text.replace("[::]:4433", "127.0.0.1:0")).unwrap();
        }

        fn token(&self) -> DeploymentToken {
            let operator = OperatorKey::from_seed(read_seed(&self.path("operator.key")).unwrap());
            let leg_key = LegKey::from_seed(SEED).public();
            let terms = Terms { leg_key, shares: 1, bandwidth: 1 << 30, not_after: u64::MAX / 2 };
            mint(&operator, &terms).unwrap()
        }

        fn serve(&self, logged: &str) -> (Child, Log) {
            let mut child = self
                .command(&["--config", "openscope-relay.toml"])
                .env("RUST_LOG", logged)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut log = BufReader::new(child.stderr.take().unwrap());
            let mut line = String::new();
            log.read_line(&mut line).unwrap();
            assert!(line.contains("the relay serves"), "{line}");
            let part = |name: &str| line.split(name).nth(1)?.split_whitespace().next();
            let (listen, pin) = (part("listen=").unwrap(), part("pin=").unwrap());
            let address = format!("{listen}#{pin}").parse().unwrap();
            (child, Log { lines: log, address })
        }
    }

    struct Log {
        lines: BufReader<ChildStderr>,
        address: RelayAddress,
    }

    impl Log {
        async fn dial(&self, place: &Place) -> (HostLeg, HostEvents) {
            let key = LegKey::from_seed(SEED);
            HostLeg::dial(&dialer(), &self.address, &key, &place.token()).await.unwrap()
        }

        /// Until the program ends.
        fn rest(mut self) -> String {
            let mut rest = String::new();
            self.lines.read_to_string(&mut rest).unwrap();
            rest
        }
    }

    fn dialer() -> Dialer {
        Dialer::new(Trust::pins_only(), Duration::from_secs(5))
    }

    fn out(output: &Output) -> String {
        String::from_utf8(output.stdout.clone()).unwrap()
    }

    fn err(output: &Output) -> String {
        String::from_utf8(output.stderr.clone()).unwrap()
    }

    fn terminate(child: &Child) {
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_shipped_example_passes_check_config() {
        let place = Place::new();
        let check = place.run(&["--config", &place.text("openscope-relay.toml"), "--check-config"]);
        assert!(check.status.success(), "{}", err(&check));
        assert!(out(&check).contains("pin        SHA256:"), "{}", out(&check));
    }

    #[test]
    fn secrets_are_for_their_owner_only_and_are_not_overwritten() {
        let place = Place::new();
        assert_eq!(mode(&place.path("operator.key")), 0o600);
        assert_eq!(mode(&place.path("relay.key")), 0o600);
        std::fs::remove_file(place.path("operator.key")).unwrap();
        let again = place.run(&["keygen"]);
        assert_eq!(again.status.code(), Some(1));
        assert!(err(&again).contains("operator.pub` exists"), "{}", err(&again));
        assert!(!place.path("operator.key").exists());
    }

    #[test]
    fn a_directory_that_is_not_there_is_made() {
        let place = Place::new();
        let made = place.run(&["keygen", "--out", "etc/relay"]);
        assert!(made.status.success(), "{}", err(&made));
        assert!(place.path("etc/relay/relay.key").exists());
        let beneath_a_file = place.run(&["keygen", "--out", "relay.key/etc"]);
        assert_eq!(beneath_a_file.status.code(), Some(1));
        assert!(err(&beneath_a_file).contains("cannot make `relay.key/etc`"));
    }

    #[test]
    fn a_minted_token_says_on_inspection_what_was_asked_for() {
        let place = Place::new();
        let leg_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let mint = ["token", "mint", "--operator-key", "operator.key", "--leg-key", leg_key];
        let minted = place
            .run(&[&mint[..], &["--shares", "3", "--bandwidth", "1MiB", "--ttl", "90d"]].concat());
        assert!(minted.status.success(), "{}", err(&minted));
        let token = out(&minted);
        let shown = place.run(&["token", "inspect", token.trim()]);
        let text = out(&shown);
        for part in [leg_key, "shares     3\n", "bandwidth  1048576 bytes/s"] {
            assert!(text.contains(part), "{text}");
        }
        let json = place.run(&["token", "inspect", token.trim(), "--json"]);
        let json: serde_json::Value = serde_json::from_str(&out(&json)).unwrap();
        assert_eq!((&json["version"], &json["terms"]["shares"]), (&1.into(), &3.into()));
        assert_eq!(json["expired"], false);
    }

    #[test]
    fn a_token_of_another_operator_does_not_pass_inspection() {
        let (place, other) = (Place::new(), Place::new());
        let leg_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let token = out(&place.run(&[
            "token",
            "mint",
            "--operator-key",
            "operator.key",
            "--leg-key",
            leg_key,
        ]));
        let shown = other.run(&["token", "inspect", token.trim()]);
        assert_eq!(shown.status.code(), Some(1));
        assert!(err(&shown).contains("not signed by an operator"), "{}", err(&shown));
    }

    #[test]
    fn a_token_is_not_minted_on_terms_that_cannot_be() {
        let place = Place::new();
        let leg_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        for (key, wrong, expected) in [
            (leg_key, ["--shares", "0"], "`--shares` must be at least 1"),
            (leg_key, ["--bandwidth", "0"], "`--bandwidth` must be more than nothing"),
            (leg_key, ["--bandwidth", "fast"], "is not a size"),
            (leg_key, ["--ttl", "0s"], "`--ttl` must be between"),
            (leg_key, ["--ttl", "3651d"], "`--ttl` must be between"),
            (leg_key, ["--ttl", "soon"], "is not a duration"),
            ("short", ["--ttl", "1d"], "is not a leg key"),
        ] {
            let mint = ["token", "mint", "--operator-key", "operator.key", "--leg-key", key];
            let refused = place.run(&[&mint[..], &wrong].concat());
            assert_eq!(refused.status.code(), Some(1), "{wrong:?}");
            assert!(err(&refused).contains(expected), "{}", err(&refused));
        }
    }

    #[test]
    fn without_a_configuration_there_is_no_relay() {
        let place = Place::new();
        let refused = place.run(&["--config", "absent.toml"]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(
            err(&refused).contains("cannot read `absent.toml`: No such file"),
            "{}",
            err(&refused)
        );
    }

    #[test]
    fn sigterm_drains_and_ends_with_nothing_left_on_disk() {
        let place = Place::new();
        place.on_loopback();
        let files = |place: &Place| std::fs::read_dir(place.0.path()).unwrap().count();
        let before = files(&place);
        let (mut child, log) = place.serve(LOGGED);
        terminate(&child);
        let rest = log.rest();
        assert!(rest.contains("draining") && rest.contains("the relay ends"), "{rest}");
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert_eq!(files(&place), before);
    }

    #[tokio::test]
    async fn a_second_signal_ends_at_once() {
        let place = Place::new();
        place.on_loopback();
        let (mut child, log) = place.serve(LOGGED);
        let (_host, mut events) = log.dial(&place).await;
        terminate(&child);
        assert_eq!(events.next().await, HostEvent::Draining);
        assert_eq!(child.try_wait().unwrap(), None, "a leg is still there, and has ten seconds");
        terminate(&child);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(log.rest().contains("the relay ends at once"));
    }

    #[tokio::test]
    async fn p07_the_log_holds_no_key_no_token_and_no_packet() {
        let place = Place::new();
        place.on_loopback();
        let (child, log) = place.serve("relay=trace");
        let (host, _events) = log.dial(&place).await;
        let key = RendezvousKey::of_seed(&SEED);
        host.register(key).await.unwrap();
        let (guest, _events) = GuestLeg::dial(&dialer(), &log.address, &SEED).await.unwrap();
        guest.try_send(b"ssh.tail_logs").unwrap();
        host.packet().await.unwrap();
        guest.close().await;
        host.close().await;
        terminate(&child);
        let text = log.rest();
        assert!(text.contains("a leg is up"), "{text}");
        let token = place.token().to_string();
        let hex = key.0.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let leg_key = public_to_text(&LegKey::from_seed(SEED).public());
        for secret in
            [&public_to_text(&key.0), &hex, token.split_at(40).1, &leg_key, "ssh.tail_logs"]
        {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }

    #[tokio::test]
    async fn p07_the_log_names_no_peer_unless_debugging() {
        let place = Place::new();
        place.on_loopback();
        let (child, log) = place.serve(LOGGED);
        let (host, _events) = log.dial(&place).await;
        host.close().await;
        terminate(&child);
        let text = log.rest();
        assert!(!text.contains("127.0.0.1"), "{text}");
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let place = Place::new();
        place.on_loopback();
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let path = place.path("openscope-relay.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let listen = taken.local_addr().unwrap().to_string();
        std::fs::write(&path, text.replace("127.0.0.1:0", &listen)).unwrap();
        let refused = place.run(&["--config", "openscope-relay.toml"]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(
            err(&refused).contains(&format!("cannot listen on `{listen}`")),
            "{}",
            err(&refused)
        );
    }
}
