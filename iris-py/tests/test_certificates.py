"""TLS files of one's own, and nodes that use them."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

import iris


def test_nodes_with_certificates_of_one_authority_talk(tmp_path: pathlib.Path) -> None:
    here_files = iris.make_certificates(tmp_path, "here", cluster="shop")
    there_files = iris.make_certificates(tmp_path, "there", cluster="shop", days=1)
    other_files = iris.make_certificates(tmp_path / "other", "there")
    assert here_files[0] == there_files[0] != other_files[0]
    assert (here_files[2].stat().st_mode & 0o777) == 0o600
    with iris.Runtime() as here, iris.Runtime() as there, iris.Runtime() as stranger:
        here.configure_mesh(tls=here_files)
        here.register("upper", here.spawn(lambda data: data.upper()))
        address = here.listen("127.0.0.1:0")
        there.configure_mesh(tls=there_files)
        upper = there.resolve_remote(address, "upper")
        assert upper is not None
        assert there.call(upper, b"hello") == b"HELLO"
        stranger.configure_mesh(tls=other_files)
        with pytest.raises(iris.MeshError, match="no connection"):
            stranger.resolve_remote(address, "upper")


def test_the_command_prints_what_tls_takes(tmp_path: pathlib.Path) -> None:
    line = [sys.executable, "-m", "iris", "certificates", str(tmp_path), "a", "b"]
    line += ["--cluster", "shop", "--host", "a.example", "--days", "7"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    authority, key = str(tmp_path / "authority.pem"), str(tmp_path / "b-key.pem")
    expected = f"b: tls=({authority!r}, {str(tmp_path / 'b.pem')!r}, {key!r})"
    assert done.stdout.splitlines()[1] == expected
    line[-1] = "0"
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "a: days must be from 1 to 3650, not 0\n"


def test_names_that_no_certificate_can_hold_are_refused(tmp_path: pathlib.Path) -> None:
    for node in ("", "../a", "a/b", "authority"):
        with pytest.raises(ValueError, match="cannot be the name"):
            iris.make_certificates(tmp_path, node)
    with pytest.raises(ValueError, match="cannot be the name"):
        iris.make_certificates(tmp_path, "a", hosts=["no host"])
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError, match="file"):
        iris.make_certificates(file / "folder", "a")
