//! What the catalog says of a verb's limits, files and system calls, held against programs that do not keep to it.

use std::os::unix::fs::symlink;

use policy::{Reach, Root};

use super::*;

/// A shell's script in an account that no other test uses: processes are counted by account.
fn of(uid: u32, name: &str, script: &str) -> Order {
    let mut order = shell(script);
    order.account = Account::Become { uid, name: name.into() };
    order
}

fn limited(script: &str, limits: ProcessLimits) -> Order {
    let mut order = of(9, "news", script);
    order.confinement.limits = limits;
    order
}

const NONE: ProcessLimits =
    ProcessLimits { memory: None, processes: None, open_files: None, file_size: None, cpu: None };

#[test]
fn a_verb_that_forks_too_much_cannot() {
    let script = "for i in 1 2 3 4 5 6; do sleep 1000 > /dev/null 2>&1 & done; echo all";
    for way in WAYS {
        let few = limited(script, ProcessLimits { processes: Some(4), ..NONE });
        let (ended, out, said) = run(&mut world(way), &few);
        assert_eq!((ended, out.as_str()), (Ended::Exited(2), ""), "{way:?}: {said}");
        assert!(said.contains("fork"), "{said}");
        let enough = limited(script, ProcessLimits { processes: Some(50), ..NONE });
        let (mut world, (mut outputs, attached)) = (world(way), outputs());
        let mut running = world.runners.start(&enough, attached).unwrap();
        assert_eq!(outputs.wait_for_line(), "all", "{way:?}");
        running.kill().unwrap();
        super::ended(&mut running);
    }
}

#[test]
fn a_file_grows_to_its_limit_and_not_beyond() {
    let tree = Tree::new();
    let script = |name: &str, bytes: u32| {
        let path = tree.at(&format!("spool/{name}"));
        let script = format!("head -c {bytes} /dev/zero > {}", path.display());
        (limited(&script, ProcessLimits { file_size: Some(4096), ..NONE }), path)
    };
    for way in WAYS {
        for (name, bytes, status) in [("at", 4096, 0), ("over", 4097, 128 + 25)] {
            let (order, path) = script(name, bytes);
            let (ended, _, said) = run(&mut world(way), &order);
            assert_eq!(ended, Ended::Exited(status), "{way:?} {name}: {said}");
            assert_eq!(fs::metadata(path).unwrap().len(), 4096);
        }
    }
}

#[test]
fn memory_is_given_to_the_limit_and_not_beyond() {
    let script = |mib: u32| format!("exec perl -e 'my $x = \"x\" x ({mib} << 20); print \"had\"'");
    for way in WAYS {
        for (mib, wanted) in [(50, "had"), (300, "")] {
            let limits = ProcessLimits { memory: Some(256 << 20), ..NONE };
            let (_, out, said) = run(&mut world(way), &limited(&script(mib), limits));
            assert_eq!(out, wanted, "{way:?} {mib}: {said}");
        }
        let least = ProcessLimits { memory: Some(16 << 20), ..NONE };
        let (ended, out, said) = run(&mut world(way), &limited("echo ran | cat", least));
        assert_eq!((ended, out.as_str()), (Ended::Exited(0), "ran\n"), "{way:?}: {said}");
    }
}

#[test]
fn a_verb_that_spins_is_killed_when_its_time_is_used_up() {
    for way in WAYS {
        let limits = ProcessLimits { cpu: Some(1), ..NONE };
        let (ended, _, _) = run(&mut world(way), &limited("while :; do :; done", limits));
        assert_eq!(ended, Ended::Signaled(9), "{way:?}");
    }
}

#[test]
fn files_are_opened_to_the_limit_and_what_was_opened_for_the_verb_stays() {
    let count = "exec perl -e 'my @h; for (1..99) { open(my $f, \"<\", \"/dev/null\") or last; push @h, $f } print scalar @h'";
    let tree = Tree::new();
    for way in WAYS {
        let limits = ProcessLimits { open_files: Some(16), ..NONE };
        let (_, out, _) = run(&mut world(way), &limited(count, limits));
        assert_eq!(out, "13", "{way:?}: besides the three standard streams");
        let mut cat = order(&["/bin/cat", "--"]);
        cat.arguments.extend([tree.opened("log", "app"), tree.opened("log", "app")]);
        cat.confinement.limits = limits;
        let (_, out, said) = run(&mut world(way), &cat);
        assert_eq!(out, "inside\ninside\n", "{way:?}: {said}");
    }
}

/// What permissions alone leave open to everyone: `log` to be read, `spool` to be written, `secret` beside them.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        let open = |path: &Path, mode: u32| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        open(tree.0.path(), 0o777);
        for directory in ["log", "spool"] {
            fs::create_dir(tree.at(directory)).unwrap();
            open(&tree.at(directory), 0o777);
            symlink("../secret", tree.at(directory).join("out")).unwrap();
        }
        for (file, text) in [("log/app", "inside\n"), ("secret", "outside\n")] {
            fs::write(tree.at(file), text).unwrap();
            open(&tree.at(file), 0o666);
        }
        tree
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn root(&self, name: &str) -> Root {
        self.at(name).to_str().unwrap().parse().unwrap()
    }

    fn opened(&self, root: &str, rest: &str) -> Argument {
        Argument::Opened(crate::run::Opened {
            parameter: "file".into(),
            root: self.at(root).to_str().unwrap().into(),
            rest: rest.into(),
        })
    }

    fn reach(&self, read: &[&str], write: &[&str]) -> Reach {
        let roots = |names: &[&str]| names.iter().map(|name| self.root(name)).collect();
        Reach { read: roots(read), write: roots(write) }
    }

    /// A script that begins in the tree.
    fn script(&self, script: &str, reach: Option<Reach>) -> Order {
        let mut order = shell(script);
        order.directory = Some(self.0.path().to_str().unwrap().into());
        order.confinement.reach = reach;
        order
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }
}

#[test]
fn a_verb_reads_what_it_may_and_nothing_else() {
    let tree = Tree::new();
    let reach = || Some(tree.reach(&["log"], &[]));
    for way in WAYS {
        let mut world = world(way);
        for inside in ["cat log/app", "cat < log/app", "ls log", "cat log/../log/app | cat"] {
            let (ended, _, said) = run(&mut world, &tree.script(inside, reach()));
            assert_eq!((ended, said.as_str()), (Ended::Exited(0), ""), "{way:?} {inside}");
        }
        for outside in [
            "cat secret",
            "cat log/out",
            "cat log/../secret",
            "cat /etc/passwd",
            "cat /proc/1/status",
            "cat /proc/self/environ",
            "ls .",
            "ls /",
            "head -c 1 /dev/full",
            "true < secret",
        ] {
            let (ended, out, said) = run(&mut world, &tree.script(outside, reach()));
            assert_ne!(ended, Ended::Exited(0), "{way:?} {outside}");
            assert_eq!(out, "", "{outside}");
            assert!(said.contains("ermission denied"), "{outside}: {said}");
            let (ended, _, _) = run(&mut world, &tree.script(outside, None));
            assert_eq!(ended, Ended::Exited(0), "{way:?} {outside}: it is public");
        }
    }
}

#[test]
fn a_verb_writes_makes_and_removes_where_it_may_and_nowhere_else() {
    let tree = Tree::new();
    let reach = || Some(tree.reach(&["log"], &["spool"]));
    for way in WAYS {
        let mut world = world(way);
        let inside = "cd spool && echo new > new && cat new && mkdir d && mv new d/old && echo more >> d/old \
            && truncate -s 1 d/old && ln d/old hard && ln -s d/old soft && rm -r d hard soft && mkfifo p && rm p \
            && echo nothing > /dev/null";
        let (ended, out, said) = run(&mut world, &tree.script(inside, reach()));
        assert_eq!((ended, out.as_str(), said.as_str()), (Ended::Exited(0), "new\n", ""));
        for outside in [
            "echo x > log/new",
            "echo x > secret",
            "echo x >> log/app",
            "echo x > spool/out",
            "truncate -s 0 secret",
            "rm log/app",
            "mkdir log/d",
            "mkfifo log/p",
            "ln -s app log/soft",
            "mv log/app spool/app",
            "ln secret spool/hard",
            "echo x > /dev/zero",
            "ln -s ../secret spool/here; cat spool/here",
        ] {
            let (ended, out, _) = run(&mut world, &tree.script(outside, reach()));
            assert_ne!(ended, Ended::Exited(0), "{way:?} {outside}");
            assert_eq!(out, "", "{outside}");
            let kept = (tree.text("log/app"), tree.text("secret"));
            assert_eq!(kept, ("inside\n".into(), "outside\n".into()), "{outside}");
        }
        fs::remove_file(tree.at("spool/here")).unwrap();
        assert_eq!(fs::read_dir(tree.at("log")).unwrap().count(), 2);
    }
    for twin in ["echo x > log/new && rm log/new", "echo x > secret", "truncate -s 0 log/app"] {
        let (ended, _, said) = run(&mut world(Way::Cgroup), &tree.script(twin, None));
        assert_eq!(ended, Ended::Exited(0), "{twin}: {said}");
    }
}

#[test]
fn what_was_opened_for_the_verb_is_read_wherever_it_is_and_written_only_where_it_may() {
    let tree = Tree::new();
    let none = || tree.reach(&[], &[]);
    let with = |script: &str, opened: Argument, reach: Reach| {
        let mut order = tree.script(script, Some(reach));
        order.arguments.extend([Argument::Text("sh".into()), opened]);
        order
    };
    for way in WAYS {
        let mut world = world(way);
        let mut read = |script: &str, rest: &str| {
            run(&mut world, &with(script, tree.opened("log", rest), none()))
        };
        assert_eq!(read("cat \"$1\" | cat", "app").1, "inside\n", "{way:?}");
        assert_eq!(read("cat \"$1/app\"", "").1, "inside\n", "{way:?}: a directory");
        assert_eq!(read("cat \"$1/out\"", "").1, "", "{way:?}: and no link out of it");
        assert_eq!(read("cat secret", "app").1, "", "{way:?}");
        let mut write = |reach: Reach| {
            run(&mut world, &with("echo x > \"$1\"", tree.opened("log", "app"), reach)).0
        };
        assert_eq!(write(none()), Ended::Exited(2), "{way:?}");
        assert_eq!(tree.text("log/app"), "inside\n");
        assert_eq!(write(tree.reach(&[], &["log"])), Ended::Exited(0), "{way:?}");
        fs::write(tree.at("log/app"), "inside\n").unwrap();
    }
}

#[test]
fn a_program_outside_is_executed_by_its_descriptor_a_script_by_its_path_and_nothing_beside_it() {
    let tree = Tree::new();
    let install = |name: &str, text: &[u8]| {
        fs::write(tree.at(name), text).unwrap();
        fs::set_permissions(tree.at(name), fs::Permissions::from_mode(0o755)).unwrap();
        tree.at(name).to_str().unwrap().to_owned()
    };
    let script = install("script", b"#!/bin/sh\necho ran; cat secret; ./beside\n");
    let echo = install("beside", &fs::read("/bin/echo").unwrap());
    for way in WAYS {
        for (program, wanted) in [(&script, "ran\n"), (&echo, "said\n")] {
            for judged in [true, false] {
                let mut order = order(&[program, "said"]);
                order.directory = Some(tree.0.path().to_str().unwrap().into());
                order.confinement.reach = Some(tree.reach(&[], &[]));
                let (outputs, mut attached) = outputs();
                attached.program = judged.then(|| opened(program));
                let mut world = world(way);
                let mut running = world.runners.start(&order, attached).unwrap();
                let (out, said) = outputs.rest();
                let said = String::from_utf8_lossy(&said);
                assert_eq!(out, wanted.as_bytes(), "{way:?} {program} {judged}: {said}");
                ended(&mut running);
            }
        }
    }
}

#[test]
fn a_path_that_is_named_and_missing_is_no_start() {
    let tree = Tree::new();
    for way in WAYS {
        for reach in [tree.reach(&["log", "gone"], &[]), tree.reach(&[], &["gone", "spool"])] {
            let why = not_started(way, &tree.script("true", Some(reach)));
            let gone = tree.at("gone").display().to_string();
            let wanted = format!(
                "cannot open `{gone}`, which `read` or `write` names: No such file or directory (os error 2)"
            );
            assert_eq!(why, wanted, "{way:?}");
        }
    }
}

/// Has runners started by a thread, and so under a filter, that is told that the kernel has no such call.
fn without<T: Send>(call: i64, then: impl FnOnce() -> T + Send) -> T {
    use seccompiler::{SeccompAction, SeccompFilter, apply_filter};
    let no_such = SeccompAction::Errno(nix::libc::ENOSYS.unsigned_abs());
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let rules = BTreeMap::from([(call, Vec::new())]);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, no_such, architecture).unwrap();
    let filter: seccompiler::BpfProgram = filter.try_into().unwrap();
    let under = move || {
        apply_filter(&filter).unwrap();
        then()
    };
    std::thread::scope(|scope| scope.spawn(under).join().unwrap())
}

#[test]
fn a_kernel_that_cannot_confine_is_asked_for_nothing_and_starts_nothing_confined() {
    let tree = Tree::new();
    let confined = || tree.script("echo ran", Some(tree.reach(&["log"], &[])));
    for way in WAYS {
        without(nix::libc::SYS_landlock_create_ruleset, || {
            let why = not_started(way, &confined());
            assert_eq!(
                why,
                "the kernel cannot keep the verb to its files: that takes Landlock as of Linux 6.2"
            );
            assert_eq!(run(&mut world(way), &tree.script("echo ran", None)).1, "ran\n");
        });
        without(nix::libc::SYS_landlock_restrict_self, || {
            let why = not_started(way, &confined());
            assert!(why.starts_with("cannot keep the verb to its files: "), "{why}");
        });
        without(nix::libc::SYS_seccomp, || {
            let why = not_started(way, &shell("echo ran"));
            let wanted = "the kernel does not take the filter of system calls";
            assert!(why.starts_with(wanted), "{why}");
            let mut all = shell("echo ran");
            all.confinement.system_calls = SystemCalls::All;
            assert_eq!(run(&mut world(way), &all).1, "ran\n");
        });
    }
}

/// What the kernel says to a call with these arguments: 0, or the number of its error.
fn asked(world: &mut World, calls: &[(i64, i64)], system_calls: SystemCalls) -> Vec<i32> {
    let calls: Vec<String> =
        calls.iter().map(|(call, first)| format!("[{call}, {first}]")).collect();
    let script = format!(
        "for my $c ({}) {{ $! = 0; syscall($c->[0], $c->[1], 0, 0, 0, 0, 0); print $! + 0, \" \" }}",
        calls.join(", ")
    );
    let mut perl = order(&["/usr/bin/perl", "-e", &script]);
    perl.confinement.system_calls = system_calls;
    let (ended, out, said) = run(world, &perl);
    assert_eq!(ended, Ended::Exited(0), "{said}");
    out.split_ascii_whitespace().map(|errno| errno.parse().unwrap()).collect()
}

#[test]
fn what_a_verb_that_looks_has_no_need_of_is_not_permitted() {
    use nix::libc;
    let kept_back = [
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_kexec_file_load,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_clock_adjtime,
        libc::SYS_adjtimex,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_pidfd_getfd,
    ];
    let namespaces = [0x2_0000, 1 << 25, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30];
    let mut calls: Vec<(i64, i64)> = kept_back.iter().map(|call| (*call, 0)).collect();
    calls.extend(namespaces.map(|flag| (libc::SYS_clone, flag | i64::from(libc::SIGCHLD))));
    let getpid = (libc::SYS_getpid, 0);
    let x32 = calls.iter().chain([&getpid, &(521, 0), &(540, 0)]);
    let x32: Vec<_> = x32.map(|(call, first)| (call | 0x4000_0000, *first)).collect();
    for way in WAYS {
        let said = asked(&mut world(way), &calls, SystemCalls::Read);
        let answered: Vec<_> = calls.iter().zip(said).collect();
        let open: Vec<_> = answered.iter().filter(|(_, errno)| *errno != libc::EPERM).collect();
        assert!(open.is_empty(), "{way:?}: {open:?}");
        if cfg!(target_arch = "x86_64") {
            let said = asked(&mut world(way), &x32, SystemCalls::Read);
            assert!(said.iter().all(|errno| *errno == libc::ENOSYS), "{way:?}: {said:?}");
        }
        let clone3 = [(libc::SYS_clone3, 0), getpid];
        let said = asked(&mut world(way), &clone3, SystemCalls::Read);
        assert_eq!(said, [libc::ENOSYS, 0], "{way:?}: programs fall back on `clone`");
        // These the kernel answers to anybody, were they let through.
        let answers = [
            libc::SYS_ptrace,
            libc::SYS_unshare,
            libc::SYS_keyctl,
            libc::SYS_adjtimex,
            libc::SYS_process_vm_readv,
            libc::SYS_clone3,
        ];
        let said = asked(&mut world(way), &answers.map(|call| (call, 0)), SystemCalls::All);
        let refused = said.iter().any(|errno| [libc::EPERM, libc::ENOSYS].contains(errno));
        assert!(!refused, "{way:?}: {said:?}");
    }
}

/// A program of a few instructions: `getpid` by the door of 32-bit programs, then `exit(0)` by its own.
#[cfg(target_arch = "x86_64")]
fn knocks_at_the_old_door() -> Vec<u8> {
    const CODE: [u8; 16] = [
        0xb8, 20, 0, 0, 0, 0xcd, 0x80, // mov eax, 20; int 0x80
        0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05, // xor edi, edi; mov eax, 60; syscall
    ];
    const HEADERS: u64 = 64 + 56;
    const BASE: u64 = 0x40_0000;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    for word in [BASE + HEADERS, 64, 0] {
        elf.extend(u64::to_le_bytes(word));
    }
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    let size = HEADERS + 16;
    for word in [0, BASE, BASE, size, size, 0x1000] {
        elf.extend(u64::to_le_bytes(word));
    }
    elf.extend(CODE);
    elf
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_call_by_another_architectures_numbers_ends_the_process() {
    let tree = Tree::new();
    let path = tree.at("knock");
    fs::write(&path, knocks_at_the_old_door()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    for way in WAYS {
        let mut order = order(&[path.to_str().unwrap()]);
        assert_eq!(run(&mut world(way), &order).0, Ended::Signaled(31), "{way:?}");
        order.confinement.system_calls = SystemCalls::All;
        assert_eq!(run(&mut world(way), &order).0, Ended::Exited(0), "{way:?}");
    }
}

#[test]
fn those_who_break_out_are_told_no_and_ordinary_programs_hear_nothing() {
    let threads = "import threading as t; a=[t.Thread(target=print, args=(n,)) for n in range(4)]; [x.start() for x in a]; [x.join() for x in a]";
    for way in WAYS {
        let mut world = world(way);
        for (script, wanted) in [
            ("seq 9 | sort -n | tail -n 1", "9\n"),
            ("x=$(echo a; echo b); (echo \"$x\" | wc -l) & wait", "2\n"),
            ("ps -o comm= -p $$; true", "sh\n"),
            ("sleep 0.1; date -u -d @0 +%Y; id -un", "1970\nnobody\n"),
            ("timeout 5 env true && nice true && setsid -w true && echo fine", "fine\n"),
        ] {
            let (ended, out, said) = run(&mut world, &shell(script));
            let got = (ended, out.as_str(), said.as_str());
            assert_eq!(got, (Ended::Exited(0), wanted, ""), "{way:?} {script}");
        }
        let (_, out, said) = run(&mut world, &order(&["/usr/bin/python3", "-c", threads]));
        assert_eq!((out.lines().count(), said.as_str()), (4, ""), "{way:?}");
        for (tool, wanted) in [
            ("unshare -U true", "Operation not permitted"),
            ("unshare --mount true", "Operation not permitted"),
            ("strace -o /dev/null true", "Operation not permitted"),
        ] {
            let (ended, _, said) = run(&mut world, &shell(tool));
            assert!(said.contains(wanted) && ended != Ended::Exited(0), "{way:?} {tool}: {said}");
        }
    }
}

#[test]
fn a_log_is_followed_under_every_wall_at_once() {
    let tree = Tree::new();
    for way in WAYS {
        let mut world = world(way);
        let (mut outputs, attached) = outputs();
        let mut tail = order(&["/usr/bin/tail", "-n", "1", "-F", "--"]);
        tail.arguments.push(Argument::Text(tree.at("log/app").to_str().unwrap().into()));
        tail.confinement.reach = Some(tree.reach(&["log"], &[]));
        tail.confinement.limits = ProcessLimits {
            memory: Some(64 << 20),
            processes: Some(1000),
            open_files: Some(16),
            file_size: Some(1),
            cpu: Some(10),
        };
        let mut running = world.runners.start(&tail, attached).unwrap();
        assert_eq!(outputs.wait_for_line(), "inside", "{way:?}");
        let mut log = fs::OpenOptions::new().append(true).open(tree.at("log/app")).unwrap();
        std::io::Write::write_all(&mut log, b"later\n").unwrap();
        assert_eq!(outputs.wait_for_line(), "later", "{way:?}");
        running.kill().unwrap();
        ended(&mut running);
        fs::write(tree.at("log/app"), "inside\n").unwrap();
    }
}
