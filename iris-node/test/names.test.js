'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');

const { iris, runtime, until } = require('./support.js');

test('names lead to actors, and never to the dead', async (t) => {
  const rt = runtime(t);
  const pid = rt.spawn(() => {}, 100, { name: 'auth' });
  const other = rt.spawn(() => {});
  assert.deepEqual([rt.whereis('auth'), rt.resolve('auth'), rt.whereis('nobody')], [pid, pid, null]);
  assert.throws(() => rt.register('auth', other), iris.NameTakenError);
  rt.register('second', pid);
  assert.deepEqual(rt.info(pid).names, ['auth', 'second']);
  assert.equal(rt.unregister('second'), true);
  assert.equal(rt.unregister('second'), false);
  rt.stop(pid);
  await rt.join(pid, 20);
  assert.equal(rt.whereis('auth'), null);
  assert.throws(() => rt.register('auth', pid), iris.DeadActorError);
  rt.register('auth', other);
  assert.equal(rt.sendNamed('auth', 'x'), true);
});

test('paths are a tree', async (t) => {
  const rt = runtime(t);
  const one = rt.spawn(() => {}, 10);
  const two = rt.spawn(() => {}, 10);
  rt.registerPath('/system/service/one', one);
  rt.registerPath('/system/service/deep/two', two);
  assert.equal(rt.whereisPath('/system/service/one'), one);
  assert.deepEqual(rt.listChildren('/system').map(({ pid }) => pid).sort(), [one, two].sort());
  assert.deepEqual(rt.listChildrenDirect('/system/service'), [{ path: '/system/service/one', pid: one }]);
  assert.equal(rt.watchPath('/system/service'), 1);
  assert.deepEqual(rt.childPids(), [one]);
  assert.equal(rt.childrenCount(), 1);
  assert.equal(rt.unregisterPath('/system/service/one'), true);
  assert.equal(rt.whereisPath('/system/service/one'), null);
  assert.throws(() => rt.registerPath('no path', one), RangeError);
});

test('a path supervisor watches', async (t) => {
  const rt = runtime(t);
  const pid = rt.spawnWithPathObserved(10, '/svc/test/one');
  rt.createPathSupervisor('/svc/test');
  assert.equal(rt.pathSupervisorWatch('/svc/test', pid), true);
  assert.equal(rt.pathSupervisorWatch('/svc/test', pid), false);
  assert.deepEqual(rt.pathSupervisorChildren('/svc/test'), [pid]);
  assert.equal(rt.removePathSupervisor('/svc/test'), true);
  assert.equal(rt.removePathSupervisor('/svc/test'), false);
});

test('a supervised actor that crashes has a successor, with its name', async (t) => {
  const rt = runtime(t);
  const got = [];
  const handler = (message) => {
    got.push(message.toString());
    if (message.toString() === 'crash') throw new Error('crash');
  };
  let made = 0;
  const first = rt.spawn(handler, 100, { name: 'worker' });
  rt.superviseWithFactory(first, () => {
    made += 1;
    return rt.spawn(handler);
  }, 'RestartOne');
  const listener = rt.spawnWithPathObserved(10, '/listener');
  rt.watchSupervision(listener);
  rt.sendNamed('worker', 'crash');
  await until(() => rt.whereis('worker') !== null && rt.whereis('worker') !== first);
  const second = rt.whereis('worker');
  assert.equal(made, 1);
  assert.deepEqual(rt.childPids(), [second]);
  let news = [];
  await until(() => (news = news.concat(rt.getMessages(listener))).length === 1);
  assert.deepEqual(
    [news[0].system.typeName, news[0].system.fromPid, news[0].system.targetPid],
    ['RESTARTED', first, second],
  );
  rt.sendNamed('worker', 'hello');
  await until(() => got.includes('hello'));
  // A stop restarts it, too; stopChild is for good.
  rt.stop(second);
  await until(() => rt.childPids()[0] !== undefined && rt.childPids()[0] !== second);
  assert.equal(rt.stopChild(rt.childPids()[0]), true);
  await until(() => rt.childrenCount() === 0);
  assert.equal(made, 2);
});

test('a factory may be async, throw, or name its actor itself', async (t) => {
  const rt = runtime(t);
  const warnings = [];
  const note = (warning) => warnings.push(warning.message);
  process.on('warning', note);
  t.after(() => process.off('warning', note));
  let calls = 0;
  const first = rt.spawn(() => {}, 100, { name: 'own' });
  rt.createPathSupervisor('/own');
  rt.pathSuperviseWithFactory('/own', first, () => {
    calls += 1;
    if (calls === 1) throw new Error('not yet');
    // The name is reserved for the successor.
    const pid = rt.spawn(() => {}, 100, { name: 'own' });
    return new Promise((resolve) => {
      setTimeout(resolve, 5, pid);
    });
  }, 'restart_one', { restart: 'permanent' });
  rt.stop(first);
  await until(() => rt.whereis('own') !== null && rt.whereis('own') !== first);
  await until(() => rt.pathSupervisorChildren('/own').length === 1);
  assert.equal(calls, 2);
  await until(() => warnings.some((warning) => warning.includes('not yet')));
});

test('one that crashes again and again is given up', async (t) => {
  const rt = runtime(t);
  const warnings = [];
  const note = (warning) => warnings.push(warning.message);
  process.on('warning', note);
  t.after(() => process.off('warning', note));
  const handler = () => {
    throw new Error('again');
  };
  const first = rt.spawn(handler, 100, { name: 'doomed' });
  let made = 0;
  rt.superviseWithFactory(first, () => {
    made += 1;
    const pid = rt.spawn(handler);
    rt.send(pid, 'x');
    return pid;
  });
  rt.send(first, 'x');
  await until(() => warnings.some((warning) => /is given up after \d+ restarts/.test(warning)));
  assert.equal(made, 3);
  assert.equal(rt.childrenCount(), 0);
});

test('groups', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pids = ['a', 'b', 'c'].map((name) => rt.spawn((message) => got.push(`${name} ${message}`)));
  for (const pid of pids) assert.equal(rt.joinGroup('news', pid), true);
  assert.equal(rt.joinGroup('news', pids[0]), false);
  assert.deepEqual(rt.members('news'), pids);
  assert.equal(rt.leaveGroup('news', pids[1]), true);
  assert.equal(rt.publish('news', 'hello'), 2);
  assert.equal(rt.publish('nobody', 'hello'), 0);
  await until(() => got.length === 2);
  assert.deepEqual(got, ['a hello', 'c hello']);
});

test('observers keep what they receive', async (t) => {
  const rt = runtime(t);
  const pid = rt.spawnWithPathObserved(10, '/observer', { cap: 3 });
  for (const one of 'abcde') rt.send(pid, one);
  const texts = (messages) => messages.map(({ data }) => data.toString());
  await until(() => rt.observerDropped(pid) === 2);
  assert.deepEqual(texts(rt.getMessages(pid, { drain: false })), ['c', 'd', 'e']);
  assert.deepEqual(texts(rt.getMessages(pid)), ['c', 'd', 'e']);
  assert.deepEqual(rt.getMessages(pid), []);
  assert.deepEqual(rt.getMessages(999_999_999), []);
});

test('info and stats', async (t) => {
  const rt = runtime(t);
  const parent = rt.spawn(() => {});
  const pid = rt.spawnChild(parent, function worker() {}, 10, { capacity: 5 });
  rt.send(pid, 'x');
  await rt.ask(pid, 'y');
  assert.deepEqual(rt.info(pid), {
    pid,
    name: null,
    kind: 'push',
    alive: true,
    status: 'idle',
    mailboxSize: 0,
    capacity: 5,
    overflow: 'dropnew',
    overflowTarget: null,
    handled: 2,
    behaviorVersion: 1,
    behavior: 'worker',
    names: [],
    paths: [],
    parent,
    children: [],
    supervised: false,
  });
  assert.deepEqual(rt.info(parent).children, [pid]);
  const tree = rt.tree();
  assert.deepEqual(tree.roots().map((entry) => entry.pid), [parent]);
  assert.deepEqual(tree.childrenOf(parent), [{
    pid, parent, depth: 1, names: [], paths: [], behavior: 'worker', status: 'idle', mailboxSize: 0,
  }]);
  assert.deepEqual([tree.length, [...tree].length], [2, 2]);
  assert.match(String(tree), /^.*\n.* worker/);
  const { actors, busy, deadLetters } = rt.stats();
  assert.deepEqual([actors, busy, deadLetters], [2, 0, { stopped: 0, evicted: 0, refused: 0 }]);
  assert.match(rt.version(), /^\d+\.\d+\.\d+$/);
  assert.equal(iris.version(), rt.version());
  assert.equal(require('../package.json').version, rt.version());
});
