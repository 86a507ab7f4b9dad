'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');

const { runtime, until } = require('./support.js');

test('a swap keeps its place among the messages, in both directions', async (t) => {
  const rt = runtime(t);
  const got = [];
  const version = (n) => (message) => got.push(`${n}${message}`);
  const pid = rt.spawn(version('A'), 10);
  rt.send(pid, '1');
  assert.equal(rt.hotSwap(pid, version('B')), 2);
  rt.send(pid, '2');
  assert.equal(rt.hotSwap(pid, version('C')), 3);
  rt.send(pid, '3');
  assert.equal(rt.rollbackBehavior(pid, 2), 1);
  rt.send(pid, '4');
  await until(() => got.length === 4);
  assert.deepEqual(got, ['A1', 'B2', 'C3', 'A4']);
  assert.equal(rt.behaviorVersion(pid), 1);
  assert.throws(() => rt.rollbackBehavior(pid, 5), RangeError);
  assert.equal(rt.behaviorVersion(999_999_999), null);
  assert.throws(() => rt.hotSwap(999_999_999, () => {}), { name: 'DeadActorError' });
});

test('a swap within the handler is for the messages after it', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawn((message, own) => {
    got.push(`old ${message}`);
    if (message.toString() === 'b') {
      rt.hotSwap(own, (later) => got.push(`new ${later}`));
      rt.send(own, 'after');
    }
  });
  for (const one of 'abcd') rt.send(pid, one);
  await until(() => got.length === 5);
  assert.deepEqual(got, ['old a', 'old b', 'old c', 'old d', 'new after']);
});

test('now: the backlog is for the new handler, what is in hand too', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawn((message, own) => {
    got.push(`old ${message}`);
    if (message.toString() === 'b') rt.hotSwap(own, (later) => got.push(`new ${later}`), { now: true });
  });
  for (const one of 'abcd') rt.send(pid, one);
  await until(() => got.length === 4);
  assert.deepEqual(got, ['old a', 'old b', 'new c', 'new d']);
});

test('what has no handler in JavaScript is not swapped', (t) => {
  const rt = runtime(t);
  const observer = rt.spawnWithPathObserved(10, '/observer');
  assert.throws(() => rt.hotSwap(observer, () => {}), /it is an observer/);
  const pull = rt.spawnWithMailbox((mailbox) => mailbox.recv());
  assert.throws(() => rt.hotSwap(pull, () => {}), { name: 'DeadActorError' });
});

test('handlers that nobody has any more are let go', async (t) => {
  const rt = runtime(t);
  const collected = [];
  const registry = new FinalizationRegistry((n) => collected.push(n));
  const pids = [];
  for (let n = 0; n < 50; n++) {
    const handler = () => n;
    registry.register(handler, n);
    pids.push(rt.spawn(handler));
  }
  for (let n = 50; n < 60; n++) {
    const factory = () => n;
    registry.register(factory, n);
    const pid = rt.spawn(() => {});
    rt.superviseWithFactory(pid, factory);
    rt.stopChild(pid);
    pids.push(pid);
  }
  for (const pid of pids) rt.stop(pid);
  await Promise.all(pids.map((pid) => rt.join(pid, 20)));
  // The lane gives slots back in a turn.
  const other = rt.spawn(() => {});
  await rt.ask(other, 'x');
  await until(() => {
    globalThis.gc?.();
    // Without --expose-gc: make some work for the collector.
    Array.from({ length: 10_000 }, () => new Array(100));
    return collected.length >= 56;
  });
});
