//! What a verb gets, and what comes back.

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use tests::world::{Setup, World};

fn shared(world: &World, verbs: &[&str]) -> tests::owner::Share {
    world.alice().add_contact("vendor-b", &world.vendor());
    world.alice().open(verbs)
}

#[test]
fn ru1_status_signal_and_streams_come_back_as_they_were() {
    let world = World::start();
    world.script("streams", "printf 'out\\000\\377'; printf 'err\\r\\n' >&2; exit 7\n");
    world.script("signal", "kill -9 $$\n");
    let share = shared(&world, &["test.sh"]);
    let output = world
        .vendor()
        .command(&share, &["call", "test.sh", "name=streams"])
        .output()
        .expect("run the client");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stdout, b"out\x00\xff");
    assert!(output.stderr.ends_with(b"err\r\n"), "{:?}", String::from_utf8_lossy(&output.stderr));
    let raw = ["call", "--raw", "test.sh", "name=streams"];
    let raw = world.vendor().command(&share, &raw).output().expect("run the client");
    assert_eq!((raw.status.code(), raw.stdout.as_slice()), (Some(7), &b"out\x00\xff"[..]));
    assert_eq!(world.vendor().call(&share, &["test.sh", "name=signal"]).status, 137);
}

#[test]
fn ru3_an_output_limit_ends_the_call_and_never_the_share() {
    let limits = "output_max = \"64KiB\"".to_owned();
    let world = Setup { limits, ..Setup::default() }.start();
    world.script("flood", "exec cat /dev/zero\n");
    let share = shared(&world, &["test.sh", "test.true"]);
    let output = world
        .vendor()
        .command(&share, &["call", "test.sh", "name=flood"])
        .output()
        .expect("run the client");
    assert_eq!(output.status.code(), Some(137), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout.len(), 64 * 1024);
    assert_eq!(world.ends()[0]["ending"], "output_limit");
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
}

#[test]
fn ru6_nothing_in_a_value_is_ever_interpreted() {
    let world = World::start();
    let share = shared(&world, &["test.echo"]);
    for text in [
        "$(touch /tmp/osptest-pwned)",
        "a;b",
        "`id`",
        "a\nb",
        "../../etc/passwd",
        "%2f%s%n",
        "é ü 語",
        " ",
        "'\"\\",
    ] {
        let said = world.vendor().call(&share, &["test.echo", &format!("text={text}")]);
        assert_eq!((said.status, said.stdout.as_str()), (0, text), "{said:?}");
    }
    for text in ["-oProxyCommand=x", "--help", "-"] {
        let said = world.vendor().call(&share, &["test.echo", &format!("text={text}")]);
        assert_eq!((said.status, said.stdout.as_str()), (126, ""), "{text}: {said:?}");
    }
    let long = "x".repeat(100_000);
    let said = world.vendor().call(&share, &["test.echo", &format!("text={long}")]);
    assert!([2, 126].contains(&said.status) && said.stdout.is_empty(), "{:?}", said.status);
    assert!(!std::path::Path::new("/tmp/osptest-pwned").exists());
}

/// A line of a gibibyte, through masking, for somebody who takes its beginning byte by byte.
#[test]
fn ru2_a_flood_through_a_slow_reader_is_bounded_and_exact() {
    const LENGTH: u64 = 1 << 30;
    let limits = "output_max = \"1GiB\"".to_owned();
    let world = Setup { limits, ..Setup::default() }.start();
    world.script("line", "head -c 1073741824 /dev/zero | tr '\\0' x\n");
    let share = shared(&world, &["test.sh"]);
    let mut command = world.vendor().command(&share, &["call", "test.sh", "name=line"]);
    let mut client = command.stdout(Stdio::piped()).spawn().expect("run the client");
    let mut out = client.stdout.take().expect("a pipe");
    for _ in 0..200 {
        let mut one = [0];
        out.read_exact(&mut one).expect("read");
        assert_eq!(one, *b"x");
        std::thread::sleep(Duration::from_millis(10));
    }
    let (mut length, mut piece) = (200, vec![0; 1 << 20]);
    let mut client_peak = 0;
    loop {
        // It is gone once it has ended.
        client_peak = peak_kib(client.id()).unwrap_or(client_peak);
        let some = out.read(&mut piece).expect("read");
        if some == 0 {
            break;
        }
        assert!(piece[..some].iter().all(|byte| *byte == b'x'), "after {length} bytes");
        length += u64::try_from(some).expect("it fits");
    }
    assert_eq!((client.wait().expect("its end").code(), length), (Some(0), LENGTH));
    let [monitor, broker] =
        ["--as-monitor", "--as-broker"].map(|role| world.process(role).expect("it runs"));
    let relay = world.relay.as_ref().expect("it runs").pid();
    for (who, kib) in [
        ("the monitor", peak_kib(monitor).expect("it lives")),
        ("the broker", peak_kib(broker).expect("it lives")),
        ("the relay", peak_kib(relay).expect("it lives")),
        ("the client", client_peak),
    ] {
        assert!((1..128 * 1024).contains(&kib), "{who} used {kib} KiB");
    }
}

/// The most memory that a process has had.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.split_whitespace().next()?.parse().ok()
}

#[test]
fn a_verb_that_closes_its_outputs_lives_on_until_it_ends_or_is_ended() {
    let world = World::start();
    world.script("brief", "echo here; exec >&- 2>&-; sleep 0.5; exit 3\n");
    world.script("long", "echo here; exec >&- 2>&-; exec sleep 335\n");
    let share = shared(&world, &["test.sh", "test.true"]);
    let brief = world.vendor().call(&share, &["test.sh", "name=brief"]);
    assert_eq!((brief.status, brief.stdout.as_str()), (3, "here\n"), "{brief:?}");
    let mut long = world.vendor().start(&share, &["test.sh", "name=long"]);
    long.stdout.line_with("here");
    // It is this program once both outputs are closed.
    tests::wait::until("its outputs are closed", || {
        tests::account::run("pgrep", &["-f", "^sleep 335"]).then_some(())
    });
    let said = world.vendor().call(&share, &["test.true"]);
    assert_eq!(said.status, 0, "a whole call later: {said:?}");
    assert_eq!(long.ended(), None, "its outputs are not its end");
    assert_eq!(world.alice().revoke(&share).status, 0);
    let left = std::process::Command::new("pgrep").args(["-f", "^sleep 335"]).output();
    assert!(left.expect("look for it").stdout.is_empty(), "it lives on");
    assert_eq!(long.wait().code(), Some(255), "{}", long.stderr.text());
}

#[test]
fn ru3_one_share_takes_half_of_the_places_and_full_ones_end_no_other() {
    let limits = "calls_in_flight = 2\n".to_owned();
    let world = Setup { limits, ..Setup::default() }.start();
    world.script("wait", "echo here\nexec sleep 600\n");
    world.alice().add_contact("vendor-b", &world.vendor());
    let [one, two, three] = [(); 3].map(|()| world.alice().open(&["test.sh:name=wait"]));
    let wait = |share| {
        let call = world.vendor().start(share, &["test.sh", "name=wait"]);
        call.stdout.line_with("here");
        call
    };
    let _running = wait(&one);
    let own = world.vendor().call(&one, &["test.sh", "name=wait"]);
    assert_eq!(own.status, 125, "{own:?}");
    assert!(own.stderr.contains("limits.calls_in_flight"), "{own:?}");
    let _other = wait(&two);
    let crowded = world.vendor().call(&three, &["test.sh", "name=wait"]);
    assert!(crowded.stderr.contains("limits.calls_in_flight"), "{crowded:?}");
    let refused = |share| world.alice().show(share)["share"]["refused"].clone();
    assert_eq!((refused(&one), refused(&three)), (1.into(), 0.into()));
    assert_eq!(world.events("call_refused").len(), 2, "both are on record");
}
