//! Where the cells are: pages that are never freed.
//!
//! Static, one for all runtimes of the program. So a reference to a cell is good for ever, and
//! a process in a scheduler's queue is two words without a count of references; a look-up is
//! one load of a page's address; and two runtimes never give out the same pid, since a slot is
//! used by one of them at a time and its generations go on. The memory is what the most
//! processes at any moment needed: 128 bytes for each.

#![expect(unsafe_code, reason = "pages of cells that are never freed")]

use std::alloc::{Layout, alloc, handle_alloc_error};
use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use iris_core::Pid;

use crate::cell::Cell;

/// Cells of a page: 128 KiB.
const PAGE: u32 = 1 << 10;
const PAGES: usize = 1 << 14;

/// Processes that there can be at a time: 16,777,216.
#[expect(clippy::cast_possible_truncation, reason = "16,384")]
pub(crate) const LIMIT: u32 = PAGE * PAGES as u32;

const GENERATIONS: u32 = Pid::LAST_GENERATION - Pid::FIRST_GENERATION + 1;

static TABLE: [AtomicPtr<Cell>; PAGES] = [const { AtomicPtr::new(null_mut()) }; PAGES];

/// Slots that were ever used lie below.
static USED: AtomicU32 = AtomicU32::new(0);

static FREE: Mutex<VecDeque<u32>> = Mutex::new(VecDeque::new());

/// Where the generations of all slots begin: at a value that is drawn once, so that the pids
/// of two programs practically never coincide.
fn first_life() -> u32 {
    static FIRST: OnceLock<u32> = OnceLock::new();
    *FIRST.get_or_init(|| {
        let random = RandomState::new().build_hasher().finish();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "reduced to the range just before"
        )]
        let offset = (random % u64::from(GENERATIONS)) as u32;
        Pid::FIRST_GENERATION + offset
    })
}

/// The generation after `life`; they wrap inside their range.
pub(crate) fn next_life(life: u32) -> u32 {
    if life == Pid::LAST_GENERATION {
        Pid::FIRST_GENERATION
    } else {
        life + 1
    }
}

/// The cell of a slot, if one ever was in use thereabouts.
#[inline]
pub(crate) fn cell(slot: u32) -> Option<&'static Cell> {
    let page = TABLE.get((slot / PAGE) as usize)?.load(Ordering::Acquire);
    if page.is_null() {
        return None;
    }
    // SAFETY: a page is published after all of its cells were written, has `PAGE` of them, and
    // is never freed.
    Some(unsafe { &*page.add((slot % PAGE) as usize) })
}

/// A slot that is the caller's alone, and its cell, which is closed. The one that has been
/// free for the longest; `None` with [`LIMIT`] in use.
pub(crate) fn take() -> Option<(u32, &'static Cell)> {
    let mut free = lock();
    let slot = match free.pop_front() {
        Some(slot) => slot,
        None => grow()?,
    };
    drop(free);
    Some((
        slot,
        cell(slot).expect("a slot that was ever used has a page"),
    ))
}

/// Gives a slot back, unless its generations are used up: then it is retired.
pub(crate) fn give_back(slot: u32, next_life: u32) {
    if next_life != first_life() {
        lock().push_back(slot);
    }
}

/// All cells that were ever used, by slot.
pub(crate) fn all() -> impl Iterator<Item = (u32, &'static Cell)> {
    (0..USED.load(Ordering::Acquire)).filter_map(|slot| Some((slot, cell(slot)?)))
}

/// A slot that nobody ever used. Called under the lock.
fn grow() -> Option<u32> {
    let slot = USED.load(Ordering::Relaxed);
    if slot == LIMIT {
        return None;
    }
    if slot.is_multiple_of(PAGE) {
        TABLE[(slot / PAGE) as usize].store(page(), Ordering::Release);
    }
    USED.store(slot + 1, Ordering::Release);
    Some(slot)
}

#[cold]
fn page() -> *mut Cell {
    let layout = Layout::array::<Cell>(PAGE as usize).expect("128 KiB");
    // SAFETY: the layout is not empty.
    let page = unsafe { alloc(layout) };
    if page.is_null() {
        handle_alloc_error(layout);
    }
    #[expect(
        clippy::cast_ptr_alignment,
        reason = "the layout asks for the alignment"
    )]
    let page = page.cast::<Cell>();
    for at in 0..PAGE as usize {
        // SAFETY: inside of the page, which nobody else has seen yet.
        unsafe { page.add(at).write(Cell::unborn(first_life())) };
    }
    page
}

fn lock() -> MutexGuard<'static, VecDeque<u32>> {
    // No code of others runs under the lock, so a poisoned one is whole.
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_wrap_inside_their_range() {
        assert_eq!(next_life(Pid::LAST_GENERATION), Pid::FIRST_GENERATION);
        assert_eq!(next_life(Pid::FIRST_GENERATION), Pid::FIRST_GENERATION + 1);
    }

    #[test]
    fn a_slot_that_was_through_all_generations_is_retired() {
        let free = lock().len();
        let (slot, _) = take().unwrap();
        give_back(slot, first_life());
        assert!(!lock().contains(&slot), "{free} were free");
    }

    #[test]
    fn no_slot_beyond_those_in_use_has_a_cell() {
        assert!(cell(u32::MAX).is_none());
        assert!(cell(LIMIT).is_none());
        assert!(cell(LIMIT - 1).is_none());
    }
}
