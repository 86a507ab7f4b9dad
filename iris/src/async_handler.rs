//! Handlers that are async functions.

use std::future::Future;
use std::task::{self, Poll, Waker};

use iris_core::{Behavior, Context, Message, State, Step};

use crate::inside;

/// A behavior from an async function of a message, system messages included.
///
/// The future runs to its end before the next message. It returns nothing, or a [`Step`] to end
/// the process. Costs one allocation for a message, and a task of the scheduler's only if the
/// future really waits. Told to stop, a process that waits drops the future where it is.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// use iris::prelude::*;
///
/// let rt = Runtime::new();
/// let pid = rt
///     .spawn(async_handler(|message| async move {
///         tokio::time::sleep(Duration::from_millis(1)).await;
///         println!("{message:?}");
///         Step::stop()
///     }))
///     .start()?;
/// rt.send(pid, &b"hello"[..])?;
/// assert_eq!(rt.join(pid, Some(Duration::from_secs(10))), Ok(true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn async_handler<F, Fut>(f: F) -> impl Behavior
where
    F: Fn(Message) -> Fut + Send + Sync + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: Into<Step>,
{
    AsyncHandler(f)
}

struct AsyncHandler<F>(F);

impl<F, Fut> Behavior for AsyncHandler<F>
where
    F: Fn(Message) -> Fut + Send + Sync + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: Into<Step>,
{
    fn handle(&self, _: &mut State, cx: &mut Context<'_>, message: Message) -> Step {
        let mut future = Box::pin((self.0)(message));
        // Most futures need not wait, and are over here. One that must is polled again by
        // whom the scheduler gives it to, so it does not matter that this waker wakes nobody.
        let mut nobody = task::Context::from_waker(Waker::noop());
        match future.as_mut().poll(&mut nobody) {
            Poll::Ready(output) => output.into(),
            Poll::Pending => {
                let pid = cx.pid();
                Step::Await(Box::pin(
                    async move { inside::scope(pid, future).await.into() },
                ))
            }
        }
    }

    fn name(&self) -> &str {
        std::any::type_name::<F>()
    }
}
