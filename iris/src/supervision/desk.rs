//! What is under the lock: the machines, and what must change together with them.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use iris_core::{Envelope, ExitReason, Host, Lane, Pid, SystemMessage};
use iris_supervise::{
    Action, Budget, ChildNo, Down, Event, How, LinkAction, Links, Monitors, PathScopes,
    SupervisorId, SupervisorSpec, Tree, TreeAction,
};

use crate::runtime::Inner;
use crate::supervision::errands::Errand;
use crate::supervision::exit::Early;
use crate::supervision::starts::{Factory, Order};

/// The machines of one runtime.
pub(crate) struct Desk {
    pub(crate) tree: Tree,
    pub(crate) links: Links,
    pub(crate) monitors: Monitors,
    pub(crate) scopes: PathScopes,
    /// The supervisor of those that are supervised without saying by whom.
    pub(crate) global: SupervisorId,
    /// Supervisors that stand under no other and have not ended for good.
    pub(crate) roots: BTreeSet<SupervisorId>,
    pub(crate) posts: HashMap<SupervisorId, HashMap<ChildNo, Post>>,
    /// Whose last incarnation this was.
    pub(crate) formers: HashMap<Pid, (SupervisorId, ChildNo)>,
    pub(crate) early: Early,
    /// Who stopped whom, and what for.
    pub(crate) stoppers: HashMap<Pid, (Pid, ExitReason)>,
    /// Who hears of restarts.
    pub(crate) listeners: BTreeSet<Pid>,
    /// Whether anybody has ever asked for anything: until then an exit costs next to nothing.
    pub(crate) used: bool,
    /// Whether the runtime is shutting down.
    pub(crate) closed: bool,
    /// When the clock is going to look.
    pub(crate) armed: Option<Instant>,
}

/// What is known of a child beside what its supervisor knows.
pub(crate) struct Post {
    pub(crate) factory: Arc<Factory>,
    /// The parent that its last incarnation was to end with.
    pub(crate) parent: Option<Pid>,
    pub(crate) former: Option<Pid>,
}

/// What a change has led to.
pub(crate) struct Todo {
    pub(crate) now: Instant,
    pub(crate) links: Vec<LinkAction>,
    pub(crate) downs: Vec<Down>,
    pub(crate) tree: Vec<TreeAction>,
    /// For after the lock.
    pub(crate) errands: Vec<Errand>,
    /// What the user made, to be dropped after the lock.
    pub(crate) dropped: Vec<Post>,
}

impl Todo {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            now,
            links: Vec::new(),
            downs: Vec::new(),
            tree: Vec::new(),
            errands: Vec::new(),
            dropped: Vec::new(),
        }
    }
}

/// What the global supervisor and those of paths are like: their children have nothing to do
/// with each other, so none is given up for the crashes of another.
pub(crate) fn for_strangers() -> SupervisorSpec {
    SupervisorSpec {
        budget: Budget::PerChild,
        ..SupervisorSpec::default()
    }
}

impl Desk {
    pub(crate) fn new(seed: u64) -> Self {
        let mut tree = Tree::new(seed);
        let global = tree.add_root(for_strangers());
        Self {
            tree,
            links: Links::default(),
            monitors: Monitors::default(),
            scopes: PathScopes::default(),
            global,
            roots: BTreeSet::from([global]),
            posts: HashMap::new(),
            formers: HashMap::new(),
            early: Early::default(),
            stoppers: HashMap::new(),
            listeners: BTreeSet::new(),
            used: false,
            closed: false,
            armed: None,
        }
    }

    /// Tells all supervisors to end.
    pub(crate) fn close(&mut self, todo: &mut Todo) {
        self.closed = true;
        for root in self.roots.clone() {
            self.tree
                .handle(todo.now, root, Event::Shutdown, &mut todo.tree);
        }
    }

    /// Does what must be done before anybody else looks, and leaves the rest as errands.
    pub(crate) fn settle(&mut self, inner: &Inner, todo: &mut Todo) {
        for action in std::mem::take(&mut todo.links) {
            self.signal(inner, action);
        }
        for down in std::mem::take(&mut todo.downs) {
            if self.monitors.claim(down.reference) {
                let Down {
                    reference,
                    to,
                    info,
                } = down;
                tell(inner, to, SystemMessage::Down { reference, info });
            }
        }
        let mut actions = VecDeque::from(std::mem::take(&mut todo.tree));
        while let Some(action) = actions.pop_front() {
            self.act(inner, action, todo);
            actions.extend(todo.tree.drain(..));
        }
    }

    fn signal(&mut self, inner: &Inner, action: LinkAction) {
        if !self.links.claim(action.link()) {
            return;
        }
        match action {
            LinkAction::Deliver { to, info, .. } => tell(inner, to, SystemMessage::Exit(info)),
            LinkAction::Kill { pid, reason, .. } => {
                Host::stop(inner, pid, reason.into());
            }
            _ => {}
        }
    }

    fn act(
        &mut self,
        inner: &Inner,
        TreeAction { supervisor, action }: TreeAction,
        todo: &mut Todo,
    ) {
        match action {
            Action::Start { child, start, old } => {
                self.start(
                    inner,
                    Order {
                        supervisor,
                        child,
                        start,
                        old,
                    },
                    todo,
                );
            }
            Action::Stop { pid, how } => {
                if how == How::Abandon {
                    // Before a successor is given what it had, which may follow right here.
                    inner.registry.reserve(pid);
                }
                todo.errands.push(Errand::Stop { pid, how });
            }
            Action::HandOver { from, to } => {
                inner.registry.hand_over(from, to);
                self.announce(inner, &SystemMessage::Restarted { old: from, new: to });
            }
            Action::GiveUpNames { pid } => {
                inner.registry.release_reservation(pid);
            }
            Action::GaveUp(report) => {
                let child = Arc::clone(&report.id);
                let last = report.last.clone();
                self.announce(inner, &SystemMessage::GaveUp { child, last });
                todo.errands.push(Errand::GaveUp(report));
            }
            Action::Removed { child } => self.removed(supervisor, child, todo),
            Action::Done { .. } => self.done(supervisor, todo),
            Action::Retry {
                failed_starts,
                failure,
                at,
                ..
            } => {
                let after = at.saturating_duration_since(todo.now);
                todo.errands.push(Errand::Retry {
                    failed_starts,
                    failure,
                    after,
                });
            }
            Action::Observed { info } => todo.errands.push(Errand::Observed(info)),
            _ => {}
        }
    }

    /// Tells those who want to hear of restarts.
    fn announce(&self, inner: &Inner, news: &SystemMessage) {
        for listener in &self.listeners {
            tell(inner, *listener, news.clone());
        }
    }

    fn start(&mut self, inner: &Inner, order: Order, todo: &mut Todo) {
        let Order {
            supervisor,
            child,
            start,
            old,
        } = order;
        let post = self.post(supervisor, child);
        let Some((factory, parent)) = post.map(|post| (post.factory.clone(), post.parent)) else {
            // Nobody is there to start it any more: the runtime is ending.
            return;
        };
        if let Some(old) = old {
            // One that was abandoned has reported no exit.
            self.note_former(supervisor, child, old);
        }
        if parent.is_some_and(|parent| !inner.is_alive(parent)) {
            // Children end with their parent, those that wait for a restart too.
            self.orphan(supervisor, child, todo);
            let failure = super::starts::parent_gone();
            let event = Event::StartFailed {
                child,
                start,
                failure,
            };
            self.tree
                .handle(todo.now, supervisor, event, &mut todo.tree);
            return;
        }
        self.early.watch();
        todo.errands.push(Errand::Start { order, factory });
    }

    /// A child whose parent is gone is stopped for good.
    pub(crate) fn orphan(&mut self, supervisor: SupervisorId, child: ChildNo, todo: &mut Todo) {
        let event = Event::RemoveChild { child };
        self.tree
            .handle(todo.now, supervisor, event, &mut todo.tree);
    }

    fn removed(&mut self, supervisor: SupervisorId, child: ChildNo, todo: &mut Todo) {
        if let Some(posts) = self.posts.get_mut(&supervisor)
            && let Some(post) = posts.remove(&child)
        {
            self.forget_former(post.former);
            todo.dropped.push(post);
        } else {
            // It was a supervisor: those below are gone with it.
            self.sweep(todo);
        }
    }

    fn done(&mut self, supervisor: SupervisorId, todo: &mut Todo) {
        let gone = self.tree.supervisor(supervisor).is_none();
        if gone || self.closed {
            self.roots.remove(&supervisor);
            todo.errands.push(Errand::RootEnded);
        }
        if gone {
            self.sweep(todo);
        }
    }

    /// Forgets what was known of supervisors that are no more.
    fn sweep(&mut self, todo: &mut Todo) {
        let gone: Vec<_> = self
            .posts
            .keys()
            .filter(|supervisor| self.tree.supervisor(**supervisor).is_none())
            .copied()
            .collect();
        for supervisor in gone {
            let posts = self.posts.remove(&supervisor).unwrap_or_default();
            for post in posts.into_values() {
                self.forget_former(post.former);
                todo.dropped.push(post);
            }
        }
    }

    pub(crate) fn post(&mut self, supervisor: SupervisorId, child: ChildNo) -> Option<&mut Post> {
        self.posts.get_mut(&supervisor)?.get_mut(&child)
    }

    /// Keeps what is needed to start a child.
    pub(crate) fn add_post(
        &mut self,
        supervisor: SupervisorId,
        child: ChildNo,
        factory: Arc<Factory>,
    ) {
        let post = Post {
            factory,
            parent: None,
            former: None,
        };
        self.posts
            .entry(supervisor)
            .or_default()
            .insert(child, post);
    }

    /// Which child `pid` is or was the last incarnation of.
    pub(crate) fn child_of(&self, pid: Pid) -> Option<(SupervisorId, ChildNo)> {
        self.tree
            .owner(pid)
            .or_else(|| self.formers.get(&pid).copied())
    }

    /// Remembers the last incarnation of a child, for who knows it by that.
    pub(crate) fn note_former(&mut self, supervisor: SupervisorId, child: ChildNo, pid: Pid) {
        let Some(post) = self.post(supervisor, child) else {
            return;
        };
        let before = post.former.replace(pid);
        self.forget_former(before);
        self.formers.insert(pid, (supervisor, child));
    }

    fn forget_former(&mut self, former: Option<Pid>) {
        if let Some(former) = former {
            self.formers.remove(&former);
        }
    }
}

/// Puts a message into a mailbox; one that is closed needs none.
pub(crate) fn tell(inner: &Inner, to: Pid, news: SystemMessage) {
    // In order with what the one that it is about has sent before.
    let envelope = Envelope::System(Box::new(news));
    drop(inner.table.push(to, Lane::User, envelope));
}
