'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');

const { iris, program, runtime, until } = require('./support.js');

/** An observer that monitors `pid`. */
function watch(rt, pid) {
  const observer = rt.spawnWithPathObserved(10, `/watch/${pid}/${Math.random()}`);
  const reference = rt.monitor(observer, pid);
  return { observer, reference };
}

async function exitOf(rt, observer) {
  let messages = [];
  await until(() => {
    messages = messages.concat(rt.getMessages(observer));
    return messages.length > 0;
  });
  return messages[0];
}

test('a handler that throws ends its actor, and what it had not come to is dead', async (t) => {
  const rt = runtime(t);
  const got = [];
  const letters = [];
  rt.onDeadLetter((letter) => letters.push(letter));
  const pid = rt.spawn(function risky(message) {
    got.push(message.toString());
    if (message.toString() === 'c') throw new RangeError('no c');
  });
  const { observer, reference } = watch(rt, pid);
  for (const one of 'abcdef') rt.send(pid, one);
  assert.equal(await rt.join(pid, 20), true);
  assert.deepEqual(got, ['a', 'b', 'c']);
  const { data, system } = await exitOf(rt, observer);
  assert.equal(data.length, 0);
  assert.ok(system instanceof iris.SystemMessage);
  assert.deepEqual(
    [system.typeName, system.targetPid, system.fromPid, system.reason, system.reference],
    ['DOWN', pid, pid, 'crash', reference],
  );
  assert.equal(system.metadata.type, 'RangeError');
  assert.equal(system.metadata.message, 'no c');
  assert.match(system.metadata.stack, /risky/);
  assert.equal(rt.deadLetters(), 3);
  await until(() => letters.length === 3);
  assert.deepEqual(letters.map(({ to, data: left, reason }) => [to, left.toString(), reason]), [
    [pid, 'd', 'stopped'], [pid, 'e', 'stopped'], [pid, 'f', 'stopped'],
  ]);
  assert.deepEqual(rt.crashes.map(({ pid: who, error }) => [who, error.message]), [[pid, 'no c']]);
  rt.onDeadLetter(null);
});

test('whatever is thrown is an exit', async (t) => {
  const rt = runtime(t);
  const hostile = { get message() { throw new Error('never seen'); }, toString: null };
  for (const thrown of [undefined, null, 'text', 42, Symbol('s'), hostile, Object.create(null)]) {
    const pid = rt.spawn(() => {
      throw thrown;
    });
    const { observer } = watch(rt, pid);
    rt.send(pid, 'x');
    const { system } = await exitOf(rt, observer);
    assert.equal(system.reason, 'crash');
    assert.equal(typeof system.metadata.message, 'string');
  }
});

test('a value whose then cannot be read is a crash, and others go on', async (t) => {
  const rt = runtime(t);
  const hostile = { get then() { throw new Error('no then'); } };
  let n = 0;
  const pids = [
    rt.spawn(() => hostile),
    rt.spawn(() => ((n += 1) === 1 ? Promise.resolve() : hostile)),
  ];
  const other = rt.spawn(() => 'fine');
  for (const pid of pids) rt.sendMany(pid, ['x', 'x', 'x']);
  assert.equal((await rt.ask(other, 'x')).toString(), 'fine');
  for (const pid of pids) assert.equal(await rt.join(pid, 20), true);
  assert.deepEqual(rt.crashes.map(({ error }) => error.message), ['no then', 'no then']);
  assert.equal(rt.deadLetters(), 3);
});

test('with onError: "resume" the actor goes on', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawn((message) => {
    got.push(message.toString());
    if (message.toString() === 'b') throw new Error('b');
  }, 100, { onError: 'resume' });
  for (const one of 'abc') rt.send(pid, one);
  await until(() => got.length === 3);
  assert.equal(rt.isAlive(pid), true);
  assert.deepEqual(rt.crashes.map(({ resumes }) => resumes), [true]);
});

test('a crash is printed, and is no uncaught exception', async () => {
  const { code, out, err } = await program(`
    process.on('uncaughtException', () => print('uncaught'));
    const pid = rt.spawn(function breaks() { throw new Error('so it goes'); });
    rt.send(pid, 'x');
    rt.join(pid).then(() => print('gone'));
  `);
  assert.deepEqual([code, out], [0, 'gone\n']);
  assert.match(err, /^iris: actor \d+ threw; it is stopped \(crash\)\nError: so it goes\n\s+at .*breaks/);
});

test('STOP ends an actor with reason normal', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawn((message) => {
    got.push(message.toString());
    return message.toString() === 'b' ? iris.STOP : undefined;
  });
  const { observer } = watch(rt, pid);
  for (const one of 'abcd') rt.send(pid, one);
  const { system } = await exitOf(rt, observer);
  assert.equal(system.reason, 'normal');
  assert.deepEqual(got, ['a', 'b']);
  assert.equal(rt.deadLetters(), 2);
});

test('stop in the midst of a batch: the handler finishes, the rest is dead', async (t) => {
  const rt = runtime(t);
  const got = [];
  const own = rt.spawn((message, pid) => {
    got.push(`own ${message}`);
    if (message.toString() === '1') assert.equal(rt.stop(pid), true);
  });
  const other = rt.spawn((message) => got.push(`other ${message}`));
  const killer = rt.spawn(() => rt.stop(other));
  for (let i = 0; i < 5; i++) rt.send(own, String(i));
  rt.send(killer, 'x');
  for (let i = 0; i < 5; i++) rt.send(other, String(i));
  await Promise.all([own, other].map((pid) => rt.join(pid, 20)));
  assert.deepEqual(got, ['own 0', 'own 1']);
  assert.equal(rt.deadLetters(), 3 + 5);
});

test('stop with drain handles what is queued first', async (t) => {
  const rt = runtime(t);
  let handled = 0;
  const pid = rt.spawn(() => {
    handled += 1;
  });
  const { observer } = watch(rt, pid);
  for (let i = 0; i < 500; i++) rt.send(pid, 'x');
  assert.equal(rt.stop(pid, { drain: true }), true);
  assert.equal(rt.send(pid, 'late'), false);
  const { system } = await exitOf(rt, observer);
  assert.equal(system.reason, 'shutdown');
  assert.equal(handled, 500);
});

test('links and monitors: EXIT to both sides, noproc for the dead', async (t) => {
  const rt = runtime(t);
  const heard = [];
  const watcher = rt.spawn((message) => heard.push(message), 100, { system: true });
  const pid = rt.spawn(() => {
    throw new Error('boom');
  });
  assert.equal(rt.link(watcher, pid), true);
  rt.send(pid, 'x');
  await until(() => heard.length === 1);
  assert.ok(heard[0] instanceof iris.SystemMessage);
  assert.deepEqual([heard[0].typeName, heard[0].targetPid, heard[0].reason], ['EXIT', pid, 'crash']);
  assert.equal(rt.isAlive(watcher), true);
  rt.monitor(watcher, pid);
  await until(() => heard.length === 2);
  assert.deepEqual([heard[1].typeName, heard[1].reason], ['DOWN', 'noproc']);
  const tied = rt.spawn(() => {});
  const third = rt.spawn(() => {});
  rt.link(tied, third, { propagate: true });
  assert.equal(rt.unlink(tied, third), true);
  assert.equal(rt.unlink(tied, third), false);
});

test('a propagating link takes along who does not trap exits; a monitor is taken back', async (t) => {
  const rt = runtime(t);
  const fails = rt.spawn(() => {
    throw new Error('down we go');
  });
  const tied = rt.spawn(() => {});
  const traps = rt.spawnWithPathObserved(10, '/traps');
  const deaf = rt.spawnWithPathObserved(10, '/deaf');
  rt.trapExit(traps);
  rt.link(fails, tied, { propagate: true });
  rt.link(fails, traps, { propagate: true });
  const reference = rt.monitor(deaf, fails);
  assert.equal(rt.demonitor(reference), true);
  assert.equal(rt.demonitor(reference), false);
  rt.send(fails, 'x');
  assert.equal(await rt.join(tied, 20), true);
  const { system } = await exitOf(rt, traps);
  assert.deepEqual([system.typeName, system.reason], ['EXIT', 'crash']);
  assert.deepEqual([rt.isAlive(traps), rt.isAlive(tied)], [true, false]);
  assert.deepEqual(rt.getMessages(deaf), []);
  assert.throws(() => rt.trapExit(tied), { name: 'DeadActorError' });
});

test('children end with their parent', async (t) => {
  const rt = runtime(t);
  const parent = rt.spawn(() => {});
  const child = rt.spawnChild(parent, () => {});
  const pool = rt.spawnChildPool(parent, () => {}, 3);
  const pull = rt.spawnChildWithMailbox(parent, async (mailbox) => {
    for await (const one of mailbox) one.data.toString();
  });
  assert.equal(pool.length, 3);
  rt.stop(parent);
  assert.equal(await rt.join(parent, 20), true);
  for (const pid of [child, pull, ...pool]) assert.equal(rt.isAlive(pid), false);
  assert.throws(() => rt.spawnChild(parent, () => {}), { name: 'DeadActorError' });
});
