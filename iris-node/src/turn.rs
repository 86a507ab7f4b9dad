//! A turn of the event loop, from here: `lib/lane.js` calls these.

use std::time::{Duration, Instant};

use iris::{Exit, Failure, Payload, Shift};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::convert;
use crate::core::Core;
use crate::hand::{self, End, Mail};
use crate::news::News;
use crate::system::{self, SystemObject};

/// Payloads beyond this have a buffer of their own: one that is kept must not keep an arena of
/// others, nor make arenas large.
const OWN_BUFFER_BYTES: usize = 4096;

/// Payloads beyond this are given to JavaScript without a copy, which costs a microsecond by itself.
const LENT_BYTES: usize = 64 << 10;

/// How much is taken in hand at a time. Handlers decide how long that takes, so it is little; the
/// costs for each time are spread over enough by then.
const MOST_ENTRIES: usize = 256;
const MOST_MESSAGES: usize = 1024;
const MOST_BYTES: usize = 64 << 10;

/// How long slices are run for one batch: most of them find nothing that handlers are called for.
const COLLECT_TIME: Duration = Duration::from_micros(500);

/// What a message is that is no slice of the arena.
pub(crate) type Extra<'env> = Either<BufferSlice<'env>, SystemObject>;

#[napi]
impl Core {
    /// Takes messages in hand; the number of processes that they are for. `head` gets the number
    /// of messages, the bytes that the arena needs, and whether the loop is to look again: it
    /// is not if nothing was there, and is woken then.
    #[napi(catch_unwind)]
    pub fn collect(&self, mut head: Int32ArraySlice<'_>) -> i32 {
        let since = Instant::now();
        let mut shift = Shift::default();
        let mut slices = 0_u32;
        loop {
            let (entries, messages, bytes) = self.lane.hand().size();
            if entries >= MOST_ENTRIES || messages >= MOST_MESSAGES || bytes >= MOST_BYTES {
                break;
            }
            let Some(ready) = self.lane.next(entries == 0) else {
                break;
            };
            shift.run(ready);
            slices += 1;
            if slices.is_multiple_of(16) && since.elapsed() >= COLLECT_TIME {
                break;
            }
        }
        drop(shift);
        self.lane.count_turn();
        let hand = self.lane.hand();
        let (entries, messages, _) = hand.size();
        let small = hand.entries().iter().map(|entry| match &entry.mail {
            Mail::User(batch) => batch
                .iter()
                .map(|one| one.len())
                .filter(|len| *len <= OWN_BUFFER_BYTES)
                .sum(),
            Mail::System(_) => 0,
        });
        let small: usize = small.sum();
        let words = [messages, small, usize::from(self.lane.is_signalled())];
        // SAFETY: JavaScript, on whose thread this is, does not look at it meanwhile.
        let head = unsafe { head.as_mut() };
        for (place, word) in head.iter_mut().zip(words) {
            *place = int(word);
        }
        int(entries)
    }

    /// Writes what is in hand: the bytes of small messages into `arena` from `offset` on, one after
    /// the other; for each process the handler's slot, the number of its messages, its flags and
    /// the length of each message into `index`, -1 for those that are to be [fetched](Self::extra);
    /// and its pid into `pids`.
    #[napi(catch_unwind)]
    pub fn fill(
        &self,
        mut arena: Uint8ArraySlice<'_>,
        offset: u32,
        mut index: Int32ArraySlice<'_>,
        mut pids: Float64ArraySlice<'_>,
    ) -> Result<()> {
        // SAFETY: they are three, and JavaScript, on whose thread this is, does not look at them
        // meanwhile.
        let (arena, index, pids) = unsafe { (arena.as_mut(), index.as_mut(), pids.as_mut()) };
        let hand = self.lane.hand();
        let mut index = index.iter_mut();
        let mut write = |word: i32| {
            if let Some(place) = index.next() {
                *place = word;
            }
        };
        let mut at = offset as usize;
        for (entry, pid) in hand.entries().iter().zip(pids) {
            *pid = convert::number(entry.pid);
            write(int(entry.slot as usize));
            match &entry.mail {
                Mail::User(batch) => {
                    write(int(batch.len()));
                    write(entry.flags);
                    for payload in batch {
                        let end = at + payload.len();
                        if payload.len() > OWN_BUFFER_BYTES {
                            write(-1);
                        } else if let Some(place) = arena.get_mut(at..end) {
                            place.copy_from_slice(payload);
                            at = end;
                            write(int(payload.len()));
                        } else {
                            return Err(Error::from_reason("the arena is too small"));
                        }
                    }
                }
                Mail::System(_) => {
                    write(1);
                    write(entry.flags);
                    write(-1);
                }
            }
        }
        Ok(())
    }

    /// The message with that number of `entry`, or of `pid` if its handler has waited (`entry` is
    /// -1): one that is not in the arena, and that the handler is called with next.
    #[napi(catch_unwind)]
    pub fn extra<'env>(
        &self,
        env: &'env Env,
        entry: i32,
        pid: f64,
        number: u32,
    ) -> Result<Extra<'env>> {
        let taken = {
            let mut hand = self.lane.hand();
            let entry = usize::try_from(entry).ok();
            match hand.mail(entry, convert::pid(pid)) {
                Some(Mail::User(batch)) => {
                    // It counts as handled, so nobody needs it here any more.
                    let payload = batch.get_mut(number as usize).map(std::mem::take);
                    Ok(payload.unwrap_or_default())
                }
                Some(Mail::System(news)) => Err(system::object(news)),
                None => Ok(Payload::default()),
            }
        };
        match taken {
            Ok(payload) if payload.len() > LENT_BYTES => {
                // Whose only owner is here moves without a copy.
                let bytes = Vec::from(payload.into_bytes());
                Ok(Either::A(BufferSlice::from_data(env, bytes)?))
            }
            Ok(payload) => Ok(Either::A(BufferSlice::copy_from(env, &payload[..])?)),
            Err(news) => Ok(Either::B(news)),
        }
    }

    /// Has the processes of the batch go on, but for those whose handlers wait.
    #[napi(catch_unwind)]
    pub fn settle(&self) {
        let mut batch = self.lane.hand().take_batch();
        for entry in batch.drain(..) {
            hand::settle(entry);
        }
        self.lane.hand().give_spare(batch);
    }

    /// The handler of an entry waits for a promise.
    #[napi(catch_unwind)]
    pub fn waits(&self, entry: u32) {
        let process = self.lane.hand().set_apart(entry as usize);
        let Some(process) = process else {
            return;
        };
        process.when_told_to_stop(self.lane.stop_hook());
        if !process.is_alive() {
            // Before there was a hook.
            self.lane.tell(News::Stopped(process.pid()));
        }
    }

    // From here on `entry` is -1 for a handler that has waited.

    /// The handler that has waited has handled all that it had.
    #[napi(catch_unwind)]
    pub fn done(&self, pid: f64) {
        self.ended(-1, pid, End::Done);
    }

    /// The handler answers who asked.
    #[napi(catch_unwind)]
    pub fn answer(&self, entry: i32, pid: f64, bytes: &[u8]) {
        self.ended(entry, pid, End::Reply(Payload::copy_of(bytes)));
    }

    /// Answers who asks a process in hand before its handler has come to its end, with an error of
    /// its own or not; whether somebody waits.
    #[napi(catch_unwind)]
    pub fn respond(&self, pid: f64, bytes: &[u8], is_error: bool) -> bool {
        let reply = convert::pid(pid).and_then(|pid| self.lane.hand().take_reply(pid));
        let Some(reply) = reply else {
            return false;
        };
        let answer = Payload::copy_of(bytes);
        if is_error {
            reply.reject(answer);
        } else {
            reply.reply(answer);
        }
        true
    }

    /// The handler wants its process to end, with so many messages handled.
    #[napi(catch_unwind)]
    pub fn stops(&self, entry: i32, pid: f64, handled: u32) {
        let exit = Exit::default();
        self.ended(entry, pid, End::Stop(exit, handled as usize));
    }

    /// The process was told to end, with so many messages handled.
    #[napi(catch_unwind)]
    pub fn told(&self, entry: i32, pid: f64, handled: u32) {
        self.ended(entry, pid, End::Told(handled as usize));
    }

    /// The handler threw, over the last of so many messages.
    #[napi(catch_unwind)]
    pub fn crashes(
        &self,
        entry: i32,
        pid: f64,
        handled: u32,
        kind: String,
        message: String,
        stack: String,
    ) {
        let failure = Failure {
            kind,
            message,
            traceback: stack,
        };
        let end = End::Stop(Exit::crash(failure), handled as usize);
        self.ended(entry, pid, end);
    }

    /// Whether the process of `entry`, or of `pid` if it waits, was told to stop at once.
    #[napi(catch_unwind)]
    pub fn is_stopped(&self, entry: i32, pid: f64) -> bool {
        let hand = self.lane.hand();
        match (usize::try_from(entry), convert::pid(pid)) {
            (Ok(entry), _) => hand.is_stopped(entry),
            (Err(_), Some(pid)) => hand.waiting(pid).is_some_and(iris::Parked::is_stopped),
            (Err(_), None) => false,
        }
    }

    /// Slots of handlers that no process has any more.
    #[napi(catch_unwind)]
    pub fn freed(&self) -> Option<Vec<u32>> {
        let freed = self.lane.take_freed();
        (!freed.is_empty()).then_some(freed)
    }
}

impl Core {
    fn ended(&self, entry: i32, pid: f64, end: End) {
        let Some(pid) = convert::pid(pid) else {
            return;
        };
        let entry = usize::try_from(entry).ok();
        let waited = self.lane.hand().note(entry, pid, end);
        if let Some(waited) = waited {
            hand::settle(waited);
        }
    }
}

/// A count as JavaScript's arrays have it. They are bounded by what a batch takes; a budget can
/// make one larger, but not that large.
fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
