//! Events of the Rust crates as records of Python's `logging`.
//!
//! An event at `WARN` or above is queued for the reporter; lower ones too while the Python logger
//! `iris` lets them pass. Never takes the GIL: an event may come from any thread, with locks held.

use std::fmt::{Debug, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use iris::Pid;
use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber, span};

use crate::report::{self, Record, Report};

/// Our own crates' events; a library that we build on may have its own ideas of a warning.
const OURS: &str = "iris";

/// What the binding tells itself, with more of what Python knows: the target and the beginning of
/// the text.
const GIVEN_UP: (&str, &str) = ("iris::supervision::errands", "a supervised child ended");

/// The end of a process, which the binding has told if it was an exception's.
const FAILED: (&str, &str) = ("iris::exits", "process failed");

/// The level that the Python logger asks for, as a level of `logging`; never above `WARNING`.
static PYTHON_LEVEL: AtomicUsize = AtomicUsize::new(report::WARNING as usize);

/// Hears the events of this module's crates from now on. A global, as all of `tracing` is.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails if there is one, which nobody could have set: the module has its own `tracing`.
        tracing::subscriber::set_global_default(Bridge).ok();
    });
}

/// Looks which level the logger `iris` asks for. When a runtime is made, and with each batch that
/// is told.
pub(crate) fn follow_level(py: Python<'_>) {
    let level = py.import("iris._logging").and_then(|logging| {
        let level = logging.call_method0("effective_level")?;
        level.extract::<usize>()
    });
    let level = level.map_or(usize::from(report::WARNING), |level| {
        level.min(report::WARNING.into())
    });
    if PYTHON_LEVEL.swap(level, Ordering::Relaxed) != level {
        tracing::callsite::rebuild_interest_cache();
    }
}

fn filter() -> LevelFilter {
    match PYTHON_LEVEL.load(Ordering::Relaxed) {
        0..10 => LevelFilter::TRACE,
        10..20 => LevelFilter::DEBUG,
        20..30 => LevelFilter::INFO,
        _ => LevelFilter::WARN,
    }
}

fn python_level(level: Level) -> u8 {
    match level {
        Level::ERROR => report::ERROR,
        Level::WARN => report::WARNING,
        Level::INFO => 20,
        Level::DEBUG => 10,
        _ => 5,
    }
}

/// `iris_sched::slice` is the logger `iris.sched.slice`.
fn logger_of(target: &str) -> String {
    let inner = target.strip_prefix("iris_").unwrap_or(target);
    let dotted = inner.replace("::", ".");
    if inner.len() == target.len() {
        dotted
    } else {
        format!("iris.{dotted}")
    }
}

struct Bridge;

impl Subscriber for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= filter() && metadata.target().starts_with(OURS)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(filter())
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut text = Text::default();
        event.record(&mut text);
        let is = |(target, start): (&str, &str)| {
            metadata.target() == target && text.message.starts_with(start)
        };
        let told = match text.pid {
            Some(pid) if is(FAILED) => report::was_told(pid),
            _ => is(GIVEN_UP),
        };
        if told {
            return;
        }
        let pid = text.pid.and_then(Pid::from_raw);
        let logger = logger_of(metadata.target());
        let mut record = Record::new(logger, python_level(*metadata.level()), text.whole());
        record.pid = pid;
        report::tell(Report::Log(record));
    }

    // Of spans nothing is told.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// An event as text: the message, then its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
    pid: Option<u64>,
}

impl Text {
    fn whole(self) -> String {
        let Self {
            message, fields, ..
        } = self;
        if fields.is_empty() {
            return message;
        }
        format!("{message} ({})", fields.trim_start_matches(", "))
    }
}

impl Visit for Text {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "pid" {
            self.pid = Some(value);
        }
        self.record_debug(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            write!(self.fields, ", {}={value}", field.name()).ok();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, ", {}={value:?}", field.name())
        };
        written.ok();
    }
}
