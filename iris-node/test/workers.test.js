'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { Worker } = require('node:worker_threads');

const fs = require('node:fs');

const { PACKAGE, until } = require('./support.js');

const BUSY = `
  const { parentPort } = require('node:worker_threads');
  const iris = require(${JSON.stringify(PACKAGE)});
  const rt = new iris.NodeRuntime();
  const ping = rt.spawn((message) => { rt.send(pong, message); });
  const pong = rt.spawn((message) => { rt.send(ping, message); });
  const waits = rt.spawn(() => new Promise(() => {}));
  const box = rt.spawnWithMailbox(async (mailbox) => { for await (const m of mailbox) rt.send(waits, m.data); });
  for (let i = 0; i < 50; i++) { rt.send(ping, 'x'); rt.send(waits, 'y'); rt.send(box, 'z'); }
  rt.sendInterval(ping, 1, 'tick');
  rt.ask(waits, 'never').catch(() => {});
  parentPort.postMessage('busy');
`;

/** Threads of this process; where they are not to be counted, none. */
function threads() {
  try {
    return fs.readdirSync('/proc/self/task').length;
  } catch {
    return 0;
  }
}

test('50 workers with busy actors are terminated, and their threads end', { timeout: 120_000 }, async () => {
  const before = threads();
  for (let i = 0; i < 50; i++) {
    const worker = new Worker(BUSY, { eval: true });
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    // At different moments of what they do.
    if (i % 5 > 0) {
      await new Promise((resolve) => {
        setTimeout(resolve, i % 5);
      });
    }
    assert.equal(await worker.terminate(), 1);
  }
  await until(() => threads() <= before + 2, 'the threads of 50 runtimes end');
});

test('workers at the same time have a runtime each, and end by themselves', { timeout: 120_000 }, async () => {
  const code = `
    const { parentPort } = require('node:worker_threads');
    const iris = require(${JSON.stringify(PACKAGE)});
    const rt = new iris.NodeRuntime();
    let sum = 0;
    const pid = rt.spawn((message) => { sum += Number(message); if (sum === 499500) parentPort.postMessage(sum); });
    for (let i = 0; i < 1000; i++) rt.send(pid, String(i));
  `;
  const sums = await Promise.all(Array.from({ length: 4 }, () => new Promise((resolve, reject) => {
    const worker = new Worker(code, { eval: true });
    let sum = null;
    worker.on('message', (message) => {
      sum = message;
    });
    worker.on('error', reject);
    worker.on('exit', (exit) => resolve([exit, sum]));
  })));
  assert.deepEqual(sums, Array.from({ length: 4 }, () => [0, 499500]));
});

test('a runtime that was shut down in a worker is gone before that is', { timeout: 120_000 }, async () => {
  const code = `
    const iris = require(${JSON.stringify(PACKAGE)});
    (async () => {
      for (let i = 0; i < 5; i++) {
        const rt = new iris.NodeRuntime();
        const pid = rt.spawn(() => {});
        rt.send(pid, 'x');
        await rt.shutdown();
      }
    })();
  `;
  const worker = new Worker(code, { eval: true });
  const exit = await new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', resolve);
  });
  assert.equal(exit, 0);
});
