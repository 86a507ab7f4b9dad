'use strict';
// Random sends, crashes, stops, swaps and promises: every message that was accepted is accounted for.

const test = require('node:test');
const assert = require('node:assert/strict');

const { iris, runtime, until } = require('./support.js');

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
function randoms(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`accepted = handled + dead, and in order (seed ${seed})`, { timeout: 60_000 }, async (t) => {
    const rt = runtime(t);
    const random = randoms(seed);
    const pick = (all) => all[Math.floor(random() * all.length)];
    let accepted = 0;
    let handled = 0;
    let letters = 0;
    const outOfOrder = [];
    const lastSeen = new Map();
    const lastSent = new Map();
    rt.onDeadLetter(() => {
      letters += 1;
    });
    const pids = [];

    const note = (pid, message) => {
      handled += 1;
      const number = message.readUInt32LE(0);
      if (number <= (lastSeen.get(pid) ?? 0)) outOfOrder.push([pid, number]);
      lastSeen.set(pid, number);
    };
    const send = () => {
      const pid = pick(pids);
      const number = (lastSent.get(pid) ?? 0) + 1;
      const data = Buffer.alloc(pick([4, 40, 300, 5000, 70_000]));
      data.writeUInt32LE(number, 0);
      if (rt.send(pid, data)) {
        accepted += 1;
        lastSent.set(pid, number);
      }
    };
    const handler = () => {
      const kind = random();
      return (message, pid) => {
        note(pid, message);
        const dice = random();
        if (dice < 0.002) throw new Error('at random');
        if (dice < 0.003) return iris.STOP;
        if (dice < 0.004) rt.stop(pick(pids));
        if (dice < 0.006) rt.hotSwap(pid, handler(), { now: random() < 0.5 });
        if (dice < 0.02) spawn();
        for (let i = 0; dice > 0.7 && i < 2 && accepted < 30_000; i++) send();
        if (kind < 0.6) return undefined;
        if (kind < 0.8) return random() < 0.01 ? Promise.reject(new Error('in time')) : Promise.resolve();
        return random() < 0.3 ? new Promise((resolve) => setTimeout(resolve, 1)) : undefined;
      };
    };
    const spawn = () => {
      const budget = pick([1, 3, 100, 2000]);
      const kind = random();
      if (kind < 0.5 || pids.length === 0) pids.push(rt.spawn(handler(), budget));
      else if (kind < 0.6) pids.push(rt.spawnBounded(handler(), pick([1, 10, 100]), budget));
      else if (kind < 0.7) pids.push(rt.spawnVirtual(handler(), budget, 5));
      else if (kind < 0.8) {
        const parent = pick(pids);
        if (rt.isAlive(parent)) pids.push(rt.spawnChild(parent, handler(), budget));
      } else {
        pids.push(rt.spawnWithMailbox(async (mailbox) => {
          for await (const { data } of mailbox) {
            note(mailbox.pid, data);
            if (random() < 0.002) throw new Error('pulled');
            if (random() < 0.01) await new Promise((resolve) => setTimeout(resolve, 1));
          }
        }, budget));
      }
    };

    for (let i = 0; i < 30; i++) spawn();
    for (let i = 0; i < 15_000; i++) {
      send();
      if (random() < 0.001) rt.stop(pick(pids), { drain: random() < 0.5 });
      if (random() < 0.005) spawn();
      if (random() < 0.01) await new Promise(random() < 0.5 ? setImmediate : (resolve) => setTimeout(resolve, 1));
    }
    // Crashed while it called spawn or swapped itself out: the rest is dead by then.
    await until(() => handled + rt.deadLetters() === accepted, `${accepted} accepted`)
      .catch(() => {});
    assert.equal(handled + rt.deadLetters(), accepted);
    assert.deepEqual(outOfOrder, []);
    assert.ok(handled > 5000 && rt.deadLetters() > 0);
    await until(() => letters === rt.deadLetters());
    const report = await rt.shutdown();
    assert.deepEqual(report, { undelivered: 0, stuck: 0 });
  });
}
