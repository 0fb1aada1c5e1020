use super::*;
use ed25519_dalek::VerifyingKey;
use policy::{AgentName, Arguments, Recipient, SeatId, ShareId, Value};
use std::fs;
use wire::call::Ending;

const KEY: [u8; 32] = [9; 32];

fn key() -> SigningKey {
    SigningKey::from_bytes(&KEY)
}

fn public() -> VerifyingKey {
    key().verifying_key()
}

fn at(seconds: u64) -> Instants {
    Instants { wall: Timestamp(seconds * 1_000), boot: Duration::from_secs(seconds) }
}

fn open(dir: &Path) -> (Audit, Recovery) {
    Audit::open(dir, key(), at(0)).unwrap()
}

fn begin() -> (tempfile::TempDir, Audit) {
    let dir = tempfile::tempdir().unwrap();
    let (audit, recovery) = open(dir.path());
    assert_eq!(recovery, Recovery::default());
    (dir, audit)
}

fn who() -> Who {
    Who {
        uid: 1000,
        user: "alice".into(),
        agent: Some(AgentName::try_from("you".to_owned()).unwrap()),
    }
}

fn holder() -> Holder {
    Holder::new(ShareId::from_random([1; 8]), SeatId(0), [2; 32])
}

fn start(call: u8) -> Event {
    let service = Value::text("web").unwrap();
    Event::CallStarted {
        at: holder(),
        owner: who(),
        run_as: None,
        recipient: Recipient::Bearer,
        call: Hex([call; 16]),
        statement: Hex([3; 32]),
        passport: Hex([4; 32]),
        verb: "log.tail".parse().unwrap(),
        arguments: Recorded::of(&Arguments([("service".parse().unwrap(), service)].into())),
        basis: Said::new("policy.d/team.toml:5"),
        output_max: 1024,
        beyond: None,
    }
}

fn end(call: u8) -> Event {
    Event::CallEnded {
        at: holder(),
        call: Hex([call; 16]),
        statement: Hex([3; 32]),
        ending: Ending::Exited(0),
        stdout: 12,
        stderr: 0,
        uncounted: 0,
        redactions: 0,
        stdin: 0,
        stdin_sha256: None,
        beyond: None,
        started: Timestamp(1_000),
        ended: Timestamp(2_000),
    }
}

fn write(audit: &mut Audit, events: impl IntoIterator<Item = Event>) {
    for event in events {
        audit.record(event, at(1)).unwrap();
    }
    audit.commit(Durability::Soon, at(1)).unwrap();
}

fn log(dir: &Path) -> String {
    fs::read_to_string(dir.join(LOG)).unwrap()
}

fn check(dir: &Path) -> Result<Summary, Break> {
    verify(&dir.join(LOG), Some(&dir.join(HEAD)), &public())
}

/// A log of ten records in batches of one, two, three and four.
fn ten() -> (tempfile::TempDir, Vec<String>) {
    let (dir, mut audit) = begin();
    for batch in 1..=4 {
        write(&mut audit, (0..batch).map(start));
    }
    let lines = log(dir.path()).lines().map(ToOwned::to_owned).collect();
    (dir, lines)
}

/// Where `verify` finds the log broken when its lines are these.
fn broken(dir: &Path, lines: &[String]) -> (u64, String) {
    let text: String = lines.iter().map(|line| line.clone() + "\n").collect();
    fs::write(dir.join(LOG), text).unwrap();
    match check(dir).expect_err("should be found") {
        Break::Found { line, what } => (line, what),
        Break::Read(error) => panic!("{error}"),
    }
}

#[test]
fn p10_what_was_written_is_verified_and_read_back() {
    let (dir, mut audit) = begin();
    write(&mut audit, [start(1), start(2)]);
    write(&mut audit, [end(1)]);
    let summary = check(dir.path()).unwrap();
    assert_eq!(summary, Summary { records: 3, head: Some(3), ..Summary::default() });
    let records: Vec<Record> = replay(dir.path(), 0).unwrap().map(Result::unwrap).collect();
    assert_eq!(records.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(
        records.iter().map(|r| r.event.clone()).collect::<Vec<_>>(),
        [start(1), start(2), end(1)]
    );
    assert_eq!(records[0].time, Timestamp(1_000));
}

#[test]
fn only_the_last_line_of_a_batch_is_signed() {
    let (_dir, lines) = ten();
    let signed: Vec<bool> = lines.iter().map(|line| line.contains("\"sig\":")).collect();
    assert_eq!(signed, [true, false, true, false, false, true, false, false, false, true]);
}

#[test]
fn every_event_is_read_back_as_it_was_written() {
    let events = [
        Event::DaemonStopped { why: Said::new("SIGTERM") },
        Event::ShareExpired { share: holder().share, why: Expiry::HardStop, calls: 1 },
        Event::SeatRedeemed { at: holder(), recipient: Recipient::Bearer },
        Event::SeatHandedOn {
            at: Holder { acting_for: vec![Hex([3; 32]), Hex([4; 32])], ..holder() },
            recipient: Recipient::Bearer,
            redeem: Hex([5; 32]),
            until: Timestamp(9),
            scope: Recorded::of(&policy::Scope::default()),
            reason: Said::new("for the night"),
        },
        Event::RedeemRefused { at: holder(), reason: Said::new("held by another key") },
        Event::AdminUsed { by: who(), what: Said::new("list"), share: None },
        Event::PolicyReloaded { by: None, digest: Hex([1; 32]), verbs: 5 },
        Event::UnsignedFailures { share: None, what: Said::new("junk"), count: 7 },
        Event::CallEnded {
            at: holder(),
            call: Hex([1; 16]),
            statement: Hex([2; 32]),
            ending: Ending::NotStarted("no such file".into()),
            stdout: 0,
            stderr: u64::MAX,
            uncounted: 7,
            redactions: 8,
            stdin: 9,
            stdin_sha256: Some(Hex([5; 32])),
            beyond: Some(Said::new("web.wait on web")),
            started: Timestamp(0),
            ended: Timestamp(1),
        },
    ];
    let (dir, mut audit) = begin();
    write(&mut audit, events.clone());
    let read: Vec<Event> = replay(dir.path(), 0).unwrap().map(|r| r.unwrap().event).collect();
    assert_eq!(read, events);
}

#[test]
fn au4_a_deleted_line_is_found_where_it_was() {
    let (dir, lines) = ten();
    for gone in 0..lines.len() {
        let mut left = lines.clone();
        left.remove(gone);
        let (line, what) = broken(dir.path(), &left);
        assert_eq!(line, gone as u64 + 1, "{what}");
    }
}

#[test]
fn au4_an_edited_line_is_found_where_it_is() {
    let (dir, lines) = ten();
    for edited in 0..lines.len() {
        let mut left = lines.clone();
        left[edited] = left[edited].replace("alice", "mallo");
        let (line, what) = broken(dir.path(), &left);
        assert_eq!(line, edited as u64 + 1, "{what}");
        assert!(what.contains("edited"), "{what}");
    }
}

#[test]
fn au4_two_lines_in_another_order_are_found_where_they_are() {
    let (dir, lines) = ten();
    for first in 0..lines.len() - 1 {
        let mut left = lines.clone();
        left.swap(first, first + 1);
        assert_eq!(broken(dir.path(), &left).0, first as u64 + 1);
    }
}

#[test]
fn au4_a_log_that_was_cut_off_is_found_anywhere() {
    let (dir, lines) = ten();
    for kept in 0..lines.len() {
        let (line, what) = broken(dir.path(), &lines[..kept]);
        assert!(what.contains("cut off"), "{what}");
        assert_eq!(line, kept as u64 + 1);
    }
}

#[test]
fn au4_a_chain_that_was_made_anew_without_the_key_is_found() {
    let (dir, _) = ten();
    let forger = SigningKey::from_bytes(&[1; 32]);
    let other = tempfile::tempdir().unwrap();
    let (mut audit, _) = Audit::open(other.path(), forger, at(0)).unwrap();
    for call in 0..10 {
        write(&mut audit, [start(call)]);
    }
    let lines: Vec<String> = log(other.path()).lines().map(ToOwned::to_owned).collect();
    let (line, what) = broken(dir.path(), &lines);
    assert_eq!(line, 1, "{what}");
    fs::copy(other.path().join(HEAD), dir.path().join(HEAD)).unwrap();
    assert!(broken(dir.path(), &lines).1.contains("not signed by this daemon"));
}

#[test]
fn au4_lines_put_after_the_end_are_found_or_not_vouched_for() {
    let (dir, mut lines) = ten();
    let seq_one = lines[0].clone();
    lines.push(seq_one);
    assert_eq!(broken(dir.path(), &lines).0, 11);
    lines[10] = "x".repeat(line::MAX_LINE + 1);
    assert_eq!(broken(dir.path(), &lines).0, 11);
}

#[test]
fn p11_an_unfinished_end_is_cut_off_kept_aside_and_on_record() {
    for torn in ["{\"seq\":3,", "garbage\n", "\0\0\0\0", "\u{fffd}\n{}\n"] {
        let (dir, mut audit) = begin();
        write(&mut audit, [start(1), start(2)]);
        drop(audit);
        let whole = log(dir.path());
        fs::write(dir.path().join(LOG), whole.clone() + torn).unwrap();
        let (mut audit, recovery) = open(dir.path());
        assert_eq!(recovery, Recovery { cut_bytes: torn.len() as u64, lost_records: 0 });
        write(&mut audit, [end(1)]);
        assert!(log(dir.path()).starts_with(&whole));
        assert_eq!(check(dir.path()).unwrap().recoveries, 1);
        assert_eq!(fs::read_to_string(dir.path().join("audit.cut-2")).unwrap(), torn);
    }
}

#[test]
fn p11_a_batch_without_its_signature_never_happened() {
    let (dir, mut audit) = begin();
    write(&mut audit, [start(1)]);
    let before = log(dir.path());
    write(&mut audit, [start(2), start(3)]);
    drop(audit);
    let lines = log(dir.path());
    let second: Vec<&str> = lines.lines().take(2).collect();
    fs::write(dir.path().join(LOG), second.join("\n") + "\n").unwrap();
    let (_, recovery) = open(dir.path());
    // The head had seen the whole batch: its records are gone, and that is said.
    assert_eq!(recovery.lost_records, 2);
    assert_eq!(log(dir.path()), before);
}

#[test]
fn p11_a_log_whose_head_lags_or_is_gone_is_taken_up_at_its_end() {
    let (dir, mut audit) = begin();
    write(&mut audit, [start(1)]);
    let lagging = fs::read(dir.path().join(HEAD)).unwrap();
    write(&mut audit, [start(2)]);
    drop(audit);
    for head in [lagging, Vec::new()] {
        fs::write(dir.path().join(HEAD), head).unwrap();
        let (mut audit, recovery) = open(dir.path());
        assert_eq!(recovery, Recovery::default());
        write(&mut audit, [end(2)]);
        check(dir.path()).unwrap();
    }
    assert_eq!(check(dir.path()).unwrap().records, 4);
}

#[test]
fn a_second_daemon_does_not_get_the_log() {
    let (dir, audit) = begin();
    assert!(matches!(Audit::open(dir.path(), key(), at(0)), Err(AuditFault::Busy { .. })));
    drop(audit);
    open(dir.path());
}

#[test]
fn a_large_damage_is_not_cut_off() {
    let (dir, audit) = begin();
    drop(audit);
    fs::write(dir.path().join(LOG), vec![b'x'; usize::try_from(MAX_CUT).unwrap() + 1]).unwrap();
    assert!(matches!(Audit::open(dir.path(), key(), at(0)), Err(AuditFault::Damaged { .. })));
    fs::write(dir.path().join(LOG), vec![b'x'; usize::try_from(MAX_CUT).unwrap()]).unwrap();
    assert_eq!(open(dir.path()).1.cut_bytes, MAX_CUT);
}

#[test]
fn reading_begins_where_a_share_began() {
    let (dir, mut audit) = begin();
    write(&mut audit, [start(1)]);
    let position = audit.position();
    write(&mut audit, [start(2)]);
    let from = |position| {
        replay(dir.path(), position).unwrap().map(|r| r.unwrap().seq).collect::<Vec<_>>()
    };
    assert_eq!(from(position), [2]);
    assert_eq!(from(position + 1), [1, 2], "where no line begins all is read");
    assert_eq!(from(1 << 40), [1, 2]);
}

#[test]
fn a_record_is_synced_within_a_tenth_of_a_second() {
    let (_dir, mut audit) = begin();
    assert_eq!(audit.sync_due(), None);
    write(&mut audit, [start(1)]);
    assert_eq!(audit.sync_due(), Some(Duration::from_millis(1_100)));
    audit.record(start(2), at(5)).unwrap();
    audit.commit(Durability::Soon, at(5)).unwrap();
    assert_eq!(audit.sync_due(), Some(Duration::from_millis(1_100)), "the first one counts");
    audit.sync().unwrap();
    assert_eq!(audit.sync_due(), None);
    audit.record(start(3), at(6)).unwrap();
    audit.commit(Durability::Now, at(6)).unwrap();
    assert_eq!(audit.sync_due(), None);
}

#[test]
fn the_largest_events_fit_their_line() {
    let (dir, mut audit) = begin();
    let huge = Value::text("\u{1}".repeat(4096)).unwrap();
    let names = (0..64).map(|n| format!("p{n}").parse().unwrap());
    let arguments = Arguments(names.map(|name| (name, huge.clone())).collect());
    let Event::CallStarted { at, owner, recipient, call, statement, passport, verb, .. } = start(1)
    else {
        panic!("not a start")
    };
    let arguments = Recorded::of(&arguments);
    let basis = Said::new(&"\\\"".repeat(4096));
    write(
        &mut audit,
        [
            Event::CallStarted {
                run_as: None,
                at,
                owner,
                recipient,
                call,
                statement,
                passport,
                verb,
                arguments,
                basis,
                output_max: u64::MAX,
                beyond: Some(Said::new(&"\u{1}".repeat(9_999))),
            },
            Event::ShareRevoked {
                by: who(),
                share: holder().share,
                reason: Said::new(&"\u{1}".repeat(9_999)),
                calls: 1,
                alive: vec![Said::new(&"😀".repeat(9_999)); 9_999],
            },
        ],
    );
    assert!(log(dir.path()).lines().all(|line| line.len() <= line::MAX_LINE));
    check(dir.path()).unwrap();
}

/// A small file system in a mount namespace of this thread alone.
struct Disk(tempfile::TempDir);

impl Disk {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(self.path(), nix::mount::MntFlags::MNT_DETACH);
    }
}

/// None where this account may not mount.
fn small_disk(bytes: u64) -> Option<Disk> {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).ok()?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .ok()?;
    let dir = tempfile::tempdir().unwrap();
    let size = format!("size={bytes}");
    mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some(size.as_str())).ok()?;
    Some(Disk(dir))
}

fn fill(dir: &Path) {
    let mut file = File::create(dir.join("ballast")).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}

#[test]
fn au3_with_a_full_disk_nothing_begins_and_endings_are_still_written() {
    let Some(disk) = small_disk(4 * 1024 * 1024) else { return };
    let (mut audit, _) = open(disk.path());
    write(&mut audit, [start(1)]);
    fill(disk.path());
    let mut started = 1;
    while audit.record(start(2), at(2)).is_ok() {
        audit.commit(Durability::Soon, at(2)).unwrap();
        started += 1;
        assert!(started < 10_000, "the reserve is not kept");
    }
    assert!(matches!(audit.record(start(2), at(2)), Err(AuditFault::Full)));
    assert!(matches!(audit.ready(), Err(AuditFault::Full)));
    let refused = Event::RedeemRefused { at: holder(), reason: Said::new("no") };
    assert!(matches!(audit.record(refused, at(2)), Err(AuditFault::Full)));
    for _ in 0..1_000 {
        write(&mut audit, [end(1)]);
    }
    assert_eq!(check(disk.path()).unwrap().records, started + 1_000);
    fs::remove_file(disk.path().join("ballast")).unwrap();
    audit.record(start(3), at(3)).unwrap();
    write(&mut audit, []);
    check(disk.path()).unwrap();
}

#[test]
fn au3_when_even_the_reserve_is_used_up_nothing_is_half_written_and_endings_wait() {
    let Some(disk) = small_disk(4 * 1024 * 1024) else { return };
    let (mut audit, _) = open(disk.path());
    write(&mut audit, [start(1)]);
    fill(disk.path());
    let mut written = 1;
    let fault = loop {
        audit.record(end(1), at(2)).unwrap();
        match audit.commit(Durability::Soon, at(2)) {
            Ok(()) => written += 1,
            Err(fault) => break fault,
        }
    };
    assert!(matches!(fault, AuditFault::Write(_)));
    assert_eq!(
        check(disk.path()).unwrap(),
        Summary { records: written, head: Some(written), ..Summary::default() }
    );
    fs::remove_file(disk.path().join("ballast")).unwrap();
    audit.commit(Durability::Soon, at(3)).unwrap();
    assert_eq!(check(disk.path()).unwrap().records, written + 1, "the ending was kept");
}

#[test]
fn a_daemon_opens_its_log_on_a_full_disk() {
    let Some(disk) = small_disk(2 * 1024 * 1024) else { return };
    let (mut audit, _) = open(disk.path());
    write(&mut audit, [start(1)]);
    drop(audit);
    let whole = log(disk.path());
    fs::write(disk.path().join(LOG), whole + "torn").unwrap();
    fill(disk.path());
    let (mut audit, recovery) = open(disk.path());
    assert_eq!(recovery.cut_bytes, 4);
    assert!(audit.ready().is_err());
}

#[test]
fn endings_that_wait_are_bounded_and_what_is_given_up_is_on_record() {
    let (dir, mut audit) = begin();
    for _ in 0..MAX_KEPT + 3 {
        audit.record(end(1), at(1)).unwrap();
    }
    audit.record(start(2), at(1)).unwrap();
    audit.keep_endings();
    assert_eq!(audit.pending.len(), MAX_KEPT);
    write(&mut audit, []);
    let last = replay(dir.path(), 0).unwrap().last().unwrap().unwrap().event;
    assert_eq!(last, Event::EndingsDropped { count: 3 });
}
