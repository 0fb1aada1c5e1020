//! Calls: what comes down is what was written, whoever reads slowly, breaks off, or comes back.

use super::*;
use guest::{Guest, Stream};
use policy::{PublicRefusal, RequestId};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use verb::outcome;
use wire::channel::{Limits, VarInt};
use wire::frame::{Farewell, Frame, Refusal};
use wire::terminal::Terminal;

const PLENTY: u64 = 64 << 20;

/// Bytes that repeat nowhere, so that a swap or a loss changes them.
fn bytes(length: usize) -> Vec<u8> {
    let block = |number: usize| Sha256::digest(number.to_le_bytes());
    (0..length.div_ceil(32)).flat_map(block).take(length).collect()
}

#[tokio::test]
async fn ru1_output_arrives_byte_exact_with_stdout_and_stderr_apart() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let (call, mut verb) = world.monitor.start(PLENTY).await;
    let (out, err) = (bytes(3_000_000), (0..=255).cycle().take(500_000).collect::<Vec<u8>>());
    let writing = async {
        tokio::join!(
            async {
                verb.stdout.write_all(&out).await.unwrap();
            },
            async {
                verb.stderr.write_all(&err).await.unwrap();
            },
        );
        let counts = world.monitor.exit(call, verb).await;
        world.monitor.end(call);
        counts
    };
    let (counts, (stdout, stderr, last)) = tokio::join!(writing, stream.collect());
    assert_eq!(counts, (3_000_000, 500_000));
    assert!(stdout == out && stderr == err, "other bytes came than were written");
    assert_eq!(last, outcome());
}

#[tokio::test]
async fn a_call_that_starts_says_so_even_when_it_says_nothing_else() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let (call, verb) = world.monitor.start(PLENTY).await;
    assert_eq!(stream.next().await, Frame::Started);
    assert_eq!(world.monitor.exit(call, verb).await, (0, 0));
    world.monitor.end(call);
    assert_eq!(stream.next().await, outcome());
}

#[tokio::test]
async fn a_refused_call_hears_why() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let call = world.monitor.called().await;
    world.monitor.say(&ToBroker::Refused { call, refusal: Refusal::BadCall });
    assert_eq!(stream.collect().await, (vec![], vec![], Frame::Refused(Refusal::BadCall)));
}

#[tokio::test]
async fn a_call_that_ran_before_hears_its_outcome() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let call = world.monitor.called().await;
    world.monitor.end(call);
    assert_eq!(stream.collect().await, (vec![], vec![], outcome()));
}

#[tokio::test]
async fn ru3_output_stops_at_the_limit_and_the_monitor_hears_of_it_once() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let (call, mut verb) = world.monitor.start(100_000).await;
    let written = bytes(400_000);
    let running = async {
        verb.write(&written).await;
        assert_eq!(world.monitor.overflowed().await, call);
        let counts = world.monitor.exit(call, verb).await;
        world.monitor.end(call);
        counts
    };
    let (counts, (stdout, _, last)) = tokio::join!(running, stream.collect());
    assert_eq!(counts, (100_000, 0));
    assert!(stdout == written[..100_000]);
    assert_eq!(last, outcome());
    let overflow = |message: &FromBroker| matches!(message, FromBroker::Overflow { .. });
    assert!(world.monitor.has_not_heard(overflow));
}

#[tokio::test]
async fn ru3_output_of_exactly_the_limit_is_no_overflow() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let (call, mut verb) = world.monitor.start(100_000).await;
    let running = async {
        verb.write(&bytes(60_000)).await;
        verb.stderr.write_all(&bytes(40_000)).await.unwrap();
        let counts = world.monitor.exit(call, verb).await;
        world.monitor.end(call);
        counts
    };
    let (counts, (stdout, stderr, _)) = tokio::join!(running, stream.collect());
    assert_eq!(counts, (60_000, 40_000));
    assert_eq!((stdout.len(), stderr.len()), (60_000, 40_000));
    let overflow = |message: &FromBroker| matches!(message, FromBroker::Overflow { .. });
    assert!(world.monitor.has_not_heard(overflow));
}

#[tokio::test]
async fn a_reset_stream_cancels_the_call_and_still_hears_how_it_ended() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = Stream::open(&guest.connection).await;
    stream.say(&Frame::Call(monitor::a_signed())).await;
    let (call, verb) = world.monitor.start(PLENTY).await;
    assert_eq!(stream.next().await, Frame::Started);
    stream.send.reset(VarInt::from_u32(0)).unwrap();
    assert_eq!(world.monitor.cancelled().await, call);
    world.monitor.exit(call, verb).await;
    world.monitor.end(call);
    assert_eq!(stream.collect().await, (vec![], vec![], outcome()));
}

#[tokio::test]
async fn a_stream_that_is_stopped_cancels_the_call_and_its_output_is_discarded() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let (call, mut verb) = world.monitor.start(PLENTY).await;
    assert_eq!(stream.next().await, Frame::Started);
    stream.receive.stop(VarInt::from_u32(0)).unwrap();
    assert_eq!(world.monitor.cancelled().await, call);
    verb.write(&bytes(1_000_000)).await;
    world.monitor.exit(call, verb).await;
    world.monitor.end(call);
    // The place is free again.
    let mut next = guest.call().await;
    let (call, verb) = world.monitor.start(PLENTY).await;
    world.monitor.exit(call, verb).await;
    world.monitor.end(call);
    assert_eq!(next.collect().await.2, outcome());
}

#[tokio::test]
async fn a_client_that_resets_calls_has_no_more_at_the_monitor_than_it_may() {
    let settings = Settings { calls_in_flight: 2, ..Settings::default() };
    let mut world = World::open_with(settings).await;
    let guest = world.holder().await;
    let mut calls = Vec::new();
    for _ in 0..2 {
        let mut stream = Stream::open(&guest.connection).await;
        stream.say(&Frame::Call(monitor::a_signed())).await;
        let call = world.monitor.called().await;
        stream.send.reset(VarInt::from_u32(0)).unwrap();
        stream.receive.stop(VarInt::from_u32(0)).unwrap();
        assert_eq!(world.monitor.cancelled().await, call);
        calls.push(call);
    }
    let _third = guest.call().await;
    let early = tokio::time::timeout(Duration::from_millis(100), world.monitor.called());
    assert!(early.await.is_err());
    world.monitor.say(&ToBroker::Refused { call: calls[0], refusal: Refusal::Failed });
    world.monitor.called().await;
}

#[tokio::test]
async fn a_call_stream_carries_one_call_and_nothing_else() {
    let mut world = World::open().await;
    let call = Frame::Call(monitor::a_signed()).encode().unwrap();
    let two = [&call[..], &call].concat();
    let wrong = Frame::EndSeen.encode().unwrap();
    let short = call[..20].to_vec();
    let ask = Frame::Ask(monitor::a_signed()).encode().unwrap();
    let terminal = Frame::Terminal(Terminal::default()).encode().unwrap();
    let long = [0x10, 0, 1, 0, 1, 0].to_vec();
    for (what, bytes, farewell) in [
        ("two calls", two, Farewell::Protocol),
        ("two askings", [&ask[..], &ask].concat(), Farewell::Protocol),
        ("an asking at a terminal", [&terminal[..], &ask].concat(), Farewell::Protocol),
        ("a call after an asking", [&ask[..], &call].concat(), Farewell::Protocol),
        ("another frame", wrong, Farewell::Protocol),
        ("a frame that is too long", long, Farewell::Protocol),
        ("half a call", short, Farewell::TooSlow),
    ] {
        let guest = world.holder().await;
        let mut stream = Stream::open(&guest.connection).await;
        stream.send.write_all(&bytes).await.unwrap();
        assert_eq!(guest.farewell().await, farewell, "{what}");
    }
}

#[tokio::test]
async fn an_asking_waits_for_its_answer_and_a_reset_withdraws_it() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = Stream::open(&guest.connection).await;
    stream.say(&Frame::Ask(monitor::a_signed())).await;
    let call = world.monitor.asked_for_more().await;
    let request = RequestId::from_random([1; 8]);
    world.monitor.say(&ToBroker::Pending { call, request });
    assert_eq!(stream.next().await, Frame::Pending(request));
    world.monitor.say(&ToBroker::Granted { call });
    assert_eq!(stream.next().await, Frame::Granted);

    let mut stream = Stream::open(&guest.connection).await;
    stream.say(&Frame::Ask(monitor::a_signed())).await;
    let call = world.monitor.asked_for_more().await;
    stream.send.reset(VarInt::from_u32(0)).unwrap();
    assert_eq!(world.monitor.cancelled().await, call);
    let refusal = Refusal::Denied(PublicRefusal::Unanswered);
    world.monitor.say(&ToBroker::Refused { call, refusal: refusal.clone() });
    assert_eq!(stream.next().await, Frame::Refused(refusal));
}

#[tokio::test]
async fn what_comes_after_a_call_ends_the_channel() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = Stream::open(&guest.connection).await;
    stream.say(&Frame::Call(monitor::a_signed())).await;
    world.monitor.called().await;
    stream.send.write_all(b"more").await.unwrap();
    assert_eq!(guest.farewell().await, Farewell::Protocol);
}

#[tokio::test]
async fn a_pipe_that_somebody_keeps_open_does_not_keep_the_call() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let (call, mut verb) = world.monitor.start(PLENTY).await;
    verb.write(b"kept").await;
    world.monitor.say(&ToBroker::Exited { call });
    assert_eq!(world.monitor.drained().await, (call, 4, 0));
    world.monitor.end(call);
    assert_eq!(stream.collect().await, (b"kept".to_vec(), vec![], outcome()));
    drop(verb);
}

#[tokio::test]
async fn a_call_whose_pipes_end_before_its_processes_is_drained_once_and_at_once() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let (call, mut verb) = world.monitor.start(PLENTY).await;
    verb.write(b"all").await;
    drop(verb);
    assert_eq!(world.monitor.drained().await, (call, 3, 0));
    // That its processes are gone, too, is nothing more to tell.
    world.monitor.say(&ToBroker::Exited { call });
    world.monitor.end(call);
    assert_eq!(stream.collect().await, (b"all".to_vec(), vec![], outcome()));
    let mut other = guest.call().await;
    let (second, verb) = world.monitor.start(PLENTY).await;
    assert_eq!(world.monitor.exit(second, verb).await, (0, 0));
    world.monitor.end(second);
    other.collect().await;
}

#[tokio::test]
async fn ru2_a_reader_that_does_not_read_holds_the_verb_up_and_not_its_output_in_memory() {
    let mut world = World::open().await;
    let small = Limits { stream_window: 64 * 1024, ..Limits::client() };
    let mut guest = Guest::arrive_with(&world.relay, 1, small).await;
    guest.ask().await;
    let (channel, _) = world.monitor.asked().await;
    world.monitor.seat(channel);
    guest.is_joined().await;
    let mut stream = guest.call().await;
    let (call, mut verb) = world.monitor.start(PLENTY).await;
    let written = bytes(16 << 20);
    let mut taken = 0;
    // What the window, the pipe and one frame on its way hold, and not a byte more.
    while let Ok(more) =
        tokio::time::timeout(Duration::from_millis(500), verb.stdout.write(&written[taken..])).await
    {
        taken += more.unwrap();
    }
    assert!(taken <= 4 * 64 * 1024, "{taken} bytes were taken");
    let writing = async {
        verb.write(&written[taken..]).await;
        let counts = world.monitor.exit(call, verb).await;
        world.monitor.end(call);
        counts
    };
    let (counts, (stdout, ..)) = tokio::join!(writing, stream.collect());
    assert_eq!(counts, (16 << 20, 0));
    assert!(stdout == written);
}

#[tokio::test]
async fn a_call_outlives_its_channel_by_the_grace_and_no_longer() {
    let settings = Settings { grace: Duration::from_millis(300), ..Settings::default() };
    let mut world = World::open_with(settings).await;
    let guest = world.holder().await;
    let _stream = guest.call().await;
    let (call, _verb) = world.monitor.start(PLENTY).await;
    let left = std::time::Duration::from_millis(290);
    let since = tokio::time::Instant::now();
    guest.connection.close(0u32.into(), b"");
    assert_eq!(world.monitor.cancelled().await, call);
    assert!(since.elapsed() >= left, "after {:?}", since.elapsed());
}

#[tokio::test]
async fn se7_a_holder_who_comes_back_gets_the_rest_of_the_output() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let (from, mut verb) = world.monitor.start(PLENTY).await;
    verb.write(b"before ").await;
    assert_eq!(stream.next().await, Frame::Started);
    assert_eq!(stream.next().await, Frame::Stdout(b"before ".as_slice().into()));
    guest.connection.close(0u32.into(), b"");
    world.monitor.gone().await;
    verb.write(b"while away, ").await;
    let again = world.holder().await;
    let mut stream = again.call().await;
    let to = world.monitor.called().await;
    world.monitor.say(&ToBroker::Reattach { from, to });
    assert_eq!(stream.next().await, Frame::Started);
    verb.write(b"and after").await;
    assert_eq!(world.monitor.exit(to, verb).await, (28, 0));
    world.monitor.end(to);
    let (stdout, _, last) = stream.collect().await;
    assert_eq!(stdout, b"while away, and after");
    assert_eq!(last, outcome());
    let cancel = |message: &FromBroker| matches!(message, FromBroker::Cancel { .. });
    assert!(world.monitor.has_not_heard(cancel));
}

#[tokio::test]
async fn se7_what_a_call_wrote_last_waits_for_a_holder_who_comes_back_in_time() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut stream = guest.call().await;
    let (from, mut verb) = world.monitor.start(PLENTY).await;
    assert_eq!(stream.next().await, Frame::Started);
    guest.connection.close(0u32.into(), b"");
    world.monitor.gone().await;
    verb.write(b"the end").await;
    drop(verb);
    let again = world.holder().await;
    let mut stream = again.call().await;
    let to = world.monitor.called().await;
    world.monitor.say(&ToBroker::Exited { call: from });
    world.monitor.say(&ToBroker::Reattach { from, to });
    assert_eq!(world.monitor.drained().await, (to, 7, 0));
    world.monitor.end(to);
    assert_eq!(stream.collect().await, (b"the end".to_vec(), vec![], outcome()));
}

#[tokio::test]
async fn se7_what_was_read_for_a_stalled_holder_is_not_lost_with_their_channel() {
    let mut world = World::open().await;
    let small = Limits { stream_window: 1024, ..Limits::client() };
    let mut guest = Guest::arrive_with(&world.relay, 1, small).await;
    guest.ask().await;
    let (channel, _) = world.monitor.asked().await;
    world.monitor.seat(channel);
    guest.is_joined().await;
    let _stalled = guest.call().await;
    let (from, mut verb) = world.monitor.start(PLENTY).await;
    let written = bytes(30_000);
    verb.write(&written).await;
    drop(verb);
    // Another call's way through shows that the output has been read by now.
    let mut other = guest.call().await;
    let (second, verb) = world.monitor.start(PLENTY).await;
    world.monitor.exit(second, verb).await;
    world.monitor.end(second);
    other.collect().await;
    guest.connection.close(0u32.into(), b"");
    world.monitor.gone().await;
    let again = world.holder().await;
    let mut stream = again.call().await;
    let to = world.monitor.called().await;
    world.monitor.say(&ToBroker::Exited { call: from });
    world.monitor.say(&ToBroker::Reattach { from, to });
    assert_eq!(world.monitor.drained().await, (to, 30_000, 0));
    world.monitor.end(to);
    assert!(stream.collect().await.0 == written);
}

#[tokio::test]
async fn se7_a_call_is_taken_over_from_a_channel_that_seems_alive() {
    let mut world = World::open().await;
    let stale = world.holder().await;
    let mut old = stale.call().await;
    let (from, mut verb) = world.monitor.start(PLENTY).await;
    assert_eq!(old.next().await, Frame::Started);
    let again = world.holder().await;
    let mut stream = again.call().await;
    let to = world.monitor.called().await;
    world.monitor.say(&ToBroker::Reattach { from, to });
    assert_eq!(stream.next().await, Frame::Started);
    verb.write(b"here").await;
    world.monitor.exit(to, verb).await;
    world.monitor.end(to);
    assert_eq!(stream.collect().await.0, b"here");
    assert_eq!(soon("the end of the old stream", old.next_or_end()).await, None);
}

#[tokio::test]
async fn many_calls_at_once_do_not_get_in_each_other_s_way() {
    let mut world = World::open().await;
    let guest = world.holder().await;
    let mut streams = Vec::new();
    let mut calls = Vec::new();
    for number in 0..32u8 {
        streams.push(guest.call().await);
        let (call, mut verb) = world.monitor.start(PLENTY).await;
        verb.write(&[number; 1000]).await;
        calls.push((call, verb));
    }
    for (call, verb) in calls {
        assert_eq!(world.monitor.exit(call, verb).await, (1000, 0));
        world.monitor.end(call);
    }
    for (number, mut stream) in (0..32u8).zip(streams) {
        assert_eq!(stream.collect().await.0, [number; 1000]);
    }
}
