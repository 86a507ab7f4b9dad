"""Actors of classes: spawning, telling, calling, hooks."""

from __future__ import annotations

import asyncio
import copy
import functools
import pickle
import threading

import pytest
from support import PATIENCE, Gate, Inbox, Observer

import iris


class Counter(iris.Actor):
    def __init__(self, start: int = 0) -> None:
        self.n = start

    def add(self, k: int, *, times: int = 1) -> int:
        self.n += k * times
        return self.n

    def get(self) -> int:
        return self.n

    def echo(self, *args: object, **kwargs: object) -> object:
        return [list(args), kwargs]

    def stop_here(self) -> object:
        return iris.STOP

    def boom(self) -> None:
        raise ValueError("as asked")

    def _hidden(self) -> None: ...


def test_a_class_is_spawned_told_and_called(rt: iris.Runtime) -> None:
    ref = rt.spawn(Counter, start=3)
    ref.tell(Counter.add, 1)
    assert ref.call(Counter.add, 2) == 6
    assert ref.call(Counter.add, 2, times=5) == 16
    assert ref.call(Counter.add, 0, timeout=1.5) == 16

    async def main() -> None:
        assert await ref.ask(Counter.add, 1) == 17
        assert await ref.ask(Counter.add, 1, timeout=1) == 18
        assert await ref.ask(Counter.get) == 18

    asyncio.run(main())


def test_a_ref_is_the_pid_wherever_one_is_wanted(rt: iris.Runtime) -> None:
    ref = rt.spawn(Counter)
    assert isinstance(ref, int)
    assert int(ref) == ref.pid == ref
    assert ref.rt is rt
    assert repr(ref) == f"<iris.Ref Counter {ref.pid}>"
    rt.register("counter", ref)
    assert rt.whereis("counter") == ref
    assert rt.is_alive(ref)
    info = rt.info(ref)
    assert info is not None
    assert info["behavior"] == "Counter"
    again = rt.ref(ref.pid, Counter)
    assert again == ref
    assert {ref: 1}[again] == 1
    assert again.call(Counter.get) == 0
    assert rt.stop(ref)
    assert rt.join(ref, PATIENCE)


def test_arguments_and_results_arrive_as_they_were(rt: iris.Runtime) -> None:
    ref = rt.spawn(Counter)
    args = (None, True, 1, 2.5, "text", b"bytes", [1, [2]], {"k": {"l": 3}})
    assert ref.call(Counter.echo, *args, key=b"value", other=[None]) == [
        list(args),
        {"key": b"value", "other": [None]},
    ]
    assert ref.call(Counter.echo, b"x" * 100_000) == [[b"x" * 100_000], {}]


def test_a_ref_travels_as_its_pid(rt: iris.Runtime) -> None:
    ref = rt.spawn(Counter)
    [pid], _ = ref.call(Counter.echo, ref)
    assert (pid, type(pid)) == (ref.pid, int)


def test_calls_keep_the_order_of_their_sender(rt: iris.Runtime) -> None:
    class Log(iris.Actor):
        def __init__(self) -> None:
            self.seen: list[int] = []

        def note(self, n: int) -> None:
            self.seen.append(n)

        def all(self) -> list[int]:
            return self.seen

    ref = rt.spawn(Log)
    for n in range(2_000):
        ref.tell(Log.note, n)
    assert ref.call(Log.all) == list(range(2_000))


# Construction.


def test_the_constructor_runs_in_the_actor_and_takes_anything(rt: iris.Runtime) -> None:
    class Keeper(iris.Actor):
        def __init__(self, inbox: Inbox, *, lock: object) -> None:
            assert iris.current() == self.ref
            self.lock = lock
            inbox(b"%d" % self.ref)
            self.me = [self.rt is rt, self.ref.pid]
            self.ref.tell(Keeper.noted)

        def on_start(self) -> None:
            self.me.append("started")

        def noted(self) -> None:
            self.me.append("noted")

        def known(self) -> list[object]:
            return self.me

    inbox = Inbox()
    ref = rt.spawn(Keeper, inbox, lock=threading.Lock())
    assert int(inbox.get()) == ref.pid
    assert ref.call(Keeper.known) == [True, ref.pid, "started", "noted"]


@pytest.mark.parametrize("where", ["__init__", "on_start"])
def test_what_the_constructor_raises_is_raised_by_the_spawn(
    rt: iris.Runtime, where: str
) -> None:
    class Own(Exception):
        def __init__(self, pid: int, thing: object) -> None:
            self.pid = pid
            self.thing = thing

    def broken(self: iris.Actor) -> None:
        raise Own(self.ref.pid, object())

    bad = type("Bad", (iris.Actor,), {where: broken})
    with pytest.raises(Own) as raised:
        rt.spawn(bad)
    assert rt.join(raised.value.pid, PATIENCE)
    with pytest.raises(Own):
        rt.spawn_actor(bad, name="taken")
    assert rt.whereis("taken") is None


def test_a_crash_of_a_constructor_is_one_that_others_hear_of(rt: iris.Runtime) -> None:
    observer = Observer(rt)

    class Bad(iris.Actor):
        def __init__(self) -> None:
            rt.monitor(observer.pid, self.ref)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        rt.spawn(Bad)
    down = observer.system("DOWN")
    assert down.reason == "crash"
    assert down.metadata is not None
    assert (down.metadata["type"], down.metadata["message"]) == ("ValueError", "no")


def test_wrong_constructor_arguments_are_a_type_error(rt: iris.Runtime) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'budget'"):
        rt.spawn(Counter, budget=3)  # type: ignore[call-overload]


def test_constructors_spawn_and_ask_in_turn(rt: iris.Runtime) -> None:
    class Node(iris.Actor):
        def __init__(self, depth: int) -> None:
            self.below = rt.spawn(Node, depth - 1) if depth else None
            if self.below is not None:
                assert self.below.call(Node.depth) == depth - 1
            self.own = depth

        def depth(self) -> int:
            return self.own

    assert rt.spawn(Node, 10).call(Node.depth) == 10


def test_an_actor_whose_name_is_known_before_it_is_born_is_born_once(rt: iris.Runtime) -> None:
    """Somebody sends by name while the constructor's own message is on its way."""
    births: list[int] = []

    class Known(iris.Actor):
        def __init__(self) -> None:
            births.append(1)

        def hello(self) -> int:
            return len(births)

    stop = threading.Event()
    data = iris.Ref(rt, 1, Known).pack(Known.hello)

    def pester() -> None:
        while not stop.is_set():
            rt.send_named("known", data)

    thread = threading.Thread(target=pester)
    thread.start()
    try:
        for n in range(1, 101):
            ref = rt.spawn_actor(Known, name="known")
            assert len(births) == n
            rt.stop(ref)
            assert rt.join(ref, PATIENCE)
    finally:
        stop.set()
        thread.join()


def test_options_are_given_to_spawn_actor(rt: iris.Runtime) -> None:
    parent = rt.spawn(Counter)
    ref = rt.spawn_actor(
        Counter, (3,), name="counter", capacity=7, budget=10, parent=parent, on_error="resume"
    )
    assert rt.whereis("counter") == ref
    assert rt.spawn_actor(Counter, kwargs={"start": 4}).call(Counter.get) == 4
    with pytest.raises(iris.NameTakenError):
        rt.spawn_actor(Counter, name="counter")
    with pytest.raises(ValueError, match="at least 1"):
        rt.spawn_actor(Counter, capacity=0)
    with pytest.raises(TypeError, match="derived from iris.Actor"):
        rt.spawn_actor(dict)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="base of actors"):
        rt.spawn(iris.Actor)
    with pytest.raises(ValueError, match="as asked"):
        ref.call(Counter.boom)
    assert ref.call(Counter.get) == 3
    rt.stop(parent)
    assert rt.join(ref, PATIENCE), "it ends with its parent"


def test_a_class_is_no_handler(rt: iris.Runtime) -> None:
    for spawn in (rt.spawn_virtual, rt.spawn_with_mailbox):
        with pytest.raises(TypeError, match="rt.spawn_actor"):
            spawn(Counter)  # type: ignore[operator]
    with pytest.raises(TypeError, match="rt.spawn_actor"):
        rt.spawn_child(rt.spawn(Counter), Counter)
    # A class that is none of actors is a callable like any other.
    assert rt.call(rt.spawn(bytearray), b"x") == b"x"


# What may be called.


@pytest.mark.parametrize(
    "name",
    ["_hidden", "__init__", "__class__", "on_start", "on_stop", "ref", "rt", "n", "Inner", "nope"],
)
def test_only_public_methods_are_called_from_outside(rt: iris.Runtime, name: str) -> None:
    class Guarded(Counter):
        Inner = dict

    ref = rt.spawn(Guarded)
    with pytest.raises(iris.ProtocolError, match=f"Guarded has no method '?\"?{name}"):
        ref.call(name)  # type: ignore[call-overload]
    assert ref.call(Counter.get) == 0, "it goes on"


def test_methods_of_all_kinds_are_called(rt: iris.Runtime) -> None:
    class Kinds(Counter):
        def get(self) -> int:
            return -1

        @staticmethod
        def static(x: int) -> int:
            return x + 1

        @classmethod
        def of_class(cls) -> str:
            return cls.__name__

        @functools.wraps(Counter.add)
        def wrapped(self, k: int) -> int:
            return k

        partial = functools.partialmethod(Counter.add, times=2)

    ref = rt.spawn(Kinds)
    assert ref.call(Counter.get) == -1, "an override is what is called"
    assert ref.call("static", 1) == 2  # type: ignore[call-overload]
    assert ref.call("of_class") == "Kinds"  # type: ignore[call-overload]
    assert ref.call("add", 1) == 1  # type: ignore[call-overload]


def test_a_method_is_a_function_or_a_name(rt: iris.Runtime) -> None:
    with pytest.raises(TypeError, match="such as Counter.add.*not as int"):
        rt.spawn(Counter).tell(3)  # type: ignore[arg-type]


def test_arguments_that_do_not_fit_are_the_caller_s_mistake(
    rt: iris.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    ref = rt.spawn(Counter)
    with pytest.raises(TypeError, match="takes 2 positional arguments but 4 were given"):
        ref.call(Counter.add, 1, 2, 3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="unexpected keyword"):
        ref.call(Counter.add, 1, wrong=2)  # type: ignore[call-overload]
    ref.tell(Counter.add)  # type: ignore[call-arg]
    assert ref.call(Counter.get) == 0, "it goes on"
    assert iris.flush_reports(PATIENCE)
    assert "got a message it cannot handle" in caplog.text


def test_a_type_error_of_the_method_itself_is_a_crash(rt: iris.Runtime) -> None:
    class Bad(iris.Actor):
        def bad(self) -> None:
            raise TypeError("of its own")

    ref = rt.spawn(Bad)
    with pytest.raises(TypeError, match="of its own"):
        ref.call(Bad.bad)
    assert rt.join(ref, PATIENCE)


def test_bytes_that_are_no_call_harm_nobody(
    rt: iris.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    ref = rt.spawn(Counter)
    for data in (b"", b"hello", b"\xc1", b"\x93\xa3add", b"\x93\xa3add\x90\x90"):
        assert rt.send(ref, data)
    with pytest.raises(iris.ProtocolError, match="not a message that can be read"):
        rt.call(ref, b"hello")
    assert ref.call(Counter.get) == 0
    assert iris.flush_reports(PATIENCE)
    assert "got a message it cannot handle" in caplog.text


def test_a_call_is_sent_as_bytes_by_timers_and_groups(rt: iris.Runtime) -> None:
    inbox = Inbox()

    class Clock(iris.Actor):
        def tick(self, n: int) -> None:
            inbox(b"%d" % n)

    ref = rt.spawn(Clock)
    rt.send_after(ref, 1, ref.pack(Clock.tick, 1))
    assert inbox.get() == b"1"
    rt.join_group("clocks", ref)
    rt.publish("clocks", ref.pack(Clock.tick, n=2))
    assert inbox.get() == b"2"


# Ends.


def test_a_method_that_returns_stop_ends_the_actor(rt: iris.Runtime) -> None:
    ref = rt.spawn(Counter)
    assert ref.call(Counter.stop_here) is None
    assert rt.join(ref, PATIENCE)
    with pytest.raises(iris.DeadActorError, match=str(ref.pid)):
        ref.tell(Counter.add, 1)
    with pytest.raises(iris.DeadActorError):
        ref.call(Counter.add, 1)


@pytest.mark.parametrize("how", ["stop", "crash", "normal", "drain", "shutdown"])
def test_on_stop_is_called_however_it_ends(how: str) -> None:
    seen: list[object] = []

    class Careful(Counter):
        def on_stop(self) -> None:
            seen.append((iris.current() == self.ref, self.n))

    with iris.Runtime() as rt:
        ref = rt.spawn(Careful, start=5)
        if how == "crash":
            with pytest.raises(ValueError, match="as asked"):
                ref.call(Counter.boom)
        elif how == "normal":
            ref.tell(Counter.stop_here)
        elif how != "shutdown":
            rt.stop(ref, drain=how == "drain")
        if how != "shutdown":
            assert rt.join(ref, PATIENCE)
            assert seen
    assert [n for _, n in seen] == [5]  # type: ignore[misc]


def test_what_on_stop_raises_is_logged(
    rt: iris.Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    class Careless(iris.Actor):
        def on_stop(self) -> None:
            raise ValueError("too late")

    ref = rt.spawn(Careless)
    rt.stop(ref)
    assert rt.join(ref, PATIENCE)
    assert "on_stop of" in caplog.text
    assert "too late" in caplog.text


def test_a_full_mailbox_is_an_error_to_who_tells(rt: iris.Runtime) -> None:
    gate = Gate()

    class Slow(iris.Actor):
        def wait(self) -> None:
            gate(b"x")

    ref = rt.spawn_actor(Slow, capacity=1)
    ref.tell(Slow.wait)
    gate.wait_entered()
    ref.tell(Slow.wait)
    with pytest.raises(iris.MailboxFullError):
        ref.tell(Slow.wait)
    with pytest.raises(iris.MailboxFullError):
        ref.call(Slow.wait)
    with pytest.raises(iris.AskTimeout):
        rt.set_overflow_policy(ref, "dropold")
        ref.call(Slow.wait, timeout=0.01)
    gate.open()


def test_a_time_out_names_the_method(rt: iris.Runtime) -> None:
    gate = Gate()

    class Slow(iris.Actor):
        def wait(self) -> None:
            gate(b"x")

    ref = rt.spawn(Slow)
    with pytest.raises(iris.AskTimeout, match=rf"Slow.wait of actor {ref.pid} .*within 0.01 s"):
        ref.call(Slow.wait, timeout=0.01)

    async def main() -> None:
        with pytest.raises(iris.AskTimeout, match=rf"Slow.wait of actor {ref.pid}"):
            await ref.ask(Slow.wait, timeout=0.01)

    asyncio.run(main())
    gate.open()


def test_system_messages_come_to_who_wants_them(rt: iris.Runtime) -> None:
    inbox = Inbox()

    class Watcher(iris.Actor):
        def watch(self, pid: int) -> None:
            self.rt.monitor(self.ref, pid)

        def on_system(self, message: iris.PySystemMessage) -> None:
            inbox(message.type_name.encode())

    ref = rt.spawn_actor(Watcher, system=True)
    other = rt.spawn(Counter)
    ref.call(Watcher.watch, other)
    rt.stop(other)
    assert inbox.get() == b"DOWN"


def test_supervised_actors_are_made_anew(rt: iris.Runtime) -> None:
    observer = Observer(rt)
    rt.watch_supervision(observer.pid)
    ref = rt.spawn(Counter, start=7)
    rt.supervise_with_factory(ref, lambda: rt.spawn(Counter, start=7))
    ref.call(Counter.add, 1)
    ref.tell(Counter.boom)
    again = rt.ref(observer.successor(ref), Counter)
    assert again.call(Counter.get) == 7


# Asking each other.


class Account(iris.Actor):
    def pay(self, bank: int) -> object:
        return self.rt.ref(bank, Bank).call(Bank.check, self.ref)

    def name(self) -> str:
        return "account"


class Bank(iris.Actor):
    def check(self, account: int) -> object:
        return self.rt.ref(account, Account).call(Account.pay, self.ref, timeout=None)

    def ask_name(self, account: int) -> object:
        return self.rt.ref(account, Account).call(Account.name)


def test_a_cycle_is_told_by_its_methods(rt: iris.Runtime) -> None:
    account, bank = rt.spawn(Account), rt.spawn(Bank)
    chain = "Account.pay -> Bank.check -> Account.pay"
    with pytest.raises(iris.DeadlockError, match=chain):
        account.call(Account.pay, bank, timeout=PATIENCE)


def test_a_constructor_that_asks_its_spawner_is_told(rt: iris.Runtime) -> None:
    class Child(iris.Actor):
        def __init__(self, parent: iris.Ref[Parent]) -> None:
            parent.call(Parent.name)

    class Parent(iris.Actor):
        def make(self) -> None:
            rt.spawn(Child, self.ref)

        def name(self) -> str:
            return "parent"

    chain = r"Parent.make -> .*Child.__init__ -> .*Parent.name"
    with pytest.raises(iris.DeadlockError, match=chain):
        rt.spawn(Parent).call(Parent.make)


def test_actors_call_each_other(rt: iris.Runtime) -> None:
    account, bank = rt.spawn(Account), rt.spawn(Bank)
    for _ in range(200):
        assert bank.call(Bank.ask_name, account) == "account"


def test_a_ref_of_another_runtime_is_no_ref_of_this(rt: iris.Runtime) -> None:
    with iris.Runtime() as other:
        ref = other.spawn(Counter)
        with pytest.raises(iris.WrongRuntimeError, match="another Runtime"):
            rt.send(ref, ref.pack(Counter.get))
        with pytest.raises(ValueError, match="another Runtime"):
            rt.ref(ref, Counter)
        with pytest.raises(iris.WrongRuntimeError):
            rt.hot_swap(ref, Counter)
        assert ref.call(Counter.get) == 0, "the ref knows its own"


def test_nobody_is_current_outside(rt: iris.Runtime) -> None:
    assert iris.current() is None
    pid = rt.spawn(lambda data: b"%d" % (iris.current() or 0))
    assert rt.call(pid, b"x") == b"%d" % pid
    pull = rt.spawn_with_mailbox(
        lambda mailbox: mailbox.recv() and mailbox.reply(b"%d" % (iris.current() or 0))
    )
    assert rt.call(pull, b"x") == b"%d" % pull


def test_a_ref_is_copied_as_itself_and_not_pickled(rt: iris.Runtime) -> None:
    ref = rt.spawn(Counter)
    assert copy.deepcopy([ref])[0] is ref is copy.copy(ref)
    with pytest.raises(TypeError, match="send it as a pid"):
        pickle.dumps(ref)


def test_a_hook_that_nobody_would_await_is_refused(rt: iris.Runtime) -> None:
    for name in ("on_start", "on_stop", "on_system"):

        async def later(self: iris.Actor, *_: object) -> None: ...

        with pytest.raises(TypeError, match=rf"{name} must be a plain def"):
            rt.spawn(type("Later", (iris.Actor,), {name: later}))


def test_a_class_is_an_ordinary_one_outside_of_actors() -> None:
    counter = Counter(3)
    assert counter.add(4) == 7
    assert not hasattr(counter, "ref")
