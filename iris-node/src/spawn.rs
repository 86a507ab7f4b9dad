//! Actors of JavaScript functions.

use std::ffi::CStr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use iris::{Pid, Runtime, SpawnBuilder, run_as};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::behavior::{JsBehavior, Manner};
use crate::convert;
use crate::core::{Core, Shared};
use crate::error;
use crate::raw::{self, Answer, Args, Raw};

/// The most of a budget that is heeded: so many messages of 4 KiB are what an arena may have to
/// hold at a time. Time ends a slice before that anyway.
const MOST_BUDGET: u32 = 1024;

/// The behavior that was made last, for as long as an actor has it: many actors with one handler
/// share one.
#[derive(Default)]
pub(crate) struct LastBehavior(Mutex<Weak<JsBehavior>>);

/// How an actor is to be.
#[napi(object, object_to_js = false)]
pub struct SpawnOptions {
    /// The handler's place in JavaScript's array.
    pub slot: u32,
    /// What to call it.
    pub behavior: String,
    /// Messages before others get their turn.
    pub budget: u32,
    /// The bound of its mailbox.
    pub capacity: Option<u32>,
    /// Registered before anybody can send to it.
    pub name: Option<String>,
    /// Whom it ends with.
    pub parent: Option<f64>,
    /// With system messages, too.
    pub system: Option<bool>,
    /// Bits that only JavaScript knows.
    pub flags: Option<i32>,
    /// Whether its first message activates it.
    pub lazy: Option<bool>,
    /// When it gives up, in milliseconds.
    pub idle: Option<f64>,
    /// Whether a later message activates it again.
    pub reactivate: Option<bool>,
}

/// Puts the functions of this module into `object`.
pub(crate) fn define(env: &Env, object: &Object<'_>, shared: &Arc<Shared>) -> Result<()> {
    raw::define::<SpawnPlain>(env, object, shared)
}

/// `spawnPlain(slot, budget, flags, behavior)`: spawns an actor that has a handler and nothing
/// else; its pid. `behavior` is what to call that; `undefined` for the behavior that the slot
/// has already: 0 if that is on its way out.
struct SpawnPlain;

impl Raw for SpawnPlain {
    const NAME: &'static CStr = c"spawnPlain";

    fn call(shared: &Shared, args: &Args) -> Result<Answer> {
        let (slot, budget) = (args.count(0)?, args.count(1)?);
        let manner = Manner {
            singly: shared.is_bounded,
            flags: args.int(2)?,
            ..Manner::default()
        };
        let name = args.text(3)?;
        let known = name.is_none();
        let name = name.unwrap_or_default();
        let Some(behavior) = shared.behavior(slot, known, manner, name) else {
            return Ok(Answer::Number(0.0));
        };
        let builder = shared.runtime.spawn_shared(behavior);
        let builder = builder.budget(budget.min(MOST_BUDGET));
        let started = builder.of_cohort(shared.cohort.clone()).start();
        let pid = started.map_err(|error| error::spawn(&error))?;
        Ok(Answer::Number(convert::number(pid)))
    }
}

#[napi]
impl Core {
    /// Spawns an actor; its pid. `null` if the slot's behavior is on its way out: another one is
    /// to be taken.
    #[napi(catch_unwind)]
    pub fn spawn(&self, options: SpawnOptions, known: bool) -> Result<Option<f64>> {
        let manner = Manner {
            system: options.system.unwrap_or(false),
            singly: options.capacity.is_some() || self.is_bounded,
            flags: options.flags.unwrap_or(0),
        };
        let Some(behavior) = self.behavior(options.slot, known, manner, options.behavior.clone())
        else {
            return Ok(None);
        };
        let builder = self.runtime.spawn_shared(behavior);
        let builder = builder.budget(options.budget.min(MOST_BUDGET));
        let builder = shaped(builder.of_cohort(self.cohort.clone()), &options)?;
        let started = builder.start();
        started
            .map(|pid| Some(convert::number(pid)))
            .map_err(|error| error::spawn(&error))
    }

    /// Replaces a handler; the new version's number, or `null` if nobody has the pid.
    #[napi(catch_unwind)]
    pub fn hot_swap(
        &self,
        pid: f64,
        slot: u32,
        behavior: String,
        system: bool,
        flags: i32,
        now: bool,
    ) -> Result<Option<u32>> {
        let target = convert::pid(pid);
        // Made first, so that the slot is free again if it is refused.
        let behavior = JsBehavior {
            lane: self.lane.clone(),
            slot,
            manner: Manner {
                system,
                singly: target.is_some_and(|pid| self.runtime.capacity(pid).is_some()),
                flags,
            },
            name: behavior,
        };
        let Some(pid) = target else {
            return Ok(None);
        };
        let runtime = &self.runtime;
        if runtime.observer_dropped(pid).is_some() || runtime.is_stand_in(pid) {
            return Err(error::range(format!(
                "actor {pid} has no handler in JavaScript: it is an observer, or stands for an \
                 actor of another node"
            )));
        }
        Ok(if now {
            runtime.hot_swap_now(pid, behavior)
        } else {
            runtime.hot_swap(pid, behavior)
        })
    }

    /// The number of the behavior in force.
    #[napi(catch_unwind)]
    pub fn behavior_version(&self, pid: f64) -> Option<u32> {
        self.runtime.behavior_version(convert::pid(pid)?)
    }

    /// Goes back; the number of that version.
    #[napi(catch_unwind)]
    pub fn rollback_behavior(&self, pid: f64, steps: u32) -> Result<u32> {
        let target = convert::somebody(pid)?;
        let back = self.runtime.rollback_behavior(target, steps as usize);
        back.map_err(|error| error::rollback(pid, error))
    }

    /// Stops an actor, at once or after what it has; `inside` is whose handler asks for it, or 0.
    #[napi(catch_unwind)]
    pub fn stop(&self, pid: f64, drains: bool, inside: f64) -> bool {
        let Some(pid) = convert::pid(pid) else {
            return false;
        };
        if drains {
            return self.runtime.drain(pid);
        }
        let stop = || self.runtime.stop(pid, iris::ExitReason::Killed);
        match convert::pid(inside) {
            Some(by) => run_as(by, stop),
            None => stop(),
        }
    }

    /// Whether somebody has the pid and was not stopped.
    #[napi(catch_unwind)]
    pub fn is_alive(&self, pid: f64) -> bool {
        convert::pid(pid).is_some_and(|pid| self.runtime.is_alive(pid))
    }
}

fn shaped<'a>(
    mut builder: SpawnBuilder<'a>,
    options: &'a SpawnOptions,
) -> Result<SpawnBuilder<'a>> {
    if let Some(name) = &options.name {
        builder = builder.named(name);
    }
    if let Some(capacity) = options.capacity {
        builder = builder.capacity(capacity);
    }
    if let Some(parent) = options.parent {
        builder = builder.child_of(convert::somebody(parent)?);
    }
    if options.lazy == Some(true) {
        let idle = options.idle.map(convert::milliseconds);
        builder = if options.reactivate == Some(true) {
            builder.reactivated_actor(idle)
        } else {
            builder.virtual_actor(idle)
        };
    }
    Ok(builder)
}

impl Shared {
    /// A behavior for the slot; `None` if that is a known one whose behavior has ended.
    fn behavior(
        &self,
        slot: u32,
        known: bool,
        manner: Manner,
        name: String,
    ) -> Option<Arc<JsBehavior>> {
        let mut last = self.last.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known {
            let same = last.upgrade();
            return same.filter(|last| last.slot == slot && last.manner == manner);
        }
        let behavior = Arc::new(JsBehavior {
            lane: self.lane.clone(),
            slot,
            manner,
            name,
        });
        *last = Arc::downgrade(&behavior);
        Some(behavior)
    }

    pub(crate) fn live(&self, pid: f64) -> Result<(&Runtime, Pid)> {
        Ok((&self.runtime, convert::somebody(pid)?))
    }
}
