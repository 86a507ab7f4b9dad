'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');

const { iris, runtime, until } = require('./support.js');

test('messages of one sender come in their order, whatever their size', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawn((message) => got.push(`${message.length}:${message.subarray(0, 12)}`), 7);
  const sent = [];
  for (let i = 0; i < 3000; i++) {
    const size = [16, 41, 4096, 4097, 20][i % 5] + (i % 977 === 0 ? 100_000 : 0);
    const data = Buffer.alloc(size, '.');
    data.write(String(i).padStart(12));
    sent.push(`${size}:${data.subarray(0, 12)}`);
    assert.equal(rt.send(pid, data), true);
  }
  await until(() => got.length === sent.length);
  assert.deepEqual(got, sent);
});

test('a message that a handler keeps stays what it was', async (t) => {
  const rt = runtime(t);
  const kept = [];
  const pid = rt.spawn((message) => {
    kept.push(message);
  });
  for (let i = 0; i < 20_000; i++) rt.send(pid, `message ${i}`);
  await until(() => kept.length === 20_000);
  kept.forEach((message, i) => {
    assert.ok(Buffer.isBuffer(message));
    assert.equal(message.toString(), `message ${i}`);
  });
});

test('what is sent is copied, of anything that has bytes', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawn((message) => got.push(message.toString('hex')));
  const data = Buffer.from('first');
  rt.send(pid, data);
  data.fill(0);
  const words = new Uint16Array([0x0102, 0x0304, 0x0506]);
  rt.send(pid, words.subarray(1));
  rt.send(pid, new DataView(words.buffer, 0, 2));
  rt.send(pid, words.buffer);
  rt.send(pid, new SharedArrayBuffer(2));
  rt.send(pid, 'grün');
  rt.send(pid, '');
  await until(() => got.length === 7);
  assert.deepEqual(got, [
    Buffer.from('first').toString('hex'), '04030605', '0201', '020104030605', '0000',
    Buffer.from('grün').toString('hex'), '',
  ]);
});

test('large messages are whole, also behind one that waits, and a kept one stays', async (t) => {
  const rt = runtime(t);
  const kept = [];
  const pid = rt.spawn((message) => {
    kept.push(message);
    return kept.length % 3 === 1 ? new Promise(setImmediate) : undefined;
  });
  const sizes = [5000, 70_000, 1 << 20, 10, 4096, 4097, 65_536, 65_537, 0, 3 << 20];
  for (const [i, size] of sizes.entries()) rt.send(pid, Buffer.alloc(size, i + 1));
  await until(() => kept.length === sizes.length);
  globalThis.gc?.();
  assert.deepEqual(kept.map((message) => message.length), sizes);
  kept.forEach((message, i) => assert.ok(message.every((byte) => byte === i + 1), `message ${i}`));
});

test('messages that a crash leaves behind are whole', async (t) => {
  const rt = runtime(t);
  const letters = [];
  rt.onDeadLetter((letter) => letters.push(letter.data));
  const pid = rt.spawn(() => {
    throw new Error('first');
  });
  for (const size of [100_000, 5000, 200_000, 7]) rt.send(pid, Buffer.alloc(size, 9));
  await until(() => letters.length === 3);
  assert.deepEqual(letters.map((data) => data.length), [5000, 200_000, 7]);
  assert.ok(letters.every((data) => data.every((byte) => byte === 9)));
});

test('a handler is called with its own pid, which self() says too', async (t) => {
  const rt = runtime(t);
  const seen = [];
  const pid = rt.spawn((message, own) => seen.push(own, rt.self()));
  assert.equal(rt.self(), null);
  rt.send(pid, 'x');
  await until(() => seen.length === 2);
  assert.deepEqual(seen, [pid, pid]);
});

test('a handler that sends is not called again before it returns', async (t) => {
  const rt = runtime(t);
  let depth = 0;
  let most = 0;
  let handled = 0;
  const pid = rt.spawn((message, own) => {
    depth += 1;
    most = Math.max(most, depth);
    if (message[0] > 0) {
      rt.send(own, Buffer.from([message[0] - 1]));
      rt.send(other, Buffer.from([message[0] - 1]));
    }
    handled += 1;
    depth -= 1;
  });
  const other = rt.spawn(() => {
    depth += 1;
    most = Math.max(most, depth);
    handled += 1;
    depth -= 1;
  });
  rt.send(pid, Buffer.from([200]));
  await until(() => handled === 401);
  assert.equal(most, 1);
});

test('100,000 messages do not keep the event loop from turning', async (t) => {
  const rt = runtime(t);
  let handled = 0;
  let turns = 0;
  const pids = Array.from({ length: 10 }, () => rt.spawn(() => {
    handled += 1;
    // As much work as a handler may have, so that one turn cannot be enough.
    for (let until = performance.now() + 0.002; performance.now() < until;);
  }));
  for (let i = 0; i < 100_000; i++) rt.send(pids[i % 10], 'x');
  const turn = () => {
    turns += 1;
    if (handled < 100_000) setImmediate(turn);
  };
  setImmediate(turn);
  await until(() => handled === 100_000);
  // Some 200 ms of work, a millisecond each; far fewer would do for a loop that serves others.
  assert.ok(turns > 50, `${turns} turns`);
});

test('a busy actor does not keep a light one waiting', async (t) => {
  const rt = runtime(t);
  let busy = 0;
  let when = null;
  const first = rt.spawn(() => {
    busy += 1;
  });
  const second = rt.spawn(() => {
    when = busy;
  });
  for (let i = 0; i < 50_000; i++) rt.send(first, 'x');
  rt.send(second, 'x');
  await until(() => when !== null);
  assert.ok(when < 5000, `${when} messages were handled before`);
  await until(() => busy === 50_000);
});

test('send says whether it was accepted, and unknown pids are nobody', async (t) => {
  const rt = runtime(t);
  const pid = rt.spawn(() => {});
  assert.equal(rt.send(pid, 'x'), true);
  assert.equal(rt.send(123_456_789, 'x'), false);
  assert.equal(rt.send(0, 'x'), false);
  assert.equal(rt.mailboxSize(123_456_789), null);
  assert.equal(rt.isAlive(123_456_789), false);
  assert.equal(rt.info(123_456_789), null);
  assert.equal(rt.sendNamed('nobody', 'x'), false);
  assert.equal(rt.sendMany(pid, ['a', 'b', Buffer.from('c')]), 3);
  assert.equal(rt.sendMany(123_456_789, ['a']), 0);
  assert.equal(rt.stop(pid), true);
  assert.equal(rt.stop(pid), false);
  assert.equal(await rt.join(pid, 10), true);
  assert.equal(rt.send(pid, 'x'), false);
  assert.ok(Number.isSafeInteger(pid) && pid < 2 ** 53);
});

test('the largest pids there can be lose no digit on their way', async (t) => {
  const rt = runtime(t);
  // The last generation of the last slots. Two that a double cannot tell apart would be one.
  for (const pid of [2 ** 53 - 1, 2 ** 53 - 2, 2 ** 53 - 2 ** 32, 2 ** 32, 2 ** 32 + 1]) {
    await assert.rejects(rt.ask(pid, 'x'), { name: 'DeadActorError', message: new RegExp(`\\b${pid}\\b`) });
    assert.throws(() => rt.register(`of ${pid}`, pid), new RegExp(`\\b${pid}\\b`));
  }
  assert.throws(() => rt.send(2 ** 53, 'x'), RangeError);
});

test('mailboxSize counts what the handler has not been called with, in the midst of a batch too', async (t) => {
  const rt = runtime(t);
  const sizes = [];
  const pid = rt.spawn((message, own) => sizes.push(rt.mailboxSize(own), rt.info(own).mailboxSize));
  for (let i = 0; i < 5; i++) rt.send(pid, 'x');
  assert.equal(rt.mailboxSize(pid), 5);
  await until(() => sizes.length === 10);
  assert.deepEqual(sizes, [4, 4, 3, 3, 2, 2, 1, 1, 0, 0]);
});

test('a bounded mailbox refuses what does not fit, and policies say otherwise', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawnBounded((message) => got.push(message.toString()), 2, 100);
  assert.deepEqual([rt.send(pid, 'a'), rt.send(pid, 'b'), rt.send(pid, 'c')], [true, true, false]);
  rt.setOverflowPolicy(pid, 'drop_old');
  assert.equal(rt.send(pid, 'd'), true);
  await until(() => got.length === 2);
  assert.deepEqual(got, ['b', 'd']);
  assert.equal(rt.deadLetters(), 1);
  const fallback = rt.spawn((message) => got.push(`fallback ${message}`));
  rt.setOverflowPolicy(pid, 'redirect', fallback);
  for (const one of ['e', 'f', 'g']) assert.equal(rt.send(pid, one), true);
  await until(() => got.length === 5);
  assert.deepEqual(got.slice(2).sort(), ['e', 'f', 'fallback g']);
  assert.equal(rt.spawn_bounded, rt.spawnBounded);
});

test('room in a bounded mailbox is there as soon as a message is handed over', async (t) => {
  const rt = runtime(t);
  const sent = [];
  const got = [];
  const pid = rt.spawnBounded((message, own) => {
    got.push(message.toString());
    if (message.toString() === 'a') sent.push(rt.send(own, 'c'), rt.send(own, 'd'));
  }, 2);
  rt.send(pid, 'a');
  rt.send(pid, 'b');
  await until(() => got.length === 3);
  assert.deepEqual(sent, [true, false]);
  assert.deepEqual(got, ['a', 'b', 'c']);
});

test('mailboxes without a bound of their own have that of the runtime', async (t) => {
  const rt = new iris.NodeRuntime({ mailboxCapacity: 2 });
  t.after(() => rt.shutdown(0));
  const sent = [];
  const plain = rt.spawn((message, own) => {
    if (message.toString() === 'a') sent.push(rt.send(own, 'c'), rt.send(own, 'd'));
  });
  assert.deepEqual([rt.send(plain, 'a'), rt.send(plain, 'b'), rt.send(plain, 'c')], [true, true, false]);
  await until(() => sent.length === 2);
  // One at a time, so that room is counted exactly.
  assert.deepEqual(sent, [true, false]);
  const puller = rt.spawnWithMailbox((mailbox) => mailbox.recv());
  assert.deepEqual([rt.info(plain).capacity, rt.info(puller).capacity], [2, 2]);
  const larger = rt.spawn(() => {}, { capacity: 3 });
  assert.equal(rt.info(larger).capacity, 3);
  assert.throws(() => new iris.NodeRuntime({ mailboxCapacity: 0 }), RangeError);
  assert.throws(() => new iris.NodeRuntime({ capacity: 5 }), TypeError);
});

test('block: send throws, sendAsync waits for room', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawnBounded((message) => got.push(message.toString()), 1);
  rt.setOverflowPolicy(pid, 'block');
  assert.equal(rt.send(pid, 'a'), true);
  assert.throws(() => rt.send(pid, 'b'), { name: 'WouldBlockError' });
  const all = await Promise.all(['b', 'c', 'd'].map((one) => rt.sendAsync(pid, one)));
  assert.deepEqual(all, [true, true, true]);
  await until(() => got.length === 4);
  assert.deepEqual(got, ['a', 'b', 'c', 'd']);
  rt.stop(pid);
  assert.equal(await rt.sendAsync(pid, 'e'), false);
});

test('timers send once, again and again, and not when cancelled', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawn((message) => got.push(message.toString()));
  rt.sendAfter(pid, 5, 'once');
  const never = rt.sendAfter(pid, 60_000, 'never');
  assert.equal(rt.cancelTimer(never), true);
  assert.equal(rt.cancelTimer(never), false);
  const interval = rt.sendInterval(pid, 2, 'tick');
  await until(() => got.filter((one) => one === 'tick').length >= 5 && got.includes('once'));
  assert.equal(rt.cancelTimer(interval), true);
  assert.ok(!got.includes('never'));
  assert.throws(() => rt.sendAfter(987_654_321, 5, 'x'), { name: 'DeadActorError' });
});

test('a virtual actor begins with its first message and ends when it is idle', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawnVirtual((message) => got.push(message.toString()), 100, 20);
  assert.equal(rt.info(pid).status, 'reserved');
  rt.send(pid, 'hello');
  await until(() => got.length === 1);
  assert.equal(await rt.join(pid, 20), true);
  const lasting = rt.spawnVirtual((message) => got.push(message.toString()), 100, 10, { reactivate: true });
  rt.send(lasting, 'one');
  await until(() => rt.info(lasting).status === 'reserved');
  rt.send(lasting, 'two');
  await until(() => got.length === 3);
  assert.deepEqual(got, ['hello', 'one', 'two']);
});
