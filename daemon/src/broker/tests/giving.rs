//! Standard input: what the verb reads is what the holder gave, whoever reads slowly, breaks off, or comes back.

use super::*;
use guest::{Guest, Stream};
use policy::Content;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use verb::outcome;
use wire::channel::VarInt;
use wire::frame::{Farewell, Frame, MAX_DATA, STDIN_AHEAD, Taken};
use wire::privsep::{CallRef, Given, Unfit};

const PLENTY: u64 = 64 << 20;

fn bytes(length: usize) -> Vec<u8> {
    let block = |number: usize| Sha256::digest(number.to_le_bytes());
    (0..length.div_ceil(32)).flat_map(block).take(length).collect()
}

/// What the holder hears first.
fn wanted() -> Frame {
    Frame::Taken(Taken { bytes: 0, until: Some(STDIN_AHEAD as u64) })
}

/// A verb that runs and takes input, and the stream of its holder.
struct Reading {
    guest: Guest,
    stream: Stream,
    call: CallRef,
    verb: verb::Verb,
    stdin: Receiver,
}

async fn reading(world: &mut World, content: Content, max: u64) -> Reading {
    let guest = world.holder().await;
    let mut stream = Stream::open(&guest.connection).await;
    stream.say(&Frame::Call(monitor::a_signed())).await;
    let (call, verb, stdin) = world.monitor.start_reader(content, max).await;
    assert_eq!(stream.next().await, Frame::Started);
    assert_eq!(stream.next().await, wanted());
    Reading { guest, stream, call, verb, stdin }
}

/// Gives these bytes, whether there is room for them or not.
async fn give(stream: &mut Stream, bytes: &[u8]) {
    for piece in bytes.chunks(MAX_DATA) {
        stream.say(&Frame::Stdin(piece.to_vec().into())).await;
    }
}

/// Gives what is left of the whole from `at` on, as there is room for it, and says the end.
async fn give_all(stream: &mut Stream, whole: &[u8], mut at: usize, mut until: u64) {
    while at < whole.len() {
        let end = whole.len().min(at + MAX_DATA);
        if end as u64 > until {
            until = next_taken(stream).await.until.unwrap();
            continue;
        }
        give(stream, &whole[at..end]).await;
        at = end;
    }
    stream.say(&Frame::StdinEnd).await;
}

/// All that there is to read, to the end of it.
async fn all(stdin: &mut Receiver) -> Vec<u8> {
    let mut got = Vec::new();
    soon("the end of the input", stdin.read_to_end(&mut got)).await.unwrap();
    got
}

async fn next_taken(stream: &mut Stream) -> Taken {
    match stream.next().await {
        Frame::Taken(taken) => taken,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_given_arrives_byte_exact_and_is_counted_and_hashed() {
    let mut world = World::open().await;
    let Reading { mut stream, call, verb, mut stdin, guest: _guest } =
        reading(&mut world, Content::Bytes, PLENTY).await;
    let whole = bytes(3_000_001);
    let giving = give_all(&mut stream, &whole, 0, STDIN_AHEAD as u64);
    let ((), got) = tokio::join!(giving, all(&mut stdin));
    assert!(got == whole);
    let sha256 = Sha256::digest(&whole).into();
    let given = world.monitor.exit_reader(call, verb).await;
    assert_eq!(given, Given { bytes: 3_000_001, sha256 });
    world.monitor.end(call);
    let mut last = 0;
    loop {
        match stream.next().await {
            Frame::Taken(taken) => {
                assert!(taken.bytes >= last && taken.bytes <= 3_000_001);
                last = taken.bytes;
            }
            other => break assert_eq!(other, outcome()),
        }
    }
}

#[tokio::test]
async fn an_input_of_nothing_ends_at_once() {
    let mut world = World::open().await;
    let Reading { mut stream, call, verb, mut stdin, guest: _guest } =
        reading(&mut world, Content::Text, PLENTY).await;
    stream.say(&Frame::StdinEnd).await;
    assert_eq!(all(&mut stdin).await, b"");
    assert_eq!(world.monitor.exit_reader(call, verb).await.bytes, 0);
}

#[tokio::test]
async fn a_verb_that_does_not_read_holds_its_holder_up_and_not_their_bytes_in_memory() {
    let mut world = World::open().await;
    let Reading { mut stream, call, verb, mut stdin, guest: _guest } =
        reading(&mut world, Content::Bytes, PLENTY).await;
    let whole = bytes(4 << 20);
    let until = {
        give(&mut stream, &whole[..STDIN_AHEAD]).await;
        next_taken(&mut stream).await.until.unwrap()
    };
    // What the pipe holds, and not a byte more.
    let pipe = 64 * 1024;
    assert_eq!(until, STDIN_AHEAD as u64 + pipe);
    let told = tokio::time::timeout(Duration::from_millis(300), stream.next()).await;
    assert!(told.is_err(), "{told:?}");
    let giving = give_all(&mut stream, &whole, STDIN_AHEAD, until);
    let ((), got) = tokio::join!(giving, all(&mut stdin));
    assert!(got == whole);
    world.monitor.exit_reader(call, verb).await;
}

#[tokio::test]
async fn a_holder_who_gives_more_than_there_is_room_for_is_not_one_of_ours() {
    let mut world = World::open().await;
    let Reading { mut stream, guest, call: _call, verb: _verb, stdin: _stdin } =
        reading(&mut world, Content::Bytes, PLENTY).await;
    give(&mut stream, &bytes(STDIN_AHEAD + 64 * 1024 + 1)).await;
    assert_eq!(guest.farewell().await, Farewell::Protocol);
}

#[tokio::test]
async fn a_call_whose_verb_does_not_read_can_be_cancelled() {
    let mut world = World::open().await;
    let Reading { mut stream, call, guest: _guest, verb: _verb, stdin: _stdin } =
        reading(&mut world, Content::Bytes, PLENTY).await;
    give(&mut stream, &bytes(STDIN_AHEAD)).await;
    next_taken(&mut stream).await;
    stream.send.reset(VarInt::from_u32(0)).unwrap();
    assert_eq!(world.monitor.cancelled().await, call);
}

#[tokio::test]
async fn an_input_of_exactly_the_limit_is_taken_and_a_byte_more_is_told_once() {
    let mut world = World::open().await;
    let Reading { mut stream, call, verb, mut stdin, guest: _guest } =
        reading(&mut world, Content::Bytes, 100_000).await;
    let whole = bytes(100_000);
    give(&mut stream, &whole).await;
    let mut got = vec![0; 100_000];
    soon("the input", stdin.read_exact(&mut got)).await.unwrap();
    assert!(got == whole);
    let unfit = |message: &FromBroker| matches!(message, FromBroker::Unfit { .. });
    assert!(world.monitor.has_not_heard(unfit));
    give(&mut stream, b"x").await;
    assert_eq!(world.monitor.unfit().await, (call, Unfit::TooLong));
    give(&mut stream, b"y").await;
    stream.say(&Frame::StdinEnd).await;
    // What is cut off does not look like the end.
    let read = tokio::time::timeout(Duration::from_millis(100), stdin.read_u8()).await;
    assert!(read.is_err(), "{read:?}");
    assert_eq!(world.monitor.exit_reader(call, verb).await.bytes, 100_000);
    assert!(world.monitor.has_not_heard(unfit));
}

#[tokio::test]
async fn what_is_no_text_is_told_across_the_border_of_two_pieces() {
    let mut world = World::open().await;
    let Reading { mut stream, call, mut stdin, guest: _guest, verb: _verb } =
        reading(&mut world, Content::Text, PLENTY).await;
    give(&mut stream, "gut: ä ".as_bytes()).await;
    let mut got = [0; 8];
    soon("the text before", stdin.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, "gut: ä ".as_bytes());
    give(&mut stream, b"\xc3").await;
    give(&mut stream, b"x").await;
    assert_eq!(world.monitor.unfit().await, (call, Unfit::NotText));
    let read = tokio::time::timeout(Duration::from_millis(100), stdin.read_u8()).await;
    assert!(read.is_err(), "{read:?}");
}

#[tokio::test]
async fn a_verb_that_closes_its_input_lives_on_and_nothing_more_is_wanted() {
    let mut world = World::open().await;
    let Reading { mut stream, call, mut verb, stdin, guest: _guest } =
        reading(&mut world, Content::Bytes, 100_000).await;
    drop(stdin);
    give(&mut stream, b"first").await;
    while next_taken(&mut stream).await.until.is_some() {}
    // More than the limit: nobody counts what nobody reads.
    give(&mut stream, &bytes(200_000)).await;
    stream.say(&Frame::StdinEnd).await;
    verb.write(b"still here").await;
    assert_eq!(world.monitor.exit_reader(call, verb).await.bytes, 0);
    world.monitor.end(call);
    let (stdout, _, last) = stream.collect().await;
    assert_eq!((stdout.as_slice(), last), (&b"still here"[..], outcome()));
}

#[tokio::test]
async fn what_a_holder_gives_after_the_end_of_the_verb_is_no_offence() {
    let mut world = World::open().await;
    let Reading { guest, mut stream, call, verb, stdin } =
        reading(&mut world, Content::Bytes, PLENTY).await;
    drop(stdin);
    world.monitor.exit_reader(call, verb).await;
    give(&mut stream, b"too late").await;
    stream.say(&Frame::StdinEnd).await;
    // Another call's way through shows that it has been read by now.
    let mut other = guest.call().await;
    let (second, verb) = world.monitor.start(PLENTY).await;
    world.monitor.exit(second, verb).await;
    world.monitor.end(second);
    other.collect().await;
    world.monitor.end(call);
    assert_eq!(stream.collect().await.2, outcome());
}

#[tokio::test]
async fn a_stream_that_ends_without_a_word_is_not_the_end_of_the_input() {
    let mut world = World::open().await;
    let Reading { mut stream, mut stdin, guest: _guest, call: _call, verb: _verb } =
        reading(&mut world, Content::Bytes, PLENTY).await;
    give(&mut stream, b"half").await;
    stream.send.finish().unwrap();
    let mut got = [0; 4];
    soon("the input", stdin.read_exact(&mut got)).await.unwrap();
    let read = tokio::time::timeout(Duration::from_millis(100), stdin.read_u8()).await;
    assert!(read.is_err(), "{read:?}");
}

#[tokio::test]
async fn se7_a_holder_who_comes_back_goes_on_where_the_daemon_says() {
    let mut world = World::open().await;
    let Reading { guest, mut stream, call: from, verb, mut stdin } =
        reading(&mut world, Content::Bytes, PLENTY).await;
    let whole = bytes(1_000_000);
    give(&mut stream, &whole[..STDIN_AHEAD]).await;
    // A frame that is cut off by the loss of the channel.
    let mut got = vec![0; 250_000];
    soon("the first part", stdin.read_exact(&mut got)).await.unwrap();
    next_taken(&mut stream).await;
    let cut = Frame::Stdin(whole[STDIN_AHEAD..300_000].to_vec().into()).encode().unwrap();
    stream.send.write_all(&cut[..30_000]).await.unwrap();
    guest.connection.close(0u32.into(), b"");
    world.monitor.gone().await;
    let again = world.holder().await;
    let mut stream = Stream::open(&again.connection).await;
    stream.say(&Frame::Call(monitor::a_signed())).await;
    let to = world.monitor.called().await;
    world.monitor.say(&ToBroker::Reattach { from, to });
    assert_eq!(stream.next().await, Frame::Started);
    let resumed = next_taken(&mut stream).await;
    assert!((250_000..=300_000).contains(&resumed.bytes), "{resumed:?}");
    let at = usize::try_from(resumed.bytes).unwrap();
    let giving = give_all(&mut stream, &whole, at, resumed.until.unwrap());
    let ((), rest) = tokio::join!(giving, all(&mut stdin));
    got.extend(rest);
    assert!(got == whole, "{} bytes came", got.len());
    let sha256 = Sha256::digest(&whole).into();
    assert_eq!(world.monitor.exit_reader(to, verb).await, Given { bytes: 1_000_000, sha256 });
}

#[tokio::test]
async fn se7_a_holder_who_comes_back_hears_nothing_that_is_out_of_date() {
    let mut world = World::open().await;
    // Room for the first words and the output, to the byte.
    let small = wire::channel::Limits { stream_window: 64, ..wire::channel::Limits::client() };
    let mut guest = Guest::arrive_with(&world.relay, 1, small).await;
    guest.ask().await;
    let (channel, _) = world.monitor.asked().await;
    world.monitor.seat(channel);
    guest.is_joined().await;
    let mut stream = Stream::open(&guest.connection).await;
    stream.say(&Frame::Call(monitor::a_signed())).await;
    let (from, mut verb, mut stdin) = world.monitor.start_reader(Content::Bytes, PLENTY).await;
    verb.write(&bytes(30)).await;
    let whole = bytes(3 * MAX_DATA);
    // Taken bit by bit, of which one word finds no room, and says too little by the end.
    for piece in whole.chunks(MAX_DATA) {
        give(&mut stream, piece).await;
        let mut got = vec![0; piece.len()];
        soon("the input", stdin.read_exact(&mut got)).await.unwrap();
    }
    guest.connection.close(0u32.into(), b"");
    world.monitor.gone().await;
    let again = world.holder().await;
    let mut stream = Stream::open(&again.connection).await;
    stream.say(&Frame::Call(monitor::a_signed())).await;
    let to = world.monitor.called().await;
    world.monitor.say(&ToBroker::Reattach { from, to });
    world.monitor.exit_reader(to, verb).await;
    world.monitor.end(to);
    let mut heard = 0;
    loop {
        match stream.next().await {
            Frame::Taken(taken) => {
                assert!(taken.bytes >= heard, "{taken:?} after {heard}");
                heard = taken.bytes;
            }
            Frame::Started | Frame::Stdout(_) => {}
            last => break assert_eq!(last, outcome()),
        }
    }
}

#[tokio::test]
async fn nothing_is_given_to_a_verb_that_takes_nothing() {
    let mut world = World::open().await;
    for (what, frame) in
        [("a piece", Frame::Stdin(b"x".as_slice().into())), ("an end", Frame::StdinEnd)]
    {
        let guest = world.holder().await;
        let mut stream = Stream::open(&guest.connection).await;
        stream.say(&Frame::Call(monitor::a_signed())).await;
        let (_call, _verb) = world.monitor.start(PLENTY).await;
        assert_eq!(stream.next().await, Frame::Started);
        stream.say(&frame).await;
        assert_eq!(guest.farewell().await, Farewell::Protocol, "{what}");
    }
}

#[tokio::test]
async fn input_out_of_turn_ends_the_channel() {
    let mut world = World::open().await;
    let early = world.holder().await;
    let mut stream = Stream::open(&early.connection).await;
    stream.say(&Frame::Call(monitor::a_signed())).await;
    world.monitor.called().await;
    give(&mut stream, b"before it runs").await;
    assert_eq!(early.farewell().await, Farewell::Protocol);

    let Reading { guest, mut stream, call: _call, verb: _verb, stdin: _stdin } =
        reading(&mut world, Content::Bytes, PLENTY).await;
    stream.say(&Frame::StdinEnd).await;
    give(&mut stream, b"after the end").await;
    assert_eq!(guest.farewell().await, Farewell::Protocol);

    let Reading { guest, mut stream, call: _call, verb: _verb, stdin: _stdin } =
        reading(&mut world, Content::Bytes, PLENTY).await;
    stream.say(&Frame::EndSeen).await;
    assert_eq!(guest.farewell().await, Farewell::Protocol);
}

#[tokio::test]
async fn a_holder_who_does_not_read_costs_no_more_by_giving() {
    let mut world = World::open().await;
    let small = wire::channel::Limits { stream_window: 64, ..wire::channel::Limits::client() };
    let mut guest = Guest::arrive_with(&world.relay, 1, small).await;
    guest.ask().await;
    let (channel, _) = world.monitor.asked().await;
    world.monitor.seat(channel);
    guest.is_joined().await;
    let mut stream = Stream::open(&guest.connection).await;
    stream.say(&Frame::Call(monitor::a_signed())).await;
    let (call, verb, mut stdin) = world.monitor.start_reader(Content::Bytes, PLENTY).await;
    let giving = async {
        for byte in 0..5_000_u32 {
            stream.say(&Frame::Stdin(vec![byte.to_le_bytes()[0]].into())).await;
        }
        stream.say(&Frame::StdinEnd).await;
    };
    let ((), got) = tokio::join!(giving, all(&mut stdin));
    assert_eq!(got.len(), 5_000);
    world.monitor.exit_reader(call, verb).await;
    world.monitor.end(call);
    // What was to be said in the meantime is one word, not five thousand.
    let mut told = 0;
    while let Frame::Started | Frame::Taken(_) = stream.next().await {
        told += 1;
    }
    assert!(told < 20, "{told} frames");
}
