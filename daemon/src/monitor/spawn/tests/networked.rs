//! What the catalog says of a verb's network, held against programs that try all of it.

use std::collections::BTreeSet;
use std::net::TcpListener;

use policy::NetworkAccess;

use super::*;

/// Tries a TCP connection to each port, and to listen on one; says what came of each.
const TRY: &str = r#"
import errno, socket, sys
def told(what):
    try:
        what()
        return "yes"
    except OSError as fault:
        return errno.errorcode[fault.errno]
def listen():
    socket.socket().bind(("127.0.0.1", int(sys.argv[1])))
print(*[told(lambda: socket.create_connection(("127.0.0.1", int(port)), 2)) for port in sys.argv[2:]], told(listen))
"#;

fn tries(listen: u16, connect: &[u16], network: NetworkAccess) -> Order {
    let ports: Vec<String> = connect.iter().map(u16::to_string).collect();
    let listen = listen.to_string();
    let mut words = vec!["/usr/bin/python3", "-c", TRY, &listen];
    words.extend(ports.iter().map(String::as_str));
    let mut order = order(&words);
    order.confinement.network = network;
    order
}

fn ports<'a>(ports: impl Into<Option<&'a [u16]>>) -> Option<BTreeSet<u16>> {
    ports.into().map(|ports| ports.iter().copied().collect())
}

/// Two ports that answer, and one that was free a moment ago.
fn served() -> ([TcpListener; 2], [u16; 3]) {
    let bound = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (one, two, free) = (bound(), bound(), bound());
    let port = |of: &TcpListener| of.local_addr().unwrap().port();
    let all = [port(&one), port(&two), port(&free)];
    ([one, two], all)
}

#[test]
fn only_the_ports_that_are_listed_are_reached_and_listened_on() {
    let (_listeners, [one, two, free]) = served();
    let owners = |connect, listen| NetworkAccess::Owners { connect, listen };
    for way in WAYS {
        for (network, wanted) in [
            (owners(None, None), "yes yes yes"),
            (owners(ports(&[one][..]), None), "yes EACCES yes"),
            (owners(ports(&[][..]), ports(&[][..])), "EACCES EACCES EACCES"),
            (owners(None, ports(&[free][..])), "yes yes yes"),
            (owners(ports(&[one, two][..]), ports(&[one][..])), "yes yes EACCES"),
        ] {
            let (_, out, said) = run(&mut world(way), &tries(free, &[one, two], network.clone()));
            assert_eq!(out.trim(), wanted, "{way:?} {network:?}: {said}");
        }
    }
}

#[test]
fn a_verb_without_a_network_reaches_nothing_not_even_this_machine() {
    let (_listeners, [one, two, free]) = served();
    for way in WAYS {
        let order = tries(free, &[one, two], NetworkAccess::None);
        let (ended, out, said) = run(&mut world(way), &order);
        assert_eq!(
            (ended, out.trim()),
            (Ended::Exited(0), "ENETUNREACH ENETUNREACH yes"),
            "{way:?}: {said}"
        );
        let mut list = super::order(&["/bin/cat", "/proc/net/dev"]);
        list.confinement.network = NetworkAccess::None;
        let (_, out, _) = run(&mut world(way), &list);
        assert_eq!(out.lines().skip(2).count(), 1, "its own loopback, and no more: {out}");
        assert!(out.contains(" lo:"), "{out}");
    }
}
