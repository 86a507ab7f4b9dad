"""Values as messages: what travels, what does not, and bytes that are neither."""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from enum import IntEnum

import pytest

import iris


def there_and_back(value: object) -> object:
    return iris.unpack(iris.pack(value))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        127,
        128,
        255,
        256,
        65_535,
        65_536,
        2**32 - 1,
        2**32,
        2**63 - 1,
        2**63,
        2**64 - 1,
        -1,
        -32,
        -33,
        -128,
        -129,
        -(2**15) - 1,
        -(2**31) - 1,
        -(2**63),
        0.0,
        -1.5,
        math.inf,
        "",
        "grün",
        "x" * 31,
        "x" * 32,
        "x" * 256,
        "x" * 65_536,
        b"",
        b"\x00\xff",
        b"x" * 256,
        b"x" * 70_000,
        [],
        [1, "two", None, [3.0, {}]],
        list(range(16)),
        list(range(70_000)),
        {},
        {"a": 1, 2: [b"c"], None: False, b"k": 0, 1.5: True},
        {str(n): n for n in range(70_000)},
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_value_comes_back_as_it_was(value: object) -> None:
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


def test_nan_and_minus_zero_come_back() -> None:
    assert math.isnan(there_and_back(math.nan))
    assert math.copysign(1, there_and_back(-0.0)) == -1


def test_a_tuple_arrives_as_a_list_and_a_buffer_as_bytes() -> None:
    assert there_and_back((1, (2,))) == [1, [2]]
    assert there_and_back([bytearray(b"ab"), memoryview(b"abcd")[::2]]) == [b"ab", b"ac"]


def test_a_subclass_arrives_as_its_base() -> None:
    class Color(IntEnum):
        RED = 3

    for value, base in ((Color.RED, 3), (OrderedDict(a=1), {"a": 1})):
        back = there_and_back(value)
        assert back == base
        assert type(back) is type(base)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({1, 2}, "value: set cannot travel"),
        ([0, {"x": [object()]}], r"value\[1\]\['x'\]\[0\]: object cannot travel"),
        ({(1, 2): 3}, None),
        (2**64, "value: an int beyond 64 bits"),
        (-(2**63) - 1, "value: an int beyond 64 bits"),
        (1j, "complex"),
        (print, "builtin_function_or_method"),
        ("\ud800", "lone surrogates"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_cannot_travel_is_named_with_its_place(value: object, text: str | None) -> None:
    if text is None:
        # A key that is a list when it arrives.
        with pytest.raises(iris.ProtocolError, match="cannot be a key"):
            there_and_back(value)
        return
    with pytest.raises(iris.CodecError, match=text):
        iris.pack(value)


def test_a_list_that_contains_itself_is_refused() -> None:
    own: list[object] = []
    own.append(own)
    with pytest.raises(iris.CodecError, match="contains itself"):
        iris.pack(own)


def test_depth_has_the_same_limit_in_both_directions() -> None:
    deep: object = 0
    for _ in range(128):
        deep = [deep]
    assert there_and_back(deep) == deep
    with pytest.raises(iris.CodecError, match="deeper than 128"):
        iris.pack([deep])
    with pytest.raises(iris.ProtocolError, match="too deep"):
        iris.unpack(b"\x91" * 100_000 + b"\x00")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xd9",
        b"\xd9\x05abc",
        b"\xdb\xff\xff\xff\xffabc",
        b"\xc6\xff\xff\xff\xffabc",
        b"\xdd\xff\xff\xff\xff\x00",
        b"\xdf\xff\xff\xff\xff\x00\x00",
        b"\xcf\x00",
        b"\xa1\xff",
        b"\x00\x00",
        b"\xd4\x01\x02",
        b"\x81\x90\x00",
    ],
)
def test_bytes_that_are_no_value_are_refused(data: bytes) -> None:
    with pytest.raises(iris.ProtocolError):
        iris.unpack(data)


def test_random_bytes_never_do_worse_than_that() -> None:
    chance = random.Random(7)
    for _ in range(20_000):
        data = bytes(chance.choices(range(256), k=chance.randrange(40)))
        try:
            value = iris.unpack(data)
        except iris.ProtocolError:
            continue
        assert repr(value) == repr(there_and_back(value)), data


def test_the_bytes_are_msgpack() -> None:
    assert iris.pack([1, "a", b"b", None, 2.0]) == (
        b"\x95\x01\xa1a\xc4\x01b\xc0\xcb\x40\x00\x00\x00\x00\x00\x00\x00"
    )
    # What other encoders write and this one does not.
    assert iris.unpack(b"\xca\x3f\x80\x00\x00") == 1.0
    assert iris.unpack(b"\xd3\x00\x00\x00\x00\x00\x00\x00\x05") == 5


def test_keys_that_are_equal_leave_the_last() -> None:
    assert iris.unpack(b"\x82\xa1a\x01\xa1a\x02") == {"a": 2}
