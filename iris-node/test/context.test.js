'use strict';
// What AsyncLocalStorage has travels with messages.

const test = require('node:test');
const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');

const iris = require('..');
const { PACKAGE, program } = require('./support.js');

const als = new AsyncLocalStorage();
const other = new AsyncLocalStorage();

/** A runtime that is made where a store is set, which is nobody else's. */
function within(work) {
  return async () => {
    const rt = als.run('who made it', () => new iris.NodeRuntime());
    try {
      await als.exit(() => work(rt));
    } finally {
      await rt.shutdown(0);
    }
  };
}

/** A handler that tells what it sees, and when it has seen `count` messages. */
function witness(count, wait) {
  const seen = [];
  let done;
  const all = new Promise((resolve) => {
    done = resolve;
  });
  const handler = async (data) => {
    const before = als.getStore();
    if (wait) await new Promise((resolve) => { setImmediate(resolve); });
    assert.equal(als.getStore(), before);
    seen.push([data.toString().slice(0, 4), before, other.getStore()]);
    if (seen.length === count) done(seen);
  };
  const sync = (data) => {
    seen.push([data.toString().slice(0, 4), als.getStore(), other.getStore()]);
    if (seen.length === count) done(seen);
  };
  return { handler: wait === undefined ? sync : handler, all };
}

for (const [how, wait] of [['a plain', undefined], ['an async', false], ['a waiting', true]]) {
  test(`${how} handler sees what who sends it has`, within(async (rt) => {
    const { handler, all } = witness(5, wait);
    const pid = rt.spawn(handler, { name: 'witness' });
    als.run('a', () => rt.send(pid, 'one'));
    rt.send(pid, 'two');
    als.run('b', () => other.run(7, () => rt.sendMany(pid, ['many', 'x'.repeat(5000)])));
    als.run('c', () => rt.sendNamed('witness', 'five'));
    assert.deepEqual(await all, [
      ['one', 'a', undefined], ['two', undefined, undefined], ['many', 'b', 7], ['xxxx', 'b', 7],
      ['five', 'c', undefined],
    ]);
  }));
}

test('a bounded actor sees it, and so does one that is asked', within(async (rt) => {
  const { handler, all } = witness(3);
  const pid = rt.spawnBounded((data) => {
    handler(data);
    return String(als.getStore());
  }, 10);
  als.run('a', () => rt.send(pid, 'one'));
  assert.equal((await als.run('b', () => rt.ask(pid, 'two'))).toString(), 'b');
  assert.equal(await als.run('c', () => rt.sendAsync(pid, 'x'.repeat(100))), true);
  assert.deepEqual((await all).map(([, store]) => store), ['a', 'b', 'c']);
}));

test('methods see it, and what they send has it in turn', within(async (rt) => {
  class Last extends iris.Actor {
    store() {
      return als.getStore() ?? null;
    }
  }
  class First extends iris.Actor {
    constructor(last) {
      super();
      this.last = last;
    }

    async store() {
      return [als.getStore(), await this.last.ask('store')];
    }
  }
  const last = rt.spawn(Last);
  const first = rt.spawn(First, last);
  assert.deepEqual(await als.run('a', () => first.ask('store')), ['a', 'a']);
  assert.equal(await last.ask('store'), null);
}));

test('who asks goes on with what it has itself', within(async (rt) => {
  const pid = rt.spawn(() => als.run('theirs', () => 'x'));
  await als.run('mine', async () => {
    await rt.ask(pid, 'x');
    assert.equal(als.getStore(), 'mine');
  });
}));

test('what is set while a handler runs is gone with it', within(async (rt) => {
  const pid = rt.spawn(() => {
    const before = als.getStore();
    als.enterWith('left behind');
    return String(before);
  });
  for (let i = 0; i < 3; i++) assert.equal((await rt.ask(pid, 'x')).toString(), 'undefined');
}));

test('contexts are given up with their messages, handled or not', async () => {
  const { out, err } = await program(`(async () => {
    const { AsyncLocalStorage } = require('node:async_hooks');
    const als = new AsyncLocalStorage();
    const observer = rt.spawnWithPathObserved(1, '/o', { cap: 1 });
    const pid = rt.spawn(() => {});
    const dead = rt.spawn(() => {});
    rt.stop(dead);
    const round = () => new Promise((resolve) => { setTimeout(resolve, 1); });
    const stores = [];
    const send = (i) => {
      const store = { i };
      stores.push(new WeakRef(store));
      als.run(store, () => rt.send([observer, pid, dead][i % 3], 'x'));
    };
    for (let i = 0; i < 9000; i++) {
      send(i);
      if (i % 100 === 0) await round();
    }
    const kept = () => stores.filter((store) => store.deref() !== undefined).length;
    // One is in the observer, and what went to it last is looked at with the next turn.
    for (let i = 0; i < 1000 && kept() > 1; i++) {
      rt.send(pid, 'x');
      await round();
      globalThis.gc();
    }
    print(kept());
    await rt.shutdown();
  })()`, { args: ['--expose-gc'] });
  assert.equal(err, '');
  assert.match(out, /^[01]\n$/);
});

test('a store that was set before the package was loaded is seen', async () => {
  const { out, err } = await program(`(async () => {
    const { AsyncLocalStorage } = require('node:async_hooks');
    const als = new AsyncLocalStorage();
    als.enterWith('early');
    const iris = require(${JSON.stringify(PACKAGE)});
    const rt = new iris.NodeRuntime();
    console.log(String(await rt.ask(rt.spawn(() => String(als.getStore())), 'x')));
    await rt.shutdown();
  })()`, { loads: false });
  assert.equal(err, '');
  assert.equal(out, 'early\n');
});

test('AsyncLocalStorage is as it was once it is used', async () => {
  const { out, err } = await program(`
    const { AsyncLocalStorage } = require('node:async_hooks');
    const { run, enterWith } = AsyncLocalStorage.prototype;
    require(${JSON.stringify(PACKAGE)});
    console.log(AsyncLocalStorage.prototype.run === run);
    console.log(new AsyncLocalStorage().run(1, (a, b) => a + b, 2, 3));
    console.log(AsyncLocalStorage.prototype.run === run, AsyncLocalStorage.prototype.enterWith === enterWith);
  `, { loads: false });
  assert.equal(err, '');
  assert.equal(out, 'false\n5\ntrue true\n');
});
