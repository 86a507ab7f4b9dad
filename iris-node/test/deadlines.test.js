'use strict';
// Time-outs: each in time, in their order, and gone with what they were for.

const test = require('node:test');
const assert = require('node:assert/strict');

const { iris, program, runtime } = require('./support.js');
const { Deadline, Deadlines } = require('../lib/deadlines.js');

/** Notes when it is too late. */
class Noted extends Deadline {
  constructor(name, notes, more) {
    super();
    this.tooLate = () => {
      notes.push(name);
      more?.();
    };
  }
}

/** Those of a test are not what keeps the process alive. */
function awake(t) {
  const timer = setInterval(() => {}, 1000);
  t.after(() => clearInterval(timer));
  return new Deadlines();
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

test('they come in the order of their ends, without those that were cancelled', async (t) => {
  const deadlines = awake(t);
  const notes = [];
  const last = new Promise((resolve) => {
    const all = [[60, 'd'], [10, 'a'], [10, 'b'], [29.4, 'c'], [60, 'e'], [90, 'f', resolve]]
      .map(([ms, name, more]) => [ms, new Noted(name, notes, more)]);
    for (const [ms, one] of all) one.start(deadlines, ms);
    all[2][1].cancel();
    all[4][1].cancel();
    all[4][1].cancel();
  });
  await last;
  assert.deepEqual(notes, ['a', 'c', 'd', 'f']);
});

test('one that is first of its length again is called, too', async (t) => {
  const deadlines = awake(t);
  const notes = [];
  const first = new Noted('first', notes);
  first.start(deadlines, 15);
  await pause(5);
  first.cancel();
  await new Promise((resolve) => {
    new Noted('second', notes, () => {
      new Noted('third', notes, resolve).start(deadlines, 15);
    }).start(deadlines, 15);
  });
  assert.deepEqual(notes, ['second', 'third']);
  assert.notEqual(deadlines.of(15), deadlines.of(16));
});

test('each question has its own', async (t) => {
  const rt = runtime(t);
  const mute = rt.spawn(() => new Promise(() => {}));
  const order = [];
  const asked = [60, 20, 20, 40].map((timeoutMs, i) => rt.ask(mute, 'x', { timeoutMs }).catch((error) => {
    assert.ok(error instanceof iris.AskTimeoutError);
    order.push(i);
  }));
  const echo = rt.spawn((data) => data);
  await Promise.all(Array.from({ length: 100 }, () => rt.ask(echo, 'x', { timeoutMs: 20 })));
  await Promise.all(asked);
  assert.deepEqual(order, [1, 2, 3, 0]);
});

test('a question keeps no process alive that is not to be', async () => {
  const { code, out, timedOut } = await program(`
    rt.unref();
    const mute = rt.spawn(() => new Promise(() => {}));
    rt.ask(mute, 'x', { timeoutMs: 25_000 }).catch(() => print('answered'));
    process.on('exit', () => print('gone'));
  `, { timeoutMs: 15_000 });
  assert.deepEqual({ code, out, timedOut }, { code: 0, out: 'gone\n', timedOut: false });
});

test('a question alone keeps it alive until it is late', async () => {
  const { out } = await program(`
    const mute = rt.spawn(() => new Promise(() => {}));
    rt.ask(mute, 'x', { timeoutMs: 50 }).catch((error) => {
      print(error.name);
      rt.stop(mute);
    });
  `);
  assert.equal(out, 'AskTimeoutError\n');
});
