//! Loom tries all interleavings of the state word: `cargo test -p iris-sched --features
//! loom --test loom_state --release`.
#![cfg(feature = "loom")]

use std::sync::Arc;

use iris_sched::state::{Phase, StateWord};
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

/// A mailbox that is only a count, the word, and what a scheduler would queue.
struct Model {
    word: StateWord,
    mail: Mutex<usize>,
    inside: AtomicUsize,
    handled: AtomicUsize,
}

impl Model {
    fn new() -> Self {
        Self {
            word: StateWord::default(),
            mail: Mutex::new(0),
            inside: AtomicUsize::new(0),
            handled: AtomicUsize::new(0),
        }
    }

    /// Pushes one message; runs the process on this thread if it must be scheduled,
    /// which is what a scheduler with a thread for each ready process would do.
    fn send(&self) {
        *self.mail.lock().unwrap() += 1;
        if self.word.notify() {
            self.run();
        }
    }

    fn run(&self) {
        loop {
            self.word.start();
            assert_eq!(
                self.inside.fetch_add(1, Ordering::SeqCst),
                0,
                "two threads inside"
            );
            let got = {
                let mut mail = self.mail.lock().unwrap();
                let got = *mail;
                *mail -= usize::from(got > 0);
                got
            };
            self.handled
                .fetch_add(usize::from(got > 0), Ordering::SeqCst);
            self.inside.fetch_sub(1, Ordering::SeqCst);
            // One message for each slice: what is left is either requeued or finished.
            if got > 1 {
                self.word.requeue();
            } else if !self.word.finish() {
                return;
            }
        }
    }
}

#[test]
fn never_two_inside_and_no_wake_up_is_lost() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let threads = [(); 2].map(|()| {
            let model = Arc::clone(&model);
            thread::spawn(move || model.send())
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(
            model.handled.load(Ordering::SeqCst),
            2,
            "a message was left lying"
        );
        assert_eq!(model.word.phase(), Phase::Idle);
    });
}

#[test]
fn a_process_that_has_ended_is_not_scheduled_again() {
    loom::model(|| {
        let word = Arc::new(StateWord::default());
        assert!(word.notify());
        word.start();
        let late = {
            let word = Arc::clone(&word);
            thread::spawn(move || word.notify())
        };
        word.end();
        assert!(
            !late.join().unwrap(),
            "the runner was still there, or it has ended"
        );
        assert!(!word.notify());
        assert_eq!(word.phase(), Phase::Ended);
    });
}
