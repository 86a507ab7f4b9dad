//! Mailboxes with a bound, on real threads.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::num::NonZeroU32;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use iris::prelude::*;
use iris::{
    AskError, DeadLetter, DeadLetterReason, OverflowError, OverflowPolicy, SendError, SpawnError,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    // A slow actor keeps a worker.
    Runtime::builder().workers(4).start().unwrap()
}

/// An actor that takes a message when the test says so, and tells what it took.
struct Slow {
    pid: Pid,
    release: Sender<()>,
    entered: Receiver<String>,
}

impl Slow {
    /// It is inside its first message, "held", when this returns.
    fn new(rt: &Runtime, capacity: u32, policy: OverflowPolicy) -> Self {
        let (release, gate) = channel::<()>();
        let (tell, entered) = channel();
        let (gate, tell) = (Mutex::new(gate), Mutex::new(tell));
        let behavior = handler(move |_, bytes| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            tell.lock().unwrap().send(text).ok();
            // An error means that the test is over.
            gate.lock().unwrap().recv().ok();
            Step::Done
        });
        let builder = rt.spawn(behavior).capacity(capacity).overflow(policy);
        let pid = builder.start().unwrap();
        rt.send(pid, &b"held"[..]).unwrap();
        let slow = Self {
            pid,
            release,
            entered,
        };
        assert_eq!(slow.next(), "held");
        slow
    }

    fn next(&self) -> String {
        self.entered.recv_timeout(PATIENCE).unwrap()
    }

    /// Lets it handle the next so many messages; which they were.
    fn take(&self, count: usize) -> Vec<String> {
        let next = |_| {
            self.release.send(()).unwrap();
            self.next()
        };
        (0..count).map(next).collect()
    }
}

/// Dead letters, as the hook gets them.
fn dead_letters(rt: &Runtime) -> Receiver<DeadLetter> {
    let (tell, hear) = channel();
    let tell = Mutex::new(tell);
    rt.on_dead_letter(move |letter| drop(tell.lock().unwrap().send(letter.clone())));
    hear
}

fn text(message: &Message) -> String {
    String::from_utf8(message.as_user().unwrap().to_vec()).unwrap()
}

fn send(rt: &Runtime, to: Pid, text: &str) -> Result<(), SendError> {
    rt.send(to, text.as_bytes().to_vec())
}

/// Sends from a thread of its own, and tells when that has returned.
fn send_aside(rt: &Runtime, to: Pid, text: &'static str) -> Receiver<Result<(), SendError>> {
    let (rt, (tell, hear)) = (rt.clone(), channel());
    thread::spawn(move || tell.send(send(&rt, to, text)));
    hear
}

#[test]
fn a_full_mailbox_gives_the_message_back() {
    let rt = runtime();
    let slow = Slow::new(&rt, 2, OverflowPolicy::DropNew);
    send(&rt, slow.pid, "one").unwrap();
    send(&rt, slow.pid, "two").unwrap();
    let error = send(&rt, slow.pid, "three").unwrap_err();
    assert!(matches!(error, SendError::Full { to, .. } if to == slow.pid));
    assert_eq!(text(&error.into_message()), "three");
    assert_eq!(rt.mailbox_size(slow.pid), Some(2));
    assert_eq!(rt.dead_letters(), 0, "it is in the sender's hands");
    assert_eq!(slow.take(2), ["one", "two"]);
    send(&rt, slow.pid, "four").unwrap();
}

#[test]
fn dropping_the_oldest_works_while_the_handler_is_busy() {
    let rt = runtime();
    let letters = dead_letters(&rt);
    let slow = Slow::new(&rt, 3, OverflowPolicy::DropOld);
    for number in 0..1_000 {
        send(&rt, slow.pid, &number.to_string()).unwrap();
        assert!(rt.mailbox_size(slow.pid).unwrap() <= 3);
    }
    assert_eq!(rt.dead_letters(), 997);
    for number in 0..997 {
        let letter = letters.try_recv().unwrap();
        assert_eq!(
            (letter.to, letter.reason),
            (slow.pid, DeadLetterReason::Evicted)
        );
        assert_eq!(text(&letter.message), number.to_string());
    }
    assert_eq!(slow.take(3), ["997", "998", "999"]);
}

#[test]
fn an_overflowing_message_goes_to_the_target_and_on() {
    let rt = runtime();
    let last = Slow::new(&rt, 1, OverflowPolicy::DropNew);
    let middle = Slow::new(&rt, 1, OverflowPolicy::Redirect(last.pid));
    let first = Slow::new(&rt, 1, OverflowPolicy::Redirect(middle.pid));
    for word in ["a", "b", "c"] {
        send(&rt, first.pid, word).unwrap();
    }
    let error = send(&rt, first.pid, "d").unwrap_err();
    assert!(
        matches!(error, SendError::Full { to, .. } if to == last.pid),
        "{error:?}"
    );
    for (slow, word) in [(&first, "a"), (&middle, "b"), (&last, "c")] {
        assert_eq!(slow.take(1), [word]);
    }
    send(&rt, middle.pid, "fills it").unwrap();
    send(&rt, first.pid, "fills it").unwrap();
    rt.stop(last.pid, ExitReason::Killed);
    send(&rt, middle.pid, "late").unwrap_err();
    let error = send(&rt, first.pid, "late").unwrap_err();
    assert_eq!(error.to(), last.pid, "who is to blame");
    assert_eq!(text(&error.into_message()), "late");
}

#[test]
fn a_copy_is_spilled_and_the_message_is_taken_all_the_same() {
    let rt = runtime();
    let letters = dead_letters(&rt);
    let fallback = Slow::new(&rt, 1, OverflowPolicy::Block);
    let primary = Slow::new(&rt, 1, OverflowPolicy::Spill(fallback.pid));
    for word in ["fits", "spills", "is lost"] {
        send(&rt, primary.pid, word).unwrap();
    }
    assert_eq!(rt.mailbox_size(primary.pid), Some(3));
    assert_eq!(rt.mailbox_size(fallback.pid), Some(1));
    let letter = letters.try_recv().expect("nobody waited for the copy");
    assert_eq!(
        (letter.to, letter.reason),
        (fallback.pid, DeadLetterReason::Refused)
    );
    assert_eq!(text(&letter.message), "is lost");
    assert_eq!(fallback.take(1), ["spills"]);
    assert_eq!(primary.take(3), ["fits", "spills", "is lost"]);
    assert_eq!(rt.dead_letters(), 1);
}

#[test]
fn a_circle_is_refused_and_named() {
    let rt = runtime();
    let bounded = || {
        rt.spawn(handler(|_, _| Step::Done))
            .capacity(1)
            .start()
            .unwrap()
    };
    let (a, b, c) = (bounded(), bounded(), bounded());
    let cycle = |way: &[Pid]| Err(OverflowError::Cycle(way.to_vec()));
    let set = |pid, policy| rt.set_overflow_policy(pid, policy);
    assert_eq!(set(a, OverflowPolicy::Redirect(a)), cycle(&[a, a]));
    set(a, OverflowPolicy::Redirect(b)).unwrap();
    set(b, OverflowPolicy::Spill(c)).unwrap();
    let refused = set(c, OverflowPolicy::Redirect(a));
    assert_eq!(refused, cycle(&[c, a, b, c]));
    let words = refused.unwrap_err().to_string();
    assert!(
        words.contains(&format!("{c} -> {a} -> {b} -> {c}")),
        "{words}"
    );
    assert_eq!(rt.overflow_policy(c), Some(OverflowPolicy::DropNew));
    set(b, OverflowPolicy::DropOld).unwrap();
    set(c, OverflowPolicy::Redirect(a)).unwrap();
}

#[test]
fn two_who_set_policies_at_once_make_no_circle() {
    let rt = runtime();
    let bounded = || {
        rt.spawn(handler(|_, _| Step::Done))
            .capacity(1)
            .start()
            .unwrap()
    };
    let (a, b) = (bounded(), bounded());
    for _ in 0..500 {
        let start = Barrier::new(2);
        let set = |from, to| {
            start.wait();
            rt.set_overflow_policy(from, OverflowPolicy::Redirect(to))
                .is_ok()
        };
        let (one, other) = thread::scope(|threads| {
            let one = threads.spawn(|| set(a, b));
            (set(b, a), one.join().unwrap())
        });
        assert!(one != other, "one comes first, and the other is a circle");
        for pid in [a, b] {
            rt.set_overflow_policy(pid, OverflowPolicy::DropNew)
                .unwrap();
        }
    }
}

#[test]
fn what_cannot_have_a_policy_is_told_so() {
    let rt = runtime();
    let unbounded = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    let bounded = rt
        .spawn(handler(|_, _| Step::Done))
        .capacity(1)
        .start()
        .unwrap();
    let dead = rt
        .spawn(handler(|_, _| Step::Done))
        .capacity(1)
        .start()
        .unwrap();
    rt.stop(dead, ExitReason::Killed);
    let set = |pid, policy| rt.set_overflow_policy(pid, policy).unwrap_err();
    let block = OverflowPolicy::Block;
    assert_eq!(set(unbounded, block), OverflowError::NotBounded(unbounded));
    assert_eq!(set(dead, block), OverflowError::NotAlive(dead));
    let to_dead = OverflowPolicy::Redirect(dead);
    assert_eq!(set(bounded, to_dead), OverflowError::NoTarget(dead));
    assert_eq!(rt.overflow_policy(unbounded), None);
    assert_eq!(rt.capacity(unbounded), None);
    let three = NonZeroU32::new(3).unwrap();
    assert_eq!(
        rt.set_capacity(unbounded, three),
        Err(OverflowError::NotBounded(unbounded))
    );
    rt.set_capacity(bounded, three).unwrap();
    assert_eq!(rt.capacity(bounded), Some(3));
    let before = rt.process_count();
    let spawn = |builder: iris::SpawnBuilder<'_>| builder.named("taken").start().unwrap_err();
    let behavior = || rt.spawn(handler(|_, _| Step::Done));
    assert!(matches!(
        spawn(behavior().capacity(0)),
        SpawnError::NoCapacity
    ));
    assert!(matches!(
        spawn(behavior().overflow(block)),
        SpawnError::Overflow(_)
    ));
    let to_dead = behavior().capacity(1).overflow(to_dead);
    assert!(matches!(
        spawn(to_dead),
        SpawnError::Overflow(OverflowError::NoTarget(_))
    ));
    assert!(rt.wait_quiet(PATIENCE));
    assert!(rt.process_count() <= before);
    assert_eq!(rt.whereis("taken"), None);
}

#[test]
fn a_sender_waits_for_room_and_keeps_its_order() {
    let rt = runtime();
    let slow = Slow::new(&rt, 1, OverflowPolicy::Block);
    let sender = {
        let (rt, pid) = (rt.clone(), slow.pid);
        thread::spawn(move || (0..200).try_for_each(|n| send(&rt, pid, &n.to_string())))
    };
    for number in 0..200 {
        assert!(rt.mailbox_size(slow.pid).unwrap() <= 1);
        assert_eq!(slow.take(1), [number.to_string()]);
    }
    sender.join().unwrap().unwrap();
}

#[test]
fn many_senders_wait_and_none_for_ever() {
    const SENDERS: usize = 4;
    const EACH: usize = 2_000;
    let rt = runtime();
    let (tell, hear) = channel();
    let tell = Mutex::new(tell);
    let behavior = handler(move |_, bytes| {
        tell.lock()
            .unwrap()
            .send((bytes[0], u64::from(bytes[1])))
            .ok();
        Step::Done
    });
    let builder = rt.spawn(behavior).capacity(2).budget(1);
    let pid = builder.overflow(OverflowPolicy::Block).start().unwrap();
    let (done, ended) = channel();
    for sender in 0..SENDERS {
        let (rt, done) = (rt.clone(), done.clone());
        thread::spawn(move || {
            for number in 0..EACH {
                let bytes = [sender, number % 256].map(|n| u8::try_from(n).unwrap());
                rt.send_bytes(pid, &bytes).unwrap();
            }
            done.send(())
        });
    }
    let mut next = [0_u64; SENDERS];
    for _ in 0..SENDERS * EACH {
        let (sender, number) = hear.recv_timeout(PATIENCE).expect("a wake-up was lost");
        assert_eq!(number, next[usize::from(sender)] % 256, "in order");
        next[usize::from(sender)] += 1;
    }
    for _ in 0..SENDERS {
        ended.recv_timeout(PATIENCE).unwrap();
    }
}

#[test]
fn a_sender_that_waits_gets_its_message_back_when_the_target_ends() {
    let rt = runtime();
    let ends: [fn(&Runtime, Pid) -> bool; 3] = [
        |rt, pid| rt.stop(pid, ExitReason::Killed),
        Runtime::drain,
        |rt, pid| rt.set_overflow_policy(pid, OverflowPolicy::DropNew).is_ok(),
    ];
    for _ in 0..50 {
        for end in ends {
            let slow = Slow::new(&rt, 1, OverflowPolicy::Block);
            send(&rt, slow.pid, "fills it").unwrap();
            let senders = [(); 3].map(|()| send_aside(&rt, slow.pid, "back"));
            assert!(end(&rt, slow.pid));
            for sender in senders {
                let sent = sender.recv_timeout(PATIENCE).expect("it waits for ever");
                assert_eq!(text(&sent.unwrap_err().into_message()), "back");
            }
            rt.stop(slow.pid, ExitReason::Killed);
        }
    }
}

#[test]
fn a_sender_that_waits_goes_on_when_there_is_a_larger_bound_or_a_redirection() {
    let rt = runtime();
    let other = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    for _ in 0..50 {
        let slow = Slow::new(&rt, 1, OverflowPolicy::Block);
        send(&rt, slow.pid, "fills it").unwrap();
        let sender = send_aside(&rt, slow.pid, "more");
        rt.set_capacity(slow.pid, NonZeroU32::new(2).unwrap())
            .unwrap();
        sender.recv_timeout(PATIENCE).expect("it waits").unwrap();
        let sender = send_aside(&rt, slow.pid, "elsewhere");
        rt.set_overflow_policy(slow.pid, OverflowPolicy::Redirect(other))
            .unwrap();
        sender.recv_timeout(PATIENCE).expect("it waits").unwrap();
        assert_eq!(rt.mailbox_size(slow.pid), Some(2));
    }
}

#[test]
fn a_sender_waits_no_longer_than_it_wants() {
    let rt = runtime();
    let slow = Slow::new(&rt, 1, OverflowPolicy::Block);
    send(&rt, slow.pid, "fills it").unwrap();
    let wait = |time| rt.send_timeout(slow.pid, &b"late"[..], time).unwrap_err();
    for time in [Duration::ZERO, Duration::from_millis(5)] {
        let error = wait(time);
        assert!(
            matches!(error, SendError::Timeout { to, .. } if to == slow.pid),
            "{error:?}"
        );
        assert_eq!(text(&error.into_message()), "late");
    }
    assert!(matches!(
        rt.try_send(slow.pid, &b"no"[..]),
        Err(SendError::WouldBlock { .. })
    ));
    assert_eq!(rt.mailbox_size(slow.pid), Some(1));
    // A wait that was given up takes no room from others.
    assert_eq!(slow.take(1), ["fills it"]);
    rt.send_timeout(slow.pid, &b"fits"[..], Duration::MAX)
        .unwrap();
}

#[test]
fn a_handler_does_not_wait_and_is_told_what_to_do() {
    let rt = runtime();
    let slow = Slow::new(&rt, 1, OverflowPolicy::Block);
    send(&rt, slow.pid, "fills it").unwrap();
    let (tell, hear) = channel();
    let (own, to, told) = (rt.clone(), slow.pid, tell.clone());
    let told = Mutex::new(told);
    let pid = rt
        .spawn(handler(move |cx, _| {
            let tell = told.lock().unwrap();
            tell.send(cx.send_bytes(to, b"x")).unwrap();
            tell.send(own.send(to, &b"x"[..])).unwrap();
            tell.send(own.send_timeout(to, &b"x"[..], PATIENCE))
                .unwrap();
            Step::Done
        }))
        .start()
        .unwrap();
    send(&rt, pid, "go").unwrap();
    let (own, told) = (rt.clone(), tell.clone());
    rt.spawn_actor(move |_| async move {
        told.send(own.send(to, &b"x"[..])).unwrap();
    });
    let (own, told) = (rt.clone(), tell);
    let builder = rt.receiver("full of itself").capacity(1);
    let itself = builder
        .overflow(OverflowPolicy::Block)
        .start_pull(move |mailbox| {
            own.send(mailbox.pid(), &b"first"[..]).unwrap();
            told.send(own.send(mailbox.pid(), &b"second"[..])).unwrap();
        });
    itself.unwrap();
    for _ in 0..5 {
        let error = hear.recv_timeout(PATIENCE).expect("it waits").unwrap_err();
        assert!(matches!(error, SendError::WouldBlock { .. }), "{error:?}");
        assert!(error.to_string().contains("send_async"), "{error}");
    }
}

#[test]
fn a_handler_that_runs_on_the_asking_thread_does_not_wait_either() {
    let rt = runtime();
    let slow = Slow::new(&rt, 1, OverflowPolicy::Block);
    send(&rt, slow.pid, "fills it").unwrap();
    let (own, to) = (rt.clone(), slow.pid);
    let forwards = rt.spawn(handler(move |cx, bytes| {
        let error = own.send_timeout(to, bytes, PATIENCE).unwrap_err();
        cx.reply(error.to_string().into_bytes());
        Step::stop()
    }));
    let forwards = forwards.start().unwrap();
    let answer = rt.ask(forwards, &b"x"[..]).timeout(PATIENCE).wait();
    assert!(String::from_utf8_lossy(&answer.unwrap()).contains("which a handler may not"));
}

#[test]
fn a_hook_that_hears_of_an_end_on_the_asking_thread_does_not_wait() {
    let rt = runtime();
    let slow = Slow::new(&rt, 1, OverflowPolicy::Block);
    send(&rt, slow.pid, "fills it").unwrap();
    let (tell, hear) = channel();
    let (tell, own, to) = (Mutex::new(tell), rt.clone(), slow.pid);
    rt.on_dead_letter(move |_| {
        let sent = own.send_timeout(to, &b"news"[..], PATIENCE);
        tell.lock().unwrap().send(sent).ok();
    });
    let own = rt.clone();
    let ends = rt.spawn(handler(move |cx, _| {
        // What it has queued itself is left behind.
        own.send(cx.pid(), &b"dead letter"[..]).unwrap();
        cx.reply(&b"ends"[..]);
        Step::stop()
    }));
    let ends = ends.start().unwrap();
    rt.ask(ends, &b"x"[..]).timeout(PATIENCE).wait().unwrap();
    let error = hear.recv_timeout(PATIENCE).unwrap().unwrap_err();
    assert!(
        matches!(error, SendError::WouldBlock { to: at, .. } if at == to),
        "{error:?}"
    );
    rt.on_dead_letter(|_| ());
}

#[test]
fn tasks_and_handlers_that_await_wait_without_a_thread() {
    let rt = runtime();
    let slow = Slow::new(&rt, 1, OverflowPolicy::Block);
    send(&rt, slow.pid, "fills it").unwrap();
    // More than there are workers: were they kept, nobody could run.
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let (own, to) = (rt.clone(), slow.pid);
            rt.spawn_actor(move |_| async move {
                own.send_async(to, &b"from a task"[..]).await.unwrap();
            })
        })
        .collect();
    let (own, to) = (rt.clone(), slow.pid);
    let pid = rt
        .spawn(async_handler(move |message| {
            let own = own.clone();
            async move {
                own.send_async(to, message).await.unwrap();
                Step::stop()
            }
        }))
        .start()
        .unwrap();
    send(&rt, pid, "from a handler").unwrap();
    let heard = slow.take(10);
    assert_eq!(heard[0], "fills it");
    assert_eq!(
        heard.iter().filter(|word| *word == "from a task").count(),
        8
    );
    assert!(heard.contains(&"from a handler".to_owned()));
    for pid in waiting.into_iter().chain([pid]) {
        assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    }
}

#[test]
fn a_task_that_is_dropped_while_it_waits_takes_nothing_along() {
    let rt = runtime();
    let slow = Slow::new(&rt, 1, OverflowPolicy::Block);
    send(&rt, slow.pid, "fills it").unwrap();
    let (own, to) = (rt.clone(), slow.pid);
    let (tell, hear) = channel();
    let dropped = rt.spawn_actor(move |_| async move {
        tell.send(()).unwrap();
        own.send_async(to, &b"never"[..]).await.unwrap();
    });
    hear.recv_timeout(PATIENCE).unwrap();
    rt.stop(dropped, ExitReason::Killed);
    assert_eq!(rt.join(dropped, Some(PATIENCE)), Ok(true));
    let sender = send_aside(&rt, slow.pid, "after it");
    assert_eq!(slow.take(2), ["fills it", "after it"]);
    sender.recv_timeout(PATIENCE).unwrap().unwrap();
}

#[test]
fn a_timer_does_not_wait_for_room() {
    let rt = runtime();
    let letters = dead_letters(&rt);
    let slow = Slow::new(&rt, 1, OverflowPolicy::Block);
    send(&rt, slow.pid, "fills it").unwrap();
    rt.send_after(slow.pid, 1, &b"tick"[..]).unwrap();
    let letter = letters.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        (letter.to, letter.reason),
        (slow.pid, DeadLetterReason::Refused)
    );
    assert_eq!(text(&letter.message), "tick");
    let beat = rt.send_interval(slow.pid, 1, &b"beat"[..]).unwrap();
    for _ in 0..3 {
        assert_eq!(
            text(&letters.recv_timeout(PATIENCE).unwrap().message),
            "beat"
        );
    }
    rt.cancel_timer(beat);
    let other = rt.spawn(handler(|_, _| Step::stop())).start().unwrap();
    rt.send_after(other, 1, &b"tick"[..]).unwrap();
    assert_eq!(rt.join(other, Some(PATIENCE)), Ok(true), "timers go on");
}

#[test]
fn what_a_receiver_has_set_aside_takes_up_room() {
    let rt = runtime();
    let (tell, hear) = channel();
    let (order, orders) = channel::<&'static str>();
    let builder = rt
        .receiver("picky")
        .capacity(2)
        .overflow(OverflowPolicy::Block);
    let pid = builder
        .start_pull(move |mut mailbox| {
            while let Ok(word) = orders.recv() {
                let choose = |message: &Message| word == "any" || text(message) == word;
                let got = mailbox.recv_matching_blocking(choose, Some(Duration::ZERO));
                tell.send(got.map(|message| text(&message)).ok()).unwrap();
            }
        })
        .unwrap();
    let receive = |word| {
        order.send(word).unwrap();
        hear.recv_timeout(PATIENCE).unwrap()
    };
    send(&rt, pid, "a").unwrap();
    send(&rt, pid, "b").unwrap();
    assert_eq!(receive("none such"), None);
    assert_eq!(rt.mailbox_size(pid), Some(2));
    assert!(matches!(
        rt.try_send(pid, &b"c"[..]),
        Err(SendError::WouldBlock { .. })
    ));
    // What is set aside is the receiver's: there is nothing to evict.
    rt.set_overflow_policy(pid, OverflowPolicy::DropOld)
        .unwrap();
    assert!(matches!(send(&rt, pid, "c"), Err(SendError::Full { .. })));
    rt.set_overflow_policy(pid, OverflowPolicy::Block).unwrap();
    let sender = send_aside(&rt, pid, "c");
    assert_eq!(receive("b").as_deref(), Some("b"));
    sender
        .recv_timeout(PATIENCE)
        .expect("nobody told it")
        .unwrap();
    assert_eq!(rt.mailbox_size(pid), Some(2));
    assert_eq!(receive("any").as_deref(), Some("a"));
    assert_eq!(receive("any").as_deref(), Some("c"));
    assert_eq!(rt.mailbox_size(pid), Some(0));
    drop(order);
    assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
}

#[test]
fn system_messages_and_orders_find_room_in_a_full_mailbox() {
    let rt = runtime();
    let slow = Slow::new(&rt, 1, OverflowPolicy::DropNew);
    send(&rt, slow.pid, "fills it").unwrap();
    assert_eq!(rt.hot_swap(slow.pid, handler(|_, _| Step::stop())), Some(2));
    assert!(rt.drain(slow.pid));
    slow.release.send(()).unwrap();
    assert_eq!(slow.next(), "fills it");
    slow.release.send(()).unwrap();
    assert_eq!(rt.join(slow.pid, Some(PATIENCE)), Ok(true));
    assert_eq!(rt.dead_letters(), 0);
}

#[test]
fn a_shutdown_lets_nobody_wait() {
    let rt = runtime();
    let slow = Slow::new(&rt, 1, OverflowPolicy::Block);
    send(&rt, slow.pid, "fills it").unwrap();
    let senders = [(); 3].map(|()| send_aside(&rt, slow.pid, "back"));
    let shutting = {
        let rt = rt.clone();
        thread::spawn(move || rt.shutdown(Duration::ZERO))
    };
    for sender in senders {
        let sent = sender.recv_timeout(PATIENCE).expect("it waits for ever");
        sent.unwrap_err();
    }
    drop(slow.release);
    shutting.join().unwrap();
}

#[test]
fn a_hook_that_hears_of_an_end_does_not_wait_on_the_thread_that_ends_it() {
    let rt = runtime();
    let slow = Slow::new(&rt, 1, OverflowPolicy::Block);
    send(&rt, slow.pid, "fills it").unwrap();
    let (tell, hear) = channel();
    let (tell, own, to) = (Mutex::new(tell), rt.clone(), slow.pid);
    rt.on_dead_letter(move |_| {
        let sent = own.send(to, &b"news"[..]);
        tell.lock().unwrap().send(sent).ok();
    });
    let other = Slow::new(&rt, 1, OverflowPolicy::DropNew);
    send(&rt, other.pid, "dead letter").unwrap();
    rt.stop(other.pid, ExitReason::Killed);
    drop(other.release);
    let error = hear.recv_timeout(PATIENCE).expect("it waits").unwrap_err();
    assert!(
        matches!(error, SendError::WouldBlock { to: at, .. } if at == to),
        "{error:?}"
    );
    rt.on_dead_letter(|_| ());
}

#[test]
fn bounds_and_policies_end_with_their_process() {
    let rt = runtime();
    let target = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    let mut slots = 0;
    for life in 0..10_000 {
        let builder = rt.spawn(handler(|_, _| Step::Done));
        let builder = match life % 3 {
            0 => builder
                .capacity(2)
                .overflow(OverflowPolicy::Redirect(target)),
            1 => builder.capacity(3),
            _ => builder,
        };
        let pid = builder.start().unwrap();
        let expected = match life % 3 {
            0 => (Some(2), Some(OverflowPolicy::Redirect(target))),
            1 => (Some(3), Some(OverflowPolicy::DropNew)),
            _ => (None, None),
        };
        assert_eq!((rt.capacity(pid), rt.overflow_policy(pid)), expected);
        slots = slots.max(pid.slot());
        rt.stop(pid, ExitReason::Killed);
        assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    }
    assert!(
        slots < 1_000,
        "places were not used again, so nothing was seen: {slots}"
    );
    assert_eq!(rt.process_count(), 1);
}

#[test]
fn a_question_is_a_message_to_the_policies_but_never_waits_for_room() {
    let rt = runtime();
    let echo = rt.spawn(handler(|cx, bytes| {
        cx.reply(bytes);
        Step::Done
    }));
    let echo = echo.start().unwrap();
    let slow = Slow::new(&rt, 1, OverflowPolicy::Redirect(echo));
    send(&rt, slow.pid, "fills it").unwrap();
    let letters = dead_letters(&rt);
    let ask = |word: &'static str| rt.ask(slow.pid, word.as_bytes()).timeout(PATIENCE);
    assert_eq!(&ask("elsewhere").wait().unwrap()[..], b"elsewhere");
    rt.set_overflow_policy(slow.pid, OverflowPolicy::Block)
        .unwrap();
    assert_eq!(ask("now").wait(), Err(AskError::Full(slow.pid)));
    rt.set_overflow_policy(slow.pid, OverflowPolicy::DropOld)
        .unwrap();
    let evicted = thread::scope(|threads| {
        let asker = threads.spawn(|| ask("evicted").wait());
        // What filled the mailbox is pushed out, and then the question goes in.
        letters.recv_timeout(PATIENCE).unwrap();
        // Whether it is in there by now or comes later: one of these finds it there.
        for number in 0_u64.. {
            send(&rt, slow.pid, &number.to_string()).unwrap();
            let letter = letters.try_recv().map(|letter| text(&letter.message));
            if letter.is_ok_and(|word| word == "evicted") {
                break;
            }
        }
        asker.join().unwrap()
    });
    assert_eq!(evicted, Err(AskError::Dead(slow.pid)));
}

#[test]
fn publishing_to_a_group_waits_for_no_member() {
    let rt = runtime();
    let slow = Slow::new(&rt, 1, OverflowPolicy::Block);
    rt.join_group("all", slow.pid).unwrap();
    assert_eq!(rt.publish("all", &b"first"[..]), 1);
    assert_eq!(rt.publish("all", &b"no room"[..]), 0);
    assert_eq!(slow.take(1), ["first"]);
}
