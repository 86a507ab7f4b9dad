//! Names, paths, links, monitors, groups, observers, and what there is to know.

use iris::{DeadLetter, MonitorRef, OverflowPolicy, Payload, TreeEntry};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::convert;
use crate::core::Core;
use crate::error;
use crate::mailbox::{self, MailObject};
use crate::news::News;

/// One that is registered under a path.
#[napi(object, object_from_js = false)]
pub struct PathEntry {
    /// The whole path.
    pub path: String,
    /// Who is there.
    pub pid: f64,
}

/// What an actor is doing and has done.
#[napi(object, object_from_js = false)]
pub struct InfoObject {
    /// Who it is.
    pub pid: f64,
    /// `push`, `virtual`, `pull` or `observer`.
    pub kind: String,
    /// The first of its names.
    pub name: Option<String>,
    /// It is: of the dead there is nothing to know.
    pub alive: bool,
    /// What it is doing.
    pub status: String,
    /// Messages not yet handed to its handler.
    pub mailbox_size: f64,
    /// How many of those may wait.
    pub capacity: Option<u32>,
    /// What becomes of more.
    pub overflow: Option<String>,
    /// Whom those go to.
    pub overflow_target: Option<f64>,
    /// Messages handed to its handler.
    pub handled: f64,
    /// The number of the behavior in force.
    pub behavior_version: u32,
    /// Its name.
    pub behavior: String,
    /// Names that lead to it.
    pub names: Vec<String>,
    /// Paths that lead to it.
    pub paths: Vec<String>,
    /// Whom it ends with.
    pub parent: Option<f64>,
    /// Who ends with it.
    pub children: Vec<f64>,
    /// Whether a supervisor looks after it.
    pub supervised: bool,
}

/// All actors, each before its children.
#[napi(object, object_from_js = false)]
pub struct TreeObject {
    /// Drawn for a terminal.
    pub text: String,
    /// One by one.
    pub entries: Vec<TreeEntryObject>,
}

/// One of them.
#[napi(object, object_from_js = false)]
pub struct TreeEntryObject {
    /// Who it is.
    pub pid: f64,
    /// Whom it ends with.
    pub parent: Option<f64>,
    /// How many ancestors it has.
    pub depth: f64,
    /// Names that lead to it.
    pub names: Vec<String>,
    /// Paths that lead to it.
    pub paths: Vec<String>,
    /// The name of its handler.
    pub behavior: String,
    /// What it is doing.
    pub status: String,
    /// Messages not yet handed to its handler.
    pub mailbox_size: f64,
}

/// Counts of the whole runtime.
#[napi(object, object_from_js = false)]
pub struct StatsObject {
    /// Actors, those that are ending included.
    pub actors: f64,
    /// Of those, the ones that have something to do.
    pub busy: f64,
    /// Messages not yet handed to a handler.
    pub messages_queued: f64,
    /// Messages handed to the handlers of those that live.
    pub messages_handled: f64,
    /// Actors that have ended as they were to.
    pub exits_clean: f64,
    /// Actors that have ended by a failure.
    pub exits_failed: f64,
    /// Messages that nobody will handle.
    pub dead_letters: DeadLettersObject,
}

/// How many of them there were, by reason.
#[napi(object, object_from_js = false)]
pub struct DeadLettersObject {
    /// The actor ended.
    pub stopped: f64,
    /// They made room for others in a full mailbox.
    pub evicted: f64,
    /// A full mailbox did not take them.
    pub refused: f64,
}

#[napi]
impl Core {
    /// Makes a name lead to an actor.
    #[napi(catch_unwind)]
    pub fn register(&self, name: String, pid: f64) -> Result<()> {
        let (runtime, pid) = self.live(pid)?;
        runtime
            .register(&name, pid)
            .map_err(|error| error::place(&error))
    }

    /// Frees a name; whether somebody had it.
    #[napi(catch_unwind)]
    pub fn unregister(&self, name: String) -> bool {
        self.runtime.unregister(&name).is_some()
    }

    /// Who has a name.
    #[napi(catch_unwind)]
    pub fn whereis(&self, name: String) -> Option<f64> {
        self.runtime.whereis(&name).map(convert::number)
    }

    /// Makes a path lead to an actor.
    #[napi(catch_unwind)]
    pub fn register_path(&self, path: String, pid: f64) -> Result<()> {
        let (runtime, pid) = self.live(pid)?;
        runtime
            .register_path(&path, pid)
            .map_err(|error| error::place(&error))
    }

    /// Frees a path; whether somebody was there.
    #[napi(catch_unwind)]
    pub fn unregister_path(&self, path: String) -> bool {
        self.runtime.unregister_path(&path).is_some()
    }

    /// Who is at a path.
    #[napi(catch_unwind)]
    pub fn whereis_path(&self, path: String) -> Option<f64> {
        self.runtime.whereis_path(&path).map(convert::number)
    }

    /// Who is registered below a path, at any depth or directly.
    #[napi(catch_unwind)]
    pub fn list_children(&self, prefix: String, direct: bool) -> Result<Vec<PathEntry>> {
        let found = if direct {
            self.runtime.list_children_direct(&prefix)
        } else {
            self.runtime.list_children(&prefix)
        };
        let found = found.map_err(|error| error::register(&error))?;
        let entry = |(path, pid)| PathEntry {
            path,
            pid: convert::number(pid),
        };
        Ok(found.into_iter().map(entry).collect())
    }

    /// Ties two actors; `false` for one and itself.
    #[napi(catch_unwind)]
    pub fn link(&self, a: f64, b: f64, propagate: bool) -> Result<bool> {
        let (a, b) = (convert::somebody(a)?, convert::somebody(b)?);
        Ok(if propagate {
            self.runtime.link_propagating(a, b)
        } else {
            self.runtime.link(a, b)
        })
    }

    /// Unties them; whether they were tied.
    #[napi(catch_unwind)]
    pub fn unlink(&self, a: f64, b: f64) -> bool {
        let pids = (convert::pid(a), convert::pid(b));
        matches!(pids, (Some(a), Some(b)) if self.runtime.unlink(a, b))
    }

    /// Has `watcher` told of the end of an actor; the monitor's number.
    #[napi(catch_unwind)]
    pub fn monitor(&self, watcher: f64, pid: f64) -> Result<f64> {
        let (runtime, watcher) = self.live(watcher)?;
        let pid = convert::somebody(pid)?;
        let monitor = runtime.monitor(watcher, pid);
        let monitor = monitor.map_err(|error| error::monitor(&error))?;
        Ok(convert::count(monitor.raw()))
    }

    /// Takes a monitor back; whether it was on.
    #[napi(catch_unwind)]
    pub fn demonitor(&self, reference: f64) -> bool {
        let reference = convert::whole(reference).map(MonitorRef::from_raw);
        reference.is_some_and(|reference| self.runtime.demonitor(reference))
    }

    /// Whether an actor gets EXIT messages instead of ending with those that it is linked to.
    #[napi(catch_unwind)]
    pub fn trap_exit(&self, pid: f64, traps: bool) -> Result<()> {
        let (runtime, target) = self.live(pid)?;
        if runtime.trap_exit(target, traps) {
            return Ok(());
        }
        Err(error::dead_actor(pid))
    }

    /// Makes an actor a member of a group; `false` if it is one.
    #[napi(catch_unwind)]
    pub fn join_group(&self, group: String, pid: f64) -> Result<bool> {
        let (runtime, pid) = self.live(pid)?;
        let joined = runtime.join_group(&group, pid);
        joined.map_err(|error| error::place(&error))
    }

    /// Takes an actor out of a group; whether it was a member.
    #[napi(catch_unwind)]
    pub fn leave_group(&self, group: String, pid: f64) -> bool {
        let pid = convert::pid(pid);
        pid.is_some_and(|pid| self.runtime.leave_group(&group, pid))
    }

    /// The members of a group, in the order of joining.
    #[napi(catch_unwind)]
    pub fn members(&self, group: String) -> Vec<f64> {
        convert::numbers(self.runtime.members(&group))
    }

    /// Sends to each member of a group; how many took it.
    #[napi(catch_unwind)]
    pub fn publish(&self, group: String, bytes: &[u8]) -> f64 {
        let message = Payload::copy_of(bytes).into_bytes();
        convert::count(self.runtime.publish(&group, message) as u64)
    }

    /// Spawns an observer; its pid.
    #[napi(catch_unwind)]
    pub fn spawn_observer(&self, budget: u32, path: String, cap: Option<u32>) -> Result<f64> {
        let mut builder = self.runtime.observer().budget(budget).at_path(&path);
        if let Some(cap) = cap {
            builder = builder.cap(cap as usize);
        }
        let started = builder.start();
        started
            .map(convert::number)
            .map_err(|error| error::spawn(&error))
    }

    /// What an observer has received, oldest first.
    #[napi(catch_unwind)]
    pub fn get_messages<'env>(
        &self,
        env: &'env Env,
        pid: f64,
        drain: bool,
    ) -> Result<Vec<MailObject<'env>>> {
        let Some(target) = convert::pid(pid) else {
            return Ok(Vec::new());
        };
        match self.runtime.get_messages(target, drain) {
            Some(found) => found.iter().map(|one| mailbox::mail(env, one)).collect(),
            None if self.runtime.is_alive(target) => Err(error::not_an_observer(pid)),
            None => Ok(Vec::new()),
        }
    }

    /// How many messages an observer has dropped, being full.
    #[napi(catch_unwind)]
    pub fn observer_dropped(&self, pid: f64) -> Option<f64> {
        let dropped = self.runtime.observer_dropped(convert::pid(pid)?)?;
        Some(convert::count(dropped))
    }

    /// What an actor is doing.
    #[napi(catch_unwind)]
    pub fn info(&self, pid: f64) -> Option<InfoObject> {
        let info = self.runtime.info(convert::pid(pid)?)?;
        Some(InfoObject {
            pid: convert::number(info.pid),
            kind: info.kind.as_str().to_owned(),
            name: info.names.first().cloned(),
            alive: true,
            status: info.status.as_str().to_owned(),
            mailbox_size: convert::count(info.mailbox_size as u64),
            capacity: info.capacity,
            overflow: info.overflow.map(|policy| policy.as_str().to_owned()),
            overflow_target: info
                .overflow
                .and_then(OverflowPolicy::target)
                .map(convert::number),
            handled: convert::count(info.handled),
            behavior_version: info.behavior_version,
            behavior: info.behavior,
            names: info.names,
            paths: info.paths,
            parent: info.parent.map(convert::number),
            children: convert::numbers(info.children),
            supervised: info.is_supervised,
        })
    }

    /// All actors.
    #[napi(catch_unwind)]
    pub fn tree(&self) -> TreeObject {
        let tree = self.runtime.tree();
        let entry = |entry: &TreeEntry| TreeEntryObject {
            pid: convert::number(entry.pid),
            parent: entry.parent.map(convert::number),
            depth: convert::count(entry.depth as u64),
            names: entry.names.clone(),
            paths: entry.paths.clone(),
            behavior: entry.behavior.clone(),
            status: entry.status.as_str().to_owned(),
            mailbox_size: convert::count(entry.mailbox_size as u64),
        };
        TreeObject {
            text: tree.to_string(),
            entries: tree.entries().iter().map(entry).collect(),
        }
    }

    /// Counts of the whole runtime.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> StatsObject {
        let stats = self.runtime.stats();
        let letters = stats.dead_letters;
        StatsObject {
            actors: convert::count(stats.processes as u64),
            busy: convert::count(stats.busy as u64),
            messages_queued: convert::count(stats.queued),
            messages_handled: convert::count(stats.handled),
            exits_clean: convert::count(stats.exits.clean),
            exits_failed: convert::count(stats.exits.failed),
            dead_letters: DeadLettersObject {
                stopped: convert::count(letters.stopped),
                evicted: convert::count(letters.evicted),
                refused: convert::count(letters.refused),
            },
        }
    }

    /// Messages that were accepted and will never be handled.
    #[napi(catch_unwind)]
    pub fn dead_letters(&self) -> f64 {
        convert::count(self.runtime.dead_letters())
    }

    /// Tells the loop of each dead letter from now on, or of none.
    #[napi(catch_unwind)]
    pub fn watch_dead_letters(&self, watches: bool) {
        if !watches {
            return self.runtime.forget_dead_letter_hook();
        }
        let lane = std::sync::Arc::downgrade(&self.lane);
        self.runtime.on_dead_letter(move |letter: &DeadLetter| {
            if let Some(lane) = lane.upgrade() {
                lane.tell_letter(News::Letter(Box::new(letter.clone())));
            }
        });
    }
}
