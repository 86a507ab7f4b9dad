"""Names and paths."""

from __future__ import annotations

import pytest
from support import PATIENCE, Gate

import iris


def test_a_name_leads_to_its_actor(rt: iris.Runtime) -> None:
    pid = rt.spawn(print)
    rt.register("auth", pid)
    rt.register("auth", pid)
    assert rt.whereis("auth") == rt.resolve("auth") == pid
    assert rt.unregister("auth") is True
    assert rt.unregister("auth") is False
    assert rt.whereis("auth") is None


def test_a_taken_name_is_refused_with_its_holder(rt: iris.Runtime) -> None:
    pid = rt.spawn(print, name="auth")
    other = rt.spawn(print)
    for call in (lambda: rt.register("auth", other), lambda: rt.spawn(print, name="auth")):
        with pytest.raises(iris.NameTakenError, match=f"'?\"?auth.*{pid}"):
            call()
    assert rt.whereis("auth") == pid


def test_a_name_never_leads_to_the_dead(rt: iris.Runtime, gate: Gate) -> None:
    pid = rt.spawn(gate, name="gate")
    rt.register_path("/gates/1", pid)
    rt.send(pid, b"x")
    gate.wait_entered()
    rt.stop(pid)
    assert rt.whereis("gate") is None
    assert rt.whereis_path("/gates/1") is None
    assert rt.list_children("/gates") == []
    successor = rt.spawn(print, name="gate")
    gate.open()
    assert rt.join(pid, PATIENCE)
    assert rt.whereis("gate") == successor


def test_paths_are_listed_by_branch(rt: iris.Runtime) -> None:
    pids = {}
    for path in ("/system/service/one", "/system/service/two", "/system/top", "/systems/other"):
        pids[path] = rt.spawn(print)
        rt.register_path(path, pids[path])
    assert rt.whereis_path("/system/top") == pids["/system/top"]
    below = ["/system/service/one", "/system/service/two", "/system/top"]
    assert rt.list_children("/system") == [(path, pids[path]) for path in below]
    assert rt.list_children_direct("/system") == [("/system/top", pids["/system/top"])]
    assert len(rt.list_children("/")) == 4
    assert rt.unregister_path("/system/top") is True
    assert rt.whereis_path("/system/top") is None
    assert rt.is_alive(pids["/system/top"])


@pytest.mark.parametrize("path", ["", "system", "/system/", "/system//one", "/", "/" + "x" * 1024])
def test_what_is_no_path_is_refused(rt: iris.Runtime, path: str) -> None:
    with pytest.raises(ValueError, match="not a path"):
        rt.register_path(path, rt.spawn(print))
    assert rt.whereis_path(path) is None


@pytest.mark.parametrize("name", ["", "\0iris.mesh", "x" * 1025])
def test_what_is_no_name_is_refused(rt: iris.Runtime, name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        rt.register(name, rt.spawn(print))
