'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { setTimeout: sleep } = require('node:timers/promises');

const { runtime, until } = require('./support.js');

test('an async handler is at one message at a time, in order', async (t) => {
  const rt = runtime(t);
  const log = [];
  let inside = 0;
  const pid = rt.spawn(async (message) => {
    inside += 1;
    assert.equal(inside, 1);
    log.push(`begin ${message}`);
    await sleep(Number(message) % 3);
    log.push(`end ${message}`);
    inside -= 1;
  });
  for (let i = 0; i < 30; i++) rt.send(pid, String(i));
  await until(() => log.length === 60);
  const wanted = Array.from({ length: 30 }, (_, i) => [`begin ${i}`, `end ${i}`]).flat();
  assert.deepEqual(log, wanted);
});

test('while one waits, others go on, and its messages wait in its mailbox', async (t) => {
  const rt = runtime(t);
  let open;
  const gate = new Promise((resolve) => {
    open = resolve;
  });
  const slow = [];
  const pid = rt.spawn(async (message) => {
    if (slow.length === 0) await gate;
    slow.push(message.toString());
  });
  let others = 0;
  const other = rt.spawn(() => {
    others += 1;
  });
  for (let i = 0; i < 300; i++) rt.send(pid, String(i));
  await until(() => rt.mailboxSize(pid) === 299);
  for (let i = 0; i < 1000; i++) rt.send(other, 'x');
  await until(() => others === 1000);
  assert.deepEqual([slow.length, rt.mailboxSize(pid)], [0, 299]);
  open();
  await until(() => slow.length === 300);
  assert.deepEqual(slow, Array.from({ length: 300 }, (_, i) => String(i)));
});

test('a handler that waits only now and then keeps the order', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawn((message) => {
    const n = Number(message);
    if (n % 7 !== 0) {
      got.push(n);
      return undefined;
    }
    return sleep(n % 2).then(() => got.push(n));
  });
  for (let i = 0; i < 1000; i++) rt.send(pid, String(i));
  await until(() => got.length === 1000);
  assert.deepEqual(got, Array.from({ length: 1000 }, (_, i) => i));
});

test('promises that are there already do not keep the loop from turning', async (t) => {
  const rt = runtime(t);
  let handled = 0;
  const pids = Array.from({ length: 20 }, () => rt.spawn(async () => {
    handled += 1;
    for (let end = performance.now() + 0.005; performance.now() < end;);
  }));
  for (let i = 0; i < 20_000; i++) rt.send(pids[i % 20], 'x');
  let turns = 0;
  const turn = () => {
    turns += 1;
    if (handled < 20_000) setImmediate(turn);
  };
  setImmediate(turn);
  await until(() => handled === 20_000);
  assert.ok(turns > 25, `${turns} turns for 100 ms of work`);
});

test('a rejection is a crash, and no unhandled one', async (t) => {
  const rt = runtime(t);
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  process.on('unhandledRejection', note);
  t.after(() => process.off('unhandledRejection', note));
  const got = [];
  const pid = rt.spawn(async (message) => {
    got.push(message.toString());
    await sleep(1);
    if (message.toString() === 'b') throw new TypeError('no b');
  });
  for (const one of 'abcd') rt.send(pid, one);
  assert.equal(await rt.join(pid, 20), true);
  assert.deepEqual(got, ['a', 'b']);
  assert.deepEqual(rt.crashes.map(({ error }) => error.message), ['no b']);
  assert.equal(rt.deadLetters(), 2);
  // Unhandled ones are told before the loop turns.
  await new Promise(setImmediate);
  assert.deepEqual(unhandled, []);
});

test('one that waits for ever can be stopped', async (t) => {
  const rt = runtime(t);
  let reject;
  const pid = rt.spawn(() => new Promise((_, no) => {
    reject = no;
  }));
  for (const one of 'abc') rt.send(pid, one);
  await until(() => reject !== undefined);
  const asked = rt.ask(pid, 'never').catch((error) => error);
  assert.equal(rt.stop(pid), true);
  assert.equal(await rt.join(pid, 20), true);
  assert.equal((await asked).name, 'DeadActorError');
  // What comes of it afterwards is nobody's business.
  reject(new Error('too late'));
  await new Promise(setImmediate);
  assert.deepEqual(rt.crashes, []);
  // The two that it had not come to; who asked was told.
  assert.equal(rt.deadLetters(), 3);
});

test('an actor that stops itself in an async handler handles nothing more', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawn(async (message, own) => {
    got.push(message.toString());
    await null;
    rt.stop(own);
  });
  for (const one of 'abc') rt.send(pid, one);
  assert.equal(await rt.join(pid, 20), true);
  assert.deepEqual(got, ['a']);
  assert.equal(rt.deadLetters(), 2);
});

test('hot swap keeps its place behind what an async handler has in hand', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawn(async (message) => {
    await sleep(1);
    got.push(`old ${message}`);
  });
  for (const one of 'abc') rt.send(pid, one);
  await until(() => rt.mailboxSize(pid) === 2);
  rt.hotSwap(pid, (message) => got.push(`new ${message}`));
  rt.send(pid, 'd');
  await until(() => got.length === 4);
  assert.deepEqual(got, ['old a', 'old b', 'old c', 'new d']);
});
