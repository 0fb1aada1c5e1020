//! Files that are fetched, handed over, listed and followed: beneath their root, whole, and as they were.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tests::background::Background;
use tests::owner::{Said, Share};
use tests::wait::until;
use tests::world::{Setup, World};

const VERBS: &str = r#"
[verb."files.get"]
summary = "Fetches a file"
effect  = "read"
run     = { file = { get = "{path}" } }
output  = { max = "256MiB", redact = [] }
[verb."files.get".params]
path = { type = "path", subtree = "@HOME@/drop", required = true }

[verb."files.safe"]
summary = "Fetches a file, without what is secret in it"
effect  = "read"
run     = { file = { get = "{path}" } }
output  = { max = "1MiB" }
[verb."files.safe".params]
path = { type = "path", subtree = "@HOME@/drop", required = true }

[verb."files.put"]
summary = "Takes a file in"
effect  = "write"
run     = { file = { put = "{path}", max = "64MiB" } }
[verb."files.put".params]
path = { type = "path", subtree = "@HOME@/drop", required = true }

[verb."files.replace"]
summary = "Takes a file in, in the place of another"
effect  = "write"
run     = { file = { put = "{path}", overwrite = true } }
[verb."files.replace".params]
path = { type = "path", subtree = "@HOME@/drop", required = true }

[verb."files.list"]
summary = "What there is"
effect  = "read"
run     = { file = { list = "{path}" } }
[verb."files.list".params]
path = { type = "path", subtree = "@HOME@/drop", required = true }

[verb."files.tail"]
summary = "The end of the log"
effect  = "read"
run     = { file = { tail = "@HOME@/drop/app.log" } }
timeout = "10m"
"#;
const POLICY: &str = r#"
[[agent]]
name = "you"
user = "@ALICE@"
[[allow]]
agent = "you"
verbs = ["files.*"]
[[delegate]]
agent   = "you"
verbs   = ["files.*"]
to      = ["own/vendor-*"]
"#;

struct Scene {
    world: World,
    share: Share,
}

fn scene() -> Scene {
    let setup = Setup { verbs: VERBS.to_owned(), policy: POLICY.to_owned(), ..Setup::default() };
    let world = setup.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let verbs = ["get", "safe", "put", "replace", "list", "tail"].map(|one| format!("files.{one}"));
    let share = world.alice().open(&verbs.each_ref().map(String::as_str));
    Scene { world, share }
}

impl Scene {
    /// A file of alice's with this in it.
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.world.drop_file(name);
        fs::write(&path, bytes).expect("write a file");
        self.give(&path);
        path
    }

    fn give(&self, path: &Path) {
        let alice = &self.world.accounts.alice;
        chown(path, Some(alice.uid), Some(alice.gid)).expect("give it away");
    }

    fn local(&self, name: &str) -> PathBuf {
        self.world.vendor().home().join(name)
    }

    fn get(&self, verb: &str, path: &Path, more: &[&str]) -> Said {
        let (path, to) =
            (format!("path={}", path.display()), self.local("got").display().to_string());
        let arguments = ["get", verb, &path, "--output", &to];
        self.world.vendor().run(&self.share, &[&arguments[..], more].concat())
    }

    fn put(&self, verb: &str, file: &Path, path: &Path) -> Said {
        let (file, path) = (file.display().to_string(), format!("path={}", path.display()));
        self.world.vendor().run(&self.share, &["put", verb, &file, &path])
    }

    /// What lies in alice's directory.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.world.home.join("drop")).expect("read it");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<_> = entries.map(|entry| name(entry.expect("an entry"))).collect();
        names.sort();
        names
    }

    fn call(&self, verb: &str, path: &Path, more: &[&str]) -> Said {
        let path = format!("path={}", path.display());
        self.world.vendor().call(&self.share, &[&[verb, &path][..], more].concat())
    }
}

/// Bytes that repeat nowhere near.
fn bytes(length: usize) -> Vec<u8> {
    let word = |number: u64| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes();
    (0..).flat_map(word).take(length).collect()
}

fn sha256(bytes: &[u8]) -> String {
    let mut sum = Command::new("sha256sum");
    let mut sum = sum.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("run sha256sum");
    sum.stdin.take().expect("it is piped").write_all(bytes).expect("it reads");
    let output = sum.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).split(' ').next().expect("a sum").to_owned()
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o7777
}

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.stdout).unwrap_or_else(|fault| panic!("{fault}: {said:?}"))
}

#[test]
fn a_file_is_fetched_as_it_is_and_takes_nobody_s_place() {
    let scene = scene();
    let whole = bytes((9 << 20) + 7);
    let file = scene.write("dump.bin", &whole);
    let said = scene.get("files.get", &file, &["--json"]);
    let told = json(&said);
    assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{said:?}");
    assert_eq!((&told["size"], &told["verified"]), (&whole.len().into(), &true.into()), "{told}");
    assert_eq!((&told["sha256"], &told["resumed_from"]), (&sha256(&whole).into(), &0.into()));
    let got = scene.local("got");
    assert!(fs::read(&got).expect("it is there") == whole);
    assert_eq!(mode(&got), 0o600);
    assert!(!scene.local("got.openscope-part").exists());

    let again = scene.get("files.get", &file, &[]);
    assert_eq!(again.status, 125, "{again:?}");
    assert!(again.stderr.contains("is there already"), "{again:?}");
    let small = scene.write("small", b"new");
    assert_eq!(scene.get("files.get", &small, &["--force"]).status, 0);
    assert_eq!(fs::read(&got).expect("it is there"), b"new");
    let empty = scene.write("empty", b"");
    assert_eq!(scene.get("files.get", &empty, &["--force"]).status, 0);
    assert_eq!(fs::read(&got).expect("it is there"), b"");

    let path = format!("path={}", small.display());
    let piped = scene.world.vendor().run(&scene.share, &["get", "files.get", &path, "-o", "-"]);
    assert_eq!((piped.status, piped.stdout.as_str()), (0, "new"), "{piped:?}");
    // What is too long is refused before a byte of it has come.
    let long = scene.write("long", &bytes(1 << 20));
    let said = scene.get("files.safe", &long, &["--force"]);
    assert!(said.stderr.contains("more than the 1047552 that this call may write"), "{said:?}");
    assert_eq!((said.status, scene.local("got.openscope-part").exists()), (1, false));
    let ends = scene.world.ends();
    assert_eq!(ends.last().expect("its end is on record")["stdout"], 0);
}

#[test]
fn what_was_cut_goes_on_where_it_was_and_begins_again_where_the_file_is_another() {
    let scene = scene();
    let whole = bytes(48 << 20);
    let file = scene.write("dump.bin", &whole);
    let (path, to) = (format!("path={}", file.display()), scene.local("got").display().to_string());
    let part = scene.local("got.openscope-part");
    let vendor = scene.world.vendor();
    let mut child = vendor
        .command(&scene.share, &["get", "files.get", &path, "--output", &to])
        .spawn()
        .expect("run the client");
    let length = || part.metadata().map_or(0, |part| part.len());
    until("some of it has come", || (length() > 1 << 20).then_some(()));
    child.kill().expect("kill it");
    child.wait().expect("it ends");
    let before = length();
    assert!(before < whole.len() as u64, "it was too fast to be cut");
    let told = json(&scene.get("files.get", &file, &["--json"]));
    assert_eq!(
        (&told["resumed_from"], &told["verified"]),
        (&before.into(), &true.into()),
        "{told}"
    );
    assert!(fs::read(&to).expect("it is there") == whole);

    for other in [bytes(100).as_slice(), &bytes(60 << 20)[8..], b"short"] {
        let file = scene.write("dump.bin", other);
        fs::write(&part, &whole[..1000]).expect("leave a part");
        chown(&part, Some(scene.world.accounts.vendor.uid), None).expect("give it away");
        let said = scene.get("files.get", &file, &["--json", "--force"]);
        assert!(said.stderr.contains("has changed since"), "{said:?}");
        assert_eq!(json(&said)["resumed_from"], 0);
        assert!(fs::read(&to).expect("it is there") == other);
    }
}

#[test]
fn ru6_what_is_no_file_beneath_the_root_is_not_opened() {
    let scene = scene();
    fs::create_dir(scene.world.drop_file("sub")).expect("make a directory");
    scene.give(&scene.world.drop_file("sub"));
    scene.write("sub/file", b"inside");
    let outside = scene.world.home.join("outside");
    fs::write(&outside, "outside").expect("write a file");
    let at = |name: &str| scene.world.drop_file(name);
    symlink("../outside", at("link")).expect("plant a link");
    symlink("sub", at("way")).expect("plant a link");
    symlink("/proc/self/root", at("magic")).expect("plant a link");
    let made = |program: &str, arguments: &[&str]| {
        assert!(tests::account::run(program, arguments), "{program} {arguments:?}");
    };
    made("mkfifo", &["-m", "666", &at("pipe").display().to_string()]);
    made("mknod", &["-m", "666", &at("device").display().to_string(), "c", "1", "5"]);
    fs::write(at("theirs"), "root's").expect("write a file");
    fs::set_permissions(at("theirs"), fs::Permissions::from_mode(0o600)).expect("close it");
    for (name, why) in [
        ("sub", "it is a directory, and not a file"),
        ("pipe", "it is a pipe, and not a file"),
        ("device", "it is a device, and not a file"),
        ("link", "it is a symbolic link, or leads through one"),
        ("way/file", "it is a symbolic link, or leads through one"),
        ("magic/etc/passwd", "it is a symbolic link, or leads through one"),
        ("theirs", "Permission denied"),
        ("missing", "No such file"),
        ("sub/file/x", "Not a directory"),
    ] {
        let said = scene.get("files.get", &at(name), &[]);
        assert_eq!((said.status, scene.local("got").exists()), (1, false), "{name}: {said:?}");
        assert!(said.stderr.contains(why), "{name}: {said:?}");
    }
    for path in [&outside, &at("../outside"), &at("sub/../../outside"), Path::new("/etc/passwd")] {
        let said = scene.get("files.get", path, &[]);
        assert!(matches!(said.status, 2 | 126), "{said:?}");
    }
    let said = scene.put("files.put", Path::new("/etc/hostname"), &at("way/new"));
    assert!(said.status == 1 && said.stderr.contains("symbolic link"), "{said:?}");
    assert!(!at("sub/new").exists());
}

#[test]
fn ru6_a_name_that_changes_while_it_is_opened_leads_nowhere_else() {
    let scene = scene();
    let (file, link) = (scene.write("inside", b"inside"), scene.world.drop_file("link"));
    fs::write(scene.world.home.join("outside"), "outside").expect("write a file");
    symlink("../outside", &link).expect("plant a link");
    let name = scene.world.drop_file("x");
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let spare = scene.world.drop_file("spare");
            while !done.load(Ordering::Relaxed) {
                fs::hard_link(&file, &spare)
                    .and_then(|()| fs::rename(&spare, &name))
                    .expect("swap");
                symlink("../outside", &spare)
                    .and_then(|()| fs::rename(&spare, &name))
                    .expect("swap");
            }
        });
        let mut seen = [0, 0];
        for _ in 0..40 {
            let said = scene.call("files.get", &name, &[]);
            match (said.status, said.stdout.as_str()) {
                (0, "inside") => seen[0] += 1,
                (1, "") => seen[1] += 1,
                _ => {
                    done.store(true, Ordering::Relaxed);
                    panic!("{said:?}");
                }
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(seen[0] > 0 && seen[1] > 0, "the name did not change: {seen:?}");
    });
}

#[test]
fn a_file_is_taken_in_whole_for_its_owner_alone_or_not_at_all() {
    let scene = scene();
    let whole = bytes((5 << 20) + 3);
    let local = scene.local("mine");
    fs::write(&local, &whole).expect("write a file");
    chown(&local, Some(scene.world.accounts.vendor.uid), None).expect("give it away");
    let there = scene.world.drop_file("new.bin");
    let said = scene.put("files.put", &local, &there);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stderr.contains(&format!("{} bytes, SHA-256 {}", whole.len(), sha256(&whole))));
    assert!(fs::read(&there).expect("it is there") == whole);
    let state = there.metadata().expect("it is there");
    assert_eq!((mode(&there), state.uid()), (0o600, scene.world.accounts.alice.uid));
    let event = scene.world.events("call_started").pop().expect("its start is on record");
    assert!(event["arguments"].to_string().contains(&sha256(&whole)), "{event}");

    let again = scene.put("files.put", &local, &there);
    assert!(again.status == 1 && again.stderr.contains("it is there already"), "{again:?}");
    let outside = scene.world.home.join("outside");
    fs::write(&outside, "outside").expect("write a file");
    symlink(&outside, scene.world.drop_file("link")).expect("plant a link");
    for verb in ["files.put", "files.replace"] {
        let said = scene.put(verb, &local, &scene.world.drop_file("link"));
        assert_eq!(said.status, 1, "{said:?}");
    }
    assert_eq!(fs::read(&outside).expect("it is there"), b"outside");

    fs::write(&local, "second").expect("write a file");
    let said = scene.put("files.replace", &local, &there);
    assert!(said.status == 0 && said.stderr.contains("in the place of another"), "{said:?}");
    assert_eq!(fs::read(&there).expect("it is there"), b"second");
    assert_eq!(scene.names(), ["link", "new.bin"]);
    let root = scene.put("files.put", &local, &scene.world.home.join("drop"));
    assert!(root.stderr.contains("it is the directory itself"), "{root:?}");
}

#[test]
fn p12_of_a_file_that_does_not_arrive_nothing_is_left() {
    let scene = scene();
    let (path, wrong) = (scene.world.drop_file("new"), format!("sha256={}", "0".repeat(64)));
    let path = format!("path={}", path.display());
    let start = |more: &[&str]| {
        let call = ["call", "files.put", &path];
        let mut command = scene.world.vendor().command(&scene.share, &[&call[..], more].concat());
        command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("run the client")
    };
    let mut child = start(&[&wrong]);
    child.stdin.take().expect("it is piped").write_all(b"something else").expect("it reads");
    let said = Said::from(child.wait_with_output().expect("it ends"));
    assert!(said.status == 1 && said.stderr.contains("another SHA-256 than was said"), "{said:?}");
    assert_eq!(scene.names(), [""; 0]);

    let mut child = start(&[&wrong]);
    child.stdin.as_mut().expect("it is piped").write_all(&bytes(3 << 20)).expect("it reads");
    child.kill().expect("kill it");
    child.wait().expect("it ends");
    until("the call has ended", || (scene.world.events("call_ended").len() == 2).then_some(()));
    assert_eq!(scene.names(), [""; 0]);

    let mut child = start(&[&format!("sha256={}", sha256(b"")), "--no-stdin"]);
    assert!(child.wait().expect("it ends").success(), "a file of nothing is one");
    assert_eq!(scene.names(), ["new"]);
    let unsaid = scene.world.vendor().call(&scene.share, &["files.put", &path, "-n"]);
    assert!(unsaid.status == 2 && unsaid.stderr.contains("`sha256`"), "{unsaid:?}");
}

#[test]
fn a_pipe_is_handed_over_and_what_is_too_long_is_not_sent() {
    let scene = scene();
    let give = |verb: &str, length: usize| {
        let path = format!("path={}", scene.world.drop_file("piped").display());
        let mut command = scene.world.vendor().command(&scene.share, &["put", verb, "-", &path]);
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("run the client");
        // One who has enough reads no more.
        let _ = child.stdin.take().expect("it is piped").write_all(&bytes(length));
        Said::from(child.wait_with_output().expect("it ends"))
    };
    let said = give("files.replace", (16 << 20) + 1);
    assert!(said.status == 2 && said.stderr.contains("16777216 bytes are the most"), "{said:?}");
    assert_eq!(give("files.put", 1 << 20).status, 0);
    assert!(fs::read(scene.world.drop_file("piped")).expect("it is there") == bytes(1 << 20));
    assert_eq!(scene.world.events("call_started").len(), 1);
}

#[test]
fn a_directory_is_listed_by_name_with_what_each_entry_is() {
    let scene = scene();
    scene.write("b", b"12345");
    fs::create_dir(scene.world.drop_file("a")).expect("make a directory");
    symlink("/etc/passwd", scene.world.drop_file("c")).expect("plant a link");
    let odd = std::os::unix::ffi::OsStringExt::from_vec(b"d\xff\n".to_vec());
    let odd: std::ffi::OsString = odd;
    fs::write(scene.world.home.join("drop").join(&odd), "").expect("write a file");
    let said = scene.call("files.list", &scene.world.home.join("drop"), &[]);
    assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{said:?}");
    let entries: Vec<Value> =
        said.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told = |entry: &Value| format!("{} {} {}", entry["name"], entry["kind"], entry["name_hex"]);
    assert_eq!(
        entries.iter().map(told).collect::<Vec<_>>(),
        [
            "\"a\" \"directory\" null",
            "\"b\" \"file\" null",
            "\"c\" \"link\" null",
            "\"d\u{fffd}\\n\" \"file\" \"64ff0a\""
        ]
    );
    assert_eq!(entries[1]["size"], 5);
    let file = scene.call("files.list", &scene.world.drop_file("b"), &[]);
    assert!(file.status == 1 && file.stderr.contains("Not a directory"), "{file:?}");
}

#[test]
fn the_end_of_a_file_is_shown_and_followed_through_rotation_until_nobody_looks() {
    let scene = scene();
    let lines: String = (1..=20_000).map(|number| format!("line {number}\n")).collect();
    let log = scene.write("app.log", (lines + "no end").as_bytes());
    let tail = |more: &[&str]| {
        scene.world.vendor().call(&scene.share, &[&["files.tail"][..], more].concat()).stdout
    };
    assert_eq!(tail(&["lines=3"]), "line 19999\nline 20000\nno end");
    assert_eq!(tail(&["lines=0"]), "");
    assert_eq!(tail(&[]).lines().count(), 10);
    assert_eq!(tail(&["lines=10000"]).lines().count(), 10_000);
    scene.write("app.log", b"a\nb\n");
    assert_eq!(tail(&["lines=1"]), "b\n");

    let follow = ["files.tail", "lines=1", "follow=true"];
    let follower = scene.world.vendor().start(&scene.share, &follow);
    follower.stdout.line_with("b");
    let add = |path: &Path, text: &str| {
        let mut file = fs::File::options().append(true).open(path).expect("open it");
        file.write_all(text.as_bytes()).expect("write to it");
    };
    add(&log, "c\n");
    follower.stdout.line_with("c");
    fs::rename(&log, scene.world.drop_file("app.log.1")).expect("rotate it");
    add(&scene.world.drop_file("app.log.1"), "last of the old\n");
    scene.write("app.log", b"first of the new\n");
    follower.stdout.line_with("last of the old");
    follower.stdout.line_with("first of the new");
    fs::write(&log, "cut\n").expect("cut it");
    follower.stdout.line_with("cut");
    assert_eq!(scene.world.alice().revoke(&scene.share).status, 0);
    let ended = scene.world.last_end();
    assert_eq!(ended["ending"], "revoked");
    drop::<Background>(follower);
}

#[test]
fn p04_a_file_that_is_masked_gives_nothing_by_which_a_secret_could_be_had() {
    let scene = scene();
    let file = scene.write("app.env", b"DB_PASSWORD=correct-horse-9\nDB_HOST=db\n");
    let said = scene.get("files.safe", &file, &["--json"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stderr.contains("1 secret was masked in it"), "{said:?}");
    let told = json(&said);
    assert_eq!((&told["verified"], &told["redactions"]), (&false.into(), &1.into()), "{told}");
    let got = fs::read_to_string(scene.local("got")).expect("it is there");
    assert_eq!(got, "DB_PASSWORD=[redacted:password]\nDB_HOST=db\n");
    let whole = scene.call("files.safe", &file, &[]);
    let digest = sha256(&fs::read(&file).expect("it is there"));
    assert!(
        !whole.stderr.contains(&digest) && whole.stderr.contains("\"sha256\":null"),
        "{whole:?}"
    );
    // From within a secret on, nothing would say that it is one.
    let within = scene.call("files.safe", &file, &["offset=12"]);
    assert!(within.status == 2 && !within.stdout.contains("horse"), "{within:?}");
    let unlisted = scene.call("files.safe", &file, &["--unlisted", "offset=12"]);
    assert!(unlisted.status == 126 && !unlisted.stdout.contains("horse"), "{unlisted:?}");
}

#[test]
fn what_has_come_is_kept_when_the_rest_cannot_be_had() {
    let scene = scene();
    let file = scene.write("dump.bin", &bytes(1 << 20));
    let part = scene.local("got.openscope-part");
    fs::write(&part, bytes(1000)).expect("leave a part");
    chown(&part, Some(scene.world.accounts.vendor.uid), None).expect("give it away");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("close it");
    let said = scene.get("files.get", &file, &[]);
    assert!(said.status == 1 && said.stderr.contains("Permission denied"), "{said:?}");
    assert_eq!(fs::read(&part).expect("it is there"), bytes(1000));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("open it");
    assert_eq!(json(&scene.get("files.get", &file, &["--json"]))["resumed_from"], 1000);
}
