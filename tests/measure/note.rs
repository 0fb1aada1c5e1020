//! A note, from one channel of a seat until another hears it; and until its receipt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Event, Seat, Session};
use policy::{Arguments, NOTE_TEXT, Timestamp, Value, VerbName};
use tokio::time::sleep;
use wire::channel::HolderKey;

use crate::clients::runtime;
use crate::figure::Figure;
use crate::reading::Reading;
use crate::sample::Samples;
use crate::scene::{Scene, now};

const NOTES: usize = 300;
/// Fewer than ten a second pass.
const PAUSE: Duration = Duration::from_millis(101);
const BUDGET: Duration = Duration::from_secs(25);

const VERB: &str = r#"
[verb."owner.note"]
summary = "Leaves the owner a note"
effect  = "read"
run     = { note = {} }
"#;

pub fn measure(figure: &Figure) -> Vec<Reading> {
    let scene = Scene::with(|setup| {
        setup.verbs += VERB;
        setup.policy = setup
            .policy
            .replace("\"test.true\" = {}", "\"test.true\" = {}, \"owner.note\" = {}")
            .replace("[\"log.*\"", "[\"owner.*\", \"log.*\"");
    });
    let share = scene.open(&["owner.note"]);
    let (heard, receipts) = runtime().block_on(async {
        let holder = Seat::new_holder_key().expect("make a holder key");
        let join = async || {
            let seat = Seat::open(&share.handle, scene.identities(), now()).expect("open it");
            let holder = HolderKey::from_seed(*holder.seed());
            Session::join(Arc::new(seat), holder, Duration::from_secs(10)).await
        };
        let (says, hears) = (join().await.expect("a seat"), join().await.expect("the same seat"));
        let (mut heard, mut receipts, begun) = (Vec::new(), Vec::new(), Instant::now());
        while heard.len() < NOTES && begun.elapsed() < BUDGET {
            sleep(PAUSE).await;
            let (to_the_other, to_the_receipt) = leave(&says, &hears).await;
            heard.push(to_the_other);
            receipts.push(to_the_receipt);
        }
        says.close().await;
        hears.close().await;
        (Samples::from_iter(heard), Samples::from_iter(receipts))
    });
    let spread = format!("p90 {:.2} ms over {} of 32 bytes", heard.percentile(90), heard.len());
    let against = format!("its signed receipt: p50 {:.2} ms", receipts.median());
    vec![figure.read(heard.median(), spread, against)]
}

/// How long until another channel of the seat hears a note, and until its receipt.
async fn leave(says: &Session, hears: &Session) -> (Duration, Duration) {
    let verb: VerbName = "owner.note".parse().expect("a verb");
    let text = Value::text("x".repeat(32)).expect("a value");
    let name = NOTE_TEXT.parse().expect("a name");
    let arguments: Arguments = [(name, text)].into_iter().collect();
    let mut notes = hears.notes();
    let last = notes.borrow().after(Timestamp(0)).last().map_or(Timestamp(0), |note| note.at);
    let begun = Instant::now();
    let mut call = says.call(verb, arguments).expect("make a call");
    let receipt = async {
        loop {
            match call.next().await.expect("it goes on") {
                Event::Ended(_) => return begun.elapsed(),
                Event::Refused(refusal) => panic!("refused: {refusal:?}"),
                Event::Started
                | Event::Wanted
                | Event::Pending(_)
                | Event::Stdout(_)
                | Event::Stderr(_)
                | Event::Lost => {}
            }
        }
    };
    let heard = async {
        let is_new = |notes: &client::Notes| notes.after(last).next().is_some();
        notes.wait_for(is_new).await.expect("the session goes on");
        begun.elapsed()
    };
    tokio::join!(heard, receipt)
}
