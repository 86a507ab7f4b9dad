//! Calls back when a process is gone: for those who wait for it and must not block.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use iris_core::Pid;

use crate::runtime::Runtime;
use crate::undertaker::contain;

type Callback = Box<dyn FnOnce() + Send>;

/// Who waits for whose end.
#[derive(Default)]
pub(crate) struct Mourners {
    /// How many there are, for those that end without any.
    count: AtomicUsize,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    of: HashMap<Pid, Vec<(u64, Callback)>>,
    last: u64,
}

/// One who waits for an end, to be [forgotten](Runtime::forget_when_gone).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mourner {
    pid: Pid,
    number: u64,
}

impl Mourners {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, pid: Pid, callback: Callback) -> Mourner {
        // SeqCst here and in `gone`: either that sees the count, or who has just added sees that
        // the process has left the table.
        self.count.fetch_add(1, Ordering::SeqCst);
        let mut book = self.book();
        book.last += 1;
        let number = book.last;
        book.of.entry(pid).or_default().push((number, callback));
        Mourner { pid, number }
    }

    fn remove(&self, Mourner { pid, number }: Mourner) -> Option<Callback> {
        let mut book = self.book();
        let all = book.of.get_mut(&pid)?;
        let at = all.iter().position(|(own, _)| *own == number)?;
        let (_, callback) = all.swap_remove(at);
        if all.is_empty() {
            book.of.remove(&pid);
        }
        self.count.fetch_sub(1, Ordering::SeqCst);
        Some(callback)
    }

    /// The process has left the table.
    pub(crate) fn gone(&self, pid: Pid) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let all = self.book().of.remove(&pid).unwrap_or_default();
        self.count.fetch_sub(all.len(), Ordering::SeqCst);
        for (_, callback) in all {
            contain(
                pid,
                "a callback for the end of a process panicked",
                callback,
            );
        }
    }
}

impl Runtime {
    /// Calls `callback` once when the process has ended and all that follows from it is done, as
    /// [`join`](Self::join) waits for; here and now if that is so already. On the thread that
    /// ends it, which it must not block.
    pub fn when_gone(&self, pid: Pid, callback: impl FnOnce() + Send + 'static) -> Mourner {
        let mourners = self.mourners();
        let mourner = mourners.add(pid, Box::new(callback));
        if self.table().get(pid).is_none()
            && let Some(callback) = mourners.remove(mourner)
        {
            callback();
        }
        mourner
    }

    /// Takes a [`when_gone`](Self::when_gone) back; `false` if it was or is being called.
    pub fn forget_when_gone(&self, mourner: Mourner) -> bool {
        self.mourners().remove(mourner).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use iris_core::{ExitReason, Step, handler};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn the_callback_comes_once_and_finds_the_process_gone() {
        let rt = Runtime::new();
        let (tell, told) = channel();
        for before in [true, false] {
            let pid = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
            let (tell, seen) = (tell.clone(), rt.clone());
            let wait = move |rt: &Runtime| {
                rt.when_gone(pid, move || tell.send(seen.info(pid).is_none()).unwrap());
            };
            if before {
                wait(&rt);
                rt.stop(pid, ExitReason::Killed);
            } else {
                rt.stop(pid, ExitReason::Killed);
                assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
                wait(&rt);
            }
            assert_eq!(told.recv_timeout(PATIENCE), Ok(true));
            assert!(told.try_recv().is_err());
        }
        assert_eq!(rt.mourners().count.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn one_that_is_forgotten_is_not_called() {
        let rt = Runtime::new();
        let pid = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
        let (tell, told) = channel::<()>();
        let mourner = rt.when_gone(pid, move || tell.send(()).unwrap());
        assert!(rt.forget_when_gone(mourner));
        assert!(!rt.forget_when_gone(mourner));
        rt.stop(pid, ExitReason::Killed);
        assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
        assert!(told.try_recv().is_err());
    }
}
