//! What worker tasks over Tokio promise: everything runs, in turns, whatever handlers do.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use iris_core::{Host, Message, Pid, Step};
use iris_sched::{ProcessOptions, Scheduler, TokioOptions, TokioScheduler};
use support::{Fabric, PATIENCE};
use tokio::runtime::{Builder, Runtime};

fn tokio_with(threads: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).build().unwrap()
}

/// As many threads as workers.
fn scheduler(workers: usize) -> (Runtime, Arc<TokioScheduler>) {
    let tokio = tokio_with(workers);
    let scheduler = TokioScheduler::start(tokio.handle().clone(), workers);
    (tokio, Arc::new(scheduler))
}

/// What a handler that blocks waits for; released in the end, so that the runtime can go.
#[derive(Default)]
struct Gate(Mutex<Option<Sender<()>>>);

impl Gate {
    fn new() -> (Arc<Self>, Mutex<Receiver<()>>) {
        let (open, wait) = mpsc::channel();
        (Arc::new(Self(Mutex::new(Some(open)))), Mutex::new(wait))
    }

    fn open(&self) {
        drop(self.0.lock().unwrap().take());
    }
}

/// Blocks the thread until the gate is opened.
fn pass(gate: &Mutex<Receiver<()>>) {
    // The other end is dropped to open it. The test is to fail first.
    let _ = gate.lock().unwrap().recv_timeout(PATIENCE * 2);
}

#[test]
fn each_message_is_handled_once_by_any_number_of_workers() {
    for workers in [1, 2, 4] {
        let (_tokio, scheduler) = scheduler(workers);
        let fabric = Fabric::on(scheduler);
        let counts: Vec<Arc<AtomicUsize>> = (0..500).map(|_| Arc::default()).collect();
        let pids: Vec<Pid> = counts
            .iter()
            .map(|count| {
                let count = count.clone();
                fabric.spawn(move |_, _| {
                    count.fetch_add(1, Ordering::Relaxed);
                    Step::Done
                })
            })
            .collect();
        // From outside, and from processes that send on to all.
        let all = pids.clone();
        let spreader = fabric.spawn(move |cx, bytes| {
            for pid in &all {
                cx.send(*pid, bytes.clone()).unwrap();
            }
            Step::Done
        });
        for _ in 0..10 {
            fabric.poke(spreader);
            for pid in &pids {
                fabric.poke(*pid);
            }
        }
        assert!(fabric.wait_quiet(), "{workers} workers left something");
        assert!(
            counts
                .iter()
                .all(|count| count.load(Ordering::Relaxed) == 20),
            "{workers} workers"
        );
    }
}

#[test]
fn all_workers_work_at_the_same_time() {
    let (_tokio, scheduler) = scheduler(3);
    let fabric = Fabric::on(scheduler);
    for _ in 0..10 {
        let (done, finished) = mpsc::channel();
        let meeting = Arc::new((Mutex::new(0), Condvar::new()));
        let pids: Vec<Pid> = (0..3)
            .map(|_| {
                let (meeting, done) = (meeting.clone(), done.clone());
                fabric.spawn(move |_, _| {
                    let (there, came) = &*meeting;
                    *there.lock().unwrap() += 1;
                    came.notify_all();
                    let waited =
                        came.wait_timeout_while(there.lock().unwrap(), PATIENCE, |n| *n < 3);
                    done.send(!waited.unwrap().1.timed_out()).unwrap();
                    Step::Done
                })
            })
            .collect();
        // All made ready by one slice: one stays in that worker's slot, two are stolen.
        let starter = fabric.spawn(move |cx, bytes| {
            for pid in &pids {
                cx.send(*pid, bytes.clone()).unwrap();
            }
            Step::Done
        });
        fabric.poke(starter);
        for _ in 0..3 {
            assert!(finished.recv_timeout(PATIENCE * 2).unwrap());
        }
        assert!(fabric.wait_quiet());
    }
}

#[test]
fn what_a_blocked_worker_has_queued_is_run_by_another() {
    let (_tokio, scheduler) = scheduler(2);
    let fabric = Fabric::on(scheduler);
    // The first goes to the queue and wakes another worker, the last stays in the slot. Many
    // rounds, for the other may be awake or asleep.
    for count in [1, 2, 100].repeat(10) {
        let (done, finished) = mpsc::channel();
        let (gate, wait) = Gate::new();
        let pids: Vec<Pid> = (0..count)
            .map(|_| {
                let done = done.clone();
                fabric.spawn(move |cx, _| {
                    done.send(cx.pid()).unwrap();
                    Step::Done
                })
            })
            .collect();
        let targets = pids.clone();
        let blocker = fabric.spawn(move |cx, bytes| {
            for pid in &targets {
                cx.send(*pid, bytes.clone()).unwrap();
            }
            pass(&wait);
            Step::Done
        });
        fabric.poke(blocker);
        let mut ran: Vec<Pid> = pids
            .iter()
            .map(|_| finished.recv_timeout(PATIENCE).unwrap())
            .collect();
        ran.sort();
        let mut all = pids.clone();
        all.sort();
        assert_eq!(ran, all);
        gate.open();
        assert!(fabric.wait_quiet());
    }
}

/// Two that send to each other until told to stop; their pids and how often they ran.
fn ping_pong(fabric: &Fabric, stop: &Arc<AtomicBool>) -> (Pid, Arc<AtomicU64>) {
    let pair: Arc<OnceLock<[Pid; 2]>> = Arc::default();
    let count = Arc::new(AtomicU64::new(0));
    let pids = [1, 0].map(|other: usize| {
        let (pair, stop, count) = (pair.clone(), stop.clone(), count.clone());
        fabric.spawn(move |cx, bytes| {
            count.fetch_add(1, Ordering::Relaxed);
            if !stop.load(Ordering::Relaxed) {
                cx.send(pair.get().unwrap()[other], bytes).unwrap();
            }
            Step::Done
        })
    });
    pair.set(pids).unwrap();
    (pids[0], count)
}

#[test]
fn two_that_wake_each_other_do_not_keep_a_third_waiting() {
    let (_tokio, scheduler) = scheduler(1);
    let fabric = Fabric::on(scheduler);
    let stop = Arc::new(AtomicBool::new(false));
    let (first, count) = ping_pong(&fabric, &stop);
    let (done, finished) = mpsc::channel();
    let third = {
        let count = count.clone();
        fabric.spawn(move |_, _| {
            done.send(count.load(Ordering::Relaxed)).unwrap();
            Step::Done
        })
    };
    // Made ready within a slice, so that it waits in the queue, not in the injector.
    let starter = fabric.spawn(move |cx, bytes| {
        cx.send(third, bytes.clone()).unwrap();
        cx.send(first, bytes).unwrap();
        Step::Done
    });
    for _ in 0..20 {
        let before = count.load(Ordering::Relaxed);
        fabric.poke(starter);
        let after = finished.recv_timeout(PATIENCE).unwrap();
        // Each round starts one more message going to and fro.
        assert!(after >= before);
    }
    stop.store(true, Ordering::Relaxed);
    assert!(fabric.wait_quiet());
}

#[test]
fn the_row_out_of_the_slot_is_bounded() {
    let (_tokio, scheduler) = scheduler(1);
    let fabric = Fabric::on(scheduler);
    let stop = Arc::new(AtomicBool::new(false));
    let (first, count) = ping_pong(&fabric, &stop);
    let (done, finished) = mpsc::channel();
    let seen = count.clone();
    let third = fabric.spawn(move |_, _| {
        done.send(seen.load(Ordering::Relaxed)).unwrap();
        Step::Done
    });
    let starter = fabric.spawn(move |cx, bytes| {
        cx.send(third, bytes.clone()).unwrap();
        cx.send(first, bytes).unwrap();
        Step::Done
    });
    fabric.poke(starter);
    let turns = finished.recv_timeout(PATIENCE).unwrap();
    // A full row, or less if the worker returned to Tokio in between.
    assert!(turns <= 256, "{turns} turns");
    stop.store(true, Ordering::Relaxed);
    assert!(fabric.wait_quiet());
}

#[test]
fn what_comes_from_outside_gets_its_turn_beside_a_full_queue() {
    let (_tokio, scheduler) = scheduler(1);
    let fabric = Fabric::on(scheduler);
    let stop = Arc::new(AtomicBool::new(false));
    let (started, running) = mpsc::channel();
    // Each always has more to do, so that the queue is never empty.
    let busy: Vec<Pid> = (0..4)
        .map(|_| {
            let (stop, started) = (stop.clone(), started.clone());
            fabric.spawn(move |cx, bytes| {
                started.send(()).unwrap();
                if !stop.load(Ordering::Relaxed) {
                    cx.send(cx.pid(), bytes).unwrap();
                }
                Step::Yield
            })
        })
        .collect();
    for pid in &busy {
        fabric.poke(*pid);
    }
    for _ in 0..100 {
        running.recv_timeout(PATIENCE).unwrap();
    }
    let (done, finished) = mpsc::channel();
    let late = fabric.spawn(move |_, _| {
        done.send(()).unwrap();
        Step::Done
    });
    fabric.poke(late);
    finished.recv_timeout(PATIENCE).unwrap();
    stop.store(true, Ordering::Relaxed);
    assert!(fabric.wait_quiet());
}

#[test]
fn a_process_with_more_to_do_goes_behind_the_others() {
    let (_tokio, scheduler) = scheduler(1);
    let fabric = Fabric::on(scheduler);
    let log: Arc<Mutex<String>> = Arc::default();
    let options = ProcessOptions {
        budget_reductions: 1,
        ..ProcessOptions::default()
    };
    let pids: Vec<Pid> = ["a", "b", "c"]
        .map(|name| {
            let log = log.clone();
            fabric.spawn_with(options, move |_, _| {
                log.lock().unwrap().push_str(name);
                Step::Done
            })
        })
        .into();
    // In one slice, so that all wait before the first runs.
    let starter = fabric.spawn(move |cx, bytes| {
        for pid in &pids {
            for _ in 0..3 {
                cx.send(*pid, bytes.clone()).unwrap();
            }
        }
        Step::Done
    });
    fabric.poke(starter);
    assert!(fabric.wait_quiet());
    // The last to be made ready is first once; then it waits like the others.
    assert_eq!(*log.lock().unwrap(), "cabcabcab");
}

#[test]
fn two_schedulers_send_to_each_others_processes() {
    let tokio = tokio_with(2);
    // One pair shares the threads, one does not.
    let (_other_tokio, other) = scheduler(1);
    let one = TokioScheduler::start(tokio.handle().clone(), 1);
    let two = TokioScheduler::start(tokio.handle().clone(), 1);
    let fabrics = [Arc::new(one), Arc::new(two), other].map(|one| Fabric::on(one as _));
    let (done, finished) = mpsc::channel();
    let pids: Arc<OnceLock<Vec<Pid>>> = Arc::default();
    let left = Arc::new(AtomicUsize::new(3000));
    let all = (0..3).map(|me| {
        let (pids, left, done) = (pids.clone(), left.clone(), done.clone());
        let next: Arc<Fabric> = fabrics[(me + 1) % 3].clone();
        fabrics[me].spawn(move |_, bytes: Bytes| {
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                done.send(()).unwrap();
            } else {
                let to = pids.get().unwrap()[(me + 1) % 3];
                next.send(to, Message::from(bytes)).unwrap();
            }
            Step::Done
        })
    });
    let all: Vec<Pid> = all.collect();
    pids.set(all.clone()).unwrap();
    fabrics[0].poke(all[0]);
    finished.recv_timeout(PATIENCE).unwrap();
    for fabric in &fabrics {
        assert!(fabric.wait_quiet());
    }
}

#[test]
fn a_handler_that_blocks_does_not_hold_up_another_scheduler_on_its_threads() {
    let tokio = tokio_with(2);
    let schedulers = [(); 2].map(|()| TokioScheduler::start(tokio.handle().clone(), 1));
    let [here, there] = schedulers.map(|one| Fabric::on(Arc::new(one)));
    let (done, finished) = mpsc::channel();
    let (gate, wait) = Gate::new();
    let receiver = there.spawn(move |_, _| {
        done.send(()).unwrap();
        Step::Done
    });
    let far = there.clone();
    let blocker = here.spawn(move |_, _| {
        far.poke(receiver);
        pass(&wait);
        Step::Done
    });
    here.poke(blocker);
    finished.recv_timeout(PATIENCE).unwrap();
    gate.open();
    assert!(here.wait_quiet());
}

#[test]
fn a_handler_may_shut_its_scheduler_down() {
    let (tokio, scheduler) = scheduler(2);
    let fabric = Fabric::on(scheduler.clone());
    let (done, finished) = mpsc::channel();
    let ran = Arc::new(AtomicBool::new(false));
    let late = {
        let ran = ran.clone();
        fabric.spawn(move |_, _| {
            ran.store(true, Ordering::SeqCst);
            Step::Done
        })
    };
    let stopper = fabric.spawn(move |cx, bytes| {
        scheduler.shut_down();
        cx.send(late, bytes).unwrap();
        done.send(()).unwrap();
        Step::Done
    });
    fabric.poke(stopper);
    finished.recv_timeout(PATIENCE).unwrap();
    // What is sent now stays unrun, too.
    fabric.poke(late);
    tokio.shutdown_timeout(PATIENCE);
    assert!(!ran.load(Ordering::SeqCst));
}

#[test]
fn a_scheduler_that_is_gone_lets_go_of_what_it_had_queued() {
    let (tokio, scheduler) = scheduler(1);
    let fabric = Fabric::on(scheduler.clone());
    let (entered, inside) = mpsc::channel();
    let (gate, wait) = Gate::new();
    let blocker = fabric.spawn(move |_, _| {
        entered.send(()).unwrap();
        pass(&wait);
        Step::Done
    });
    let never = fabric.spawn(|_, _| Step::Done);
    fabric.poke(blocker);
    inside.recv_timeout(PATIENCE).unwrap();
    fabric.poke(never);
    scheduler.shut_down();
    gate.open();
    // Waits for the worker to end.
    tokio.shutdown_timeout(PATIENCE);
    let weak = Arc::downgrade(&scheduler);
    drop((fabric, scheduler));
    assert!(weak.upgrade().is_none(), "a queued process holds it");
}

#[test]
fn a_slice_that_overruns_is_reported_once_with_its_pid() {
    let tokio = tokio_with(1);
    let (report, reports) = mpsc::channel();
    let threshold = Duration::from_millis(20);
    let scheduler = TokioOptions::default()
        .overrun_after(Some(threshold))
        .on_overrun(move |overrun| report.send(overrun).unwrap())
        .start(tokio.handle().clone());
    let fabric = Fabric::on(Arc::new(scheduler));
    let (gate, wait) = Gate::new();
    let (entered, inside) = mpsc::channel();
    let blocker = fabric.spawn(move |_, _| {
        entered.send(()).unwrap();
        pass(&wait);
        Step::Done
    });
    fabric.poke(blocker);
    let overrun = reports.recv_timeout(PATIENCE).unwrap();
    assert_eq!(overrun.pid, blocker);
    assert!(overrun.running_for >= threshold);
    inside.recv_timeout(PATIENCE).unwrap();
    gate.open();
    assert!(fabric.wait_quiet());
    assert!(reports.try_recv().is_err(), "it was reported twice");

    // A second slice of the same process is another overrun; the gate stays open for it.
    fabric.poke(blocker);
    inside.recv_timeout(PATIENCE).unwrap();
    assert!(fabric.wait_quiet());
}

#[test]
fn no_wake_up_is_lost() {
    let rounds = if cfg!(debug_assertions) {
        50_000
    } else {
        200_000
    };
    let (_tokio, scheduler) = scheduler(2);
    let fabric = Fabric::on(scheduler);
    let handled = Arc::new(AtomicU64::new(0));
    let pids: Vec<Pid> = (0..3)
        .map(|_| {
            let handled = handled.clone();
            fabric.spawn(move |_, _| {
                handled.fetch_add(1, Ordering::Release);
                Step::Done
            })
        })
        .collect();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let give_up_at = std::time::Instant::now() + PATIENCE;
    for round in 1..=rounds {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for _ in 0..random % 256 {
            std::hint::spin_loop();
        }
        let pid = pids[usize::try_from(random >> 32).unwrap() % pids.len()];
        fabric.poke(pid);
        // Often one at a time, so that the workers lie down between; else in a burst.
        if random.is_multiple_of(4) {
            while handled.load(Ordering::Acquire) < round {
                std::thread::yield_now();
                assert!(std::time::Instant::now() < give_up_at, "round {round}");
            }
        }
    }
    assert!(fabric.wait_quiet());
    assert_eq!(handled.load(Ordering::Acquire), rounds);
}

#[test]
fn workers_end_with_their_scheduler() {
    let (tokio, scheduler) = scheduler(2);
    let fabric = Fabric::on(scheduler.clone() as Arc<dyn Scheduler>);
    let pid = fabric.spawn(|_, _| Step::Done);
    fabric.poke(pid);
    assert!(fabric.wait_quiet());
    drop((fabric, scheduler));
    let metrics = tokio.metrics();
    let give_up_at = std::time::Instant::now() + PATIENCE;
    while metrics.num_alive_tasks() > 0 {
        std::thread::yield_now();
        assert!(std::time::Instant::now() < give_up_at, "the workers go on");
    }
}
