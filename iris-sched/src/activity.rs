//! How many processes have work: for draining a runtime.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Counts the processes of a runtime that are scheduled, running or awaiting.
///
/// A runtime is quiet when the count is zero: then every mailbox is empty, and nothing
/// but a timer or an outside sender can make it busy again.
///
/// A process becomes busy and idle again with nearly every message, so each thread counts on
/// a cache line of its own, with plain stores: how often processes became busy and how often
/// idle. Who wants to know adds all of it up, the ends before the beginnings. An end that it
/// sees comes after its beginning, which it therefore sees, too; so equal sums mean that each
/// beginning it saw has ended. One that it did not see was caused by none of those, but by
/// somebody outside, at the same time.
pub struct Activity {
    lines: Box<[Line; LINES]>,
}

/// Threads with a line of their own; more share the last one.
const LINES: usize = 64;

#[repr(align(64))]
#[derive(Default)]
struct Line {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// The longest sleep between two looks at whether a runtime is quiet.
const LONGEST_LOOK: Duration = Duration::from_millis(1);

impl Default for Activity {
    fn default() -> Self {
        let lines: Vec<Line> = (0..LINES).map(|_| Line::default()).collect();
        let lines = lines.into_boxed_slice().try_into();
        Self {
            lines: lines.unwrap_or_else(|_| unreachable!("as many lines as asked for")),
        }
    }
}

impl Activity {
    /// A process has left idleness.
    #[inline]
    pub(crate) fn begin(&self) {
        self.count(|line| &line.begun);
    }

    /// A process has become idle or has ended.
    #[inline]
    pub(crate) fn end(&self) {
        self.count(|line| &line.ended);
    }

    /// As [`end`](Self::end) when the guard is dropped, be it by a panic.
    pub(crate) fn ends_with_this(&self) -> Ends<'_> {
        Ends(self)
    }

    #[inline]
    fn count(&self, which: impl Fn(&Line) -> &AtomicU64) {
        let line = line_of_thread();
        let count = which(&self.lines[line]);
        if line == SHARED_LINE {
            count.fetch_add(1, Ordering::AcqRel);
        } else {
            // Nobody else writes to this line.
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Release);
        }
    }

    fn sum(&self, which: impl Fn(&Line) -> &AtomicU64) -> u64 {
        let counts = self.lines.iter().map(which);
        counts.map(|count| count.load(Ordering::Acquire)).sum()
    }

    /// Processes that have work at this moment; more if some come and go meanwhile.
    pub fn busy(&self) -> usize {
        let ended = self.sum(|line| &line.ended);
        let begun = self.sum(|line| &line.begun);
        usize::try_from(begun - ended).unwrap_or(usize::MAX)
    }

    /// Blocks the calling thread until no process has work, or until `timeout` is over;
    /// says whether it is quiet. Looks at growing intervals of up to 1 ms. Not for threads
    /// that run processes.
    pub fn wait_quiet(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut look = Duration::from_micros(20);
        loop {
            if self.busy() == 0 {
                return true;
            }
            let left = deadline.map_or(timeout, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            thread::sleep(look.min(left));
            look = (look * 2).min(LONGEST_LOOK);
        }
    }
}

/// Counts the end of a process's work when it is dropped.
pub(crate) struct Ends<'a>(&'a Activity);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activity")
            .field("busy", &self.busy())
            .finish()
    }
}

const SHARED_LINE: usize = LINES - 1;

/// A bit for each line that a living thread has.
static TAKEN: AtomicU64 = AtomicU64::new(1 << SHARED_LINE);

/// A line that the thread gives back when it ends.
struct OwnLine(usize);

impl OwnLine {
    fn take() -> Self {
        let mut line = SHARED_LINE;
        let taken = TAKEN.try_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
            line = taken.trailing_ones() as usize;
            (line < LINES).then(|| taken | 1 << line)
        });
        LINE.set(taken.map_or(SHARED_LINE, |_| line));
        Self(LINE.get())
    }
}

impl Drop for OwnLine {
    fn drop(&mut self) {
        // What the thread still does while it ends counts on the shared line.
        LINE.set(SHARED_LINE);
        if self.0 != SHARED_LINE {
            TAKEN.fetch_and(!(1 << self.0), Ordering::AcqRel);
        }
    }
}

/// Not asked for yet.
const UNKNOWN: usize = usize::MAX;

thread_local! {
    static LINE: Cell<usize> = const { Cell::new(UNKNOWN) };
    static OWN: OwnLine = OwnLine::take();
}

#[inline]
fn line_of_thread() -> usize {
    let line = LINE.get();
    if line == UNKNOWN { first_line() } else { line }
}

#[cold]
fn first_line() -> usize {
    // Fails while the thread ends; then `LINE` is set already, or stays unknown for good.
    OWN.try_with(|own| own.0).unwrap_or(SHARED_LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_quiet_when_all_that_began_has_ended_on_whichever_thread() {
        let activity = Activity::default();
        for _ in 0..3 {
            activity.begin();
        }
        assert_eq!(activity.busy(), 3);
        thread::scope(|scope| {
            scope.spawn(|| activity.end());
            scope.spawn(|| activity.end());
        });
        assert_eq!(activity.busy(), 1);
        assert!(!activity.wait_quiet(Duration::ZERO));
        activity.end();
        assert!(activity.wait_quiet(Duration::ZERO));
    }

    #[test]
    fn more_threads_than_lines_count_exactly() {
        let activity = Activity::default();
        let barrier = std::sync::Barrier::new(LINES + 20);
        thread::scope(|scope| {
            for _ in 0..LINES + 20 {
                scope.spawn(|| {
                    activity.begin();
                    barrier.wait();
                    for _ in 0..1000 {
                        activity.begin();
                        activity.end();
                    }
                });
            }
        });
        assert_eq!(activity.busy(), LINES + 20);
    }
}
