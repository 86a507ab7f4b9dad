//! One store that swaps the behavior of many.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use iris::{Behavior, Context, Message, MigrationError, Pid, Runtime, State, Step};

const PATIENCE: Duration = Duration::from_secs(20);

/// Tells its name and how many messages its process has had, whatever version they were for.
struct Counting(&'static str, Sender<(Pid, &'static str, u32)>);

impl Behavior for Counting {
    fn init(&self) -> State {
        Box::new(0_u32)
    }

    fn handle(&self, state: &mut State, cx: &mut Context<'_>, _: Message) -> Step {
        let count = state.downcast_mut::<u32>().unwrap();
        *count += 1;
        self.1.send((cx.pid(), self.0, *count)).unwrap();
        Step::Done
    }

    fn migrate(&self, old: State, _: u32) -> Result<State, MigrationError> {
        if self.0 == "refuses" {
            let failure = iris::Failure::default();
            return Err(MigrationError {
                state: old,
                failure,
            });
        }
        Ok(old)
    }
}

#[test]
fn a_hundred_thousand_follow_one_store_with_their_next_message() {
    const MEMBERS: usize = 100_000;
    let rt = Runtime::builder().workers(2).start().unwrap();
    let cohort = rt.cohort();
    let (tell, heard) = channel();
    let first: Arc<dyn Behavior> = Arc::new(Counting("first", tell.clone()));
    let spawn = |_| {
        let spawned = rt.spawn_shared(first.clone()).of_cohort(cohort.clone());
        spawned.start().unwrap()
    };
    let pids: Vec<Pid> = (0..MEMBERS).map(spawn).collect();
    let round = |name: &str, count: u32| {
        for pid in &pids {
            rt.send_bytes(*pid, b"go").unwrap();
        }
        for _ in &pids {
            let (_, by, counted) = heard.recv_timeout(PATIENCE).unwrap();
            assert_eq!((by, counted), (name, count));
        }
    };
    round("first", 1);
    assert_eq!(cohort.swap_all(Arc::new(Counting("second", tell))), 1);
    assert_eq!(
        rt.behavior_version(pids[0]),
        Some(1),
        "not before a message"
    );
    round("second", 2);
    assert_eq!(rt.behavior_version(pids[0]), Some(2));
}

#[test]
fn what_is_queued_is_for_the_new_one_and_a_swap_of_ones_own_goes_on_from_there() {
    let rt = Runtime::builder().workers(1).start().unwrap();
    let cohort = rt.cohort();
    let (tell, heard) = channel();
    let spawn = |name| {
        let spawned = rt.spawn(Counting(name, tell.clone()));
        spawned.of_cohort(cohort.clone()).start().unwrap()
    };
    let name = || heard.recv_timeout(PATIENCE).unwrap().1;
    let pid = spawn("first");
    cohort.swap_all(Arc::new(Counting("passed over", tell.clone())));
    cohort.swap_all(Arc::new(Counting("group", tell.clone())));
    let late = spawn("late");
    for pid in [pid, late] {
        rt.send_bytes(pid, b"go").unwrap();
    }
    let mut both = [name(), name()];
    both.sort_unstable();
    assert_eq!(
        both,
        ["group", "late"],
        "who comes later begins with its own"
    );

    let version = rt.hot_swap(pid, Counting("own", tell.clone())).unwrap();
    rt.send_bytes(pid, b"go").unwrap();
    assert_eq!(name(), "own");
    assert_eq!(rt.behavior_version(pid), Some(version));
    cohort.swap_all(Arc::new(Counting("again", tell.clone())));
    rt.send_bytes(pid, b"go").unwrap();
    assert_eq!(name(), "again");
    assert!(rt.behavior_version(pid).unwrap() > version, "numbers go up");
}

#[test]
fn a_state_that_cannot_be_taken_over_keeps_its_behavior_until_the_next_swap() {
    let rt = Runtime::builder().workers(1).start().unwrap();
    let cohort = rt.cohort();
    let (tell, heard) = channel();
    let spawned = rt.spawn(Counting("first", tell.clone()));
    let pid = spawned.of_cohort(cohort.clone()).start().unwrap();
    let say = |count| {
        rt.send_bytes(pid, b"go").unwrap();
        let (_, name, counted) = heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(counted, count);
        name
    };
    assert_eq!(say(1), "first");
    cohort.swap_all(Arc::new(Counting("refuses", tell.clone())));
    assert_eq!([say(2), say(3)], ["first", "first"]);
    cohort.swap_all(Arc::new(Counting("third", tell)));
    assert_eq!(say(4), "third");
}
