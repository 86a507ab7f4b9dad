//! Who hears of what happens to messages, monitors and questions.

use crate::history::{Life, Note, Pair};

/// Hears of everything that happens at a [`Recorder`](crate::Recorder), on any thread, in the order
/// in which it happens there. No method may block for long. [`History`](crate::History) keeps it
/// in memory and checks it; a long test with processes that are killed keeps it in files.
pub trait Witness: Send + Sync {
    /// A message is accepted: its name.
    fn accepted(&self, pair: Pair) -> Note;

    /// A message has come to a process.
    fn delivered(&self, at: Life, process: u64, data: &[u8]);

    /// A process has not always room for messages: what has come to its node waits there, and
    /// crashes with it.
    fn slow(&self, process: u64);

    /// A message has come to the runtime of its process, which keeps it until there is room.
    fn held(&self, data: &[u8]);

    /// A message is not wanted where it came to.
    fn refused(&self, data: &[u8]);

    /// A message is a dead letter of the runtime that had accepted it.
    fn returned(&self, data: &[u8]);

    /// A runtime counts a dead letter of which it has not got the message.
    fn reported(&self);

    /// A life begins to monitor.
    fn monitors(&self, life: Life, monitor: u64);

    /// It does not any more.
    fn forgets(&self, life: Life, monitor: u64);

    /// A monitor has a DOWN.
    fn down(&self, life: Life, monitor: u64);

    /// A life asks a question.
    fn asks(&self, life: Life, question: u64);

    /// A question has come to a process.
    fn handles(&self, life: Life, question: u64);

    /// A question is answered: by who was asked, or else with an error.
    fn answered(&self, life: Life, question: u64, by_asked: bool);

    /// A rule was broken that only who tells this knows of.
    fn breaks(&self, text: String);
}
