//! What a log sees of an end. A program of its own, for a subscriber is for the whole program.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::{Debug, Write};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use iris::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

const PATIENCE: Duration = Duration::from_secs(20);

/// Hands the errors of the runtime to the test, as text.
struct Errors(Mutex<Sender<String>>);

impl Subscriber for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                write!(self.0, "{field}={value:?} ").unwrap();
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().send(text.0).unwrap();
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn one(logged: &Receiver<String>) -> String {
    let text = logged.try_recv().expect("it was logged before its end");
    assert_eq!(logged.try_recv().ok(), None, "and once");
    text
}

/// D13, D14: a handler that failed was printed twice and went on, and a pull actor that failed
/// had ended with reason `normal`.
#[test]
fn a_failure_is_logged_once_and_ends_its_process() {
    let (say, logged) = channel();
    tracing::subscriber::set_global_default(Errors(Mutex::new(say))).unwrap();
    let rt = Runtime::builder().workers(2).start().unwrap();

    let push = rt
        .spawn(handler(|_, _| panic!("a push handler's failure")))
        .start()
        .unwrap();
    rt.send_user(push, "x").unwrap();
    assert_eq!(rt.join(push, Some(PATIENCE)), Ok(true));
    let text = one(&logged);
    for part in [
        "a push handler's failure",
        "reason=panic",
        &push.to_string(),
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }

    let pull = rt.receiver("the puller");
    let fail = |_| -> () { panic!("a pull actor's failure") };
    let pull = pull.start_pull(fail).unwrap();
    assert_eq!(rt.join(pull, Some(PATIENCE)), Ok(true));
    let text = one(&logged);
    for part in ["a pull actor's failure", "reason=panic", "the puller"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(rt.exit_counts().failed, 2);

    let quiet = rt.spawn(handler(|_, _| Step::stop())).start().unwrap();
    rt.send_user(quiet, "x").unwrap();
    assert_eq!(rt.join(quiet, Some(PATIENCE)), Ok(true));
    assert_eq!(logged.try_recv().ok(), None, "a normal end is no error");
}
