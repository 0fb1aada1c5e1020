//! Verbs that have a terminal.

use rustix::fs::{Mode, OFlags, Uid, fchown, open};
use rustix::io::Errno;
use rustix::pty::ptsname;
use rustix::termios::{Winsize, tcsetwinsize};
use wire::terminal::WindowSize;

use super::*;
use crate::monitor::terminal::Pair;

/// A person before the terminal of a verb.
struct Person {
    terminal: fs::File,
    seen: Vec<u8>,
}

impl Person {
    /// Looks until this is there.
    #[track_caller]
    fn see(&mut self, wanted: &str) -> String {
        let mut piece = [0; 4096];
        loop {
            let seen = String::from_utf8_lossy(&self.seen).into_owned();
            if seen.contains(wanted) {
                return seen;
            }
            match self.terminal.read(&mut piece) {
                Ok(length) => self.seen.extend_from_slice(&piece[..length]),
                Err(fault) => panic!("no `{wanted}` in {seen:?}: {fault}"),
            }
        }
    }

    /// All until nobody is before the other end any more.
    fn rest(mut self) -> String {
        let mut piece = [0; 4096];
        loop {
            match self.terminal.read(&mut piece) {
                Ok(length) => self.seen.extend_from_slice(&piece[..length]),
                Err(fault) => {
                    assert_eq!(fault.raw_os_error(), Some(Errno::IO.raw_os_error()));
                    return String::from_utf8(self.seen).unwrap();
                }
            }
        }
    }

    fn types(&self, keys: &str) {
        rustix::io::write(&self.terminal, keys.as_bytes()).unwrap();
    }

    fn resizes(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.terminal, size).unwrap();
    }
}

fn before(world: &mut World, order: &Order) -> (Running, Person) {
    let Pair { ours, theirs } = Pair::open(WindowSize::new(33, 111).unwrap()).unwrap();
    let another = || theirs.try_clone().unwrap();
    let attached =
        Attached { stdin: Some(another()), stdout: another(), stderr: another(), program: None };
    drop(theirs);
    let running = world.runners.start(order, attached).unwrap();
    (running, Person { terminal: ours.into(), seen: Vec::new() })
}

#[test]
fn a_terminal_is_the_verbs_own_and_its_size_is_right() {
    for way in WAYS {
        let mut world = world(way);
        let script = "test -t 0 && test -t 1 && test -t 2 && stty size && stty -a | grep -o ' iutf8'; \
            echo through >/dev/tty; stat -c '%U %a' $(tty); echo again >$(tty); \
            perl -e 'use POSIX; print tcgetpgrp(0) == getppid() ? \"in front\\n\" : \"behind\\n\"'";
        let (mut running, person) = before(&mut world, &shell(script));
        let wanted = "33 111\r\n iutf8\r\nthrough\r\nnobody 600\r\nagain\r\nin front\r\n";
        assert_eq!(person.rest(), wanted, "{way:?}");
        assert_eq!(ended(&mut running), Ended::Exited(0), "{way:?}");
    }
}

#[test]
fn a_terminal_of_another_size_is_told_to_the_verb() {
    for way in WAYS {
        let mut world = world(way);
        let script = "trap 'stty size; exit 7' WINCH; echo ready; while :; do sleep 0.05; done";
        let (mut running, mut person) = before(&mut world, &shell(script));
        person.see("ready");
        person.resizes(5, 1000);
        person.see("5 1000\r\n");
        assert_eq!(ended(&mut running), Ended::Exited(7), "{way:?}");
    }
}

#[test]
fn keys_reach_the_verb_and_the_one_that_interrupts_interrupts_it() {
    for way in WAYS {
        let mut world = world(way);
        let script = "read line; echo \"read $line\"; exec sleep 1000";
        let (mut running, mut person) = before(&mut world, &shell(script));
        person.types("on\u{e9}\u{7f}e\r");
        person.see("read one\r\n");
        person.types("\u{3}");
        assert_eq!(ended(&mut running), Ended::Signaled(2), "{way:?}");
    }
}

#[test]
fn a_verb_whose_terminal_is_gone_is_hung_up() {
    for way in WAYS {
        let mut world = world(way);
        let (mut running, mut person) = before(&mut world, &shell("echo ready; exec sleep 1000"));
        person.see("ready");
        drop(person);
        assert_eq!(ended(&mut running), Ended::Signaled(1), "{way:?}");
    }
}

#[test]
fn a_killed_verb_leaves_nothing_and_its_terminal_is_at_its_end() {
    for way in WAYS {
        let mut world = world(way);
        let verb = shell(&format!("{ESCAPE}; exec sleep 1000"));
        let (mut running, mut person) = before(&mut world, &verb);
        person.see("away");
        running.kill().unwrap();
        assert_eq!(ended(&mut running), Ended::Signaled(9), "{way:?}");
        assert_eq!(left_of(&verb), [""; 0], "{way:?}");
        assert!(person.rest().ends_with("away\r\n"));
    }
}

#[test]
fn a_verb_that_is_kept_to_its_files_opens_its_own_terminal_and_no_other() {
    for way in WAYS {
        let mut world = world(way);
        let other = another();
        let mut verb =
            shell(&format!("echo mine >/dev/tty; (echo not mine >{other}) 2>/dev/null || echo no"));
        verb.confinement.reach =
            Some(policy::Reach { read: vec!["/etc/hosts".parse().unwrap()], write: vec![] });
        let (mut running, person) = before(&mut world, &verb);
        assert_eq!(person.rest(), "mine\r\nno\r\n", "{way:?}");
        assert_eq!(ended(&mut running), Ended::Exited(0), "{way:?}");
    }
}

/// Another terminal of the owner's, which lasts as long as the test.
fn another() -> String {
    let Pair { ours, theirs } = Pair::open(WindowSize::default()).unwrap();
    fchown(&theirs, Some(Uid::from_raw(NOBODY)), None).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    open(&*name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    std::mem::forget((ours, theirs));
    name
}

/// What the kernel says to one who has it type into a terminal: 0, or the number of its error.
fn typing(world: &mut World, into: &str, system_calls: SystemCalls) -> i32 {
    let script = format!(
        "use Fcntl; sysopen(my $t, '{into}', O_RDWR | O_NOCTTY) or die \"$!\"; \
         $! = 0; ioctl($t, 0x5412, my $key = 'x'); print 'errno=', $! + 0, '.'"
    );
    let mut perl = order(&["/usr/bin/perl", "-e", &script]);
    perl.confinement.system_calls = system_calls;
    let (mut running, person) = before(world, &perl);
    let said = person.rest();
    assert_eq!(ended(&mut running), Ended::Exited(0), "{said}");
    let (_, errno) = said.split_once("errno=").unwrap();
    errno.split_once('.').unwrap().0.parse().unwrap()
}

#[test]
fn a_verb_types_into_no_other_terminal_of_its_owner_and_one_that_looks_into_none() {
    let (own, permission) = ("/dev/tty", Errno::PERM.raw_os_error());
    for way in WAYS {
        let mut world = world(way);
        let other = another();
        assert_eq!(typing(&mut world, own, SystemCalls::Read), permission, "{way:?}");
        assert_eq!(typing(&mut world, &other, SystemCalls::Read), permission, "{way:?}");
        // Newer kernels say EIO to all, unless `dev.tty.legacy_tiocsti` is set.
        let said = typing(&mut world, &other, SystemCalls::All);
        assert!([permission, Errno::IO.raw_os_error()].contains(&said), "{way:?}: {said}");
    }
}
