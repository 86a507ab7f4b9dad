//! Supervisors, and factories in JavaScript.
//!
//! A factory is called by a thread of the runtime, which waits until the loop has called the
//! function and says what that has made.

use std::result::Result as StdResult;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Weak};

use iris::{ChildSpec, Failure, GaveUp, Payload, Pid, Restart, Runtime, Strategy};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::convert;
use crate::core::Core;
use crate::error;
use crate::lane::Lane;
use crate::news::{FactoryCall, News};

#[napi]
impl Core {
    /// Has a supervisor look after an actor: the global one, or that of `path`. `factory` is the
    /// slot of a function.
    #[napi(catch_unwind)]
    pub fn supervise(
        &self,
        path: Option<String>,
        pid: f64,
        factory: u32,
        strategy: String,
        restart: String,
    ) -> Result<()> {
        let factory = Slot::new(&self.lane, factory);
        let (runtime, pid) = self.live(pid)?;
        let strategy: Strategy = convert::word(&strategy)?;
        let restart: Restart = convert::word(&restart)?;
        let spec = ChildSpec::new(pid.to_string());
        let spec = spec.strategy(strategy).restart(restart);
        let factory = move |_: &Runtime| factory.call(None);
        let supervised = match path {
            Some(path) => runtime.path_supervise(&path, pid, spec, factory),
            None => runtime.supervise(runtime.global_supervisor(), pid, spec, factory),
        };
        supervised
            .map(drop)
            .map_err(|error| error::supervise(&error))
    }

    /// Stops a supervised actor for good; whether a supervisor had it.
    #[napi(catch_unwind)]
    pub fn stop_child(&self, pid: f64) -> bool {
        convert::pid(pid).is_some_and(|pid| self.runtime.stop_child(pid))
    }

    /// Whom the global supervisor has.
    #[napi(catch_unwind)]
    pub fn child_pids(&self) -> Vec<f64> {
        convert::numbers(self.runtime.child_pids())
    }

    /// How many the global supervisor has, those that are being restarted included.
    #[napi(catch_unwind)]
    pub fn children_count(&self) -> f64 {
        convert::count(self.runtime.children_count() as u64)
    }

    /// Has the global supervisor watch who is registered directly below a path; how many are new.
    #[napi(catch_unwind)]
    pub fn watch_path(&self, prefix: String) -> Result<f64> {
        let watched = self.runtime.watch_path(&prefix);
        watched
            .map(|watched| convert::count(watched as u64))
            .map_err(|error| error::supervise(&error))
    }

    /// Makes a supervisor for a path.
    #[napi(catch_unwind)]
    pub fn create_path_supervisor(&self, path: String) -> Result<()> {
        let created = self.runtime.create_path_supervisor(&path).map(drop);
        created.map_err(|error| error::supervise(&error))
    }

    /// Removes it; whether there was one.
    #[napi(catch_unwind)]
    pub fn remove_path_supervisor(&self, path: String) -> bool {
        self.runtime.remove_path_supervisor(&path)
    }

    /// Has it watch an actor; `false` if it has it already.
    #[napi(catch_unwind)]
    pub fn path_supervisor_watch(&self, path: String, pid: f64) -> Result<bool> {
        let (runtime, pid) = self.live(pid)?;
        let watched = runtime.path_supervisor_watch(&path, pid);
        watched.map_err(|error| error::supervise(&error))
    }

    /// Whom it has.
    #[napi(catch_unwind)]
    pub fn path_supervisor_children(&self, path: String) -> Result<Vec<f64>> {
        let children = self.runtime.path_supervisor_children(&path);
        let children = children.map_err(|error| error::supervise(&error))?;
        Ok(convert::numbers(children))
    }

    /// Has an actor told of restarts and of those that are given up.
    #[napi(catch_unwind)]
    pub fn watch_supervision(&self, pid: f64) -> Result<()> {
        let (runtime, target) = self.live(pid)?;
        if runtime.watch_supervision(target) {
            return Ok(());
        }
        Err(error::dead_actor(pid))
    }

    /// Makes a behavior that other nodes can start here; `false` if it replaces one.
    #[napi(catch_unwind)]
    pub fn register_behavior(&self, name: String, factory: u32) -> bool {
        let factory = Slot::new(&self.lane, factory);
        self.runtime
            .register_behavior(&name, move |_: &Runtime, init: bytes::Bytes| {
                factory.call(Some(init.into()))
            })
    }
}

/// A factory's place in JavaScript's array of handlers, which it has until nobody can call it.
struct Slot {
    lane: Weak<Lane>,
    slot: u32,
}

impl Slot {
    fn new(lane: &Arc<Lane>, slot: u32) -> Self {
        let lane = Arc::downgrade(lane);
        Self { lane, slot }
    }

    /// Has the loop call the factory, and waits for what that has made.
    fn call(&self, init: Option<Payload>) -> StdResult<Pid, Failure> {
        let (answer, made) = sync_channel(1);
        let call = FactoryCall {
            factory: self.slot,
            init,
            succeeds: iris::succeeding(),
            answer,
        };
        // A lane that is closed, now or later, drops the sender; it is not kept meanwhile.
        let lane = self.lane.upgrade().ok_or_else(gone)?;
        lane.tell(News::Factory(Box::new(call)));
        drop(lane);
        made.recv().unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.upgrade() {
            lane.free(self.slot);
        }
    }
}

fn gone() -> Failure {
    Failure {
        kind: "Error".to_owned(),
        message: "the event loop of the factory has ended".to_owned(),
        traceback: String::new(),
    }
}

/// What there is to say of an actor that is given up.
pub(crate) fn obituary(given_up: &GaveUp) -> String {
    let last = given_up.last.as_ref();
    let reason = last.map_or("it never ran", |last| last.reason.as_str());
    let failure = last.and_then(|last| last.metadata.as_deref());
    let failure = given_up.start_failure.as_ref().or(failure);
    let why = failure.map_or_else(String::new, |failure| format!(": {failure}"));
    format!(
        "supervised actor {} ended too often and is given up after {} restarts (last exit: \
         {reason}){why}",
        given_up.id, given_up.restarts
    )
}
