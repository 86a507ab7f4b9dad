//! The tree of families.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use iris::prelude::*;
use iris::{Status, Tree};

const PATIENCE: Duration = Duration::from_secs(20);

/// Does nothing, under a name that a test can expect.
struct Idle(&'static str);

impl Behavior for Idle {
    fn handle(&self, _: &mut State, _: &mut Context<'_>, _: Message) -> Step {
        Step::Done
    }

    fn name(&self) -> &str {
        self.0
    }
}

fn runtime() -> Runtime {
    Runtime::builder().workers(1).start().unwrap()
}

fn idle(rt: &Runtime, name: &'static str, parent: Option<Pid>) -> Pid {
    let builder = rt.spawn(Idle(name));
    match parent {
        Some(parent) => builder.child_of(parent).start().unwrap(),
        None => builder.start().unwrap(),
    }
}

fn behaviors<'a>(entries: impl Iterator<Item = &'a iris::TreeEntry>) -> Vec<&'a str> {
    entries.map(|entry| entry.behavior.as_str()).collect()
}

/// What the tree prints, with `#1` for the first pid and so on.
fn drawn(tree: &Tree, pids: &[Pid]) -> String {
    let mut text = tree.to_string();
    for (number, pid) in (1..).zip(pids) {
        text = text.replace(&pid.to_string(), &format!("#{number}"));
    }
    text
}

#[test]
fn families_stand_below_their_parents_by_age() {
    let rt = runtime();
    let root = idle(&rt, "root", None);
    let first = idle(&rt, "first", Some(root));
    let second = idle(&rt, "second", Some(root));
    let elder = idle(&rt, "elder", Some(first));
    let younger = idle(&rt, "younger", Some(first));
    let grandchild = idle(&rt, "grandchild", Some(elder));
    let cousin = idle(&rt, "cousin", Some(younger));
    rt.register("a name", first).unwrap();
    rt.register_path("/svc/x", elder).unwrap();
    let asleep = rt.spawn(Idle("asleep")).virtual_actor(None);
    let asleep = asleep.child_of(root).start().unwrap();

    let tree = rt.tree();
    assert_eq!(behaviors(tree.roots()), ["root"]);
    assert_eq!(
        behaviors(tree.children_of(root)),
        ["first", "second", "asleep"]
    );
    assert_eq!(behaviors(tree.children_of(first)), ["elder", "younger"]);
    assert_eq!(tree.children_of(cousin).count(), 0);
    let entry = tree.get(grandchild).unwrap();
    assert_eq!((entry.parent, entry.depth), (Some(elder), 3));
    assert_eq!(tree.get(asleep).unwrap().status, Status::Reserved);
    let pids = [
        root, first, elder, grandchild, younger, cousin, second, asleep,
    ];
    assert_eq!(
        drawn(&tree, &pids),
        "#1 root idle\n\
         ├─ #2 \"a name\" first idle\n\
         │  ├─ #3 \"/svc/x\" elder idle\n\
         │  │  └─ #4 grandchild idle\n\
         │  └─ #5 younger idle\n\
         │     └─ #6 cousin idle\n\
         ├─ #7 second idle\n\
         └─ #8 asleep reserved\n"
    );
}

#[test]
fn a_parent_that_waits_for_its_child_is_shown_with_it() {
    let rt = runtime();
    let parent = idle(&rt, "parent", None);
    let (entered, inside) = channel();
    let (release, gate) = channel::<()>();
    let held = Mutex::new((entered, gate));
    let busy = handler(move |_, _| {
        let held = held.lock().unwrap();
        held.0.send(()).unwrap();
        held.1.recv().ok();
        Step::Done
    });
    let child = rt.spawn(busy).child_of(parent).start().unwrap();
    for _ in 0..3 {
        rt.send_user(child, "x").unwrap();
    }
    inside.recv_timeout(PATIENCE).unwrap();
    let tree = rt.tree();
    let entry = tree.get(child).unwrap();
    assert_eq!((entry.status, entry.mailbox_size), (Status::Running, 2));
    assert!(entry.to_string().ends_with(" running, 2 queued"), "{entry}");

    drop(release);
    rt.stop(parent, ExitReason::Killed);
    assert_eq!(rt.join(parent, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.tree(), Tree::default());
    assert_eq!(rt.tree().to_string(), "");
}

#[test]
fn a_name_cannot_command_the_terminal() {
    let rt = runtime();
    let pid = idle(&rt, "\u{1b}[2J", None);
    rt.register("\u{1b}[31m", pid).unwrap();
    let text = rt.tree().to_string();
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_very_deep_family_is_all_there_and_drawn_in_part() {
    const GENERATIONS: usize = 20_000;
    let rt = runtime();
    let mut youngest = None;
    for _ in 0..GENERATIONS {
        youngest = Some(idle(&rt, "deep", youngest));
    }
    let tree = rt.tree();
    assert_eq!(tree.entries().len(), GENERATIONS);
    assert_eq!(tree.get(youngest.unwrap()).unwrap().depth, GENERATIONS - 1);
    let text = tree.to_string();
    assert_eq!(text.lines().count(), Tree::SHOWN_DEPTH + 1);
    let left_out = GENERATIONS - Tree::SHOWN_DEPTH;
    let last = format!("({left_out} more below generation {})", Tree::SHOWN_DEPTH);
    assert_eq!(text.lines().last(), Some(last.as_str()));
}

#[test]
fn a_very_wide_one_is_drawn_in_part() {
    let rt = runtime();
    let processes = Tree::SHOWN_LINES + 5;
    for _ in 0..processes {
        idle(&rt, "wide", None);
    }
    let tree = rt.tree();
    assert_eq!(tree.entries().len(), processes);
    let text = tree.to_string();
    assert_eq!(text.lines().count(), Tree::SHOWN_LINES + 1);
    assert_eq!(text.lines().last(), Some("(5 more)"));
}

/// Panics when it is asked for its name.
struct Nameless;

impl Behavior for Nameless {
    fn handle(&self, _: &mut State, _: &mut Context<'_>, _: Message) -> Step {
        Step::Done
    }

    fn name(&self) -> &str {
        panic!("in name, on purpose");
    }
}

#[test]
fn one_bad_behavior_does_not_hide_the_others() {
    let rt = runtime();
    rt.spawn(Nameless).start().unwrap();
    idle(&rt, "good", None);
    let tree = rt.tree();
    let mut names = behaviors(tree.roots());
    names.sort_unstable();
    assert_eq!(names, ["?", "good"]);
}

#[test]
fn it_can_be_looked_at_while_families_come_and_go() {
    let rt = Runtime::builder().workers(2).start().unwrap();
    let root = idle(&rt, "root", None);
    let (done, is_done) = channel::<()>();
    let busy = rt.clone();
    let births = std::thread::spawn(move || {
        let _done = done;
        for _ in 0..500 {
            let child = idle(&busy, "child", Some(root));
            idle(&busy, "grandchild", Some(child));
            busy.stop(child, ExitReason::Killed);
        }
    });
    let mut text = String::new();
    while is_done.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
        let tree = rt.tree();
        for entry in tree.entries() {
            let parent = entry.parent.map(|parent| tree.get(parent).unwrap());
            assert_eq!(parent.map_or(0, |parent| parent.depth + 1), entry.depth);
        }
        text.clear();
        write!(text, "{tree}").unwrap();
        assert!(text.contains("root"));
    }
    births.join().unwrap();
}
