//! `openscope doctor`: what would fail, told before somebody calls it.

use std::fs;
use std::net::TcpListener;

use serde_json::Value;
use tests::world::{Setup, World};

const VERBS: &str = r#"
[verb."well.run"]
summary = "Can be run"
effect  = "read"
run     = { exec = { argv = ["/bin/true"] } }

[verb."ill.run"]
summary = "Cannot"
effect  = "read"
run     = { exec = { argv = ["/usr/bin/openscope-has-no-such-program"] } }

[verb."well.get"]
summary = "Can be fetched"
effect  = "read"
run     = { file = { get = "{path}" } }
[verb."well.get".params]
path = { type = "path", subtree = "@HOME@/drop", required = true }

[verb."ill.put"]
summary = "Cannot be put: it is root's"
effect  = "write"
run     = { file = { put = "@HOME@/etc/file" } }

[verb."ill.ask"]
summary = "Nobody answers"
effect  = "read"
run     = { http = { target = "away", path = "/" } }

[verb."well.open"]
summary = "Somebody does"
effect  = "read"
run     = { forward = { tcp = "here" } }
output  = { redact = [] }

[verb."ill.far"]
summary = "Has no key"
effect  = "read"
run     = { ssh = { target = "far", argv = ["id"] } }

[verb."ill.rows"]
summary = "There is no such file"
effect  = "read"
run     = { sql = { target = "none", statement = "select 1" } }

[verb."well.kept"]
summary = "Is contained, and has no network"
effect  = "read"
[verb."well.kept".run.exec]
argv = ["/bin/true"]
read = ["/usr"]
network = false

[verb."others.run"]
summary = "Is not alice's"
effect  = "read"
run     = { exec = { argv = ["/usr/bin/openscope-has-no-such-program-either"] } }
"#;
const POLICY: &str = r#"
[[agent]]
name = "you"
user = "@ALICE@"
[[allow]]
agent = "you"
verbs = ["well.*", "ill.*"]
"#;

fn world(listener: &TcpListener) -> World {
    let port = listener.local_addr().expect("its address").port();
    let closed = TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("its address");
    let targets = format!(
        "[http.away]\nurl = \"http://{closed}/\"\npaths = [\"/\"]\ncredential = {{ file = \"token\" }}\n\
         [tcp.here]\nhost = \"localhost\"\nport = {port}\n\
         [sql.none]\nsqlite = \"/nonexistent/none.db\"\n\
         [ssh.far]\nhost = \"localhost\"\nport = {port}\nhost_key = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6d1bqVYx3rlrOhCGpCLyqAvkRiJbC8B0cE4R8iYFsF\"\nidentity = {{ own = \".ssh/none\" }}\n"
    );
    let (verbs, policy) = (VERBS.to_owned(), POLICY.to_owned());
    let secrets = vec![("token".to_owned(), "tok-3141592653\n".to_owned())];
    Setup { targets, verbs, policy, secrets, ..Setup::default() }.start()
}

fn failing(document: &Value) -> Vec<String> {
    let findings = document["findings"].as_array().expect("findings").iter();
    let failing = findings.filter(|one| one["ok"] == false);
    failing.map(|one| format!("{}: {}", one["verbs"][0], one["what"])).collect()
}

#[test]
fn what_would_fail_is_told_with_its_reason_and_what_is_well_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let world = world(&listener);
    let look = || {
        let said = world.alice().run(&["doctor", "--agent", "you", "--json"]);
        let document: Value = serde_json::from_str(&said.stdout).expect("JSON");
        (said.status, document)
    };
    let (status, document) = look();
    assert_eq!((status, &document["ok"]), (1, &false.into()), "{document}");
    let told = failing(&document).join("\n");
    assert_eq!(told.lines().count(), 5, "{told}");
    for expected in [
        "\"ill.run\": \"program /usr/bin/openscope-has",
        "\"ill.put\": \"path ",
        "\"ill.ask\": \"port ",
        "\"ill.far\": \"path ~/.ssh/none",
        "\"ill.rows\": \"path /nonexistent/none.db",
    ] {
        assert!(told.contains(expected), "no {expected} in\n{told}");
    }
    assert!(!document.to_string().contains("either"), "another's verb: {document}");
    fs::remove_file(world.home.join("etc/token")).expect("take the secret away");
    let (_, document) = look();
    assert!(failing(&document).join("\n").contains("the credential in"), "{document}");
    assert!(!document.to_string().contains("tok-3141592653"));

    let said = world.alice().run(&["doctor", "--agent", "you"]);
    assert!(
        said.stdout.contains("Permission denied") && said.stdout.contains("Connection refused")
    );
    assert!(said.stderr.contains("6 would fail"), "{said:?}");
}
