'use strict';
// Whatever actors do, the event loop goes round: timers tick, and what goes wrong in one actor is
// none of the others'.
//
// Ticks are counted against what was handled meanwhile, not against the clock.

const test = require('node:test');
const assert = require('node:assert/strict');

const { PACKAGE, iris, program, runtime, until } = require('./support.js');

function busy(ms) {
  for (const end = performance.now() + ms; performance.now() < end;);
}

/** Counts the rounds of the loop in which timers came. */
function ticks(t) {
  const counted = { count: 0 };
  const timer = setInterval(() => { counted.count += 1; }, 1);
  t.after(() => clearInterval(timer));
  return counted;
}

test('async handlers beside an interval leave the timers their turn', async (t) => {
  const rt = runtime(t);
  let handled = 0;
  const pid = rt.spawn(async () => {
    handled += 1;
    busy(0.5);
  }, 10_000);
  rt.sendInterval(rt.spawn(() => {}), 1, 'wakes the loop from another thread');
  for (let i = 0; i < 1000; i++) rt.send(pid, 'x');
  const ticked = ticks(t);
  await until(() => handled === 1000);
  assert.ok(ticked.count > 100, `${ticked.count} ticks in 1,000 messages of 0.5 ms`);
});

test('so do actors of a runtime without a reference', async (t) => {
  const rt = runtime(t).unref();
  let handled = 0;
  const other = rt.spawn((data) => rt.send(own, data));
  const own = rt.spawn((data) => {
    handled += 1;
    busy(0.05);
    rt.send(other, data);
  });
  rt.send(own, 'x');
  const ticked = ticks(t);
  await until(() => handled >= 10_000);
  assert.ok(ticked.count > 50, `${ticked.count} ticks in ${handled} messages of 0.05 ms`);
});

test('so do pull actors, hooks, and slow messages behind quick ones', async (t) => {
  const rt = runtime(t);
  let received = 0;
  for (let i = 0; i < 200; i++) {
    const pid = rt.spawnWithMailbox(async (mailbox) => {
      await mailbox.recv();
      received += 1;
      busy(1);
    });
    rt.send(pid, 'x');
  }
  const pulls = ticks(t);
  await until(() => received === 200);
  assert.ok(pulls.count > 20, `${pulls.count} ticks in 200 receives of 1 ms`);

  let letters = 0;
  rt.onDeadLetter(() => {
    letters += 1;
    busy(1);
  });
  const doomed = rt.spawn(() => {});
  rt.sendMany(doomed, Array(200).fill('x'));
  rt.stop(doomed);
  const hooks = ticks(t);
  await until(() => letters === 200);
  assert.ok(hooks.count > 50, `${hooks.count} ticks in 200 letters of 1 ms`);

  let slow = 0;
  const turning = rt.spawn((data) => {
    if (data.length === 0) return;
    slow += 1;
    busy(5);
  }, 1000);
  rt.sendMany(turning, [...Array(127).fill(''), ...Array(64).fill('x')]);
  const strides = ticks(t);
  await until(() => slow === 64);
  assert.ok(strides.count >= 6, `${strides.count} ticks in 64 messages of 5 ms`);
});

test('who polls a mailbox does not keep the timers from coming', async (t) => {
  const rt = runtime(t);
  let polled = 0;
  let got = null;
  const pid = rt.spawnWithMailbox(async (mailbox) => {
    while (got === null) {
      polled += 1;
      got = await mailbox.recv(0);
    }
  });
  setTimeout(() => rt.send(pid, 'x'), 20);
  await until(() => got !== null);
  assert.ok(polled > 1);
});

test('what onStop throws is told of, whatever it is, and nothing else is lost', async (t) => {
  const rt = runtime(t);
  const warnings = [];
  const listen = (warning) => warnings.push(warning.message);
  process.on('warning', listen);
  t.after(() => process.off('warning', listen));
  class Odd extends iris.Actor {
    constructor(odd) {
      super();
      this.odd = odd;
    }

    onStop() {
      throw this.odd;
    }
  }
  const refs = [Symbol('odd'), Object.create(null), null].map((odd) => rt.spawnActor(class extends Odd {
    constructor() {
      super(odd);
    }
  }, []));
  const plain = rt.spawn(() => {});
  for (const ref of refs) rt.stop(ref.pid);
  rt.stop(plain);
  const joined = await Promise.all([plain, ...refs.map((ref) => ref.pid)].map((pid) => rt.join(pid, 20)));
  assert.deepEqual(joined, [true, true, true, true]);
  await until(() => warnings.filter((text) => /^onStop of/.test(text)).length === 3);
});

test('answers and promises that are none are crashes, and no more', async (t) => {
  const rt = runtime(t);
  const odd = {
    proxy: () => new Proxy(Buffer.from('abc'), {}),
    constructor: () => Object.defineProperty(Promise.resolve(1), 'constructor', {
      get() { throw new Error('no constructor'); },
    }),
    then: () => Object.assign(Promise.resolve(1), { then() { throw new Error('no then'); } }),
  };
  for (const [name, make] of Object.entries(odd)) {
    for (const handler of [make, async () => make()]) {
      if (handler !== make && name !== 'proxy') continue;
      const pid = rt.spawn(handler);
      const first = rt.ask(pid, 'x');
      const second = rt.ask(pid, 'y');
      await assert.rejects(first, { name: 'HandlerError' }, name);
      await assert.rejects(second, { name: 'DeadActorError' }, name);
      assert.equal(await rt.join(pid, 20), true, name);
    }
  }
  assert.equal(rt.crashes.length, 4);
});

test('one signal ends any number of questions', async (t) => {
  const rt = runtime(t);
  const warned = [];
  const listen = (warning) => warned.push(warning.name);
  process.on('warning', listen);
  t.after(() => process.off('warning', listen));
  const mute = rt.spawn(() => new Promise(() => {}));
  const echo = rt.spawn((data) => data);
  const controller = new AbortController();
  const { signal } = controller;
  const asked = Array.from({ length: 2000 }, () => rt.ask(mute, 'x', { signal, timeoutMs: 25_000 }));
  await Promise.all(Array.from({ length: 100 }, () => rt.ask(echo, 'x', { signal })));
  controller.abort(new Error('enough'));
  const ended = await Promise.allSettled(asked);
  assert.ok(ended.every((one) => one.reason?.message === 'enough'));
  await assert.rejects(rt.ask(echo, 'x', { signal }), { message: 'enough' });
  await new Promise(setImmediate);
  assert.deepEqual(warned.filter((name) => name === 'MaxListenersExceededWarning'), []);
});

test('time-outs that are computed leave nothing behind', async () => {
  const { out, err } = await program(`(async () => {
    const echo = rt.spawn((data) => data);
    const used = () => { gc(); return process.memoryUsage().heapUsed / 2 ** 20; };
    const ask = async (count, from) => {
      for (let i = 0; i < count; i += 1000) {
        await Promise.all(Array.from({ length: 1000 }, (_, k) => rt.ask(echo, 'x', { timeoutMs: from - i - k })));
      }
    };
    await ask(10_000, 3_600_000);
    const before = used();
    await ask(200_000, 3_500_000);
    print(Math.max(0, Math.round(used() - before)));
  })()`, { args: ['--expose-gc'] });
  assert.equal(err, '');
  assert.ok(Number(out) < 10, `${out} MiB after 200,000 answers`);
});

test('nobody sees the store of who has loaded the package, or of another', async () => {
  const { out, err } = await program(`
    const { AsyncLocalStorage } = require('node:async_hooks');
    const als = new AsyncLocalStorage();
    const go = {};
    const chain = (name) => als.run(name, async () => {
      await new Promise((resolve) => { go[name] = resolve; });
      rt.send(pid, name);
    });
    chain('one');
    chain('two');
    let rt, pid;
    als.run('who loads', () => {
      const iris = require(${JSON.stringify(PACKAGE)});
      rt = new iris.NodeRuntime();
      pid = rt.spawn((data) => console.log(data.toString(), als.getStore()));
    });
    rt.send(pid, 'outside');
    setTimeout(() => { go.one(); go.two(); }, 10);
  `, { loads: false });
  assert.equal(err, '');
  const seen = new Set(out.trim().split('\n').sort());
  assert.deepEqual([...seen], ['one one', 'outside undefined', 'two two']);
});
