//! Processes that get many messages at once.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::{Arc, Mutex};

use iris_core::{
    BatchBehavior, Behavior, Context, Envelope, ExitReason, Lane, Message, Payload, State, Step,
    question,
};
use iris_sched::{ProcessOptions, Status};
use iris_testkit::World;

type Log = Arc<Mutex<Vec<String>>>;

/// Notes what comes together; each batch ends as its last message says.
struct Batches(Log);

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("tests send text")
}

impl Behavior for Batches {
    fn handle(&self, _: &mut State, cx: &mut Context<'_>, message: Message) -> Step {
        let word = message
            .as_user()
            .map_or_else(|| "news".to_owned(), |it| text(it));
        self.0.lock().unwrap().push(format!("single {word}"));
        cx.reply(Payload::copy_of(b"answer"));
        Step::Done
    }

    fn as_batch(&self) -> Option<&dyn BatchBehavior> {
        Some(self)
    }
}

impl BatchBehavior for Batches {
    fn handle_batch(&self, _: &mut State, _: &mut Context<'_>, batch: Vec<Payload>) -> Step {
        let words: Vec<String> = batch.iter().map(|payload| text(payload)).collect();
        self.0.lock().unwrap().push(words.join(" "));
        match words.last().map(String::as_str) {
            Some("stop") => Step::stop(),
            Some("panic") => panic!("a test panics on purpose"),
            Some("yield") => Step::Yield,
            Some("await") => Step::Await(Box::pin(async { Step::Done })),
            _ => Step::Done,
        }
    }
}

fn spawn(world: &World, budget: u32) -> (iris_core::Pid, Log) {
    let log = Log::default();
    let options = ProcessOptions {
        budget_reductions: budget,
        ..ProcessOptions::default()
    };
    (world.spawn(Batches(log.clone()), options), log)
}

fn lines(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.lock().unwrap())
}

#[test]
fn what_is_there_comes_together_up_to_the_budget() {
    let world = World::new(1);
    let (pid, log) = spawn(&world, 3);
    for word in ["0", "1", "2", "3", "4", "5", "6"] {
        world.send(pid, word).unwrap();
    }
    world.run();
    assert_eq!(lines(&log), ["0 1 2", "3 4 5", "6"]);
    let process = world.process(pid);
    assert_eq!(
        (process.handled(), process.mailbox_size(), process.status()),
        (7, 0, Status::Idle)
    );
}

#[test]
fn every_step_of_a_batch_leaves_the_rest_where_it_is() {
    for word in ["yield", "await"] {
        let world = World::new(2);
        let (pid, log) = spawn(&world, 2);
        for word in ["0", word, "2", "3"] {
            world.send(pid, word).unwrap();
        }
        world.run();
        assert_eq!(lines(&log), [format!("0 {word}"), "2 3".to_owned()]);
    }
}

#[test]
fn the_end_comes_after_the_batch_and_the_rest_is_left() {
    for (word, reason) in [("stop", ExitReason::Normal), ("panic", ExitReason::Panic)] {
        let world = World::new(3);
        let (pid, log) = spawn(&world, 2);
        for word in ["0", word, "2"] {
            world.send(pid, word).unwrap();
        }
        world.run();
        assert_eq!(lines(&log), [format!("0 {word}")]);
        let exits = world.exits();
        assert_eq!(exits[0].exit.reason, reason);
        assert_eq!(exits[0].remaining, [Message::from(&b"2"[..])]);
    }
}

#[test]
fn a_question_and_an_order_part_batches_and_keep_their_places() {
    let world = World::new(4);
    let (pid, log) = spawn(&world, 100);
    for word in ["0", "1"] {
        world.send(pid, word).unwrap();
    }
    let (to, reply) = question(pid);
    let asked = Envelope::User(Payload::copy_of(b"2"), Some(to));
    world.table.push(pid, Lane::User, asked).unwrap();
    for word in ["3", "4"] {
        world.send(pid, word).unwrap();
    }
    world
        .process(pid)
        .stop(Lane::User, ExitReason::Shutdown.into());
    world.run();
    assert_eq!(lines(&log), ["0 1", "single 2", "3 4"]);
    assert_eq!(&reply.try_take().unwrap().unwrap()[..], b"answer");
    let exits = world.exits();
    assert_eq!(exits[0].exit.reason, ExitReason::Shutdown);
    assert!(exits[0].remaining.is_empty());
}
