//! A path is opened beneath its root, by the owner; nothing between the two leads out.

use std::fs;
use std::os::unix::fs::{chown, symlink};

use tests::world::{Setup, World};

const VERBS: &str = r#"
[verb."file.print"]
summary = "Prints files"
effect  = "read"
run     = { exec = { argv = ["/bin/cat", "--", "{files}"] } }
[verb."file.print".params]
files = { type = "path[]", subtree = "@HOME@/drop", required = true }
"#;

fn world() -> World {
    let Setup { policy, .. } = Setup::default();
    let policy = policy
        .replacen("verbs = { \"log.tail\"", "verbs = { \"file.print\" = {}, \"log.tail\"", 1)
        .replace("[\"log.*\"", "[\"file.*\", \"log.*\"");
    let verbs = Setup::default().verbs + VERBS;
    let world = Setup { verbs, policy, ..Setup::default() }.start();
    let alice = &world.accounts.alice;
    for (name, text) in [("one", "first\n"), ("two", "second\n")] {
        fs::create_dir_all(world.drop_file("sub")).expect("make a directory");
        let file = world.drop_file(&format!("sub/{name}"));
        fs::write(&file, text).expect("write a file");
        chown(&file, Some(alice.uid), Some(alice.gid)).expect("give it away");
    }
    fs::write(world.home.join("outside"), "outside\n").expect("write a file");
    world
}

#[test]
fn ru6_a_path_beneath_its_root_is_read_and_nothing_outside_is() {
    let world = world();
    world.alice().add_contact("vendor-b", &world.vendor());
    let root = world.drop_file("sub").display().to_string();
    let share = world.alice().open(&[&format!("file.print:files={root}/")]);
    let print = |files: &str| {
        let said = world.vendor().call(&share, &["file.print", &format!("files={files}")]);
        (said.status, said.stdout, said.stderr)
    };
    let both = print(&format!("{root}/one,{root}/two"));
    assert_eq!((both.0, both.1.as_str()), (0, "first\nsecond\n"), "{}", both.2);
    for outside in ["outside", "drop", "drop/sub2", "drop/sub/../../outside", "drop/sub/./one"] {
        let (status, stdout, said) = print(&world.home.join(outside).display().to_string());
        assert_eq!(
            (status == 126 || status == 2, stdout.as_str()),
            (true, ""),
            "{outside}: {said}"
        );
    }
    symlink("../../outside", world.drop_file("sub/link")).expect("plant a link");
    symlink("/proc/self/root", world.drop_file("sub/magic")).expect("plant a link");
    for link in ["link", "magic/etc/passwd", "missing"] {
        let (status, stdout, said) = print(&format!("{root}/{link}"));
        assert_eq!((status, stdout.as_str()), (125, ""), "{link}: {said}");
        assert!(said.contains("its owner can see why") && !said.contains("symbolic"), "{said}");
        let ended = world.last_end();
        let why = ended["ending"].to_string();
        assert!(why.contains(&format!("`files`: cannot open `sub/{link}` beneath")), "{why}");
    }
}
