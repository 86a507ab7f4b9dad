//! Questions and answers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::mpsc::channel;
use std::time::Duration;

use iris::{AskError, Context, Pid, ReplyTo, Runtime, Step, async_handler, handler};

const PATIENCE: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    Runtime::builder().workers(2).start().unwrap()
}

fn doubler(rt: &Runtime) -> Pid {
    let double = handler(|cx: &mut Context<'_>, bytes| {
        let number: u64 = std::str::from_utf8(&bytes).unwrap().parse().unwrap();
        cx.reply((number * 2).to_string().into_bytes());
        Step::Done
    });
    rt.spawn(double).start().unwrap()
}

fn ask(rt: &Runtime, pid: Pid, text: &'static str) -> Result<String, AskError> {
    let answer = rt.ask(pid, text.as_bytes()).timeout(PATIENCE).wait()?;
    Ok(String::from_utf8(answer.to_vec()).unwrap())
}

#[test]
fn a_handler_answers_who_asks() {
    let rt = runtime();
    let pid = doubler(&rt);
    assert_eq!(ask(&rt, pid, "21").unwrap(), "42");
    let queued = rt.ask(pid, &b"4"[..]).queued().timeout(PATIENCE);
    assert_eq!(&queued.wait().unwrap()[..], b"8");
}

#[test]
fn an_idle_handler_runs_on_the_thread_that_asks_and_a_queued_one_on_a_worker() {
    let rt = runtime();
    let name = handler(|cx: &mut Context<'_>, _| {
        let thread = std::thread::current();
        cx.reply(thread.name().unwrap_or_default().to_owned().into_bytes());
        Step::Done
    });
    let pid = rt.spawn(name).start().unwrap();
    let here = std::thread::current().name().unwrap().to_owned();
    assert_eq!(ask(&rt, pid, "?").unwrap(), here);
    let queued = rt.ask(pid, &b"?"[..]).queued().wait().unwrap();
    assert_eq!(&queued[..], b"iris-worker");
}

#[test]
fn a_question_keeps_its_place_among_the_messages_of_its_sender() {
    let rt = runtime();
    let (say, heard) = channel();
    let say = std::sync::Mutex::new(say);
    let log = handler(move |cx: &mut Context<'_>, bytes| {
        say.lock().unwrap().send(bytes.clone()).unwrap();
        cx.reply(bytes);
        Step::Done
    });
    let pid = rt.spawn(log).start().unwrap();
    for _ in 0..200 {
        rt.send_bytes(pid, b"before").unwrap();
        assert_eq!(ask(&rt, pid, "question").unwrap(), "question");
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "before");
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), "question");
    }
}

#[test]
fn who_asks_the_dead_learns_it_at_once_and_so_does_who_is_queued_at_its_end() {
    let rt = runtime();
    let pid = doubler(&rt);
    rt.stop(pid, iris::ExitReason::Killed);
    assert_eq!(ask(&rt, pid, "1"), Err(AskError::Dead(pid)));

    let (entered, inside) = channel();
    let (release, gate) = channel::<()>();
    let both = std::sync::Mutex::new((entered, gate));
    let blocks = handler(move |_: &mut Context<'_>, _| {
        let both = both.lock().unwrap();
        both.0.send(()).unwrap();
        both.1.recv_timeout(PATIENCE).unwrap();
        Step::Done
    });
    let pid = rt.spawn(blocks).start().unwrap();
    rt.send_bytes(pid, b"block").unwrap();
    inside.recv_timeout(PATIENCE).unwrap();
    std::thread::scope(|scope| {
        let asker = scope.spawn(|| ask(&rt, pid, "1"));
        while rt.mailbox_size(pid) != Some(1) {
            std::thread::yield_now();
        }
        rt.stop(pid, iris::ExitReason::Killed);
        release.send(()).unwrap();
        assert_eq!(asker.join().unwrap(), Err(AskError::Dead(pid)));
    });
}

#[test]
fn a_handler_that_fails_over_a_question_fails_the_asker() {
    let rt = runtime();
    let pid = doubler(&rt);
    let Err(AskError::Handler { by, failure }) = ask(&rt, pid, "no number") else {
        panic!("the handler panicked")
    };
    assert_eq!((by, &*failure.kind), (pid, "panic"));
    assert!(failure.message.contains("ParseInt"), "{failure}");
}

#[test]
fn a_handler_that_does_not_reply_says_so_and_one_that_keeps_the_reply_may_take_its_time() {
    let rt = runtime();
    let mute = rt.spawn(handler(|_, _| Step::Done)).start().unwrap();
    assert_eq!(ask(&rt, mute, "?"), Err(AskError::NoReply(mute)));

    let (give, later) = channel::<ReplyTo>();
    let give = std::sync::Mutex::new(give);
    let keeps = handler(move |cx: &mut Context<'_>, _| {
        give.lock().unwrap().send(cx.take_reply().unwrap()).unwrap();
        Step::Done
    });
    let keeps = rt.spawn(keeps).start().unwrap();
    let answers = std::thread::spawn(move || {
        assert!(
            later
                .recv_timeout(PATIENCE)
                .unwrap()
                .reply(b"late".to_vec())
        );
        later.recv_timeout(PATIENCE).unwrap()
    });
    assert_eq!(ask(&rt, keeps, "?").unwrap(), "late");
    let short = rt.ask(keeps, &b"?"[..]).timeout(Duration::from_millis(1));
    assert_eq!(short.wait().unwrap_err(), AskError::Timeout(keeps));
    assert!(!answers.join().unwrap().reply(b"too late".to_vec()));
}

#[test]
fn an_async_handler_answers_with_its_step() {
    let rt = runtime();
    let backend = doubler(&rt);
    let front = {
        let rt = rt.clone();
        async_handler(move |message: iris::Message| {
            let rt = rt.clone();
            async move {
                tokio::task::yield_now().await;
                let question = message.as_user().unwrap().clone();
                match rt.ask(backend, question).await {
                    Ok(answer) => Step::Reply(answer),
                    Err(_) => Step::stop(),
                }
            }
        })
    };
    let front = rt.spawn(front).start().unwrap();
    assert_eq!(ask(&rt, front, "5").unwrap(), "10");
}

#[test]
fn an_actor_that_receives_answers_what_it_received_last() {
    let rt = runtime();
    let pid = rt.spawn_actor(|mut rx| async move {
        // Passed over first, and answered after the one behind it.
        let second = rx.recv_matching(|m| m.as_user().unwrap() == "second").await;
        assert!(second.is_some() && rx.reply(b"2".to_vec()));
        while let Some(message) = rx.recv().await {
            if message.as_user().unwrap() == "ignored" {
                continue;
            }
            rx.reply(message.as_user().unwrap().clone());
        }
    });
    std::thread::scope(|scope| {
        let first = scope.spawn(|| ask(&rt, pid, "first"));
        while rt.mailbox_size(pid) != Some(1) {
            std::thread::yield_now();
        }
        assert_eq!(ask(&rt, pid, "second").unwrap(), "2");
        assert_eq!(first.join().unwrap().unwrap(), "first");
    });
    std::thread::scope(|scope| {
        let ignored = scope.spawn(|| ask(&rt, pid, "ignored"));
        // Told so by the next receive, which waits for this.
        assert_eq!(ask(&rt, pid, "next").unwrap(), "next");
        assert_eq!(ignored.join().unwrap(), Err(AskError::NoReply(pid)));
    });
}

/// Asks another process with each message, and answers with what comes of it.
fn asks(rt: &Runtime, whom: impl Fn() -> Pid + Send + Sync + 'static) -> Pid {
    let inner = rt.clone();
    let asks = async_handler(move |message: iris::Message| {
        let (rt, to) = (inner.clone(), whom());
        async move {
            let question = message.as_user().unwrap().clone();
            match rt.ask(to, question).timeout(PATIENCE).await {
                Ok(answer) => Step::Reply(answer),
                Err(error) => Step::Reply(error.to_string().into_bytes().into()),
            }
        }
    });
    rt.spawn(asks).start().unwrap()
}

#[test]
fn processes_that_would_wait_for_each_other_are_told_instead() {
    let rt = runtime();
    let first = std::sync::Arc::new(std::sync::OnceLock::new());
    let of_last = first.clone();
    let last = asks(&rt, move || *of_last.get().unwrap());
    let middle = asks(&rt, move || last);
    first.set(asks(&rt, move || middle)).unwrap();
    let answer = ask(&rt, *first.get().unwrap(), "round").unwrap();
    assert!(
        answer.contains("would wait for the asker itself"),
        "{answer}"
    );

    let own = std::sync::Arc::new(std::sync::OnceLock::new());
    let of_own = own.clone();
    own.set(asks(&rt, move || *of_own.get().unwrap())).unwrap();
    let answer = ask(&rt, *own.get().unwrap(), "myself").unwrap();
    assert!(
        answer.contains("would wait for the asker itself"),
        "{answer}"
    );
}

#[test]
fn blocking_inside_a_handler_is_refused() {
    let rt = runtime();
    let backend = doubler(&rt);
    let inner = rt.clone();
    let blocks = handler(move |cx: &mut Context<'_>, bytes| {
        let answer = inner.ask(backend, bytes).wait();
        cx.reply(format!("{answer:?}").into_bytes());
        Step::Done
    });
    let blocks = rt.spawn(blocks).start().unwrap();
    let answer = ask(&rt, blocks, "1").unwrap();
    assert!(answer.contains("WouldBlock"), "{answer}");
}

#[test]
fn many_threads_ask_one_process_and_each_gets_its_own_answer() {
    let rt = runtime();
    let pid = doubler(&rt);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let rt = &rt;
            scope.spawn(move || {
                for round in 0..500_u64 {
                    let number = thread * 1000 + round;
                    let question = number.to_string().into_bytes();
                    let answer = rt.ask(pid, question).timeout(PATIENCE).wait().unwrap();
                    let answer: u64 = std::str::from_utf8(&answer).unwrap().parse().unwrap();
                    assert_eq!(answer, number * 2);
                }
            });
        }
    });
    assert!(rt.wait_quiet(PATIENCE));
}

#[test]
fn a_question_that_is_dropped_leaves_its_answer_to_nobody() {
    let rt = runtime();
    let pid = doubler(&rt);
    let executor = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    executor.block_on(async {
        // Not polled: not asked.
        drop(rt.ask(pid, &b"1"[..]));
        assert_eq!(rt.info(pid).unwrap().handled, 0);
        // The runtime's own timer serves an executor that has none.
        let mute = rt.spawn_actor(|mut rx| async move {
            let kept = (rx.recv().await, rx.take_reply());
            rx.recv().await;
            drop(kept);
        });
        let asked = rt
            .ask(mute, &b"?"[..])
            .timeout(Duration::from_millis(5))
            .await;
        assert_eq!(asked.unwrap_err(), AskError::Timeout(mute));
        assert_eq!(&rt.ask(pid, &b"2"[..]).await.unwrap()[..], b"4");
    });
}

#[test]
fn a_question_that_is_asked_is_waited_for_anywhere() {
    let rt = runtime();
    let pid = doubler(&rt);
    let mut question = rt.ask(pid, &b"21"[..]).queued().begin().unwrap();
    // It borrows nothing of the runtime.
    let waiter = std::thread::spawn(move || question.wait(PATIENCE));
    assert_eq!(&waiter.join().unwrap().unwrap().unwrap()[..], b"42");
    let mute = rt.spawn_actor(|mut rx| async move {
        let kept = (rx.recv().await, rx.take_reply());
        rx.recv().await;
        drop(kept);
    });
    let mut question = rt.ask(mute, &b"?"[..]).begin().unwrap();
    assert_eq!(question.wait(Duration::from_millis(5)), None);
    rt.stop(mute, iris::ExitReason::Killed);
    assert!(question.wait(PATIENCE).unwrap().is_err());
    let dead = rt.ask(mute, &b"?"[..]).begin();
    assert_eq!(dead.unwrap_err(), AskError::Dead(mute));
}

#[test]
fn who_answers_may_have_an_error_of_its_own() {
    let rt = runtime();
    let picky = handler(|cx: &mut Context<'_>, _| {
        cx.take_reply().unwrap().reject(&b"not you"[..]);
        Step::Done
    });
    let pid = rt.spawn(picky).start().unwrap();
    let rejected = AskError::Rejected {
        by: pid,
        error: Box::new(iris::Payload::copy_of(b"not you")),
    };
    assert_eq!(ask(&rt, pid, "me").unwrap_err(), rejected);
}

#[test]
fn a_scheduler_that_lends_nothing_still_runs_a_handler_here() {
    struct Never;
    impl iris::Scheduler for Never {
        fn ready(&self, _: iris::Ready) {}
        fn drive(&self, _: iris::BoxFuture<()>) {}
    }
    let rt = runtime();
    let cohort = rt.lasting_cohort(std::sync::Arc::new(Never));
    let own = rt.clone();
    let inner = rt.spawn(handler(|cx, _| {
        cx.reply(cx.pid().raw().to_string().into_bytes());
        Step::Done
    }));
    let inner = inner.of_cohort(cohort.clone()).start().unwrap();
    // Inside of a handler, too, which asks in its own name.
    let outer = rt.spawn(handler(move |cx, _| {
        let question = own.ask(inner, &b"?"[..]).here().begin();
        let answer = question.unwrap().wait(Duration::ZERO).unwrap();
        assert_eq!(own.inside(), Some(cx.pid()));
        cx.reply(answer.unwrap());
        Step::Done
    }));
    let outer = outer.of_cohort(cohort).start().unwrap();
    let asked = rt.ask(outer, &b"?"[..]).here().begin();
    let answer = asked.unwrap().wait(Duration::ZERO).unwrap();
    assert_eq!(&answer.unwrap()[..], inner.raw().to_string().as_bytes());
    assert_eq!(rt.inside(), None);
}

#[test]
fn who_asks_where_the_runtime_does_not_see_it_says_so() {
    let rt = runtime();
    let pid = doubler(&rt);
    let asked = rt
        .ask(pid, &b"1"[..])
        .asked_by(pid)
        .described("A.pay", "A.refund");
    let Err(AskError::Cycle { asked, chain }) = asked.begin() else {
        panic!("it asks itself");
    };
    assert_eq!((asked, &*chain), (pid, "A.pay -> A.refund"));
}

#[test]
fn the_newest_behavior_is_the_one_that_was_swapped_in_last() {
    struct Named(&'static str);
    impl iris::Behavior for Named {
        fn handle(&self, _: &mut iris::State, _: &mut Context<'_>, _: iris::Message) -> Step {
            Step::Done
        }
        fn name(&self) -> &str {
            self.0
        }
    }
    let rt = runtime();
    let pid = rt.spawn(Named("one")).start().unwrap();
    let newest = || {
        rt.newest_behavior(pid)
            .map(|behavior| behavior.name().to_owned())
    };
    assert_eq!(newest().as_deref(), Some("one"));
    rt.hot_swap(pid, Named("two"));
    assert_eq!(newest().as_deref(), Some("two"));
    let behavior = rt.newest_behavior(pid).unwrap();
    let any: &dyn std::any::Any = &*behavior;
    assert!(any.downcast_ref::<Named>().is_some());
    rt.rollback_behavior(pid, 1).unwrap();
    assert_eq!(newest().as_deref(), Some("one"));
    rt.stop(pid, iris::ExitReason::Killed);
    rt.join(pid, None).unwrap();
    assert_eq!(newest(), None);
}
