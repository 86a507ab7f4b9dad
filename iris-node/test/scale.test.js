'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');

const { program } = require('./support.js');

test('after 100,000 actors memory is what it was', { timeout: 180_000 }, async () => {
  const result = await program(`
    const rss = () => { for (let i = 0; i < 5; i++) gc(); return process.memoryUsage().rss / 2 ** 20; };
    const round = async (n) => {
      const pids = [];
      let handled = 0;
      for (let i = 0; i < n; i++) pids.push(rt.spawn(() => { handled += i < 0 ? 2 : 1; }));
      for (const pid of pids) rt.send(pid, 'hello');
      while (handled < n) await new Promise(setImmediate);
      for (const pid of pids) rt.stop(pid);
      while (rt.stats().actors > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      const other = rt.spawn(() => {});
      await rt.ask(other, 'x');
      rt.stop(other);
    };
    (async () => {
      // Cells are used again, never freed, and both allocators keep some: what a few rounds leave
      // is what stays. A hundred bytes for each actor would be 60 MiB more after six others.
      const rounds = [];
      for (let i = 0; i < 9; i++) {
        await round(100000);
        rounds.push(rss());
      }
      print(JSON.stringify({ before: Math.max(...rounds.slice(0, 3)), after: Math.min(...rounds.slice(6)) }));
    })();
  `, { args: ['--expose-gc'], timeoutMs: 150_000 });
  assert.deepEqual([result.timedOut, result.code, result.err], [false, 0, '']);
  const { before, after } = JSON.parse(result.out);
  assert.ok(after < before * 1.1, `${before.toFixed(0)} MiB before, ${after.toFixed(0)} after`);
});

test('a fast producer and a slow handler keep memory within what is queued', { timeout: 180_000 }, async () => {
  const result = await program(`
    (async () => {
      let handled = 0;
      const pid = rt.spawnBounded(() => { handled += 1; }, 1000, 100);
      rt.setOverflowPolicy(pid, 'dropold');
      const data = Buffer.alloc(1000);
      const before = process.memoryUsage().rss;
      for (let i = 0; i < 1_000_000; i++) {
        rt.send(pid, data);
        if (i % 10_000 === 0) await new Promise(setImmediate);
      }
      while (handled + rt.deadLetters() < 1_000_000) await new Promise(setImmediate);
      print((process.memoryUsage().rss - before) / 2 ** 20);
    })();
  `, { timeoutMs: 150_000 });
  assert.deepEqual([result.timedOut, result.code, result.err], [false, 0, '']);
  assert.ok(Number(result.out) < 100, `${result.out} MiB more for 1,000 MB in messages`);
});
