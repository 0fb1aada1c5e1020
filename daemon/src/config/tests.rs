mod literals;

use super::*;
use crate::strict::trusted_directory;
use policy::{Groups, Principal, Proposal, Recipient, Request, Scope, Subject, Timestamp};
use relay::protocol::OperatorKey;
use relay::protocol::token::{Terms, mint};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const MINIMAL: &str = "name = \"web-1\"\n[[relay]]\naddress = \"relay.example.com:443\"\ntoken_file = \"relay.token\"\n";

const VERBS: &str = "[verb.\"host.uptime\"]\nsummary = \"Up\"\neffect = \"read\"\nrun = { exec = { argv = [\"/usr/bin/env\"] } }\n";

const RULES: &str = "[[allow]]\nuser = \"*\"\nverbs = [\"host.*\"]\n";

fn token() -> String {
    let terms = Terms { leg_key: [1; 32], shares: 10, bandwidth: 1_000_000, not_after: u64::MAX };
    mint(&OperatorKey::from_seed([2; 32].into()), &terms).unwrap().to_string()
}

fn put(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A directory with this `openscoped.toml` and good files beside it.
fn place(config: &str) -> tempfile::TempDir {
    let dir = trusted_directory();
    put(&dir.path().join("openscoped.toml"), config, 0o644);
    put(&dir.path().join("relay.token"), &token(), 0o600);
    put(&dir.path().join("verbs.d/web.toml"), VERBS, 0o644);
    put(&dir.path().join("policy.d/team.toml"), RULES, 0o644);
    dir
}

fn read(dir: &Path) -> Result<Loaded, Vec<ConfigFault>> {
    load(&dir.join("openscoped.toml"), None)
}

fn faults(dir: &Path) -> Vec<String> {
    read(dir).expect_err("should be refused").iter().map(ToString::to_string).collect()
}

/// The one fault of a configuration.
fn fault(config: &str) -> String {
    let faults = faults(place(config).path());
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].clone()
}

fn limits(limits: &str) -> Result<Limits, String> {
    let dir = place(&format!("{MINIMAL}[limits]\n{limits}\n"));
    read(dir.path()).map(|loaded| loaded.config.limits).map_err(|faults| faults[0].to_string())
}

#[test]
fn what_is_not_said_has_the_documented_default() {
    let loaded = read(place(MINIMAL).path()).unwrap();
    let config = &loaded.config;
    assert_eq!(config.mode, Mode::System);
    assert_eq!(config.state, Path::new("/var/lib/openscope"));
    assert_eq!(config.socket, Path::new("/run/openscope/openscope.sock"));
    assert_eq!((config.broker_user.as_str(), &config.admin_group), ("openscope", &None));
    assert_eq!(config.kill, Kill::Cgroup);
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.limits.open_shares_per_owner, 16);
    assert_eq!(config.limits.calls_in_flight_per_seat, 32);
    assert_eq!(config.limits.verb_timeout, Duration::from_mins(1));
    assert_eq!(config.limits.output_max, 64 * 1024 * 1024);
    assert!(loaded.contacts.is_empty() && loaded.warnings.is_empty());
    assert_eq!(loaded.files.len(), 3);
}

#[test]
fn what_is_said_counts() {
    let config = format!(
        "mode = \"rootless\"\nstate = \"/s\"\nsocket = \"/r/s\"\nbroker_user = \"b\"\n\
         admin_group = \"a\"\nkill = \"subreaper\"\n{MINIMAL}"
    );
    let config = read(place(&config).path()).unwrap().config;
    assert_eq!((config.mode, config.kill), (Mode::Rootless, Kill::Subreaper));
    assert_eq!((config.state, config.socket), ("/s".into(), "/r/s".into()));
    assert_eq!((config.broker_user, config.admin_group), ("b".into(), Some("a".into())));
    assert_eq!(config.relays.len(), 1);
}

#[test]
fn the_mode_is_the_flags_or_the_keys_and_they_may_not_differ() {
    let dir = place(MINIMAL);
    let path = dir.path().join("openscoped.toml");
    assert_eq!(load(&path, Some(Mode::Rootless)).unwrap().config.mode, Mode::Rootless);
    put(&path, &format!("mode = \"system\"\n{MINIMAL}"), 0o644);
    let said = load(&path, Some(Mode::Rootless)).unwrap_err()[0].to_string();
    assert!(said.contains("started with `--rootless`"), "{said}");
}

#[test]
fn p03_each_mode_has_its_account() {
    assert_eq!(Mode::System.fits(0), Ok(()));
    assert_eq!(Mode::System.fits(1000), Err(ModeFault::NotRoot));
    assert_eq!(Mode::Rootless.fits(1000), Ok(()));
    assert_eq!(Mode::Rootless.fits(0), Err(ModeFault::Root));
}

#[test]
fn lo7_an_unknown_field_is_refused_with_line_column_and_suggestion() {
    let said = fault(&format!("stat = \"/x\"\n{MINIMAL}"));
    assert_eq!(said, "openscoped.toml:1:1: unknown field `stat`\n   = did you mean `state`?");
    let said = fault(&format!("{MINIMAL}[limits]\n  open_share = 4\n"));
    assert_eq!(
        said,
        "openscoped.toml:6:3: unknown field `open_share`\n   = did you mean `open_shares`?"
    );
    let said = fault(&format!("colour = 1\n{MINIMAL}"));
    assert!(said.contains("= known here: name, mode, state,"), "{said}");
}

#[test]
fn lo7_a_wrong_type_or_choice_is_refused_with_line_and_column() {
    for (config, wanted) in [
        (format!("{MINIMAL}[limits]\nopen_shares = \"many\"\n"), "openscoped.toml:6:15: "),
        (
            format!("kill = \"sigkill\"\n{MINIMAL}"),
            "openscoped.toml:1:8: unknown variant `sigkill`",
        ),
        (
            format!("state = \"var\"\n{MINIMAL}"),
            "openscoped.toml:1:9: `var` is not an absolute path",
        ),
        (
            format!("broker_user = \"root\"\n{MINIMAL}"),
            "openscoped.toml:1:15: `root` is not the name",
        ),
        (MINIMAL.replace("web-1", "Web 1"), "openscoped.toml:1:8: "),
        (MINIMAL.replace(":443", ""), "openscoped.toml:3:11: "),
        (MINIMAL.replace("name = \"web-1\"", ""), "missing field `name`"),
        (format!("{MINIMAL}name = \n"), "openscoped.toml:5:"),
        (format!("name = \"web-2\"\n{MINIMAL}"), "openscoped.toml:2:1: duplicate key"),
    ] {
        let said = fault(&config);
        assert!(said.contains(wanted), "{said}\n{config}");
    }
}

#[test]
fn one_to_three_relays_are_taken() {
    let relay = "[[relay]]\naddress = \"r.example.com:443\"\ntoken_file = \"relay.token\"\n";
    for count in 1..=3 {
        let config = format!("name = \"a\"\n{}", relay.repeat(count));
        assert_eq!(read(place(&config).path()).unwrap().config.relays.len(), count);
    }
    assert!(fault(&format!("name = \"a\"\n{}", relay.repeat(4))).contains("give one to 3"));
    assert!(fault("name = \"a\"\nrelay = []\n").contains("give one to 3"));
}

#[test]
fn se4_durations_out_of_range_or_unreadable_are_refused_and_never_replaced() {
    assert_eq!(limits("default_ttl = \"1s\"").unwrap().default_ttl, Duration::from_secs(1));
    assert_eq!(limits("default_ttl = \"30m\"").unwrap().default_ttl, HARD_STOP);
    for (written, said) in [
        ("\"31m\"", "must be at most 30m"),
        ("\"1801s\"", "must be at most 30m"),
        ("\"0s\"", "must be at least 1s"),
        ("\"999ms\"", "must be at least 1s"),
        ("\"-5m\"", "`-5m` is not a duration such as"),
        ("\"soon\"", "`soon` is not a duration such as"),
        ("\"\"", "is not a duration such as"),
        ("30", "expected a string"),
    ] {
        let fault = limits(&format!("default_ttl = {written}")).unwrap_err();
        assert!(fault.starts_with("openscoped.toml:6:15: ") && fault.contains(said), "{fault}");
    }
}

#[test]
fn sizes_and_counts_are_bounded() {
    assert_eq!(limits("output_max = \"1KiB\"").unwrap().output_max, 1024);
    assert!(limits("output_max = \"1023B\"").unwrap_err().contains("at least 1.0 KiB"));
    assert!(limits("output_max = \"2TiB\"").unwrap_err().contains("at most 1.0 TiB"));
    assert!(limits("output_max = \"big\"").unwrap_err().contains("is not a size such as"));
    assert_eq!(limits("open_shares_per_owner = 1").unwrap().open_shares_per_owner, 1);
    assert_eq!(limits("open_shares_per_owner = 10000").unwrap().open_shares_per_owner, 10_000);
    assert!(limits("open_shares_per_owner = 0").unwrap_err().contains("at least 1"));
    assert!(limits("open_shares_per_owner = -1").unwrap_err().contains("at least 1"));
    assert!(limits("open_shares_per_owner = 10001").unwrap_err().contains("at most 10000"));
    assert_eq!(limits("parked_runners = 0").unwrap().parked_runners, 0);
}

#[test]
fn every_fault_of_every_file_is_said_and_nothing_is_taken() {
    let dir = place(&format!("stat = 1\n{MINIMAL}"));
    put(&dir.path().join("verbs.d/bad.toml"), "[verb]\nx = 1\n", 0o644);
    put(&dir.path().join("policy.d/open.toml"), RULES, 0o666);
    put(&dir.path().join("contacts.toml"), "[contact.a]\nkey = \"x\"\n", 0o644);
    let said = faults(dir.path()).join("\n");
    for wanted in
        ["openscoped.toml:1:1", "verbs.d/bad.toml", "open.toml` is writable", "contacts.toml:2:7"]
    {
        assert!(said.contains(wanted), "{wanted} is missing in:\n{said}");
    }
}

#[test]
fn lo5_every_kind_of_file_is_judged() {
    for file in [
        "openscoped.toml",
        "relay.token",
        "verbs.d/web.toml",
        "policy.d/team.toml",
        "contacts.toml",
    ] {
        let dir = place(MINIMAL);
        put(&dir.path().join("contacts.toml"), "", 0o644);
        read(dir.path()).unwrap();
        let path = dir.path().join(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
        let said = faults(dir.path()).join("\n");
        assert!(said.contains(&format!("`chmod go-w {}`", path.display())), "{said}");
    }
    for directory in ["", "verbs.d", "policy.d"] {
        let dir = place(MINIMAL);
        let path = dir.path().join(directory);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o775)).unwrap();
        let said = faults(dir.path()).join("\n");
        assert!(said.contains("is writable by group or others"), "{said}");
    }
}

#[test]
fn lo5_a_symlinked_config_and_a_missing_directory_are_refused_by_name() {
    let dir = place(MINIMAL);
    let link = dir.path().join("link.toml");
    std::os::unix::fs::symlink(dir.path().join("openscoped.toml"), &link).unwrap();
    let said = load(&link, None).unwrap_err()[0].to_string();
    assert!(said.contains("link.toml` is a symbolic link"), "{said}");
    fs::remove_dir_all(dir.path().join("policy.d")).unwrap();
    assert!(faults(dir.path())[0].contains("policy.d` cannot be opened"));
}

#[test]
fn a_token_that_others_may_read_or_that_is_none_is_refused_and_never_shown() {
    let dir = place(MINIMAL);
    let path = dir.path().join("relay.token");
    put(&path, &token(), 0o640);
    assert!(faults(dir.path())[0].contains("chmod 600"));
    put(&path, "nonsense", 0o600);
    let said = faults(dir.path())[0].clone();
    assert!(said.contains("is not a relay's token") && !said.contains("nonsense"), "{said}");
    put(&path, &format!("{}\n", token()), 0o600);
    let shown = format!("{:?}", read(dir.path()).unwrap().config);
    assert!(!shown.contains(&token()));
}

#[test]
fn a_verbs_program_is_judged_and_a_missing_one_is_a_warning() {
    let dir = place(MINIMAL);
    let program = dir.path().join("tool");
    let verbs = VERBS.replace("/usr/bin/env", &program.display().to_string());
    put(&dir.path().join("verbs.d/web.toml"), &verbs, 0o644);
    let warnings = read(dir.path()).unwrap().warnings;
    assert!(warnings[0].starts_with("`host.uptime` cannot be called: there is no"), "{warnings:?}");
    put(&program, "", 0o755);
    assert!(read(dir.path()).unwrap().warnings.is_empty());
    put(&program, "", 0o777);
    let said = faults(dir.path())[0].clone();
    assert!(said.contains("the program of `host.uptime`") && said.contains("chmod go-w"), "{said}");
}

const TARGET: &str = "[ssh.web]\nhost = \"10.0.0.1\"\nhost_key = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6d1bqVYx3rlrOhCGpCLyqAvkRiJbC8B0cE4R8iYFsF\"\nidentity = { held = \"keys/web\" }\n";
const FAR: &str = "[verb.\"web.uptime\"]\nsummary = \"Up\"\neffect = \"read\"\nrun = { ssh = { target = \"web\", argv = [\"uptime\"] } }\n";

#[test]
fn targets_are_read_from_a_directory_of_their_own_and_held_keys_are_judged() {
    let dir = place(MINIMAL);
    put(&dir.path().join("targets.d/hosts.toml"), TARGET, 0o644);
    put(&dir.path().join("verbs.d/far.toml"), FAR, 0o644);
    assert!(faults(dir.path())[0].contains("keys` cannot be opened"), "a key that is not there");
    let key = dir.path().join("keys/web");
    put(&key, "", 0o640);
    assert!(faults(dir.path())[0].contains("chmod 600"), "one that others may read");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let loaded = read(dir.path()).unwrap();
    assert_eq!(loaded.policy.ssh_targets().count(), 1);
    assert!(loaded.files.iter().any(|file| file.ends_with("targets.d/hosts.toml")));
    put(
        &dir.path().join("openscoped.toml"),
        &MINIMAL.replacen('\n', "\nmode = \"rootless\"\n", 1),
        0o644,
    );
    assert!(faults(dir.path())[0].contains("cannot be held"), "there is nobody to hold it");
    fs::set_permissions(dir.path().join("targets.d"), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(faults(dir.path())[0].contains("targets.d` is writable"));
}

const SERVICE: &str = "[http.web]\nurl = \"https://10.0.0.1/\"\npaths = [\"/*\"]\ncredential = { file = \"keys/web\" }\nca = \"keys/ca\"\n";
const ASKS: &str = "[verb.\"web.open\"]\nsummary = \"Web\"\neffect = \"read\"\nrun = { forward = { http = \"web\" } }\n";

#[test]
fn the_files_that_a_service_is_asked_with_are_judged() {
    let dir = place(MINIMAL);
    put(&dir.path().join("targets.d/services.toml"), SERVICE, 0o644);
    put(&dir.path().join("verbs.d/web2.toml"), ASKS, 0o644);
    let keys = dir.path().join("keys");
    assert!(faults(dir.path()).iter().any(|fault| fault.contains("keys` cannot be opened")));
    put(&keys.join("web"), "token", 0o644);
    assert!(faults(dir.path()).iter().any(|fault| fault.contains("chmod 600")));
    put(&keys.join("web"), "token", 0o600);
    fs::set_permissions(keys.join("web"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(faults(dir.path())[0].contains("keys/ca"), "{:?}", faults(dir.path()));
    put(&keys.join("ca"), "", 0o644);
    assert_eq!(read(dir.path()).unwrap().policy.http_targets().count(), 1);
}

#[test]
fn the_files_that_a_database_is_asked_with_are_judged() {
    let dir = place(MINIMAL);
    let target = "[sql.shop]\npostgres = { host = \"db\", database = \"shop\" }\npassword = \"keys/shop\"\nca = \"keys/ca\"\n";
    let verb = "[verb.\"shop.one\"]\nsummary = \"One\"\neffect = \"read\"\nrun = { sql = { target = \"shop\", statement = \"select 1\" } }\n";
    put(&dir.path().join("targets.d/databases.toml"), target, 0o644);
    put(&dir.path().join("verbs.d/shop.toml"), verb, 0o644);
    let keys = dir.path().join("keys");
    put(&keys.join("ca"), "", 0o644);
    assert!(faults(dir.path())[0].contains("keys/shop"), "{:?}", faults(dir.path()));
    put(&keys.join("shop"), "secret", 0o644);
    assert!(faults(dir.path())[0].contains("chmod 600"));
    fs::set_permissions(keys.join("shop"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(read(dir.path()).unwrap().policy.sql_targets().count(), 1);
    fs::remove_file(keys.join("ca")).unwrap();
    assert!(faults(dir.path())[0].contains("keys/ca"), "{:?}", faults(dir.path()));
}

#[test]
fn a_held_key_that_nobody_can_serve_is_warned_of() {
    let dir = place(&MINIMAL.replacen('\n', "\nkeys_user = \"ospt-nobody-such\"\n", 1));
    put(&dir.path().join("targets.d/hosts.toml"), TARGET, 0o644);
    put(&dir.path().join("verbs.d/far.toml"), FAR, 0o644);
    put(&dir.path().join("keys/web"), "", 0o600);
    let config = Some(dir.path().join("openscoped.toml"));
    let (report, good) = check(&Arguments { config, ..Arguments::default() });
    assert!(good && report.contains("what goes to `web` cannot be called"), "{report}");
}

#[test]
fn the_digest_changes_with_any_file() {
    let dir = place(MINIMAL);
    let before = read(dir.path()).unwrap().digest;
    assert_eq!(read(dir.path()).unwrap().digest, before);
    put(&dir.path().join("policy.d/team.toml"), &format!("# more\n{RULES}"), 0o644);
    assert_ne!(read(dir.path()).unwrap().digest, before);
}

#[test]
fn check_says_what_was_read_or_what_is_wrong() {
    let dir = place(MINIMAL);
    let config = Some(dir.path().join("openscoped.toml"));
    let arguments = Arguments { config, ..Arguments::default() };
    let (report, good) = check(&arguments);
    assert!(good && report.contains("verbs.d/web.toml"), "{report}");
    assert!(
        report.ends_with("OK: daemon `web-1`, system mode, 1 relay(s), 1 verb(s), 0 contact(s)\n")
    );
    put(&dir.path().join("openscoped.toml"), "nam = \"a\"\n", 0o644);
    let (report, good) = check(&arguments);
    assert!(
        !good && report.starts_with("error: openscoped.toml:1:1: unknown field `nam`"),
        "{report}"
    );
}

#[test]
fn the_leg_key_is_told_before_there_is_a_token() {
    let dir = place(MINIMAL);
    fs::remove_file(dir.path().join("relay.token")).unwrap();
    let path = dir.path().join("openscoped.toml");
    put(&path, &format!("state = \"{}/state\"\n{MINIMAL}", dir.path().display()), 0o644);
    let root = rustix::process::geteuid().is_root();
    let of = |rootless| Arguments { config: Some(path.clone()), rootless, ..Arguments::default() };
    assert!(leg_key(&of(root)).is_err(), "the mode of another account");
    assert!(!dir.path().join("state").exists());
    let arguments = of(!root);
    let key = leg_key(&arguments).unwrap();
    assert_eq!(leg_key(&arguments).unwrap(), key);
    assert_eq!(key.len(), 43);
}

/// `examples/web-team`, as an administrator would copy it.
fn web_team() -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/web-team");
    let dir = trusted_directory();
    for file in ["openscoped.toml", "contacts.toml", "verbs.d/web.toml", "policy.d/team.toml"] {
        put(&dir.path().join(file), &fs::read_to_string(from.join(file)).unwrap(), 0o644);
    }
    put(&dir.path().join("relay.token"), &token(), 0o600);
    dir
}

#[test]
fn the_shipped_example_loads_and_says_every_limit_with_its_default() {
    let dir = web_team();
    let loaded = read(dir.path()).unwrap();
    assert_eq!(loaded.config.limits, Limits::default());
    let text = fs::read_to_string(dir.path().join("openscoped.toml")).unwrap();
    for key in limits::KEYS {
        assert!(text.lines().any(|line| line.starts_with(&format!("{key} "))), "{key}");
    }
}

#[test]
fn the_shipped_contacts_load_when_they_are_uncommented() {
    let dir = web_team();
    let path = dir.path().join("contacts.toml");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("# [", "[").replace("# key", "key").replace("# note", "note");
    put(&path, &text, 0o644);
    assert_eq!(read(dir.path()).unwrap().contacts.len(), 2);
}

#[test]
fn the_shipped_policy_lets_alice_hand_on_what_it_says_and_nothing_else() {
    let policy = read(web_team().path()).unwrap().policy;
    let principal = Principal { user: "alice".into(), agent: "you".parse().unwrap() };
    let alice = Subject { principal, groups: Groups::none(), now: Timestamp(0) };
    let fingerprint = "SHA256:x".to_owned();
    let to = |alias: &str| Recipient::Contact {
        alias: alias.parse().unwrap(),
        fingerprint: fingerprint.clone(),
    };
    let derive = |request: &str| {
        let request: Request = request.parse().unwrap();
        policy.surface(&alice).derive(&[request]).map_err(|fault| fault.to_string())
    };
    let lets = |scope: &Scope, recipient: &Recipient| {
        let ttl = Duration::from_mins(30);
        let proposal = Proposal { scope, recipient, ttl, redelegate: 0, live: &[] };
        policy.may_delegate(&alice, proposal).is_ok()
    };
    for request in
        ["log.tail:service=web", "log.follow", "service.restart", "disk.usage", "host.uptime"]
    {
        let scope = derive(request).unwrap();
        for alias in ["vendor-a", "own/vendor-b"] {
            assert!(lets(&scope, &to(alias)), "{request}");
        }
        assert!(!lets(&scope, &to("own/acme")));
        assert!(!lets(&scope, &Recipient::Bearer));
    }
    assert!(derive("service.restart:service=worker").is_err());
    assert!(derive("log.tail:service=db").is_err());
}
