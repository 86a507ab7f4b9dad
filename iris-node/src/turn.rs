//! A turn of the event loop, from here: `lib/lane.js` calls these.

use std::ffi::CStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use iris::{Exit, Failure, Payload, Shift};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::context;
use crate::convert;
use crate::core::{Core, Shared};
use crate::hand::{self, End, Hand, Mail};
use crate::news::{News, Value};
use crate::raw::{self, Answer, Args, Raw};
use crate::system::{self, SystemObject};

/// Payloads beyond this have a buffer of their own: one that is kept must not keep an arena of
/// others, nor make arenas large.
pub(crate) const OWN_BUFFER_BYTES: usize = 4096;

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

/// Puts the functions of this module into `object`.
pub(crate) fn define(env: &Env, object: &Object<'_>, shared: &Arc<Shared>) -> Result<()> {
    raw::define::<Turn>(env, object, shared)?;
    raw::define::<Fill>(env, object, shared)?;
    raw::define::<IsStopped>(env, object, shared)?;
    raw::define::<ContextOf>(env, object, shared)?;
    raw::define::<Waits>(env, object, shared)?;
    raw::define::<Done>(env, object, shared)?;
    raw::define::<Reply>(env, object, shared)
}

/// `turn(collects, arena, offset, index, pids, head)`: the batch is handled. Has its processes go
/// on, but for those whose handlers wait; takes news; and takes messages in hand if it is to, and
/// writes them as `fill` does if there is room.
///
/// The result is how many processes the messages are for. `head` gets
///
/// 0. the number of messages,
/// 1. the bytes of the arena that they take, or that `fill` needs,
/// 2. whether they are written,
/// 3. how many answers there are: their bytes are in the arena from `offset` on, one after the
///    other, before the messages; for each there is its ticket in `pids` and its length in `index`,
///    each from the end on,
/// 4. whether there is [more to be told](Core::news),
/// 5. whether slots or contexts are [free](Core::freed),
/// 6. whether the loop is to turn again: it is not if nothing was there, and is woken then.
struct Turn;

impl Raw for Turn {
    const NAME: &'static CStr = c"turn";

    fn call(shared: &Shared, args: &Args) -> Result<Answer> {
        let collects = args.flag(0)?;
        let at = args.count(2)? as usize;
        // SAFETY: the four arrays are `lib/lane.js`'s own, and have nothing in common.
        let (mut sheet, head) = unsafe {
            let sheet = Sheet {
                arena: args.elements(1)?,
                at,
                index: args.elements(3)?,
                pids: args.elements(4)?,
            };
            (sheet, args.elements::<i32>(5)?)
        };
        shared.settle();
        let (answers, is_told) = shared.answers(&mut sheet);
        if collects {
            shared.collect();
        }
        shared.lane.count_turn();
        let hand = shared.lane.hand();
        let (entries, messages, _) = hand.size();
        let bytes = small_bytes(&hand);
        let fits = sheet.has_room(entries, messages, answers, bytes);
        if fits {
            sheet.fill(&hand);
        }
        let words = [
            int(messages),
            int(bytes),
            i32::from(fits),
            int(answers),
            i32::from(is_told),
            i32::from(shared.lane.has_freed()),
            i32::from(shared.lane.is_signalled()),
        ];
        for (place, word) in head.iter_mut().zip(words) {
            *place = word;
        }
        Ok(int(entries).into())
    }
}

/// `fill(arena, offset, index, pids)`: writes what is in hand: the bytes of small messages into
/// `arena` from `offset` on, one after the other; for each process the handler's slot, the number
/// of its messages, its flags and the length of each message into `index`, -1 for those that are to
/// be [fetched](Fetch); and its pid into `pids`.
struct Fill;

impl Raw for Fill {
    const NAME: &'static CStr = c"fill";

    fn call(shared: &Shared, args: &Args) -> Result<Answer> {
        let at = args.count(1)? as usize;
        // SAFETY: the three arrays are `lib/lane.js`'s own, and have nothing in common.
        let mut sheet = unsafe {
            Sheet {
                arena: args.elements(0)?,
                at,
                index: args.elements(2)?,
                pids: args.elements(3)?,
            }
        };
        let hand = shared.lane.hand();
        let (entries, messages, _) = hand.size();
        if !sheet.has_room(entries, messages, 0, small_bytes(&hand)) {
            return Err(Error::from_reason("the arena is too small"));
        }
        sheet.fill(&hand);
        Ok(Answer::Nothing)
    }
}

/// What JavaScript reads a batch from.
struct Sheet<'a> {
    arena: &'a mut [u8],
    /// Where in it the next byte goes.
    at: usize,
    index: &'a mut [i32],
    pids: &'a mut [f64],
}

impl Sheet<'_> {
    /// Whether a batch fits beside so many answers.
    fn has_room(&self, entries: usize, messages: usize, answers: usize, bytes: usize) -> bool {
        self.arena.len().saturating_sub(self.at) >= bytes
            && self.index.len() >= 3 * entries + messages + answers
            && self.pids.len() >= entries + answers
    }

    fn fill(&mut self, hand: &Hand) {
        let mut index = self.index.iter_mut();
        let mut write = |word: i32| {
            if let Some(place) = index.next() {
                *place = word;
            }
        };
        for (entry, pid) in hand.entries().iter().zip(&mut *self.pids) {
            *pid = convert::number(entry.pid);
            write(int(entry.slot as usize));
            match &entry.mail {
                Mail::User(batch) => {
                    write(int(batch.len()));
                    write(entry.flags);
                    for payload in batch {
                        if payload.len() > OWN_BUFFER_BYTES {
                            write(-1);
                            continue;
                        }
                        let end = self.at + payload.len();
                        self.arena[self.at..end].copy_from_slice(payload);
                        self.at = end;
                        write(int(payload.len()));
                    }
                }
                Mail::System(_) => {
                    write(1);
                    write(entry.flags);
                    write(-1);
                }
            }
        }
    }
}

/// The bytes of messages in hand that go into the arena.
fn small_bytes(hand: &Hand) -> usize {
    let small = hand.entries().iter().map(|entry| match &entry.mail {
        Mail::User(batch) => batch
            .iter()
            .map(|one| one.len())
            .filter(|len| *len <= OWN_BUFFER_BYTES)
            .sum(),
        Mail::System(_) => 0,
    });
    small.sum()
}

impl Shared {
    /// Takes messages in hand.
    fn collect(&self) {
        let mut shift = Shift::default();
        let mut slices = 0_u32;
        let mut since = None;
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
            if slices.is_multiple_of(16) {
                // Few slices need no look at the clock.
                let since = since.get_or_insert_with(Instant::now);
                if since.elapsed() >= COLLECT_TIME {
                    break;
                }
            }
        }
    }

    /// Has the processes of the batch go on, but for those whose handlers wait.
    fn settle(&self) {
        let mut batch = {
            let mut hand = self.lane.hand();
            if hand.entries().is_empty() {
                return;
            }
            hand.take_batch()
        };
        for entry in batch.drain(..) {
            hand::settle(entry);
        }
        self.lane.hand().give_spare(batch);
    }

    /// Takes news. Short answers are written at once, so many; all else is held until it is asked
    /// for, if there is any.
    fn answers(&self, sheet: &mut Sheet<'_>) -> (usize, bool) {
        let mut answers = 0;
        let mut held = Vec::new();
        for one in self.lane.take_news() {
            let (ticket, outcome) = match one {
                News::Settled(ticket, outcome) => (ticket, outcome),
                News::Look(ticket) => {
                    if let Some(outcome) = self.look(ticket) {
                        (ticket, outcome)
                    } else {
                        if !self.is_awaited(ticket) {
                            held.push(News::Look(ticket));
                        }
                        continue;
                    }
                }
                other => {
                    held.push(other);
                    continue;
                }
            };
            match outcome {
                Ok(Value::Bytes(payload)) if sheet.answer(ticket, &payload, answers) => {
                    answers += 1;
                }
                outcome => held.push(News::Settled(ticket, outcome)),
            }
        }
        let is_told = !held.is_empty();
        if is_told {
            self.held().append(&mut held);
        }
        (answers, is_told)
    }

    fn ended(&self, entry: Option<usize>, pid: f64, end: End) {
        let Some(pid) = convert::pid(pid) else {
            return;
        };
        let waited = self.lane.hand().note(entry, pid, end);
        if let Some(waited) = waited {
            hand::settle(waited);
        }
    }
}

impl Sheet<'_> {
    /// Writes an answer that comes after so many; whether there was room.
    fn answer(&mut self, ticket: u32, payload: &[u8], before: usize) -> bool {
        let end = self.at + payload.len();
        // What is left is for messages.
        let most = self.pids.len().min(self.index.len()) / 2;
        if payload.len() > OWN_BUFFER_BYTES || end > self.arena.len() || before >= most {
            return false;
        }
        self.arena[self.at..end].copy_from_slice(payload);
        self.at = end;
        let (pids, index) = (self.pids.len(), self.index.len());
        self.pids[pids - 1 - before] = ticket.into();
        self.index[index - 1 - before] = int(payload.len());
        true
    }
}

/// `isStopped(entry, pid)`: whether the process of `entry`, or of `pid` if its handler has waited
/// (`entry` is -1), was told to stop at once.
struct IsStopped;

impl Raw for IsStopped {
    const NAME: &'static CStr = c"isStopped";

    fn call(shared: &Shared, args: &Args) -> Result<Answer> {
        let (entry, pid) = (args.place(0)?, convert::pid(args.number(1)?));
        let hand = shared.lane.hand();
        Ok(Answer::Flag(match (entry, pid) {
            (Some(entry), _) => hand.is_stopped(entry),
            (None, Some(pid)) => hand.waiting(pid).is_some_and(iris::Parked::is_stopped),
            (None, None) => false,
        }))
    }
}

/// `contextOf(entry, pid, number)`: the number of the context that the message with that number
/// of `entry`, or of `pid` if its handler has waited (`entry` is -1), has brought; 0 for none.
struct ContextOf;

impl Raw for ContextOf {
    const NAME: &'static CStr = c"contextOf";

    fn call(shared: &Shared, args: &Args) -> Result<Answer> {
        let (entry, pid) = (args.place(0)?, convert::pid(args.number(1)?));
        let number = args.count(2)? as usize;
        let mut hand = shared.lane.hand();
        let payload = match hand.mail(entry, pid) {
            Some(Mail::User(batch)) => batch.get(number),
            _ => None,
        };
        Ok(Answer::Number(payload.map_or(0, context::number).into()))
    }
}

/// `waits(entry)`: the handler of an entry waits for a promise.
struct Waits;

impl Raw for Waits {
    const NAME: &'static CStr = c"waits";

    fn call(shared: &Shared, args: &Args) -> Result<Answer> {
        let entry = args.count(0)? as usize;
        let process = shared.lane.hand().set_apart(entry);
        if let Some(process) = process {
            process.when_told_to_stop(shared.lane.stop_hook());
            if !process.is_alive() {
                // Before there was a hook.
                shared.lane.tell(News::Stopped(process.pid()));
            }
        }
        Ok(Answer::Nothing)
    }
}

/// `done(pid)`: a handler that has waited has handled all that it had.
struct Done;

impl Raw for Done {
    const NAME: &'static CStr = c"done";

    fn call(shared: &Shared, args: &Args) -> Result<Answer> {
        shared.ended(None, args.number(0)?, End::Done);
        Ok(Answer::Nothing)
    }
}

/// `answer(entry, pid, bytes)`: the handler answers who asked; `entry` is -1 if it has waited.
struct Reply;

impl Raw for Reply {
    const NAME: &'static CStr = c"answer";

    fn call(shared: &Shared, args: &Args) -> Result<Answer> {
        let answer = Payload::copy_of(args.bytes(2)?);
        shared.ended(args.place(0)?, args.number(1)?, End::Reply(answer));
        Ok(Answer::Nothing)
    }
}

#[napi]
impl Core {
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

    // From here on `entry` is -1 for a handler that has waited.

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

    /// Tells who asks a process in hand what its handler has thrown, which is not its end; whether
    /// somebody waits.
    #[napi(catch_unwind)]
    pub fn fails(&self, pid: f64, kind: String, message: String, stack: String) -> bool {
        let reply = convert::pid(pid).and_then(|pid| self.lane.hand().take_reply(pid));
        let failure = Failure {
            kind,
            message,
            traceback: stack,
        };
        reply.is_some_and(|reply| reply.fail_over(failure))
    }

    /// The handler wants its process to end, with so many messages handled.
    #[napi(catch_unwind)]
    pub fn stops(&self, entry: i32, pid: f64, handled: u32) {
        let exit = Exit::default();
        self.ended(
            usize::try_from(entry).ok(),
            pid,
            End::Stop(exit, handled as usize),
        );
    }

    /// The process was told to end, with so many messages handled.
    #[napi(catch_unwind)]
    pub fn told(&self, entry: i32, pid: f64, handled: u32) {
        self.ended(
            usize::try_from(entry).ok(),
            pid,
            End::Told(handled as usize),
        );
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
        self.ended(usize::try_from(entry).ok(), pid, end);
    }

    /// Slots of handlers that no process has any more, and numbers of contexts that no message
    /// has.
    #[napi(catch_unwind)]
    pub fn freed(&self) -> Vec<Vec<u32>> {
        let (slots, contexts) = self.lane.take_freed();
        vec![slots, contexts]
    }
}

/// A count as JavaScript's arrays have it. They are bounded by what a batch takes; a budget can
/// make one larger, but not that large.
pub(crate) fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
