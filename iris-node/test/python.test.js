'use strict';
// Actors of classes across the mesh, asked from the other language. Needs a Python with the wheel:
// `cargo xtask py` makes one; IRIS_PYTHON names another.

const test = require('node:test');
const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { createInterface } = require('node:readline');

const { iris, python, runtime } = require('./support.js');

const { command, skip } = python();

/** A program whose lines are read, ended with the test. */
function start(t, source, ...args) {
  const child = spawn(command, ['-u', '-c', source, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  t.after(() => {
    clearTimeout(timer);
    child.kill('SIGKILL');
  });
  return { child, line: async () => (await lines.next()).value };
}

const SERVES = `
import sys, iris
class ShopError(Exception):
    pass
class Counter(iris.Actor):
    def __init__(self, start): self.n = start
    def add(self, k, *, times=1): self.n += k * times; return self.n
    def echo(self, value): return value
    def fail(self): raise ShopError("sold out", 3)
    def value(self): raise ValueError("bad value")
    def type(self): raise TypeError("bad type")
    def dead(self): raise iris.DeadActorError("gone")
rt = iris.Runtime()
print(rt.listen("127.0.0.1:0"), flush=True)
rt.spawn_actor(Counter, (3,), name="counter", on_error="resume")
print("ready", flush=True)
sys.stdin.read()
`;

test('an actor class of Python is asked from here', { skip }, async (t) => {
  const { line } = start(t, SERVES);
  const addr = await line();
  assert.equal(await line(), 'ready');
  const rt = runtime(t);
  const counter = rt.refTo(await rt.resolveRemote(addr, 'counter'));
  counter.tell('add', 1);
  assert.equal(await counter.ask('add', 2), 6);
  assert.equal(await counter.ask('add', 2, { kwargs: { times: 10 } }), 26);
  for (const value of [null, true, 2n ** 64n - 1n, -1.5, 'ä', Buffer.from([0, 255]), [1, [{ a: 'b' }]],
    new Map([[1, 'one'], [2, 'two']])]) {
    assert.deepEqual(await counter.ask('echo', value), value);
  }
  class ShopError extends Error {}
  iris.registerError(ShopError, '__main__.ShopError');
  await assert.rejects(counter.ask('fail'), (error) => {
    assert.ok(error instanceof ShopError);
    assert.match(error.cause.stack, /in actor \d+\n[^]*ShopError: /);
    return true;
  });
  await assert.rejects(counter.ask('value'), (error) => {
    assert.ok(error instanceof iris.RemoteError);
    assert.equal(error.typeName, 'ValueError');
    assert.equal(error.message, 'bad value');
    assert.deepEqual(error.details, ['bad value']);
    assert.match(error.traceback, /in value/);
    return true;
  });
  await assert.rejects(counter.ask('type'), TypeError);
  await assert.rejects(counter.ask('dead'), iris.DeadActorError);
  await assert.rejects(counter.ask('nope'), iris.ProtocolError);
  // The wrong number of arguments.
  await assert.rejects(counter.ask('add'), TypeError);
});

const ASKS = `
import sys, iris
rt = iris.Runtime()
pid = rt.resolve_remote(sys.argv[1], "counter")
counter = rt.ref(pid, iris.Actor)
def show(*what):
    try:
        got = counter.call(*what)
    except Exception as error:
        cause = type(error.__cause__).__name__
        name = getattr(error, "type_name", "")
        text = getattr(error, "message", str(error))
        print(type(error).__name__, name, text, cause, sep="|")
    else:
        print(repr(got))
show("add", 2)
show("echo", {"a": [1, None, b"x", 1.5, 2**63], 3: "int key"})
show("range")
show("odd")
show("gone")
show("nope")
try:
    print(counter.call("named", 1, times=2, by="me"))
except Exception as error:
    print(repr(error))
rt.shutdown()
`;

test('an actor class of this language is asked from Python', { skip }, async (t) => {
  class Counter extends iris.Actor {
    constructor(n) {
      super();
      this.n = n;
    }

    add(k) {
      this.n += k;
      return this.n;
    }

    echo(value) {
      return value;
    }

    named(k, { times, by }) {
      return `${k} ${times} ${by}`;
    }

    range() {
      throw new RangeError('out');
    }

    odd() {
      throw Object.assign(new Error('odd'), { code: 7 });
    }

    async gone() {
      await null;
      throw new iris.DeadActorError('gone');
    }
  }
  const rt = runtime(t);
  const addr = await rt.listen('127.0.0.1:0');
  rt.spawnActor(Counter, [3], { name: 'counter', onError: 'resume' });
  const { line } = start(t, ASKS, addr);
  assert.equal(await line(), '5');
  assert.equal(await line(), "{'a': [1, None, b'x', 1.5, 9223372036854775808], 3: 'int key'}");
  assert.equal(await line(), 'RemoteError|RangeError|out|RemoteTraceback');
  assert.equal(await line(), 'RemoteError|Error|odd|RemoteTraceback');
  assert.equal(await line(), 'DeadActorError||gone|RemoteTraceback');
  assert.match(await line(), /^ProtocolError\|\|Counter has no method "nope"/);
  assert.equal(await line(), '1 2 me');
});
