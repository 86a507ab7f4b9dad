"""Runs calls as Python and compares: one line for each mismatch, and the number of checked calls.

A line is `source TAB kind TAB args TAB result TAB arrays`, the source with `\\n` for line breaks.
`arrays` are the arguments that are arrays, as the call left them.
"""
import array
import math
import struct
import sys


def decode(text):
    kind, _, rest = text.partition(":")
    if kind == "i":
        return int(rest)
    if kind == "b":
        return rest == "1"
    if kind == "n":
        return None
    if kind == "x":
        return struct.unpack(">d", bytes.fromhex(rest))[0]
    if kind == "@?":
        return memoryview(bytearray.fromhex(rest)).cast("?")
    found = array.array(kind[1])
    found.frombytes(bytes.fromhex(rest))
    return found


def decode_result(text):
    values = iter(text.split())

    def item():
        word = next(values)
        if word == "(":
            items = []
            while (one := item()) is not END:
                items.append(one)
            return tuple(items)
        return END if word == ")" else decode(word)

    return item()


END = object()


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        if a != a or b != b:
            return a != a and b != b
        return struct.pack(">d", a) == struct.pack(">d", b)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def same_array(a, b):
    if a.tobytes() == b.tobytes():
        return True
    return len(a) == len(b) and all(map(same, a.tolist(), b.tolist()))


def is_array(value):
    return isinstance(value, (array.array, memoryview))


def run(function, kind, args):
    if kind == "call":
        return function(*args)
    size = min(len(arg) for arg in args if is_array(arg))
    rows = range(size)
    return [function(*(arg[i] if is_array(arg) else arg for arg in args)) for i in rows]


cache, count = {}, 0
for line in sys.stdin:
    source, kind, args, expected, after = line.rstrip("\n").split("\t")
    function = cache.get(source)
    if function is None:
        scope = {"math": math}
        exec(source.replace("\\n", "\n"), scope)
        cache.clear()
        function = cache[source] = scope["f"]
    args = [decode(arg) for arg in args.split()]
    try:
        answer = run(function, kind, args)
    except Exception as error:
        answer = error
    count += 1
    if kind == "map":
        native = decode(expected)
        fine = isinstance(answer, list) and len(answer) == len(native)
        fine = fine and all(map(same, answer, native.tolist()))
    else:
        native = decode_result(expected)
        fine = same(answer, native)
    arrays = [arg for arg in args if is_array(arg)]
    left = [decode(arg) for arg in after.split()]
    if not fine or not all(map(same_array, arrays, left)):
        print("MISMATCH", count - 1, source, args, "CPython:", repr(answer), arrays, "native:", native, left)
print("checked", count)
