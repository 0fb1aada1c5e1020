//! The sandbox, in processes of its own: what is confined here stays confined.

use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::time::Duration;

use super::super::privilege::{Account, renounce};
use super::super::sandbox::confine;
use super::World;
use super::verb::outcome;
use wire::privsep::{FromBroker, ToBroker};

/// Which part of a test a re-executed test program plays.
const PART: &str = "OPENSCOPE_TEST_PART";
/// Any account but root's and but the broker's own.
const NOBODY: u32 = 65534;

/// Runs one of the parts below in a process of its own, as an ordinary account.
fn play(part: &str) -> Output {
    command(part).output().unwrap()
}

/// Starts one of the parts below on a socket.
pub(super) fn start(part: &str, socket: OwnedFd) -> Child {
    command(part).stdin(socket).stdout(Stdio::null()).spawn().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test starts itself again")]
fn command(part: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", "broker::tests::sandbox::parts", "--nocapture", "--test-threads=1"]);
    command.env(PART, part).current_dir("/");
    if nix::unistd::geteuid().is_root() && part != "root" {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

#[track_caller]
fn passes(part: &str) {
    let output = play(part);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{part}: {:?}\n{said}", output.status);
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{part} did not run");
}

/// Not a test by itself: the part that the environment names, and nothing without one.
#[test]
fn parts() {
    #[expect(clippy::disallowed_methods, reason = "how a part is told which it is")]
    match std::env::var(PART).as_deref() {
        Ok("files") => no_file_can_be_opened(),
        Ok("resolver") => the_resolver_still_works(),
        Ok("network") => only_our_sockets(),
        Ok("denied") => no_way_into_the_kernel(),
        Ok("terminal") => of_a_terminal_only_the_size(),
        Ok("exec") => run_a_program(),
        Ok("ptrace") => trace_the_parent(),
        Ok("renounce") => renounced(),
        Ok("root") => root_is_refused(),
        Ok("broker") => assert_eq!(super::super::main(), ExitCode::SUCCESS),
        Ok(_) | Err(_) => {}
    }
}

#[test]
fn p09_a_confined_broker_opens_no_file_and_makes_none() {
    passes("files");
}

#[test]
fn p09_a_confined_broker_still_finds_a_relay_by_name() {
    passes("resolver");
}

#[test]
fn p09_a_confined_broker_serves_no_tcp_port_and_speaks_no_other_family() {
    passes("network");
}

#[test]
fn p09_a_confined_broker_has_no_way_into_the_kernel() {
    passes("denied");
}

#[test]
fn p09_a_confined_broker_sets_the_size_of_a_terminal_and_does_nothing_else_to_it() {
    passes("terminal");
}

#[test]
fn p09_a_broker_that_runs_a_program_is_killed() {
    assert_eq!(play("exec").status.signal(), Some(nix::libc::SIGSYS));
}

#[test]
fn p09_a_broker_that_traces_a_process_is_killed() {
    assert_eq!(play("ptrace").status.signal(), Some(nix::libc::SIGSYS));
}

#[test]
fn p09_a_broker_gives_up_what_it_has_and_leaves_no_core() {
    passes("renounce");
}

#[test]
fn p09_a_broker_does_not_run_as_root() {
    if nix::unistd::geteuid().is_root() {
        passes("root");
    }
}

#[tokio::test]
async fn p09_a_confined_broker_does_all_of_its_work() {
    let mut world = World::start_confined();
    let ready = FromBroker::Ready { landlock: true, seccomp: true };
    assert_eq!(world.monitor.next().await, ready);
    world.monitor.say(&ToBroker::Admit(Box::new(super::admission())));
    assert_eq!(world.monitor.admitted().await, None);
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let (call, mut verb) = world.monitor.start(1 << 20).await;
    verb.write(b"through the sandbox").await;
    assert_eq!(world.monitor.exit(call, verb).await, (19, 0));
    world.monitor.end(call);
    assert_eq!(stream.collect().await, (b"through the sandbox".to_vec(), vec![], outcome()));
    super::terminal::types_and_sees(&mut world).await;
    world.end().unwrap();
}

fn confined() {
    let confinement = confine();
    assert!(confinement.landlock && confinement.seccomp, "{confinement:?}");
}

fn no_file_can_be_opened() {
    use std::fs::{File, OpenOptions, read_dir};
    File::open("/etc/passwd").unwrap();
    let ours = std::env::temp_dir().join(format!("openscope-broker-{}", std::process::id()));
    std::fs::write(&ours, "before").unwrap();
    std::fs::remove_file(&ours).unwrap();
    confined();
    for secret in ["/etc/passwd", "/proc/self/environ", "/proc/1/status", "/dev/null", "/bin/sh"] {
        let fault = File::open(secret).expect_err(secret);
        assert_eq!(fault.kind(), std::io::ErrorKind::PermissionDenied, "{secret}");
    }
    assert!(OpenOptions::new().write(true).create(true).truncate(true).open(&ours).is_err());
    assert!(read_dir("/etc").is_err() && read_dir("/tmp").is_err());
    assert!(std::fs::create_dir(&ours).is_err());
    assert!(std::os::unix::net::UnixListener::bind(&ours).is_err());
}

fn the_resolver_still_works() {
    use std::net::ToSocketAddrs;
    confined();
    let found: Vec<_> = ("localhost", 1).to_socket_addrs().unwrap().collect();
    assert!(found.iter().any(|address| address.ip().is_loopback()), "{found:?}");
}

fn only_our_sockets() {
    use rustix::net::{AddressFamily, SocketType, socket};
    use std::net::{TcpListener, UdpSocket};
    confined();
    UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(TcpListener::bind("127.0.0.1:0").is_err());
    for family in
        [AddressFamily::from_raw(38 /* AF_ALG */), AddressFamily::from_raw(40 /* AF_VSOCK */)]
    {
        let fault = socket(family, SocketType::SEQPACKET, None).unwrap_err();
        assert_eq!(fault, rustix::io::Errno::PERM, "{family:?}");
    }
    // Whoever closes such a socket waits for it.
    let lingering = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let asked = rustix::net::sockopt::set_socket_linger(&lingering, Some(Duration::from_mins(1)));
    assert_eq!(asked, Err(rustix::io::Errno::PERM));
    rustix::net::sockopt::set_socket_keepalive(&lingering, true).unwrap();
}

fn no_way_into_the_kernel() {
    use nix::errno::Errno;
    use nix::sched::{CloneFlags, unshare};
    let keyring = || keyutils::Keyring::attach(keyutils::SpecialKeyring::User);
    let unshared = || unshare(CloneFlags::CLONE_FS);
    assert!(keyring().is_ok() && unshared().is_ok());
    confined();
    assert_eq!(unshared(), Err(Errno::EPERM));
    assert!(keyring().is_err());
}

fn of_a_terminal_only_the_size() {
    use rustix::io::Errno;
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr, tcsetpgrp, tcsetwinsize};
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    unlockpt(&terminal).unwrap();
    let other_end = || ioctl_tiocgptpeer(&terminal, OpenptFlags::RDWR | OpenptFlags::NOCTTY);
    let theirs = other_end().unwrap();
    let modes = tcgetattr(&theirs).unwrap();
    confined();
    let size = rustix::termios::Winsize { ws_row: 9, ws_col: 9, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).unwrap();
    assert_eq!(tcgetattr(&terminal).unwrap().local_modes, modes.local_modes);
    assert_eq!(other_end().unwrap_err(), Errno::PERM);
    assert_eq!(unlockpt(&terminal), Err(Errno::PERM));
    assert_eq!(tcsetattr(&theirs, OptionalActions::Now, &modes), Err(Errno::PERM));
    assert_eq!(tcsetpgrp(&theirs, rustix::process::getpid()), Err(Errno::PERM));
    assert_eq!(rustix::process::ioctl_tiocsctty(&theirs), Err(Errno::PERM));
}

#[expect(clippy::disallowed_methods, reason = "the program that must not run")]
fn run_a_program() {
    confined();
    let failed = Command::new("/bin/true").exec();
    panic!("still here: {failed}");
}

fn trace_the_parent() {
    confined();
    let traced = nix::sys::ptrace::attach(nix::unistd::getppid());
    panic!("still here: {traced:?}");
}

fn renounced() {
    renounce(Account::Own).unwrap();
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(status.contains("CapPrm:\t0000000000000000"), "{status}");
    let core = rustix::process::getrlimit(rustix::process::Resource::Core);
    assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
    let dumpable = rustix::process::dumpable_behavior().unwrap();
    assert_eq!(dumpable, rustix::process::DumpableBehavior::NotDumpable);
}

fn root_is_refused() {
    renounce(Account::Own).unwrap_err();
    renounce(Account::Users).unwrap_err();
}
