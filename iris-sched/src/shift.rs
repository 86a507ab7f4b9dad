//! What a thread holds on to while it runs one process after another.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use iris_core::Host;

use crate::cohort::Cohort;
use crate::duty::Duty;

/// The runtime and the scheduler of the process that a thread has run last.
///
/// A slice needs both, and to count two references up and down for each slice, on lines that
/// all workers write to, cost more than the slice.
pub(crate) struct Held {
    pub(crate) cohort: Arc<Cohort>,
    pub(crate) host: Arc<dyn Host>,
}

impl Held {
    /// `None` if the runtime is being dropped.
    pub(crate) fn of(cohort: &Arc<Cohort>) -> Option<Self> {
        Some(Self {
            host: cohort.env.host.upgrade()?,
            cohort: cohort.clone(),
        })
    }

    #[inline]
    fn is_of(&self, duty: &Duty) -> bool {
        Arc::ptr_eq(&self.cohort, duty.cohort())
    }
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
    static SHIFTS: Cell<u32> = const { Cell::new(0) };
}

/// A thread is about to run several slices: while this lives, it holds on to the runtime
/// whose process it has run last.
///
/// For schedulers, around a batch of [`Ready::run`](crate::Ready::run). It must not live on
/// while the thread waits for work: a runtime that is held is not dropped.
#[must_use = "it holds for as long as it lives"]
#[derive(Debug)]
pub struct Shift(());

impl Shift {
    /// Begins a shift of the calling thread; one inside of another changes nothing.
    pub fn begin() -> Self {
        SHIFTS.set(SHIFTS.get() + 1);
        Self(())
    }
}

impl Drop for Shift {
    fn drop(&mut self) {
        SHIFTS.set(SHIFTS.get() - 1);
        if SHIFTS.get() == 0 {
            // May be the last reference to a runtime, whose end may ask for this again.
            let held = HELD.with(|held| held.try_borrow_mut().ok().and_then(|mut h| h.take()));
            drop(held);
        }
    }
}

/// Runs `duty` with what belongs to its cohort; gives it back if the runtime is being dropped.
#[inline]
pub(crate) fn with_held(duty: Duty, run: impl FnOnce(Duty, &Held)) -> Result<(), Duty> {
    if SHIFTS.get() == 0 {
        return with_own(duty, run);
    }
    HELD.with(|place| {
        let Ok(held) = place.try_borrow() else {
            return with_own(duty, run);
        };
        if let Some(held) = held.as_ref().filter(|held| held.is_of(&duty)) {
            run(duty, held);
            return Ok(());
        }
        drop(held);
        replace(place, duty.cohort());
        match place.borrow().as_ref().filter(|held| held.is_of(&duty)) {
            Some(held) => {
                run(duty, held);
                Ok(())
            }
            None => with_own(duty, run),
        }
    })
}

#[cold]
fn with_own(duty: Duty, run: impl FnOnce(Duty, &Held)) -> Result<(), Duty> {
    match Held::of(duty.cohort()) {
        Some(held) => {
            run(duty, &held);
            Ok(())
        }
        None => Err(duty),
    }
}

/// Holds what belongs to `cohort` from now on, unless the thread is inside of a slice of
/// another one, or its runtime is being dropped.
#[cold]
fn replace(place: &RefCell<Option<Held>>, cohort: &Arc<Cohort>) {
    let new = Held::of(cohort);
    let old = match place.try_borrow_mut() {
        Ok(mut held) if new.is_some() => std::mem::replace(&mut *held, new),
        _ => new,
    };
    // After the borrow: it may be the last reference to a runtime.
    drop(old);
}

/// Hands `duty` on with its cohort, which outlives the call whatever becomes of the process.
#[inline]
pub(crate) fn with_pinned(duty: Duty, hand_on: impl FnOnce(Duty, &Cohort)) {
    if SHIFTS.get() > 0 {
        return HELD.with(|place| {
            let held = place.try_borrow();
            match held.as_ref().ok().and_then(|held| held.as_ref()) {
                Some(held) if held.is_of(&duty) => hand_on(duty, &held.cohort),
                _ => with_clone(duty, hand_on),
            }
        });
    }
    with_clone(duty, hand_on);
}

fn with_clone(duty: Duty, hand_on: impl FnOnce(Duty, &Cohort)) {
    let cohort = duty.cohort().clone();
    hand_on(duty, &cohort);
}
