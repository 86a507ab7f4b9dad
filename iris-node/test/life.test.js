'use strict';
// When the process ends, and when it does not: each in a process of its own.

const test = require('node:test');
const assert = require('node:assert/strict');

const { program } = require('./support.js');

function ended(result, out) {
  assert.deepEqual([result.timedOut, result.code, result.signal, result.err], [false, 0, null, '']);
  if (out !== undefined) assert.equal(result.out, out);
}

test('1,000 sends and the end: all are handled, then the process ends', async () => {
  ended(await program(`
    let handled = 0;
    const pid = rt.spawn(() => { handled += 1; });
    for (let i = 0; i < 1000; i++) rt.send(pid, 'x');
    process.on('exit', () => print(handled));
  `), '1000\n');
});

test('1,000 idle actors do not keep the process', async () => {
  ended(await program(`
    for (let i = 0; i < 1000; i++) rt.spawn(() => {});
    for (let i = 0; i < 10; i++) rt.spawnWithMailbox(async (mailbox) => { for await (const m of mailbox); });
    rt.spawnWithPathObserved(10, '/a');
    rt.spawnVirtual(() => {}, 100, 60000);
    print('spawned');
  `), 'spawned\n');
});

test('what ends without a turn does not keep it', async () => {
  ended(await program(`
    const observer = rt.spawnWithPathObserved(10, '/a');
    rt.send(observer, 'x');
    rt.stop(observer);
    const other = rt.spawnWithPathObserved(10, '/b');
    rt.link(other, rt.spawn(() => {}));
    rt.monitor(other, 12345);
    rt.send(99999, 'x');
    rt.stop(99999);
    rt.publish('nobody', 'x');
    print('done');
  `), 'done\n');
});

test('messages that actors send each other keep it, until there are none', async () => {
  ended(await program(`
    let hops = 0;
    const pids = [];
    for (let i = 0; i < 100; i++) {
      pids.push(rt.spawn((message) => {
        hops += 1;
        if (hops < 5000) rt.send(pids[hops % 100], 'x');
      }));
    }
    rt.send(pids[0], 'x');
    process.on('exit', () => print(hops));
  `), '5000\n');
});

test('a timer keeps it, an interval until it is cancelled', async () => {
  ended(await program(`
    let ticks = 0;
    const pid = rt.spawn((message) => {
      if (message.toString() === 'after') return print('after');
      if (++ticks === 5) rt.cancelTimer(interval);
    });
    const interval = rt.sendInterval(pid, 5, 'tick');
    rt.sendAfter(pid, 60, 'after');
    process.on('exit', () => print(ticks));
  `), 'after\n5\n');
});

test('a timer for an observer keeps it, too', async () => {
  ended(await program(`
    const observer = rt.spawnWithPathObserved(10, '/a');
    rt.sendAfter(observer, 50, 'x');
    process.on('exit', () => print(rt.getMessages(observer).length));
  `), '1\n');
});

test('a question keeps it until the answer, a handler until its promise is there', async () => {
  ended(await program(`
    const slow = rt.spawn(() => new Promise((resolve) => setTimeout(resolve, 30, 'answer')));
    rt.ask(slow, 'x').then((answer) => print(answer));
    const waits = rt.spawn(async (message) => {
      await new Promise((resolve) => setTimeout(resolve, 300).unref());
      print('waited');
    });
    rt.send(waits, 'x');
  `), 'answer\nwaited\n');
});

test('a time-out of a question keeps it no longer than that', async () => {
  ended(await program(`
    const silent = rt.spawnWithMailbox(async (mailbox) => { await mailbox.recv(); await new Promise(() => {}); });
    rt.ask(silent, 'x', { timeoutMs: 20 }).catch((error) => { print(error.name); rt.stop(silent); });
  `), 'AskTimeoutError\n');
});

test('an interval that nobody cancels keeps it until it is killed', async () => {
  const result = await program(`
    const pid = rt.spawn(() => print('tick'));
    rt.sendInterval(pid, 2, 'x');
  `, {
    onOutput: (out, child) => out.length > 50 && child.kill('SIGTERM'),
  });
  assert.deepEqual([result.timedOut, result.signal], [false, 'SIGTERM']);
});

test('one that listens stays until it is killed', async () => {
  let listens = null;
  const result = await program(`
    rt.listen('127.0.0.1:0').then((address) => print(address));
  `, {
    onOutput: (out, child) => {
      listens ??= setTimeout(() => child.kill('SIGTERM'), 1500);
    },
  });
  assert.match(result.out, /^127\.0\.0\.1:\d+\n$/);
  assert.deepEqual([result.timedOut, result.signal], [false, 'SIGTERM']);
});

test('shutdown ends one that listens, and tells what is left', async () => {
  ended(await program(`
    (async () => {
      await rt.listen('127.0.0.1:0');
      const pid = rt.spawn(() => {});
      for (let i = 0; i < 100; i++) rt.send(pid, 'x');
      print(JSON.stringify(await rt.shutdown()));
      print(JSON.stringify(await rt.shutdown()));
      print(rt.send(pid, 'x'));
      try { rt.spawn(() => {}); } catch (error) { print(error.name); }
      await rt.ask(pid, 'x').catch((error) => print(error.name));
    })();
  `), '{"undelivered":0,"stuck":0}\n{"undelivered":0,"stuck":0}\nfalse\nShutDownError\nShutDownError\n');
});

test('shutdown within a handler, with messages that nobody will handle', async () => {
  ended(await program(`
    const stuck = rt.spawn(() => new Promise(() => {}));
    for (let i = 0; i < 10; i++) rt.send(stuck, 'x');
    const box = rt.spawnWithMailbox(async (mailbox) => {
      try { await mailbox.recv(); } catch (error) { print(error.name); throw error; }
    });
    const pid = rt.spawn(async () => {
      rt.shutdown(0.05).then((report) => print(JSON.stringify(report)));
    });
    rt.send(pid, 'x');
  `), 'MailboxClosed\n{"undelivered":9,"stuck":0}\n');
});

test('ref keeps an idle one, unref lets a busy one end', async () => {
  const result = await program("rt.ref(); print('ready'); setTimeout(() => print('still'), 1200).unref(); ", {
    onOutput: (out, child) => out.includes('still') && child.kill('SIGTERM'),
  });
  assert.deepEqual([result.timedOut, result.signal, result.out], [false, 'SIGTERM', 'ready\nstill\n']);
  ended(await program("rt.ref(); setTimeout(() => rt.unref(), 20); print('ready');"), 'ready\n');
  ended(await program(`
    const pid = rt.spawn(() => {});
    rt.sendInterval(pid, 1000, 'x');
    rt.unref();
  `), '');
});

test('process.exit within a handler, and an exit with actors at work', async () => {
  const result = await program(`
    const pid = rt.spawn((message) => { if (message.toString() === '500') process.exit(7); });
    for (let i = 0; i < 1000; i++) rt.send(pid, String(i));
  `);
  assert.deepEqual([result.timedOut, result.code, result.err], [false, 7, '']);
  const busy = await program(`
    for (let i = 0; i < 50; i++) {
      const pid = rt.spawn(() => {});
      rt.sendInterval(pid, 1, 'x');
    }
    rt.spawn(() => {}, 1, { name: 'x' });
    setTimeout(() => process.exit(3), 50);
  `);
  assert.deepEqual([busy.timedOut, busy.code, busy.err], [false, 3, '']);
});

test('awaiting what a handler resolves keeps a test runner waiting', async () => {
  ended(await program(`
    (async () => {
      const pid = rt.spawn(() => done());
      let done;
      const promise = new Promise((resolve) => { done = resolve; });
      rt.send(pid, 'x');
      await promise;
      print('done');
    })();
    process.on('beforeExit', () => print('before exit'));
  `), 'done\nbefore exit\n');
});

test('Symbol.asyncDispose shuts down', async () => {
  ended(await program(`
    (async () => {
      const dispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
      await rt[dispose]();
      try { rt.spawn(() => {}); } catch (error) { print(error.name); }
    })();
  `), 'ShutDownError\n');
});

test('without a reference messages are handled as soon as with one', async () => {
  const { out } = await program(`
    rt.unref();
    const keeps = setTimeout(() => print('too late'), 20_000);
    let left = 3;
    const pid = rt.spawn(() => {
      left -= 1;
      // With the loop gone round in between, and nothing else to wake it.
      if (left > 0) setTimeout(() => rt.send(pid, 'x'), 5);
      else {
        print('handled');
        clearTimeout(keeps);
      }
    });
    setTimeout(() => rt.send(pid, 'x'), 20);
  `);
  assert.equal(out, 'handled\n');
});
