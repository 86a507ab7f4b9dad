//! Links and monitors.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;

use common::{exit, failure, pid};
use iris_core::{ExitReason, Pid};
use iris_supervise::{Demonitored, Down, LinkAction, LinkKind, Links, Monitors};
use proptest::prelude::*;

/// Links of live processes.
fn link(links: &mut Links, a: u32, b: u32, kind: LinkKind) {
    let mut actions = Vec::new();
    links.link(pid(a), pid(b), kind, |_| true, &mut actions);
    assert_eq!(actions, []);
}

/// What follows from the end of a process, claimed: who hears, or is taken along.
fn end(links: &mut Links, of: u32, reason: ExitReason) -> Vec<(Pid, &'static str)> {
    let mut actions = Vec::new();
    links.exited(&exit(pid(of), reason), &mut actions);
    let claimed = actions
        .into_iter()
        .filter(|action| links.claim(action.link()));
    let told = claimed.collect::<Vec<_>>().into_iter();
    told.map(|action| match action {
        LinkAction::Deliver { to, info, .. } => {
            assert_eq!(info.target, pid(of));
            (to, "hears")
        }
        LinkAction::Kill { pid: to, from, .. } => {
            assert_eq!(from, pid(of));
            (to, "ends")
        }
        _ => panic!("{action:?}"),
    })
    .collect()
}

#[test]
fn a_plain_link_tells_both_sides_and_ends_nobody() {
    let mut links = Links::default();
    for (from, to) in [(1, 2), (4, 3)] {
        link(&mut links, 1, 2, LinkKind::Plain);
        link(&mut links, 3, 4, LinkKind::Plain);
        assert_eq!(
            end(&mut links, from, ExitReason::Crash),
            [(pid(to), "hears")]
        );
        assert_eq!(
            end(&mut links, to, ExitReason::Crash),
            [],
            "it ended with the first"
        );
    }
    link(&mut links, 1, 2, LinkKind::Plain);
    assert_eq!(end(&mut links, 1, ExitReason::Normal), [(pid(2), "hears")]);
}

#[test]
fn a_propagating_link_takes_the_other_side_along_unless_it_ends_normally() {
    let mut links = Links::default();
    for reason in [ExitReason::Crash, ExitReason::Killed, ExitReason::Shutdown] {
        link(&mut links, 1, 2, LinkKind::Propagating);
        assert_eq!(end(&mut links, 1, reason), [(pid(2), "ends")]);
    }
    link(&mut links, 1, 2, LinkKind::Propagating);
    assert_eq!(end(&mut links, 1, ExitReason::Normal), []);
}

#[test]
fn who_traps_exits_hears_of_them_instead() {
    let mut links = Links::default();
    links.trap_exit(pid(2), true);
    for reason in [ExitReason::Crash, ExitReason::Normal] {
        link(&mut links, 1, 2, LinkKind::Propagating);
        assert_eq!(end(&mut links, 1, reason), [(pid(2), "hears")]);
    }
    links.trap_exit(pid(2), false);
    link(&mut links, 1, 2, LinkKind::Propagating);
    assert_eq!(end(&mut links, 1, ExitReason::Crash), [(pid(2), "ends")]);
    links.trap_exit(pid(2), true);
    assert!(links.traps_exit(pid(2)));
    end(&mut links, 2, ExitReason::Crash);
    assert!(!links.traps_exit(pid(2)), "nothing is kept of the dead");
}

#[test]
fn there_is_one_link_between_two_and_none_to_oneself() {
    let (mut links, mut actions) = (Links::default(), Vec::new());
    let plain = LinkKind::Plain;
    let first = links.link(pid(1), pid(2), plain, |_| true, &mut actions);
    let again = links.link(
        pid(2),
        pid(1),
        LinkKind::Propagating,
        |_| true,
        &mut actions,
    );
    assert_eq!(first, again);
    assert_eq!(
        links.link(pid(1), pid(1), plain, |_| true, &mut actions),
        None
    );
    assert_eq!(links.peers(pid(1)), [pid(2)]);
    assert_eq!(end(&mut links, 1, ExitReason::Crash), [(pid(2), "ends")]);
}

#[test]
fn a_link_to_the_dead_is_answered_at_once() {
    let (mut links, mut actions) = (Links::default(), Vec::new());
    let alive = |it| it == pid(1);
    links.link(pid(1), pid(2), LinkKind::Plain, alive, &mut actions);
    links.link(pid(3), pid(1), LinkKind::Propagating, alive, &mut actions);
    links.link(pid(4), pid(5), LinkKind::Plain, alive, &mut actions);
    let [
        LinkAction::Deliver { to, info, .. },
        LinkAction::Kill {
            pid: it,
            reason,
            from,
            ..
        },
    ] = &actions[..]
    else {
        panic!("{actions:?}");
    };
    assert_eq!(
        (*to, info.target, &info.reason),
        (pid(1), pid(2), &ExitReason::NoProc)
    );
    assert_eq!((*it, reason, *from), (pid(1), &ExitReason::NoProc, pid(3)));
    assert!(links.peers(pid(1)).is_empty(), "no link remains");
}

#[test]
fn an_exit_decided_before_an_unlink_does_not_arrive_after_it() {
    for (kind, (a, b)) in [(LinkKind::Plain, (1, 2)), (LinkKind::Propagating, (2, 1))] {
        let (mut links, mut actions) = (Links::default(), Vec::new());
        link(&mut links, 1, 2, kind);
        link(&mut links, 1, 3, kind);
        links.exited(&exit(pid(1), ExitReason::Crash), &mut actions);
        assert!(
            links.unlink(pid(a), pid(b)),
            "what was decided is taken back"
        );
        assert!(!links.unlink(pid(a), pid(b)));
        let claims: Vec<_> = actions.iter().map(|it| links.claim(it.link())).collect();
        assert_eq!(claims, [false, true], "the link to 3 is another");
        assert!(!links.claim(actions[1].link()), "claimed once");
        assert!(!links.unlink(pid(3), pid(1)), "it has arrived");
        assert_eq!(links.cause_of(pid(2), &ExitReason::Crash), None);
    }
}

#[test]
fn a_link_made_anew_does_not_revive_an_exit_of_the_old_one() {
    let (mut links, mut actions) = (Links::default(), Vec::new());
    link(&mut links, 1, 2, LinkKind::Plain);
    assert!(links.unlink(pid(1), pid(2)));
    assert_eq!(end(&mut links, 1, ExitReason::Crash), []);
    link(&mut links, 3, 2, LinkKind::Plain);
    links.exited(&exit(pid(3), ExitReason::Crash), &mut actions);
    links.unlink(pid(2), pid(3));
    links.link(
        pid(2),
        pid(3),
        LinkKind::Plain,
        |it| it == pid(2),
        &mut actions,
    );
    let claims: Vec<_> = actions.iter().map(|it| links.claim(it.link())).collect();
    assert_eq!(claims, [false, true], "only the noproc of the new one");
}

#[test]
fn who_was_taken_along_says_by_whom() {
    let mut links = Links::default();
    link(&mut links, 1, 2, LinkKind::Propagating);
    end(&mut links, 1, ExitReason::Crash);
    assert_eq!(links.cause_of(pid(2), &ExitReason::Crash), Some(pid(1)));
    assert_eq!(
        links.cause_of(pid(2), &ExitReason::Normal),
        None,
        "it ended by itself first"
    );
    end(&mut links, 2, ExitReason::Crash);
    assert_eq!(links.cause_of(pid(2), &ExitReason::Crash), None);
}

/// P1: what a crash was travels with the news of it.
#[test]
fn those_who_hear_of_a_crash_see_its_type_message_and_traceback() {
    let (mut links, mut monitors) = (Links::default(), Monitors::default());
    let (mut exits, mut downs) = (Vec::new(), Vec::new());
    link(&mut links, 1, 2, LinkKind::Plain);
    monitors.monitor(pid(3), pid(1), |_| true, &mut downs);
    let mut info = exit(pid(1), ExitReason::Crash);
    let mut what = failure("no such file");
    what.traceback = "File \"a.py\", line 7, in handler".into();
    info.metadata = Some(Box::new(what));
    links.exited(&info, &mut exits);
    monitors.exited(&info, &mut downs);
    let [LinkAction::Deliver { info: heard, .. }] = &exits[..] else {
        panic!("{exits:?}");
    };
    assert_eq!((heard, &downs[0].info), (&info, &info));
}

#[test]
fn down_comes_exactly_once_for_each_monitor() {
    let (mut monitors, mut downs) = (Monitors::default(), Vec::new());
    let first = monitors.monitor(pid(1), pid(2), |_| true, &mut downs);
    let second = monitors.monitor(pid(1), pid(2), |_| true, &mut downs);
    assert_ne!(first, second);
    assert_eq!(monitors.watchers(pid(2)), [pid(1), pid(1)]);
    assert!(!monitors.claim(first), "nothing is decided");
    monitors.exited(&exit(pid(2), ExitReason::Crash), &mut downs);
    monitors.exited(&exit(pid(2), ExitReason::Crash), &mut downs);
    let told: Vec<_> = downs.iter().map(|down| (down.reference, down.to)).collect();
    assert_eq!(told, [(first, pid(1)), (second, pid(1))]);
    assert!(monitors.claim(first) && !monitors.claim(first));
    assert_eq!(monitors.demonitor(first), Demonitored::Unknown);
}

#[test]
fn a_monitor_of_the_dead_is_answered_at_once() {
    let (mut monitors, mut downs) = (Monitors::default(), Vec::new());
    let reference = monitors.monitor(pid(1), pid(2), |_| false, &mut downs);
    let [Down { to, info, .. }] = &downs[..] else {
        panic!("{downs:?}");
    };
    assert_eq!(
        (*to, info.target, &info.reason),
        (pid(1), pid(2), &ExitReason::NoProc)
    );
    monitors.exited(&exit(pid(2), ExitReason::Crash), &mut downs);
    assert_eq!(downs.len(), 1);
    assert!(monitors.claim(reference));
}

#[test]
fn demonitor_takes_back_a_down_that_nobody_claimed() {
    let (mut monitors, mut downs) = (Monitors::default(), Vec::new());
    let on = monitors.monitor(pid(1), pid(2), |_| true, &mut downs);
    let decided = monitors.monitor(pid(1), pid(3), |_| true, &mut downs);
    monitors.exited(&exit(pid(3), ExitReason::Crash), &mut downs);
    assert_eq!(monitors.demonitor(on), Demonitored::Off);
    assert_eq!(monitors.demonitor(decided), Demonitored::Flushed);
    assert!(!monitors.claim(decided));
    monitors.exited(&exit(pid(2), ExitReason::Crash), &mut downs);
    assert_eq!(downs.len(), 1);
}

#[test]
fn a_dead_watcher_is_told_nothing() {
    let (mut monitors, mut downs) = (Monitors::default(), Vec::new());
    monitors.monitor(pid(1), pid(2), |_| true, &mut downs);
    let decided = monitors.monitor(pid(1), pid(3), |_| true, &mut downs);
    monitors.exited(&exit(pid(3), ExitReason::Crash), &mut downs);
    monitors.exited(&exit(pid(1), ExitReason::Crash), &mut downs);
    monitors.exited(&exit(pid(2), ExitReason::Crash), &mut downs);
    assert_eq!(downs.len(), 1);
    assert!(!monitors.claim(decided));
    assert!(monitors.watchers(pid(2)).is_empty());
}

proptest! {
    /// Links against a plain table of pairs; whoever is taken along ends in turn.
    #[test]
    fn any_graph_of_links_ends_as_a_plain_table_says(
        steps in prop::collection::vec((0..8_u32, 0..8_u32, 0..6_u8), 0..60),
    ) {
        let mut links = Links::default();
        let mut table: BTreeMap<(u32, u32), LinkKind> = BTreeMap::new();
        let mut dead = Vec::new();
        for (a, b, step) in steps {
            let pair = (a.min(b), a.max(b));
            match step {
                0..=3 if a != b && !dead.contains(&a) && !dead.contains(&b) => {
                    let kind = if step < 2 { LinkKind::Plain } else { LinkKind::Propagating };
                    link(&mut links, a, b, kind);
                    let present = table.entry(pair).or_insert(kind);
                    if kind == LinkKind::Propagating {
                        *present = kind;
                    }
                }
                4 => {
                    prop_assert_eq!(links.unlink(pid(a), pid(b)), table.remove(&pair).is_some());
                }
                5 => {
                    let mut ending = vec![a];
                    while let Some(it) = ending.pop() {
                        if dead.contains(&it) {
                            continue;
                        }
                        dead.push(it);
                        let mut told = end(&mut links, it, ExitReason::Crash);
                        told.sort();
                        let mut expected = Vec::new();
                        table.retain(|(a, b), kind| {
                            let other = if *a == it { *b } else { *a };
                            let concerned = *a == it || *b == it;
                            if concerned && *kind == LinkKind::Plain {
                                expected.push((pid(other), "hears"));
                            } else if concerned {
                                expected.push((pid(other), "ends"));
                                ending.push(other);
                            }
                            !concerned
                        });
                        expected.sort();
                        prop_assert_eq!(told, expected);
                    }
                }
                _ => {}
            }
        }
    }

    /// Each monitor of a process that ends brings one DOWN that can be claimed, unless it
    /// was taken off before.
    #[test]
    fn every_monitor_brings_one_down_or_was_taken_off(
        steps in prop::collection::vec((0..6_u32, 0..6_u32, 0..4_u8), 0..60),
    ) {
        let (mut monitors, mut downs) = (Monitors::default(), Vec::new());
        let mut on = Vec::new();
        let mut dead = Vec::new();
        let mut claimed = 0;
        let mut expected = 0;
        for (a, b, step) in steps {
            match step {
                0 | 1 if !dead.contains(&a) => {
                    let alive = |it| dead.iter().all(|of| pid(*of) != it);
                    let reference = monitors.monitor(pid(a), pid(b), alive, &mut downs);
                    if dead.contains(&b) {
                        expected += 1;
                    } else {
                        on.push((a, b, reference));
                    }
                }
                2 if !on.is_empty() => {
                    let (.., reference) = on.swap_remove(a as usize % on.len());
                    prop_assert_eq!(monitors.demonitor(reference), Demonitored::Off);
                }
                3 if !dead.contains(&a) => {
                    dead.push(a);
                    on.retain(|(watcher, ..)| *watcher != a);
                    expected += on.iter().filter(|(_, target, _)| *target == a).count();
                    on.retain(|(_, target, _)| *target != a);
                    monitors.exited(&exit(pid(a), ExitReason::Crash), &mut downs);
                }
                _ => {}
            }
            for down in downs.drain(..) {
                claimed += usize::from(monitors.claim(down.reference));
                prop_assert!(!monitors.claim(down.reference));
            }
            prop_assert_eq!(claimed, expected);
        }
    }
}
