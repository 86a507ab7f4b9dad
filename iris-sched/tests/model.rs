//! Random programs on the deterministic scheduler, with books kept beside them.
//!
//! Each run follows from its seed, which a failure names: `IRIS_MODEL_SEED=n` runs that one
//! alone, `IRIS_MODEL_RUNS=n` so many from 0 on. In each run all messages that were ever sent
//! are identified one by one: handled, given back to who sent them, or left over at an end;
//! never two of these.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::panic;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::Bytes;
use iris_core::{
    Answer, AskError, Behavior, Clock, Context, Envelope, Exit, ExitInfo, ExitReason, Failure,
    Lane, Message, MigrationError, Payload, Pid, Reply, State, Step, SystemMessage, handler,
    question,
};
use iris_sched::{
    Activation, Cohort, Due, KEPT_VERSIONS, Process, ProcessOptions, RollbackError, TimerId, Timers,
};
use iris_testkit::World;

/// Runs, unless the environment says how many. In release 10,000 take some seconds.
const RUNS: u64 = if cfg!(debug_assertions) { 500 } else { 10_000 };

/// What the test does to the world in one run.
const OPERATIONS: usize = 120;

/// Marsaglia's xorshift64*, from a seed that is mixed first.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mixed = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self(mixed ^ mixed >> 31 | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).expect("31 bits fit") % end
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Names one message of a run.
type Id = u32;

/// What a handler does with a message: the first byte of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Todo {
    Nothing,
    Yield,
    Charge,
    /// Sends as many messages to the processes that the next two bytes name.
    Send,
    Reply,
    ReplyLater,
    Await,
    /// Panics when it is polled.
    AwaitPanic,
    Stop,
    StopItself,
    Panic,
    Spawn,
}

const TODOS: [Todo; 12] = [
    Todo::Nothing,
    Todo::Yield,
    Todo::Charge,
    Todo::Send,
    Todo::Reply,
    Todo::ReplyLater,
    Todo::Await,
    Todo::AwaitPanic,
    Todo::Stop,
    Todo::StopItself,
    Todo::Panic,
    Todo::Spawn,
];

/// Bytes of a message that is inline, and of one that is shared.
const LENGTHS: [usize; 4] = [16, 40, 41, 200];

fn payload(todo: Todo, id: Id, extra: u16, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[0] = todo as u8;
    bytes[1..5].copy_from_slice(&id.to_le_bytes());
    bytes[5..7].copy_from_slice(&extra.to_le_bytes());
    bytes
}

fn id_of(bytes: &[u8]) -> Id {
    Id::from_le_bytes(bytes[1..5].try_into().expect("four bytes"))
}

/// Where a message has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Handled,
    GivenBack,
    Left,
}

struct Sent {
    to: Pid,
    /// 0 for the test itself.
    from: u64,
    fate: Option<Fate>,
}

/// What one process has gone through.
#[derive(Default)]
struct Seen {
    /// User messages in the order in which they were handled, with the behavior's number.
    handled: Vec<(Id, u32)>,
    /// For FIFO swaps: the first message that is behind it, and the behavior.
    swaps: Vec<(Id, u32)>,
    system: u64,
    cohort: usize,
    ended: bool,
    given_up: bool,
    /// The behaviors that it can go back to.
    history: Vec<u32>,
    swapping: Swapping,
    /// No message is handled by an older behavior from now on.
    floor: u32,
}

/// How a process was swapped so far, and what therefore can be said of its behaviors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Swapping {
    /// In order with messages: each has one right behavior.
    #[default]
    Fifo,
    /// Also over what was queued, or with its cohort: never an older one than the last of that.
    Floor,
    /// In several of these ways, or back, or with a behavior that refuses.
    Mixed,
}

#[derive(Default)]
struct Books {
    messages: Vec<Sent>,
    processes: HashMap<Pid, Seen>,
    pids: Vec<Pid>,
    system_sent: usize,
    system_handled: usize,
    system_left: usize,
    inside: HashSet<Pid>,
    broken: Vec<String>,
    /// Behaviors so far.
    numbers: u32,
    world: Option<Arc<World>>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Books>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Books> {
        // A test that fails still unwinds through it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn enter(&mut self, from: u64, to: Pid) -> Id {
        let id = Id::try_from(self.messages.len()).expect("few messages");
        let fate = None;
        self.messages.push(Sent { to, from, fate });
        id
    }

    fn settle(&mut self, id: Id, fate: Fate) {
        let before = self.messages[id as usize].fate.replace(fate);
        self.check(before.is_none(), || {
            format!("message {id} is {fate:?} after {before:?}")
        });
    }

    /// Notes what must not be. Handlers do not assert, for their panics are part of programs.
    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(what());
        }
    }

    fn target(&self, draw: usize) -> Option<Pid> {
        (!self.pids.is_empty()).then(|| self.pids[draw % self.pids.len()])
    }
}

/// Does what its messages say; `number` tells the versions apart.
struct Obeys {
    number: u32,
    books: Shared,
    /// Whether it refuses the state of the one before.
    refuses: bool,
}

impl Obeys {
    fn user(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Step {
        let pid = cx.pid();
        {
            let mut books = self.books.lock();
            let id = id_of(bytes);
            let to = books.messages[id as usize].to;
            books.check(to == pid, || format!("{pid:?} got what was for {to:?}"));
            books.settle(id, Fate::Handled);
            let seen = books.processes.get_mut(&pid).expect("it was spawned");
            let (ended, floor) = (seen.ended, seen.floor);
            seen.handled.push((id, self.number));
            let number = self.number;
            books.check(!ended, || format!("{pid:?} handled after its end"));
            books.check(number >= floor, || {
                format!("{pid:?} used behavior {number} after {floor}")
            });
        }
        let extra = usize::from(u16::from_le_bytes([bytes[5], bytes[6]]));
        match TODOS[usize::from(bytes[0])] {
            Todo::Nothing => Step::Done,
            Todo::Yield => Step::Yield,
            Todo::Charge => {
                cx.charge(50);
                Step::Done
            }
            Todo::Send => {
                self.send_on(cx, extra);
                Step::Done
            }
            Todo::Reply => Step::Reply(Payload::copy_of(bytes)),
            Todo::ReplyLater => {
                let reply = cx.take_reply();
                let answer = Payload::copy_of(bytes);
                Step::Await(Box::pin(Later(
                    2,
                    Some(move || {
                        if let Some(reply) = reply {
                            reply.reply(answer);
                        }
                        Step::Done
                    }),
                )))
            }
            Todo::Await => Step::Await(Box::pin(Later(extra % 4, Some(|| Step::Done)))),
            Todo::AwaitPanic => Step::Await(Box::pin(Later(1, Some(|| panic!("{PLANNED}"))))),
            Todo::Stop => Step::Stop(Exit::crash(Failure::default())),
            Todo::StopItself => {
                cx.host().stop(pid, ExitReason::Killed.into());
                Step::Done
            }
            Todo::Panic => panic!("{PLANNED}"),
            Todo::Spawn => {
                self.spawn(extra);
                Step::Done
            }
        }
    }

    fn send_on(&self, cx: &mut Context<'_>, extra: usize) {
        for n in 0..=extra % 3 {
            let (to, id) = {
                let mut books = self.books.lock();
                let to = books.target(extra / 3 + n).expect("it is one itself");
                (to, books.enter(cx.pid().raw(), to))
            };
            let bytes = payload(Todo::Nothing, id, 0, LENGTHS[(extra + n) % LENGTHS.len()]);
            if let Err(refused) = cx.send_bytes(to, &bytes) {
                let message = refused.into_message();
                let back = id_of(message.as_user().expect("a user message"));
                self.books.lock().settle(back, Fate::GivenBack);
            }
        }
    }

    fn spawn(&self, extra: usize) {
        let world = self.books.lock().world.clone().expect("there is a world");
        spawn(&world, &world.cohort(), NO_COHORT, &self.books, extra);
    }
}

impl Behavior for Obeys {
    fn init(&self) -> State {
        Box::new(0_u64)
    }

    fn handle(&self, state: &mut State, cx: &mut Context<'_>, message: Message) -> Step {
        let pid = cx.pid();
        {
            let mut books = self.books.lock();
            let alone = books.inside.insert(pid);
            books.check(alone, || format!("two handlers of {pid:?} at once"));
        }
        // Taken out again however this ends.
        let _out = Out(&self.books, pid);
        let count = state.downcast_mut::<u64>().expect("what init made");
        *count += 1;
        match message {
            Message::User(bytes) => self.user(cx, &bytes),
            Message::System(_) => {
                let mut books = self.books.lock();
                books.system_handled += 1;
                let seen = books.processes.get_mut(&pid).expect("it was spawned");
                seen.system += 1;
                Step::Done
            }
            other => panic!("nobody sent {other:?}"),
        }
    }

    fn migrate(&self, old: State, _: u32) -> Result<State, MigrationError> {
        if self.refuses {
            let failure = Failure::default();
            return Err(MigrationError {
                state: old,
                failure,
            });
        }
        Ok(old)
    }

    fn name(&self) -> &'static str {
        "obeys"
    }
}

struct Out<'a>(&'a Shared, Pid);

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.0.lock().inside.remove(&self.1);
    }
}

const PLANNED: &str = "a panic of the program";

/// Ready with what the function says after so many polls.
struct Later<F>(usize, Option<F>);

impl<F: FnOnce() -> Step + Unpin> Future for Later<F> {
    type Output = Step;

    fn poll(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Step> {
        if self.0 > 0 {
            self.0 -= 1;
            return Poll::Pending;
        }
        let say = self.1.take().expect("polled to its end once");
        Poll::Ready(say())
    }
}

/// Of a process that no swap of a cohort reaches.
const NO_COHORT: usize = usize::MAX;

const IDLE: Duration = Duration::from_millis(10);

fn behavior(books: &Shared, refuses: bool) -> Obeys {
    let number = {
        let mut books = books.lock();
        books.numbers += 1;
        books.numbers
    };
    Obeys {
        number,
        books: books.clone(),
        refuses,
    }
}

fn spawn(world: &World, cohort: &Arc<Cohort>, index: usize, books: &Shared, draw: usize) {
    let behavior = behavior(books, false);
    let number = behavior.number;
    let activation = match draw % 4 {
        0 | 1 => Activation::Permanent,
        kind => Activation::Virtual {
            idle_timeout: Some(IDLE),
            reactivate: kind == 2,
        },
    };
    let options = ProcessOptions {
        budget_reductions: [1, 3, 100][draw / 4 % 3],
        activation,
        capacity: [None, None, 2.try_into().ok()][draw / 12 % 3],
        receives: false,
    };
    let pid = world.spawn_in(cohort, behavior, options);
    let seen = Seen {
        cohort: index,
        history: vec![number],
        swaps: vec![(0, number)],
        ..Seen::default()
    };
    let mut books = books.lock();
    assert!(books.processes.insert(pid, seen).is_none(), "{pid:?} twice");
    books.pids.push(pid);
}

/// One random program: a world, what is done to it, and the books.
struct Run {
    random: Random,
    world: Arc<World>,
    cohorts: Vec<Arc<Cohort>>,
    books: Shared,
    timers: Timers,
    /// Timers that have not fired, and their messages.
    pending: BTreeMap<TimerId, Id>,
    asked: Vec<(Id, Pid, Reply)>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let books = Shared::default();
        books.lock().world = Some(world.clone());
        Self {
            random: Random::new(seed),
            cohorts: vec![world.cohort(), world.cohort()],
            timers: Timers::new(world.clock.clone()),
            pending: BTreeMap::new(),
            asked: Vec::new(),
            world,
            books,
        }
    }

    fn all(mut self) {
        self.spawn();
        for _ in 0..OPERATIONS {
            self.operation();
            self.look_at_exits();
        }
        self.finish();
    }

    fn operation(&mut self) {
        match self.random.below(40) {
            0..4 => self.spawn(),
            4..13 => self.send(),
            13..17 => self.ask(),
            17..19 => self.system(),
            19 => self.stop(Lane::Signal),
            20 => self.stop(Lane::User),
            21..24 => self.swap(Lane::User),
            24 => self.swap(Lane::Signal),
            25 => self.roll_back(),
            26 => self.swap_all(),
            27 => self.start_timer(),
            28 => self.cancel_timer(),
            29 => self.give_up(),
            30 => self.forget_a_question(),
            31..33 => self.advance(),
            33..39 => {
                for _ in 0..=self.random.below(6) {
                    self.world.scheduler.step();
                }
            }
            _ => drop(self.world.run()),
        }
    }

    fn target(&mut self) -> Pid {
        let draw = self.random.below(1000);
        self.books.lock().target(draw).expect("one was spawned")
    }

    fn process(&self, pid: Pid) -> Option<Process> {
        self.world.table.get(pid)
    }

    fn spawn(&mut self) {
        let (draw, at) = (self.random.below(36), self.random.below(2));
        spawn(&self.world, &self.cohorts[at], at, &self.books, draw);
    }

    /// A new message of the test's for somebody, as bytes.
    fn message(&mut self, from: u64) -> (Pid, Id, Vec<u8>) {
        let to = self.target();
        let todo = match self.random.below(4) {
            0 => TODOS[self.random.below(TODOS.len())],
            _ => TODOS[self.random.below(7)],
        };
        let extra = u16::try_from(self.random.below(999)).expect("16 bits");
        let length = LENGTHS[self.random.below(LENGTHS.len())];
        let id = self.books.lock().enter(from, to);
        (to, id, payload(todo, id, extra, length))
    }

    fn send(&mut self) {
        for _ in 0..=self.random.below(6) {
            let (to, id, bytes) = self.message(0);
            let payload = if self.random.one_in(2) {
                Payload::copy_of(&bytes)
            } else {
                Bytes::from(bytes).into()
            };
            self.push(to, id, Envelope::User(payload, None));
        }
    }

    fn push(&mut self, to: Pid, id: Id, envelope: Envelope) {
        if let Err(refused) = self.world.table.push(to, Lane::User, envelope) {
            let back = refused.0.into_message().expect("a message was sent");
            assert_eq!(id_of(back.as_user().expect("a user message")), id);
            self.books.lock().settle(id, Fate::GivenBack);
        }
    }

    fn ask(&mut self) {
        let (to, id, bytes) = self.message(0);
        let (reply_to, reply) = question(to);
        self.asked.push((id, to, reply));
        let payload = Payload::copy_of(&bytes);
        self.push(to, id, Envelope::User(payload, Some(reply_to)));
    }

    fn forget_a_question(&mut self) {
        if !self.asked.is_empty() {
            let at = self.random.below(self.asked.len());
            drop(self.asked.swap_remove(at));
        }
    }

    fn system(&mut self) {
        let pid = self.target();
        let info = ExitInfo {
            from: pid,
            target: pid,
            reason: ExitReason::Normal,
            metadata: None,
        };
        let envelope = Envelope::System(Box::new(SystemMessage::Exit(info)));
        let lane = [Lane::Signal, Lane::User][self.random.below(2)];
        if self.world.table.push(pid, lane, envelope).is_ok() {
            self.books.lock().system_sent += 1;
        }
    }

    fn stop(&mut self, lane: Lane) {
        let pid = self.target();
        if let Some(process) = self.process(pid) {
            process.stop(lane, ExitReason::Killed.into());
        }
    }

    fn swap(&mut self, lane: Lane) {
        let pid = self.target();
        let Some(process) = self.process(pid) else {
            return;
        };
        let refuses = self.random.one_in(6);
        let next = behavior(&self.books, refuses);
        let number = next.number;
        if process.swap(lane, Arc::new(next)).is_none() {
            return;
        }
        let mut books = self.books.lock();
        let behind = Id::try_from(books.messages.len()).expect("few messages");
        let seen = books.processes.get_mut(&pid).expect("it was spawned");
        seen.remember(number);
        seen.swapping = match (lane, seen.swapping) {
            _ if refuses => Swapping::Mixed,
            (Lane::User, kind) => kind,
            (Lane::Signal, Swapping::Mixed) => Swapping::Mixed,
            (Lane::Signal, _) => Swapping::Floor,
        };
        match seen.swapping {
            Swapping::Fifo => seen.swaps.push((behind, number)),
            Swapping::Floor if lane == Lane::Signal => seen.floor = number,
            Swapping::Floor => {}
            Swapping::Mixed => seen.floor = 0,
        }
    }

    fn roll_back(&mut self) {
        let pid = self.target();
        let steps = self.random.below(4);
        let Some(process) = self.process(pid) else {
            return;
        };
        let result = process.roll_back(Lane::User, steps);
        let mut books = self.books.lock();
        let behind = Id::try_from(books.messages.len()).expect("few messages");
        let seen = books.processes.get_mut(&pid).expect("it was spawned");
        match result {
            Err(RollbackError::TooFar { available, .. }) => {
                assert!(available < steps);
                assert!(seen.swapping != Swapping::Fifo || available == seen.history.len() - 1);
            }
            Err(_) => {}
            Ok(_) if seen.swapping == Swapping::Fifo => {
                seen.history.truncate(seen.history.len() - steps);
                let number = *seen.history.last().expect("the original stays");
                seen.swaps.push((behind, number));
            }
            Ok(_) => {
                seen.swapping = Swapping::Mixed;
                seen.floor = 0;
            }
        }
    }

    fn swap_all(&mut self) {
        let at = self.random.below(self.cohorts.len());
        let next = behavior(&self.books, false);
        let number = next.number;
        self.cohorts[at].swap_all(Arc::new(next));
        let mut books = self.books.lock();
        let members = books.processes.values_mut().filter(|p| p.cohort == at);
        for seen in members {
            // A swap in order with messages that still waits comes into force after it.
            let pure = seen.swaps.len() == 1
                && seen.history.len() == 1
                && seen.swapping != Swapping::Mixed;
            (seen.swapping, seen.floor) = if pure {
                (Swapping::Floor, number)
            } else {
                (Swapping::Mixed, 0)
            };
        }
    }

    fn start_timer(&mut self) {
        // A timer's message is sent when it fires: it has no place in its sender's order.
        let (to, id, bytes) = self.message(TIMER);
        let delay = IDLE * u32::try_from(self.random.below(4)).expect("small") / 2;
        let timer = self.timers.send_after(to, delay, Message::from(bytes));
        self.pending.insert(timer, id);
        if self.process(to).is_none() {
            self.forget_timers(to);
        }
    }

    fn cancel_timer(&mut self) {
        if let Some((timer, id)) = self.pending.pop_first() {
            assert!(self.timers.cancel(timer));
            self.books.lock().settle(id, Fate::GivenBack);
        }
    }

    fn forget_timers(&mut self, pid: Pid) {
        let mut books = self.books.lock();
        let before = self.pending.len();
        self.pending.retain(|_, id| {
            let its = books.messages[*id as usize].to == pid;
            if its {
                books.settle(*id, Fate::GivenBack);
            }
            !its
        });
        assert_eq!(self.timers.forget(pid), before - self.pending.len());
    }

    fn advance(&mut self) {
        let by = IDLE * u32::try_from(self.random.below(4)).expect("small") / 2;
        self.world.advance(by);
        let (due, _) = self.timers.take_due(self.world.clock.now());
        for due in due {
            let Due::Send(to, message) = due else {
                panic!("nobody asked for {due:?}")
            };
            let id = id_of(message.as_user().expect("a user message"));
            self.pending.retain(|_, pending| *pending != id);
            self.push(to, id, message.into());
        }
    }

    fn give_up(&mut self) {
        if !self.random.one_in(3) {
            return;
        }
        let pid = self.target();
        let Some((left, _)) = self.world.table.give_up(pid) else {
            return;
        };
        self.forget_timers(pid);
        let mut books = self.books.lock();
        let seen = books.processes.get_mut(&pid).expect("it was spawned");
        assert!(!seen.ended, "given up after its end");
        seen.given_up = true;
        books.bury(left);
    }

    fn look_at_exits(&mut self) {
        for exited in self.world.exits() {
            self.forget_timers(exited.pid);
            let mut books = self.books.lock();
            let seen = books.processes.get_mut(&exited.pid).expect("spawned");
            assert!(!seen.ended, "{:?} ended twice", exited.pid);
            seen.ended = true;
            books.bury(exited.remaining);
        }
    }

    fn settle_down(&mut self) {
        for _ in 0..100 {
            self.world.run();
            self.look_at_exits();
            if self.world.busy() == 0 {
                return;
            }
        }
        panic!("{} processes never come to rest", self.world.busy());
    }

    fn finish(mut self) {
        while !self.pending.is_empty() {
            self.cancel_timer();
        }
        self.settle_down();
        let pids = self.books.lock().pids.clone();
        for pid in &pids {
            let Some(process) = self.process(*pid) else {
                continue;
            };
            let books = self.books.lock();
            let seen = &books.processes[pid];
            let handled = seen.handled.len() as u64 + seen.system;
            assert_eq!(process.handled(), handled, "as many as it says");
            assert_eq!(process.mailbox_size(), 0, "asleep with messages");
            drop(books);
            let lane = [Lane::Signal, Lane::User][self.random.below(2)];
            assert!(process.stop(lane, ExitReason::Shutdown.into()));
        }
        self.settle_down();
        assert!(self.world.table.is_empty(), "somebody has not ended");
        let mut books = self.books.lock();
        books.assert_balance();
        books.world = None;
        for (id, asked, reply) in std::mem::take(&mut self.asked) {
            let answer = reply.try_take().expect("every asker is told");
            books.assert_answer(id, asked, &answer);
        }
    }
}

/// Who sends a timer's message.
const TIMER: u64 = u64::MAX;

impl Seen {
    fn remember(&mut self, number: u32) {
        self.history.push(number);
        if self.history.len() > KEPT_VERSIONS {
            self.history.remove(1);
        }
    }

    fn assert_versions(&self, sent: &[Sent]) {
        if self.swapping != Swapping::Fifo {
            return;
        }
        let by_timer = |id: Id| sent[id as usize].from == TIMER;
        for (id, number) in self.handled.iter().filter(|(id, _)| !by_timer(*id)) {
            let swapped = self.swaps.iter().rev().find(|(behind, _)| behind <= id);
            let (_, due) = swapped.expect("the original is before all");
            assert_eq!(number, due, "message {id} and the swaps {:?}", self.swaps);
        }
    }
}

impl Books {
    fn bury(&mut self, left: Vec<Message>) {
        for message in left {
            match message {
                Message::User(bytes) => self.settle(id_of(&bytes), Fate::Left),
                _ => self.system_left += 1,
            }
        }
    }

    fn assert_balance(&self) {
        assert!(self.broken.is_empty(), "{:#?}", self.broken);
        for (id, message) in self.messages.iter().enumerate() {
            assert!(message.fate.is_some(), "message {id} is unaccounted for");
        }
        let system = self.system_handled + self.system_left;
        assert_eq!(self.system_sent, system, "system messages");
        for seen in self.processes.values() {
            assert!(seen.ended || seen.given_up);
            seen.assert_versions(&self.messages);
            let mut last: HashMap<u64, Id> = HashMap::new();
            for (id, _) in &seen.handled {
                let from = self.messages[*id as usize].from;
                let before = last.insert(from, *id);
                let in_order = from == TIMER || before.is_none_or(|before| before < *id);
                assert!(in_order, "message {id} of {from} is out of order");
            }
        }
    }

    fn assert_answer(&self, id: Id, asked: Pid, answer: &Answer) {
        let handled = self.messages[id as usize].fate == Some(Fate::Handled);
        match answer {
            Ok(bytes) => assert!(handled && id_of(bytes) == id, "somebody else's answer"),
            Err(AskError::Dead(pid)) => assert_eq!(*pid, asked),
            Err(AskError::NoReply(_) | AskError::Handler { .. }) => assert!(handled),
            Err(other) => panic!("nobody says {other}"),
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_books_balance_whatever_is_done() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // Thousands of these are part of the programs.
        if info.payload_as_str() != Some(PLANNED) {
            before(info);
        }
    }));
    let seeds = match number("IRIS_MODEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("IRIS_MODEL_RUNS").unwrap_or(RUNS),
    };
    for seed in seeds {
        let run = panic::catch_unwind(|| Run::new(seed).all());
        assert!(run.is_ok(), "IRIS_MODEL_SEED={seed} shows it alone");
    }
}

/// Which behavior a message was handled by, in order.
fn notes(seen: &Arc<Mutex<Vec<u8>>>, number: u8) -> Arc<impl Behavior> {
    let seen = seen.clone();
    Arc::new(handler(move |_, _| {
        seen.lock().expect("it does not panic").push(number);
        Step::Done
    }))
}

#[test]
fn the_later_of_two_swaps_is_in_force_be_it_of_one_process_or_of_its_cohort() {
    let world = World::new(1);
    let cohort = world.cohort();
    let seen = Arc::<Mutex<Vec<u8>>>::default();
    let options = ProcessOptions::default();
    let original = notes(&seen, 1);
    let pid = world.table.spawn(cohort.clone(), original, options);
    let pid = pid.expect("there is room");
    let process = world.process(pid);
    cohort.swap_all(notes(&seen, 2));
    process.swap(Lane::Signal, notes(&seen, 3));
    world.send(pid, "after both").expect("it is alive");
    world.run();
    process.swap(Lane::Signal, notes(&seen, 4));
    cohort.swap_all(notes(&seen, 5));
    world.send(pid, "after all").expect("it is alive");
    world.run();
    assert_eq!(*seen.lock().expect("it does not panic"), [3, 5]);
}
