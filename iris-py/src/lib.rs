//! The Python face of Iris: the private extension module `iris._iris`.
//!
//! It converts values, holds the GIL where it must, and maps errors; rules about actors
//! live in the facade and below. What users import is the package `iris` around it.
//!
//! **Invariant:** Python handlers run on the threads of a [`lane::GuestLane`] and of
//! [`threads::OwnThreads`] and nowhere else, hooks and `logging` on the reporter's, so nothing that Python code does can hold up the runtime's own threads.
//!
//! | module | says |
//! |---|---|
//! | [`runtime`] | the class `Runtime` |
//! | [`spawn`] | how it makes actors of callables |
//! | [`nodes`] | actors of other nodes |
//! | [`observe`] | links, monitors, groups, observers |
//! | [`supervise`] | supervisors, and factories in Python |
//! | [`system`] | system messages as Python objects |
//! | [`wait`] | waits that heed Ctrl-C |
//! | [`aio`] | async actors: coroutines on the loop thread |
//! | [`behavior`] | a callable as a behavior |
//! | [`ask`] | questions, waited for or awaited |
//! | [`actor`] | a class as a behavior: messages are calls of its methods |
//! | [`codec`] | Python values as msgpack |
//! | [`remote`] | exceptions on their way to who asked |
//! | [`join`] | waits for an end that keep no thread |
//! | [`lane`] | the threads that run handlers |
//! | [`threads`] | those of actors that are run apart from it |
//! | [`pulse`] | what a thread shows of the call that it is inside of |
//! | [`watchdog`] | notices handlers that are at one message for long |
//! | [`report`] | the one thread that calls `logging` and hooks |
//! | [`bridge`] | events of the Rust crates as log records |
//! | [`settings`] | what can be set while a runtime runs |
//! | [`introspect`] | actors and the runtime as dicts |
//! | [`mailbox`] | pull actors, and what they receive from |
//! | [`buffers`] | bytes that reach an actor without a copy |
//! | [`overflow`] | full mailboxes, and sends that wait |
//! | [`many`] | calls for many messages or actors |
//! | [`convert`] | pids, payloads and durations from Python |
//! | [`handed`] | `bytes` objects that travel as they are |
//! | [`pid`] | pids from Python |
//! | [`error`] | the one map from errors to exceptions |
//! | [`fork`] | noticing that the process was forked |
//! | [`allocator`] | where memory comes from, and when it goes back |
//! | [`doctor`] | what `python -m iris doctor` asks |
//! | [`offload`] | compiled functions as Python objects |

mod acl;
mod actor;
mod aio;
mod allocator;
mod ask;
mod authority;
mod behavior;
mod bridge;
mod buffers;
mod codec;
mod convert;
mod doctor;
mod error;
mod fork;
mod handed;
mod introspect;
mod join;
mod lane;
mod mailbox;
mod many;
mod nats;
mod nodes;
mod observe;
mod offload;
mod overflow;
mod pid;
mod pulse;
mod remote;
mod report;
mod runtime;
mod settings;
mod spawn;
mod supervise;
mod system;
mod threads;
mod wait;
mod watchdog;

/// The extension module.
// Needs the GIL until the lane is proven on a free-threaded interpreter.
#[pyo3::pymodule(gil_used = true)]
mod _iris {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::actor::ActorClass;
    #[pymodule_export]
    use crate::aio::awaited::Awaited;
    #[pymodule_export]
    use crate::aio::lane::LaneHandle;
    #[pymodule_export]
    use crate::aio::pull::Inbox;
    #[pymodule_export]
    use crate::aio::suspension::Suspension;
    #[pymodule_export]
    use crate::aio::task::HandlerTask;
    #[pymodule_export]
    use crate::ask::Desk;
    #[pymodule_export]
    use crate::authority::make_certificates;
    #[pymodule_export]
    use crate::behavior::Stop;
    #[pymodule_export]
    use crate::buffers::{Buffer, allocate_buffer};
    #[pymodule_export]
    use crate::codec::{pack, unpack};
    #[pymodule_export]
    use crate::doctor::cpu_features;
    #[pymodule_export]
    use crate::fork::after_fork_in_child;
    #[pymodule_export]
    use crate::join::PyMourner;
    #[pymodule_export]
    use crate::mailbox::Mailbox;
    #[pymodule_export]
    use crate::report::{end_reports, flush_reports};
    #[pymodule_export]
    use crate::runtime::PyRuntime;
    #[pymodule_export]
    use crate::system::PySystemMessage;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::allocator::give_back_at_once();
        crate::aio::context::find_place(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("STOP", crate::behavior::stop_object(module.py())?)?;
        crate::offload::add_to(module)
    }
}
