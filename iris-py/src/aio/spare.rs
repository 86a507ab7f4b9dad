//! The one task, and the one context, of coroutines that do not wait.
//!
//! To make both for a message costs more than the message. So they are kept for the next, unless
//! somebody has got hold of the task, or has set something in the context.

use std::sync::Arc;

use pyo3::prelude::*;

use super::context;
use super::lane::LoopLane;
use super::task::HandlerTask;
use crate::error;

impl LoopLane {
    /// The task for a coroutine that may not even wait, which asyncio knows as current.
    pub(crate) fn take_spare<'py>(
        self: &Arc<Self>,
        py: Python<'py>,
    ) -> PyResult<Bound<'py, HandlerTask>> {
        let mut turning = self.turning();
        let known = turning.spare_references != 0;
        let spare = turning.spare.take();
        drop(turning);
        let spare = match spare {
            Some(spare) if known => return Ok(spare.into_bound(py)),
            Some(spare) => spare.into_bound(py),
            None => Bound::new(py, HandlerTask::spare(self.clone()))?,
        };
        let tools = self.tools()?;
        tools
            .enter_task
            .bind(py)
            .call1((&tools.event_loop, &spare))?;
        self.turning().spare_references = context::references(&spare);
        Ok(spare)
    }

    /// Gives it back after a coroutine that did not wait. If anybody has got hold of it, it stays
    /// what it was to them.
    pub(crate) fn return_spare(
        &self,
        spare: Bound<'_, HandlerTask>,
        raised: Option<&PyErr>,
    ) -> PyResult<()> {
        let mut turning = self.turning();
        if turning.spare_references == context::references(&spare) && spare.get().is_untouched() {
            turning.spare = Some(spare.unbind());
            return Ok(());
        }
        turning.spare_references = 0;
        drop(turning);
        spare.get().retire(spare.py(), raised);
        self.leave(&spare)
    }

    /// It is the task of a coroutine that waits from now on.
    pub(crate) fn keep_spare(&self, spare: &Bound<'_, HandlerTask>) -> PyResult<()> {
        self.turning().spare_references = 0;
        self.leave(spare)
    }

    /// It is not the current task any more, but may be again.
    pub(super) fn leave_spare(&self, py: Python<'_>) {
        let mut turning = self.turning();
        if turning.spare_references == 0 {
            return;
        }
        turning.spare_references = 0;
        let spare = turning.spare.take();
        drop(turning);
        let Some(spare) = spare else {
            return;
        };
        if let Err(raised) = self.leave(spare.bind(py)) {
            error::log(py, "asyncio had another task as current", &raised);
        }
        self.turning().spare = Some(spare);
    }

    /// An empty context, which is nobody's.
    pub(crate) fn take_blank<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let blank = self.turning().blank.take();
        blank.map_or_else(|| context::blank(py), |blank| Ok(blank.into_bound(py)))
    }

    /// Gives it back, unless something was set in it.
    pub(crate) fn return_blank(&self, blank: Bound<'_, PyAny>) {
        if blank.len().is_ok_and(|set| set == 0) {
            self.turning().blank = Some(blank.unbind());
        }
    }
}
