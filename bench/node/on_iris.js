'use strict';
// The workloads on Iris.

const iris = require('../../iris-node');
const { Clock, PAYLOAD, asking, countdown, inBursts, round, spawning } = require('./measure.js');

/** With a runtime that is gone afterwards. */
async function within(work) {
  const rt = new iris.NodeRuntime();
  try {
    return await work(rt);
  } finally {
    await rt.shutdown(0);
  }
}

/** One sender, one actor, `n` messages. */
exports.tell = (n) => within(async (rt) => {
  const clock = new Clock(n);
  const pid = rt.spawn(countdown(n, clock));
  clock.start();
  await inBursts(n, () => rt.send(pid, PAYLOAD));
  return clock.stopped();
});

/** As `tell`, sent all at once: nothing is handled before the last is queued. */
exports.flood = (n) => within(async (rt) => {
  const clock = new Clock(n);
  const pid = rt.spawn(countdown(n, clock));
  clock.start();
  for (let i = 0; i < n; i++) rt.send(pid, PAYLOAD);
  return clock.stopped();
});

/** As `tell`, in calls of a method with a number. */
exports.tellMethod = (n) => within(async (rt) => {
  const clock = new Clock(n);
  const done = countdown(n, clock);
  class Counter extends iris.Actor {
    sum = 0;

    add(k) {
      this.sum += k;
      done();
    }
  }
  const ref = rt.spawn(Counter);
  clock.start();
  await inBursts(n, () => ref.tell('add', 1));
  return clock.stopped();
});

/** Two actors, one message that goes to and fro `n` times. */
exports.pingPong = (n) => within((rt) => {
  const clock = new Clock(n);
  let left = n;
  const pong = rt.spawn((message) => {
    rt.send(ping, message);
  });
  const ping = rt.spawn((message) => {
    left -= 1;
    if (left === 0) clock.stop();
    else rt.send(pong, message);
  });
  clock.start();
  rt.send(pong, PAYLOAD);
  return clock.stopped();
});

/** One sender, `size` actors, a message to each of them in every round. */
exports.fanOut = (n, size) => within(async (rt) => {
  const clock = new Clock(n);
  const handler = countdown(n, clock);
  const pids = Array.from({ length: size }, () => rt.spawn(handler));
  clock.start();
  await inBursts(n, (i) => rt.send(pids[i % size], PAYLOAD));
  return clock.stopped();
});

/** Stops actors, and waits until they are gone. */
async function stopAll(rt, pids) {
  for (const pid of pids) rt.stop(pid);
  while (rt.stats().actors > 0) await round();
}

exports.spawn = (n) => within((rt) => {
  const handler = () => {};
  return spawning(n, () => rt.spawn(handler), (pids) => stopAll(rt, pids));
});

/** With a closure for each, and so a slot. */
exports.spawnOwn = (n) => within(
  (rt) => spawning(n, (i) => rt.spawn(() => i), (pids) => stopAll(rt, pids)),
);

exports.ask = (n, width) => within((rt) => {
  const pid = rt.spawn((message) => message);
  return asking(n, width, () => rt.ask(pid, PAYLOAD));
});

exports.askMethod = (n, width) => within((rt) => {
  class Echo extends iris.Actor {
    echo(value) {
      return value;
    }
  }
  const ref = rt.spawn(Echo);
  return asking(n, width, () => ref.ask('echo', 1));
});
