//! The prompt in a terminal with a screen, from the first contact to the end of the share.

use std::fs;

use tests::tmux::Tmux;
use tests::world::World;

#[test]
fn a_person_pastes_confirms_completes_follows_interrupts_and_sees_the_end() {
    let world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["log.follow", "log.tail", "service.restart", "test.true"]);
    let mut command = world.vendor().bare();
    command.arg("--identity").arg(world.home.join("vendor/identity.txt"));
    let socket = world.home.join("vendor/tmux");
    let tmux = Tmux::start(socket, &world.accounts.vendor, (100, 30), &command);

    // First contact: the handle is pasted, and not shown; the fingerprint is read and confirmed.
    tmux.shows("Paste the handle");
    tmux.line(&share.handle);
    let asked = tmux.shows("Is it the same");
    assert!(!asked.contains("osp1_"), "{asked}");
    let fingerprint: String = asked.split_whitespace().collect();
    assert!(fingerprint.contains(&share.fingerprint), "{asked}");
    assert!(
        asked.contains(&share.words) || fingerprint.contains(&share.words.replace(' ', "")),
        "{asked}"
    );
    tmux.line("yes");
    let welcome = tmux.shows("m>");
    assert!(welcome.contains("`list` shows what may be called"), "{welcome}");
    assert!(welcome.contains("openscope 29m>") || welcome.contains("openscope 30m>"), "{welcome}");

    // Completion of a verb, of a parameter and of a permitted value.
    tmux.keys(&["log.f", "Tab"]);
    tmux.shows("m> log.follow");
    tmux.keys(&["Space", "serv", "Tab"]);
    tmux.shows("log.follow service=");
    tmux.keys(&["w", "Tab"]);
    tmux.shows("log.follow service=web");
    tmux.keys(&["Enter"]);
    tmux.shows("web line 9");
    fs::write(world.home.join("log/web"), "web line 1\nfresh line\n").expect("write the log");
    tmux.shows("fresh line");

    // Ctrl+C ends the call there, and not the session.
    tmux.keys(&["C-c"]);
    tmux.sees("the prompt", |screen| screen.trim_end().ends_with("m>"));
    assert_eq!(world.last_end()["ending"], "cancelled");
    tmux.line("log.tail service=vault");
    tmux.shows("refused");
    tmux.line("log.tial service=web");
    tmux.shows("did you mean `log.tail`?");

    // A narrow window is only narrow.
    tmux.resizes(24, 20);
    tmux.line("list");
    tmux.sees("the end of the list", |screen| screen.contains("test.true"));
    tmux.resizes(100, 30);

    // What the owner changes is told between the lines.
    let extended = world.alice().run(&["share", "extend", &share.id, "--drop-verb", "test.true"]);
    assert_eq!(extended.status, 0, "{extended:?}");
    tmux.shows("No longer shared: test.true.");

    // The share is revoked while something is followed.
    tmux.line("log.follow service=web");
    tmux.sees("the call", |screen| {
        screen.matches("fresh line").count() >= 2 || screen.contains("web line 1")
    });
    let revoked = world.alice().run(&["share", "revoke", &share.id, "--reason", "thank you"]);
    assert_eq!(revoked.status, 0, "{revoked:?}");
    let end = tmux.shows("thank you");
    assert!(end.contains("revoked"), "{end}");
    assert_eq!(tmux.status(), 255);
}

#[test]
fn whoever_waits_for_long_is_told_for_what() {
    let mut world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["test.true"]);
    let relay = world.relay.as_ref().expect("it runs");
    relay.signal(rustix::process::Signal::STOP);
    let command = world.vendor().command(&share, &["list"]);
    let socket = world.home.join("vendor/tmux");
    let tmux = Tmux::start(socket, &world.accounts.vendor, (100, 30), &command);
    tmux.shows("waiting for the relay …");
    world.relay.as_ref().expect("it runs").signal(rustix::process::Signal::CONT);
    let shown = tmux.sees("the list alone", |screen| screen.contains("test.true  [read]"));
    assert!(!shown.contains("waiting for"), "{shown}");
    assert_eq!(tmux.status(), 0);
    world.stop_daemon();
}
