//! The class behind `NodeRuntime`.

use std::collections::HashMap;
use std::ffi::CStr;
use std::mem;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread;

use iris::nodes::Tls;
use iris::{BoxFuture, Cohort, Failure, Mourner, Pid, Runtime, Selection};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::convert;
use crate::error;
use crate::lane::{Lane, Waiter};
use crate::mailbox::{self, Pull};
use crate::news::{FactoryCall, News, NewsObject, Outcome, Value};
use crate::raw::{self, Answer, Args, Raw};
use crate::send;
use crate::spawn::{self, LastBehavior};
use crate::turn;
use crate::wake::Waker;
use crate::watchdog::Watchdog;

/// Actors, their scheduler and all that is around them. For the thread of one event loop.
#[napi]
pub struct Core(Arc<Shared>);

/// What the class has, and the [functions](crate::raw) beside it.
pub struct Shared {
    pub(crate) runtime: Runtime,
    /// Whether mailboxes without a bound of their own have one.
    pub(crate) is_bounded: bool,
    pub(crate) lane: Arc<Lane>,
    /// Of all actors whose handlers are JavaScript.
    pub(crate) cohort: Arc<Cohort>,
    pub(crate) last: LastBehavior,
    /// Actors that receive.
    pub(crate) pulls: Mutex<HashMap<Pid, Pull>>,
    /// Selective receives from observers, by the tickets of their promises.
    pub(crate) selections: Mutex<HashMap<u32, Selection>>,
    /// The certificates of the node, to be read again.
    pub(crate) tls: Mutex<Option<Arc<Tls>>>,
    desk: Mutex<Desk>,
    /// What the loop has taken, and JavaScript is to be told in full.
    pub(crate) held: Mutex<Vec<News>>,
    pub(crate) watchdog: Watchdog,
}

/// `hold(holds)`: whether the event loop is kept alive.
struct Hold;

impl Raw for Hold {
    const NAME: &'static CStr = c"hold";

    fn call(shared: &Shared, args: &Args) -> Result<Answer> {
        let holds = args.flag(0)?;
        let held = shared
            .lane
            .with_waker(|waker| waker.hold(&args.env(), holds));
        held.unwrap_or(Ok(())).map(|()| Answer::Nothing)
    }
}

/// `wake()`: has the loop turn, whether it sleeps or not, without keeping the process alive.
struct Wake;

impl Raw for Wake {
    const NAME: &'static CStr = c"wake";

    fn call(shared: &Shared, _: &Args) -> Result<Answer> {
        shared.lane.with_waker(Waker::wake);
        Ok(Answer::Nothing)
    }
}

/// `isIdle()`: whether there is nothing to be done, and nothing to come by itself.
struct IsIdle;

impl Raw for IsIdle {
    const NAME: &'static CStr = c"isIdle";

    fn call(shared: &Shared, _: &Args) -> Result<Answer> {
        let idle = !shared.lane.is_signalled() && shared.runtime.is_idle();
        Ok(Answer::Flag(idle))
    }
}

impl Deref for Core {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What promises wait for. JavaScript gives the tickets.
#[derive(Default)]
struct Desk {
    futures: HashMap<u32, BoxFuture<Outcome>>,
    mourners: HashMap<u32, Mourner>,
    /// Factories that a thread waits for, by the number of the call.
    calls: HashMap<u32, FactoryCall>,
    last_call: u32,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Vec<News>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pulls(&self) -> MutexGuard<'_, HashMap<Pid, Pull>> {
        self.pulls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settles the promise with this ticket when the future is over. Looks at it at once.
    pub(crate) fn promise(&self, ticket: u32, future: BoxFuture<Outcome>) {
        self.desk().futures.insert(ticket, future);
        if let Some(outcome) = self.look(ticket) {
            self.lane.tell(News::Settled(ticket, outcome));
        }
    }

    /// Whether the promise with this ticket waits for a future.
    pub(crate) fn is_awaited(&self, ticket: u32) -> bool {
        self.desk().futures.contains_key(&ticket)
    }

    /// What a future has come to, if it is over.
    pub(crate) fn look(&self, ticket: u32) -> Option<Outcome> {
        // Taken out for as long as it is polled, which may come back here.
        let mut future = self.desk().futures.remove(&ticket)?;
        let waker = std::task::Waker::from(Arc::new(Waiter::new(&self.lane, ticket)));
        match Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => {
                self.desk().futures.insert(ticket, future);
                None
            }
        }
    }
}

#[napi]
impl Core {
    /// A runtime whose lane calls `turn()` on the event loop when there is something to do.
    /// `capacity` is the bound of mailboxes that have none of their own.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: &Env, turn: Function<'_, (), ()>, capacity: Option<u32>) -> Result<Self> {
        crate::allocator::give_back_at_once();
        let capacity = capacity.and_then(NonZeroU32::new);
        let runtime = Runtime::builder()
            .mailbox_capacity(capacity)
            .start()
            .map_err(|error| error::start(&error))?;
        let lane = Lane::new(runtime.rust_scheduler());
        lane.open(Waker::new(env, &turn)?);
        lane.close_with(env.raw());
        let cohort = runtime.lasting_cohort(lane.clone());
        runtime.set_lane_age(lane.age());
        let told = Arc::downgrade(&lane);
        runtime.on_give_up(move |given_up| {
            if let Some(lane) = told.upgrade() {
                lane.tell(News::GaveUp(crate::supervise::obituary(given_up)));
            }
        });
        Ok(Self(Arc::new(Shared {
            runtime,
            is_bounded: capacity.is_some(),
            lane,
            cohort,
            last: LastBehavior::default(),
            pulls: Mutex::default(),
            selections: Mutex::default(),
            tls: Mutex::default(),
            desk: Mutex::default(),
            held: Mutex::default(),
            watchdog: Watchdog::new(),
        })))
    }

    /// The functions that are called for each message or batch, as an object.
    #[napi(catch_unwind)]
    pub fn functions<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let object = Object::new(env)?;
        raw::define::<Hold>(env, &object, &self.0)?;
        raw::define::<IsIdle>(env, &object, &self.0)?;
        raw::define::<Wake>(env, &object, &self.0)?;
        mailbox::define(env, &object, &self.0)?;
        send::define(env, &object, &self.0)?;
        turn::define(env, &object, &self.0)?;
        spawn::define(env, &object, &self.0)?;
        Ok(object)
    }

    /// What a turn has taken, and the loop is to be told in full.
    #[napi(catch_unwind)]
    pub fn news<'env>(&self, env: &'env Env) -> Result<Vec<NewsObject<'env>>> {
        let news = mem::take(&mut *self.held());
        let mut told = Vec::with_capacity(news.len());
        for one in news {
            let object = match one {
                News::Settled(ticket, outcome) => NewsObject::settled(env, ticket, outcome)?,
                News::Look(ticket) => NewsObject::look(ticket),
                News::Ended(pid) => NewsObject::ended(pid),
                News::Mail(pid) => NewsObject::mail(pid),
                News::Stopped(pid) => NewsObject::stopped(pid),
                News::Letter(letter) => NewsObject::letter(env, *letter)?,
                News::GaveUp(text) => NewsObject::gave_up(text),
                News::Factory(call) => {
                    let mut desk = self.desk();
                    desk.last_call = desk.last_call.wrapping_add(1);
                    let number = desk.last_call;
                    let object =
                        NewsObject::factory(env, number, call.factory, call.init.as_ref())?;
                    desk.calls.insert(number, *call);
                    object
                }
            };
            told.push(object);
        }
        Ok(told)
    }

    /// Calls `make()`, which is the part of a factory that does not wait: names that are reserved
    /// for the successor can be had in it.
    #[napi(catch_unwind)]
    pub fn succeed(&self, call: u32, make: Function<'_, (), ()>) -> Result<()> {
        let old = self.desk().calls.get(&call).and_then(|call| call.succeeds);
        iris::succeed(old, || make.call(()))
    }

    /// What the factory has made; `pid` is 0 if it failed, as the texts say.
    #[napi(catch_unwind)]
    pub fn made(&self, call: u32, pid: f64, kind: String, message: String, stack: String) {
        let Some(call) = self.desk().calls.remove(&call) else {
            return;
        };
        let made = convert::pid(pid).ok_or(Failure {
            kind,
            message,
            traceback: stack,
        });
        // Who waited may have gone with the runtime.
        call.answer.send(made).ok();
    }

    /// Nobody waits for that promise any more.
    #[napi(catch_unwind)]
    pub fn forget(&self, ticket: u32) {
        let (future, mourner) = {
            let mut desk = self.desk();
            (desk.futures.remove(&ticket), desk.mourners.remove(&ticket))
        };
        // Without the lock: dropping it may wake somebody.
        drop((future, self.take_selection(ticket)));
        if let Some(mourner) = mourner {
            self.runtime.forget_when_gone(mourner);
        }
    }

    /// Settles a promise when an actor is gone; `inside` is the actor whose handler asks, or 0.
    #[napi(catch_unwind)]
    pub fn when_gone(&self, ticket: u32, pid: f64, inside: f64) -> Result<()> {
        let Some(pid) = convert::pid(pid) else {
            self.lane.tell(News::Settled(ticket, Ok(Value::Bool(true))));
            return Ok(());
        };
        if convert::pid(inside) == Some(pid) {
            return Err(error::join(iris::JoinError::Itself(pid)));
        }
        let lane = self.lane.clone();
        let mourner = self.runtime.when_gone(pid, move || {
            lane.tell(News::Settled(ticket, Ok(Value::Bool(true))));
        });
        self.desk().mourners.insert(ticket, mourner);
        Ok(())
    }

    /// Tells the loop when an actor has ended.
    #[napi(catch_unwind)]
    pub fn watch_end(&self, pid: f64) {
        let Some(pid) = convert::pid(pid) else {
            return;
        };
        let lane = Arc::downgrade(&self.lane);
        self.runtime.when_gone(pid, move || {
            if let Some(lane) = lane.upgrade() {
                lane.tell(News::Ended(pid));
            }
        });
    }

    /// Shuts the runtime down on a thread of its own, and settles a promise with what that has
    /// left behind. The lane is to be closed after that.
    #[napi(catch_unwind)]
    pub fn shutdown(&self, ticket: u32, drain: f64) -> Result<()> {
        let (runtime, lane) = (self.runtime.clone(), self.lane.clone());
        let drain = convert::seconds(drain);
        thread::Builder::new()
            .name("iris-shutdown".to_owned())
            .spawn(move || {
                let report = runtime.shutdown(drain);
                let undelivered = convert::count(report.undelivered);
                let stuck = convert::count(report.stuck as u64);
                let report = Value::Report(undelivered, stuck);
                lane.tell(News::Settled(ticket, Ok(report)));
            })
            .map_err(error::other)?;
        Ok(())
    }

    /// Never calls `turn` again.
    #[napi(catch_unwind)]
    pub fn close(&self, env: &Env) {
        self.lane.close_before(env.raw());
        let left = mem::take(&mut *self.desk());
        let pulls = mem::take(&mut *self.pulls());
        let held = mem::take(&mut *self.held());
        drop((left, pulls, held, self.take_selections()));
    }

    /// The version of the package.
    #[napi(catch_unwind)]
    pub fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
