//! Recipients in this process, through the client's library.

use std::sync::Arc;
use std::time::Duration;

use client::{Event, Seat, Session};
use policy::{Arguments, ParameterName, Value, VerbName};
use tokio::runtime::Runtime;
use wire::handle::Identity;

use crate::scene::now;

/// How long a lost channel is tried again.
const PATIENCE: Duration = Duration::from_secs(10);

/// A runtime as the client has it: one thread.
pub fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("make a runtime")
}

/// Takes the seat of this handle.
pub async fn join(handle: &str, identities: &[Identity]) -> Session {
    let seat = Seat::open(handle, identities, now()).expect("open the handle");
    let holder = Seat::new_holder_key().expect("make a holder key");
    Session::join(Arc::new(seat), holder, PATIENCE).await.expect("take the seat")
}

/// A call of `test.sh name=…`.
pub fn script(name: &str) -> (VerbName, Arguments) {
    let parameter: ParameterName = "name".parse().expect("a name");
    let arguments = [(parameter, Value::text(name).expect("a value"))].into_iter().collect();
    ("test.sh".parse().expect("a verb"), arguments)
}

/// Runs `/bin/true` once, to its receipt.
pub async fn call_true(session: &Session) {
    call(session, "test.true").await;
}

/// Calls a verb that takes nothing, to its receipt.
pub async fn call(session: &Session, verb: &str) {
    let verb: VerbName = verb.parse().expect("a verb");
    let mut call = session.call(verb, Arguments::default()).expect("make a call");
    loop {
        match call.next().await.expect("the call goes on") {
            Event::Ended(receipt) => {
                assert!(receipt.is_complete());
                return;
            }
            Event::Refused(refusal) => panic!("refused: {refusal:?}"),
            Event::Started
            | Event::Wanted
            | Event::Pending(_)
            | Event::Stdout(_)
            | Event::Stderr(_)
            | Event::Lost => {}
        }
    }
}
