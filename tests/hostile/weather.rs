//! A network that loses, doubles, reorders and changes packets (re9): what is delivered is right.

use std::net::SocketAddr;

use tests::owner::Share;
use tests::proxy::{Proxy, Weather};
use tests::world::{Setup, World};

/// A world whose daemon and recipients reach the relay through `proxy` only.
pub(crate) fn behind(setup: Setup, weather: Weather) -> (World, Proxy) {
    let mut world = setup.start();
    world.stop_daemon();
    let (address, pin) = world.relay_address().split_once('#').expect("a pinned address");
    let relay: SocketAddr = address.parse().expect("an address");
    let proxy = Proxy::start(relay, weather);
    world.set_relay_address(&format!("{}#{pin}", proxy.address));
    world.start_daemon();
    (world, proxy)
}

/// Five MiB of which each line is different.
fn pattern() -> String {
    let lines =
        (0..).map(|number: u64| format!("{:016x}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    lines.take((5 << 20) / 17).collect()
}

#[test]
fn re9_nothing_wrong_is_ever_delivered() {
    let (world, proxy) = behind(Setup::default(), Weather::foul());
    let pattern = pattern();
    std::fs::write(world.home.join("log/pattern"), &pattern).expect("write the pattern");
    world.script("bulk", "exec cat @HOME@/log/pattern\n");
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["test.sh", "test.echo"]);

    let bulk = world.vendor().call(&share, &["test.sh", "name=bulk"]);

    assert_eq!(bulk.status, 0, "{}", bulk.stderr);
    assert!(bulk.stdout == pattern, "{} bytes of {} came", bulk.stdout.len(), pattern.len());
    std::thread::scope(|scope| {
        for part in 0..5 {
            let (world, share) = (&world, &share);
            scope.spawn(move || {
                for number in 0..10 {
                    say_back(world, share, &format!("{part}-{number}-{}", "é".repeat(number)));
                }
            });
        }
    });
    let (passed, spoilt) = proxy.counts();
    assert!(spoilt * 20 > passed, "only {spoilt} of {passed} packets were spoilt");
}

/// A call that could not begin on such a line may be tried again; one that was answered is right.
fn say_back(world: &World, share: &Share, text: &str) {
    for _ in 0..5 {
        let said = world.vendor().call(share, &["test.echo", &format!("text={text}")]);
        match said.status {
            0 => return assert_eq!(said.stdout, text),
            255 => assert!(said.stdout.is_empty(), "{said:?}"),
            _ => panic!("{said:?}"),
        }
    }
    panic!("five times in a row there was no way to the daemon");
}
