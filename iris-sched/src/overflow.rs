//! What becomes of a message that finds a bounded mailbox full.
//!
//! A mailbox without bounds is never full, and only who finds one full asks for its policy: it
//! costs other messages nothing.

use std::fmt;
use std::sync::PoisonError;

use iris_core::{DeadLetter, DeadLetterReason, Envelope, Lane, Pid};
use iris_mailbox::{Eviction, PushError, Refusal};
use thiserror::Error;

use crate::process::Process;
use crate::table::Table;

/// What becomes of a user message that finds a bounded mailbox full.
///
/// | policy | the new message | what else | who sends |
/// |---|---|---|---|
/// | `DropNew` | comes back as an error | | goes on |
/// | `DropOld` | is accepted | the oldest that waits becomes a dead letter (`evicted`) | goes on |
/// | `Redirect(pid)` | is sent to `pid` instead, where that one's own policy applies | | as with `pid` |
/// | `Spill(pid)` | is accepted, beyond the bound | a copy is sent to `pid` | goes on |
/// | `Block` | is accepted when there is room | | waits |
///
/// A mailbox is full when as many user messages wait in it as its capacity says: those that
/// no handler has been given yet, what a receiving actor has set aside included. System messages
/// and orders such as a stop are never refused.
///
/// - A policy outlives its target: what would go to one that has ended comes back as an error
///   (`Redirect`) or is lost with a dead letter (`Spill`), until another policy is set. Pids
///   are not used again, so it never reaches a stranger.
/// - A `Spill` mailbox grows for as long as its process does not keep up. A copy that its target
///   does not take is a dead letter of the target's (`refused`); nobody ever waits for a copy.
/// - What a receiving actor has set aside is its own and is not evicted: a mailbox of which
///   that takes all the room refuses new messages under `DropOld`, too.
/// - With `DropOld` an asker whose question is evicted is told that there will be no answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// The message comes back to who sends it.
    #[default]
    DropNew,
    /// The oldest message that waits makes room for it.
    DropOld,
    /// The message goes to this process instead.
    Redirect(Pid),
    /// A copy goes to this process, and the message itself is accepted all the same.
    Spill(Pid),
    /// Who sends waits until there is room. See `Runtime::send` for who may.
    Block,
}

impl OverflowPolicy {
    /// Whom messages or copies go to.
    pub const fn target(self) -> Option<Pid> {
        match self {
            Self::Redirect(target) | Self::Spill(target) => Some(target),
            Self::DropNew | Self::DropOld | Self::Block => None,
        }
    }

    /// The word for it, as [`from_word`](Self::from_word) takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DropNew => "dropnew",
            Self::DropOld => "dropold",
            Self::Redirect(_) => "redirect",
            Self::Spill(_) => "spill",
            Self::Block => "block",
        }
    }

    /// The policy that a word stands for, in any case and with or without underscores; `redirect`
    /// and `spill` need a target, the others have none.
    ///
    /// # Errors
    ///
    /// [`PolicyError`].
    ///
    /// # Examples
    ///
    /// ```
    /// use iris_sched::{OverflowPolicy, PolicyError};
    ///
    /// assert_eq!(OverflowPolicy::from_word("Drop_New", None), Ok(OverflowPolicy::DropNew));
    /// let error = OverflowPolicy::from_word("spill", None);
    /// assert_eq!(error, Err(PolicyError::NeedsTarget("spill")));
    /// ```
    pub fn from_word(word: &str, target: Option<Pid>) -> Result<Self, PolicyError> {
        let plain = word.to_lowercase().replace('_', "");
        match (plain.as_str(), target) {
            ("redirect", Some(target)) => Ok(Self::Redirect(target)),
            ("redirect", None) => Err(PolicyError::NeedsTarget("redirect")),
            ("spill", Some(target)) => Ok(Self::Spill(target)),
            ("spill", None) => Err(PolicyError::NeedsTarget("spill")),
            ("dropnew", None) => Ok(Self::DropNew),
            ("dropnew", Some(_)) => Err(PolicyError::HasNoTarget("dropnew")),
            ("dropold", None) => Ok(Self::DropOld),
            ("dropold", Some(_)) => Err(PolicyError::HasNoTarget("dropold")),
            ("block", None) => Ok(Self::Block),
            ("block", Some(_)) => Err(PolicyError::HasNoTarget("block")),
            _ => Err(PolicyError::Unknown(word.to_owned())),
        }
    }
}

/// A word and a target are no policy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// There is no such word.
    #[error("policy must be 'dropnew', 'dropold', 'redirect', 'spill' or 'block', not {0:?}")]
    Unknown(String),
    /// This policy sends messages to somebody.
    #[error("the policy {0:?} needs a target: the pid that overflowing messages go to")]
    NeedsTarget(&'static str),
    /// This policy sends messages to nobody.
    #[error("the policy {0:?} has no target; only 'redirect' and 'spill' do")]
    HasNoTarget(&'static str),
}

/// A bound or a policy could not be set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OverflowError {
    /// The process is not alive.
    #[error("no process with pid {0} is alive")]
    NotAlive(Pid),
    /// The process takes any number of messages; whether it has a bound is decided when it is
    /// spawned.
    #[error("the mailbox of process {0} has no bound: give a capacity when you spawn it")]
    NotBounded(Pid),
    /// The process that messages were to go to is not alive.
    #[error("the target of the policy, process {0}, is not alive")]
    NoTarget(Pid),
    /// A message could come back to where it overflowed: these processes send to each other, the
    /// last one being the first again.
    #[error("overflowing messages would go in a circle: {}", Path(.0))]
    Cycle(Vec<Pid>),
}

struct Path<'a>(&'a [Pid]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, pid) in self.0.iter().enumerate() {
            let arrow = if place == 0 { "" } else { " -> " };
            write!(f, "{arrow}{pid}")?;
        }
        Ok(())
    }
}

/// A message that found a mailbox full was not taken by the policies on its way either.
#[derive(Debug)]
pub struct Overflowed {
    /// Who did not take it: the last one of a redirection.
    pub at: Pid,
    /// The envelope, and why it was not taken.
    pub error: PushError,
    /// Whether the policy there is to [block](OverflowPolicy::Block), so that
    /// [waiting for room](crate::Process::room) helps.
    pub may_wait: bool,
}

impl Overflowed {
    fn new(at: Pid, error: PushError) -> Self {
        Self {
            at,
            error,
            may_wait: false,
        }
    }
}

impl Table {
    /// Does with a user message that found the mailbox of `to` full what the policy there says,
    /// and the policies of whom it is redirected to. Never waits. `lost` is called for each
    /// message that is lost over it.
    ///
    /// # Errors
    ///
    /// [`Overflowed`], with the envelope.
    #[cold]
    pub fn overflow(
        &self,
        mut to: Pid,
        mut envelope: Envelope,
        lost: &dyn Fn(DeadLetter),
    ) -> Result<(), Overflowed> {
        let mut is_copy = false;
        let overflowed = loop {
            // Somebody may have taken one out by now.
            envelope = match self.push(to, Lane::User, envelope) {
                Ok(()) => return Ok(()),
                Err(PushError(envelope, Refusal::Full)) => envelope,
                Err(error) => break Overflowed::new(to, error),
            };
            let policy = self.get(to).map(|process| process.overflow_policy());
            match policy.unwrap_or_default() {
                OverflowPolicy::DropNew => {
                    break Overflowed::new(to, PushError(envelope, Refusal::Full));
                }
                OverflowPolicy::DropOld => {
                    if !self.evict(to, lost) {
                        break Overflowed::new(to, PushError(envelope, Refusal::Full));
                    }
                }
                OverflowPolicy::Redirect(target) => to = target,
                OverflowPolicy::Spill(target) => {
                    let copy = copy_of(&envelope);
                    if let Err(error) = self.push_over(to, envelope) {
                        break Overflowed::new(to, error);
                    }
                    let Some(copy) = copy else { return Ok(()) };
                    (to, envelope, is_copy) = (target, copy, true);
                }
                OverflowPolicy::Block => {
                    break Overflowed {
                        may_wait: true,
                        ..Overflowed::new(to, PushError(envelope, Refusal::Full))
                    };
                }
            }
        };
        if !is_copy {
            return Err(overflowed);
        }
        let Overflowed { at, error, .. } = overflowed;
        bury(at, error.0, DeadLetterReason::Refused, lost);
        Ok(())
    }

    /// Evicts the oldest message of `pid` if its mailbox is full; `false` if there is none
    /// although it is.
    fn evict(&self, pid: Pid, lost: &dyn Fn(DeadLetter)) -> bool {
        let Some(process) = self.get(pid) else {
            return true;
        };
        match process.cell().mailbox().evict(pid.generation()) {
            Eviction::Evicted(oldest) => {
                bury(pid, oldest, DeadLetterReason::Evicted, lost);
                true
            }
            Eviction::NotFull => true,
            Eviction::NothingToEvict => false,
        }
    }

    /// Changes what becomes of messages that find the mailbox of `pid` full. Takes effect for
    /// messages that are sent from now on, and for senders that wait.
    ///
    /// # Errors
    ///
    /// [`OverflowError`]; the policy is what it was then. Circles are found however they come
    /// about: the policies of a table are set one at a time.
    pub fn set_overflow_policy(
        &self,
        pid: Pid,
        policy: OverflowPolicy,
    ) -> Result<(), OverflowError> {
        let _one_at_a_time = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        let process = self.get(pid).filter(Process::is_alive);
        let process = process.ok_or(OverflowError::NotAlive(pid))?;
        if process.cell().mailbox().capacity().is_none() {
            return Err(OverflowError::NotBounded(pid));
        }
        if let Some(target) = policy.target() {
            let alive = self.get(target).is_some_and(|process| process.is_alive());
            if !alive {
                return Err(OverflowError::NoTarget(target));
            }
            self.check_circle(pid, target)?;
        }
        let set = process.set_overflow_policy(policy);
        set.then_some(()).ok_or(OverflowError::NotAlive(pid))
    }

    /// Follows the policies from `target` on. They are no circle by themselves, so it ends.
    fn check_circle(&self, pid: Pid, target: Pid) -> Result<(), OverflowError> {
        let mut way = vec![pid];
        let mut next = Some(target);
        while let Some(at) = next {
            way.push(at);
            if at == pid {
                return Err(OverflowError::Cycle(way));
            }
            next = self.get(at).and_then(|at| at.overflow_policy().target());
        }
        Ok(())
    }
}

/// The same message for another process. Who waits for an answer waits for one only.
fn copy_of(envelope: &Envelope) -> Option<Envelope> {
    match envelope {
        Envelope::User(payload, _) => Some(Envelope::User(payload.clone(), None)),
        _ => None,
    }
}

fn bury(to: Pid, envelope: Envelope, reason: DeadLetterReason, lost: &dyn Fn(DeadLetter)) {
    if let Some(message) = envelope.into_message() {
        lost(DeadLetter {
            to,
            message,
            reason,
        });
    }
}
