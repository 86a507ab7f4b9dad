//! Actors whose behavior is a class: messages are calls of its methods.
//!
//! The instance is the state of the process. It is made inside the actor by its first message,
//! which whoever spawns it handles on the own thread (see [`Ask::here`](iris::Ask::here)), so
//! that what a constructor raises is raised by the spawn, and a spawn costs no change of threads.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use iris::{
    Behavior, Context, Exit, Failure, Message, MigrationError, Payload, Pid, ReplyTo, State, Step,
};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple, PyType};

use crate::aio::context;
use crate::aio::lane::LoopLane;
use crate::aio::task::{Outcome, Role};
use crate::ask::{self, Inquiry};
use crate::behavior::{OnLoop, Stop, coroutine_of, refuse_coroutine, run_on_loop, send_to_loop};
use crate::codec;
use crate::convert::OnError;
use crate::error;
use crate::fork::{self, Birthplace};
use crate::mailbox;
use crate::overflow;
use crate::remote;
use crate::runtime::{Parts, PyRuntime};
use crate::system;

/// The message that has an instance made and nothing else: a byte that begins no msgpack.
const WAKE: &[u8] = &[0xc1];

/// Instances of earlier classes that an actor keeps for rollbacks, as many as it keeps
/// behaviors.
const KEPT_INSTANCES: usize = 16;

static LAST_BEHAVIOR: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The method that the calling thread is inside of.
    static DOING: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// The method that the calling thread is inside of, such as `Counter.add`.
pub(crate) fn doing() -> Option<String> {
    DOING.with_borrow(|doing| doing.as_deref().map(str::to_owned))
}

/// Names a method for as long as it runs.
struct Doing(Option<Arc<str>>);

impl Doing {
    fn enter(method: &Arc<str>) -> Self {
        Self(DOING.replace(Some(method.clone())))
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        DOING.set(self.0.take());
    }
}

/// What the runtime knows of a class of actors. Made once for each, in `iris/_actor.py`.
#[pyclass(module = "iris._iris", name = "_ActorClass", frozen)]
pub(crate) struct ActorClass {
    class: Py<PyType>,
    name: String,
    /// The constructor, for errors.
    birth: Arc<str>,
    methods: HashMap<Vec<u8>, Method>,
    has_on_stop: bool,
    has_on_system: bool,
    /// Whether it has methods that are coroutines.
    is_async: bool,
}

struct Method {
    name: Py<PyString>,
    /// With its class, for errors.
    label: Arc<str>,
}

#[pymethods]
impl ActorClass {
    #[new]
    fn new(
        actor: &Bound<'_, PyType>,
        methods: Vec<String>,
        has_on_stop: bool,
        has_on_system: bool,
        is_async: bool,
    ) -> PyResult<Self> {
        let py = actor.py();
        let name: String = actor.qualname()?.extract()?;
        let method = |method: String| {
            let label = format!("{name}.{method}").into();
            let name = PyString::intern(py, &method).unbind();
            (method.into_bytes(), Method { name, label })
        };
        Ok(Self {
            class: actor.clone().unbind(),
            methods: methods.into_iter().map(method).collect(),
            birth: format!("{name}.__init__").into(),
            name,
            has_on_stop,
            has_on_system,
            is_async,
        })
    }
}

/// What a constructor is called with, until it is.
struct Birth {
    runtime: Py<PyAny>,
    args: Py<PyTuple>,
    kwargs: Option<Py<PyDict>>,
    /// Where the spawn finds what the constructor raised.
    raised: Arc<Mutex<Option<PyErr>>>,
}

/// The state of an actor of a class.
struct Being {
    /// There until the instance is.
    birth: Option<Birth>,
    instance: Option<Py<PyAny>>,
    /// The number of the behavior that the instance is of.
    of: u64,
    /// The instances of behaviors before it, oldest first.
    earlier: Vec<(u64, Py<PyAny>)>,
}

impl Being {
    /// The exit of an actor whose constructor raised.
    fn stillborn(&self, py: Python<'_>) -> Exit {
        let Some(birth) = &self.birth else {
            return Exit::crash(Failure::default());
        };
        let place = birth.raised.lock().unwrap_or_else(PoisonError::into_inner);
        let raised = place.as_ref().map(|raised| raised.clone_ref(py));
        drop(place);
        Exit::crash(raised.map_or_else(Failure::default, |raised| error::failure(py, &raised)))
    }
}

pub(crate) struct ActorBehavior {
    class: Py<ActorClass>,
    /// No other behavior has it.
    number: u64,
    birth: Mutex<Option<Birth>>,
    migrate: Option<Py<PyAny>>,
    calling: Arc<Calling>,
    system: bool,
    born: Birthplace,
    /// Where coroutines run.
    loop_lane: Arc<LoopLane>,
}

/// What becomes of an actor, according to how a method has ended.
struct Calling {
    /// Of the class.
    name: String,
    on_error: OnError,
}

impl Outcome for Calling {
    fn step(
        &self,
        py: Python<'_>,
        pid: Pid,
        ended: PyResult<Bound<'_, PyAny>>,
        reply: Option<ReplyTo>,
    ) -> Step {
        let meant = ended.and_then(|returned| meaning(&returned, reply.is_some()));
        match meant {
            Ok((answer, step)) => {
                if let Some((reply, answer)) = reply.zip(answer) {
                    reply.reply(answer);
                }
                step
            }
            Err(raised) => self.on_error.raised(py, pid, &self.name, reply, &raised),
        }
    }

    fn answer(&self, cx: &mut Context<'_>, returned: &Bound<'_, PyAny>) -> PyResult<Step> {
        answer(cx, returned)
    }
}

impl ActorBehavior {
    fn new(
        class: Py<ActorClass>,
        on_error: OnError,
        system: bool,
        loop_lane: &Arc<LoopLane>,
    ) -> Self {
        let name = class.get().name.clone();
        Self {
            class,
            number: LAST_BEHAVIOR.fetch_add(1, Ordering::Relaxed) + 1,
            birth: Mutex::default(),
            migrate: None,
            calling: Arc::new(Calling { name, on_error }),
            system,
            born: Birthplace::here(),
            loop_lane: loop_lane.clone(),
        }
    }

    /// As `PyBehavior` does: with the GIL, which the lane has taken.
    fn attached(
        &self,
        cx: &mut Context<'_>,
        call: impl FnOnce(Python<'_>, &mut Context<'_>) -> PyResult<Step>,
    ) -> Step {
        let called = Python::try_attach(|py| {
            let called = call(py, cx);
            if !self.born.is_here() {
                fork::leave_child(py, called.err());
            }
            called.unwrap_or_else(|raised| {
                let reply = cx.take_reply();
                let calling = &self.calling;
                calling
                    .on_error
                    .raised(py, cx.pid(), &calling.name, reply, &raised)
            })
        });
        called.unwrap_or_else(|| {
            Step::Stop(Exit::crash(Failure {
                kind: "RuntimeError".to_owned(),
                message: "the Python interpreter is gone".to_owned(),
                traceback: String::new(),
            }))
        })
    }

    /// A message that is the sender's mistake: told to who asks, else logged.
    fn refuse(&self, py: Python<'_>, cx: &mut Context<'_>, why: &PyErr) -> Step {
        if let Some(reply) = cx.take_reply() {
            reply.reject(remote::told(py, why));
        } else {
            let name = &self.class.get().name;
            let text = format!("actor {} ({name}) got a message it cannot handle", cx.pid());
            error::log(py, &text, why);
        }
        Step::Done
    }

    fn receive(
        &self,
        py: Python<'_>,
        state: &mut State,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> PyResult<Step> {
        let Some(being) = state.downcast_mut::<Being>() else {
            return Err(PyRuntimeError::new_err("the state is not an actor's"));
        };
        let instance = match &being.instance {
            Some(instance) => instance.bind(py).clone(),
            None => match self.bear(py, being, cx.pid())? {
                Some(instance) => instance,
                // Whoever spawned it raises what was raised.
                None => return Ok(Step::Stop(being.stillborn(py))),
            },
        };
        if bytes == WAKE {
            cx.reply(Payload::copy_of(b""));
            return Ok(Step::Done);
        }
        let class = self.class.get();
        let called = codec::Call::open(bytes).map_err(|broken| broken.raise(py));
        let call = match called {
            Ok(call) => call,
            Err(why) => return Ok(self.refuse(py, cx, &why)),
        };
        let Some(method) = class.methods.get(call.method) else {
            let name = String::from_utf8_lossy(call.method);
            let text = format!(
                "{} has no method {name:?} that may be called from outside: public methods may",
                class.name
            );
            let why = error::protocol(py, text);
            return Ok(self.refuse(py, cx, &why));
        };
        let arguments = match call.arguments(instance) {
            Ok(arguments) => arguments,
            Err(why) => return Ok(self.refuse(py, cx, &why)),
        };
        match self.run(py, cx, method, &arguments) {
            Ok(step) => Ok(step),
            // No line of the method has run: the arguments are not its parameters.
            Err(why) if why.is_instance_of::<PyTypeError>(py) && why.traceback(py).is_none() => {
                Ok(self.refuse(py, cx, &why))
            }
            Err(raised) => Err(raised),
        }
    }

    /// Calls a method, on the loop thread as far as its coroutine goes without waiting.
    fn run(
        &self,
        py: Python<'_>,
        cx: &mut Context<'_>,
        method: &Method,
        arguments: &codec::Arguments<'_>,
    ) -> PyResult<Step> {
        let carried = context::carried(py, cx.take_baggage());
        // For as long as it does not wait: later steps are its process's.
        let _doing = Doing::enter(&method.label);
        let call = || method.call(py, arguments);
        if self.loop_lane.is_here() {
            let how = OnLoop {
                ending: self.calling.clone(),
                reentrant: false,
            };
            return run_on_loop(&self.loop_lane, cx, py, carried, how, call);
        }
        let returned = if let Some(context) = &carried {
            context::within(context, call)
        } else {
            let returned = call();
            context::cleanse(py)?;
            returned
        }?;
        match coroutine_of(&returned)? {
            None => answer(cx, &returned),
            Some(coroutine) => {
                let context = carried.map_or_else(|| context::blank(py), Ok)?;
                let role = Role::handler(cx.pid(), self.calling.clone());
                send_to_loop(&self.loop_lane, coroutine, context, role)
            }
        }
    }

    /// Makes the instance; `None` if that raised.
    fn bear<'py>(
        &self,
        py: Python<'py>,
        being: &mut Being,
        pid: Pid,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        static BEAR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let Some(birth) = &being.birth else {
            return Err(PyRuntimeError::new_err("the actor has no instance"));
        };
        let class = self.class.get();
        let kwargs = birth.kwargs.as_ref().map(|kwargs| kwargs.clone_ref(py));
        let _doing = Doing::enter(&class.birth);
        let born = BEAR.import(py, "iris._actor", "_bear").and_then(|bear| {
            let args = birth.args.clone_ref(py);
            bear.call1((&class.class, &birth.runtime, pid.raw(), args, kwargs))
        });
        match born {
            Ok(instance) => {
                being.instance = Some(instance.clone().unbind());
                being.birth = None;
                Ok(Some(instance))
            }
            Err(raised) => {
                let mut place = birth.raised.lock().unwrap_or_else(PoisonError::into_inner);
                *place = Some(raised);
                Ok(None)
            }
        }
    }

    /// The instance of this class that takes over from the present one.
    fn successor<'py>(&self, py: Python<'py>, being: &mut Being) -> PyResult<Bound<'py, PyAny>> {
        let helper = |name: &str| py.import("iris._actor")?.getattr(name);
        let Some(present) = &being.instance else {
            return Err(PyRuntimeError::new_err("the actor has no instance"));
        };
        let mut earlier = being.earlier.iter();
        if let Some(at) = earlier.position(|(number, _)| *number == self.number) {
            let revived = being.earlier[at].1.clone_ref(py);
            helper("_revive")?.call1((&revived, present))?;
            being.earlier.truncate(at);
            return Ok(revived.into_bound(py));
        }
        let class = self.class.get();
        let successor = helper("_evolve")?.call1((&class.class, present, &self.migrate))?;
        being.earlier.push((being.of, present.clone_ref(py)));
        if being.earlier.len() > KEPT_INSTANCES {
            // The original is kept for ever, as with behaviors.
            being.earlier.remove(1);
        }
        Ok(successor)
    }

    fn take_over(&self, py: Python<'_>, being: &mut Being) -> PyResult<()> {
        if being.of == self.number || being.instance.is_none() {
            being.of = self.number;
            return Ok(());
        }
        let successor = self.successor(py, being)?;
        being.instance = Some(successor.unbind());
        being.of = self.number;
        Ok(())
    }
}

/// What an actor wants whose method has returned this, and what it answers if somebody
/// `is_asking`.
fn meaning(returned: &Bound<'_, PyAny>, is_asking: bool) -> PyResult<(Option<Payload>, Step)> {
    let is_stop = returned.is_exact_instance_of::<Stop>();
    let step = if is_stop { Step::stop() } else { Step::Done };
    if !is_asking {
        return Ok((None, step));
    }
    let none = returned.py().None();
    let result = if is_stop {
        none.bind(returned.py())
    } else {
        returned
    };
    Ok((Some(codec::value("result", result)?), step))
}

/// What follows from what a method returned.
fn answer(cx: &mut Context<'_>, returned: &Bound<'_, PyAny>) -> PyResult<Step> {
    let (answer, step) = meaning(returned, cx.is_asked())?;
    if let Some(answer) = answer {
        cx.reply(answer);
    }
    Ok(step)
}

impl Method {
    fn call<'py>(
        &self,
        py: Python<'py>,
        arguments: &codec::Arguments<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let codec::Arguments { values, keywords } = arguments;
        let positional = values.len() - keywords.len();
        let keywords = if keywords.is_empty() {
            None
        } else {
            Some(PyTuple::new(py, keywords)?)
        };
        let keywords = keywords
            .as_ref()
            .map_or(std::ptr::null_mut(), Bound::as_ptr);
        // SAFETY: a `Bound` is a pointer to its object, and the vector holds the instance, the
        // arguments by position and those by keyword, whose names the tuple holds in that
        // order. All live until the call returns, which gives a new reference or an exception.
        unsafe {
            let returned = ffi::PyObject_VectorcallMethod(
                self.name.as_ptr(),
                values.as_ptr().cast(),
                positional,
                keywords,
            );
            Bound::from_owned_ptr_or_err(py, returned)
        }
    }
}

impl Behavior for ActorBehavior {
    fn init(&self) -> State {
        let birth = self.birth.lock().unwrap_or_else(PoisonError::into_inner);
        let birth = { birth }.take();
        Box::new(Being {
            birth,
            instance: None,
            of: self.number,
            earlier: Vec::new(),
        })
    }

    fn handle(&self, state: &mut State, cx: &mut Context<'_>, message: Message) -> Step {
        match message {
            Message::User(bytes) => self.attached(cx, |py, cx| self.receive(py, state, cx, &bytes)),
            message if self.system && self.class.get().has_on_system => {
                self.attached(cx, |py, _| {
                    let being = state.downcast_ref::<Being>();
                    let Some(instance) = being.and_then(|being| being.instance.as_ref()) else {
                        return Ok(Step::Done);
                    };
                    let message = system::object(py, &message)?;
                    let returned = instance.bind(py).call_method1("on_system", (message,))?;
                    if returned.is_exact_instance_of::<Stop>() {
                        return Ok(Step::stop());
                    }
                    refuse_coroutine(&returned).map(|()| Step::Done)
                })
            }
            _ => Step::Done,
        }
    }

    fn handle_in_place(
        &self,
        state: &mut State,
        cx: &mut Context<'_>,
        payload: &mut Payload,
    ) -> Step {
        self.attached(cx, |py, cx| self.receive(py, state, cx, payload))
    }

    fn migrate(&self, mut old: State, _from: u32) -> Result<State, MigrationError> {
        let Some(being) = old.downcast_mut::<Being>() else {
            return Err(MigrationError {
                state: old,
                failure: Failure {
                    kind: "TypeError".to_owned(),
                    message: "the actor is none of a class".to_owned(),
                    traceback: String::new(),
                },
            });
        };
        let taken = Python::try_attach(|py| {
            self.take_over(py, being).map_err(|raised| {
                let name = &self.class.get().name;
                let text = format!("the swap to {name} failed; the actor goes on as it was");
                error::log(py, &text, &raised);
                error::failure(py, &raised)
            })
        });
        match taken.unwrap_or_else(|| Err(Failure::default())) {
            Ok(()) => Ok(old),
            Err(failure) => Err(MigrationError {
                state: old,
                failure,
            }),
        }
    }

    fn on_stop(&self, state: &mut State, _: &Exit) {
        let being = state.downcast_ref::<Being>();
        let instance = being.and_then(|being| being.instance.as_ref());
        let Some(instance) = instance.filter(|_| self.class.get().has_on_stop) else {
            return;
        };
        Python::try_attach(|py| {
            let returned = instance.bind(py).call_method0("on_stop");
            if let Err(raised) = returned.and_then(|returned| refuse_coroutine(&returned)) {
                let text = format!("on_stop of {} raised", self.class.get().name);
                error::log(py, &text, &raised);
            }
        });
    }

    fn name(&self) -> &str {
        &self.class.get().name
    }
}

#[pymethods]
impl PyRuntime {
    /// Spawns an actor of a class, see `spawn_actor`.
    #[expect(clippy::too_many_arguments, reason = "the package names them")]
    fn _spawn_class(
        slf: &Bound<'_, Self>,
        actor: Py<ActorClass>,
        args: Py<PyTuple>,
        kwargs: Option<Py<PyDict>>,
        budget: u32,
        capacity: Option<u32>,
        name: Option<&str>,
        on_error: &str,
        parent: Option<u64>,
        system: bool,
    ) -> PyResult<u64> {
        let py = slf.py();
        let this = slf.get();
        let Parts {
            runtime,
            cohort,
            loop_cohort,
            loop_lane,
            ..
        } = this.parts(py)?;
        let label = actor.get().birth.clone();
        let cohort = if actor.get().is_async {
            this.start_loop(py)?;
            loop_cohort
        } else {
            cohort
        };
        let behavior = ActorBehavior::new(actor, OnError::parse(on_error)?, system, loop_lane);
        let raised = Arc::<Mutex<Option<PyErr>>>::default();
        let birth = Birth {
            runtime: slf.clone().into_any().unbind(),
            args,
            kwargs,
            raised: raised.clone(),
        };
        *behavior
            .birth
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(birth);
        let mut builder = runtime.spawn(behavior).budget(budget);
        builder = builder.of_cohort(cohort.clone());
        if let Some(name) = name {
            builder = builder.named(name);
        }
        if let Some(parent) = parent {
            builder = builder.child_of(this.live_target(py, parent)?.1);
        }
        if let Some(capacity) = capacity {
            builder = builder.capacity(capacity);
        }
        let pid = builder.start().map_err(|error| error::spawn(py, &error))?;
        let awake = ask::wake(py, runtime, pid, Payload::copy_of(WAKE), &label);
        let raised = raised.lock().unwrap_or_else(PoisonError::into_inner).take();
        match raised {
            Some(raised) => Err(raised),
            None => awake.map(|()| pid.raw()),
        }
    }

    /// The call of a method as bytes, for `send` and timers.
    #[staticmethod]
    #[pyo3(signature = (method, args, kwargs))]
    fn _packed<'py>(
        method: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let name = ask::method_name(method)?;
        let payload = codec::call(&name, args, Some(kwargs))?;
        Ok(PyBytes::new(method.py(), &payload))
    }

    /// Sends the call of a method.
    fn _tell(
        &self,
        py: Python<'_>,
        pid: u64,
        method: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let name = ask::method_name(method)?;
        let payload = codec::call(&name, args, Some(kwargs))?;
        let (runtime, to) = self.live_target(py, pid)?;
        if overflow::send(py, runtime, to, payload)? {
            return Ok(());
        }
        Err(error::not_accepted(py, pid, runtime.is_alive(to)))
    }

    /// Calls a method and waits for what it returns.
    #[pyo3(signature = (pid, method, args, kwargs, timeout))]
    fn _call_method<'py>(
        &self,
        py: Python<'py>,
        pid: u64,
        method: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let timeout = mailbox::wait_time(timeout)?;
        let inquiry = Inquiry::call(pid, method, args, Some(kwargs))?;
        ask::wait(py, self.runtime(py)?, inquiry, timeout)
    }

    /// Swaps the class of an actor, see `hot_swap`.
    #[pyo3(signature = (pid, actor, migrate, now, on_error, system))]
    #[expect(clippy::too_many_arguments, reason = "the package names them")]
    fn _swap_class(
        &self,
        py: Python<'_>,
        pid: u64,
        actor: Py<ActorClass>,
        migrate: Option<Py<PyAny>>,
        now: bool,
        on_error: &str,
        system: bool,
    ) -> PyResult<u32> {
        let (runtime, target) = self.live_target(py, pid)?;
        let newest = runtime.newest_behavior(target);
        let newest = newest.ok_or_else(|| error::dead_actor(py, pid))?;
        let newest: &dyn std::any::Any = &*newest;
        let Some(newest) = newest.downcast_ref::<ActorBehavior>() else {
            return Err(PyTypeError::new_err(format!(
                "actor {pid} is none of a class, so it has no instance that {} could take over \
                 from",
                actor.get().name
            )));
        };
        if migrate.is_none() {
            let check = py.import("iris._actor")?.getattr("_check_fields")?;
            check.call1((&newest.class.get().class, &actor.get().class))?;
        }
        let loop_lane = &self.parts(py)?.loop_lane;
        let on_error = OnError::parse(on_error)?;
        let mut behavior = ActorBehavior::new(actor, on_error, system, loop_lane);
        behavior.migrate = migrate;
        let version = if now {
            runtime.hot_swap_now(target, behavior)
        } else {
            runtime.hot_swap(target, behavior)
        };
        version.ok_or_else(|| error::dead_actor(py, pid))
    }
}
