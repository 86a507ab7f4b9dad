'use strict';
// Two nodes in one process: they know each other by address only.

const test = require('node:test');
const assert = require('node:assert/strict');

const { iris, runtime, until } = require('./support.js');

test('an actor of another node is found, sent to, asked and monitored', { timeout: 60_000 }, async (t) => {
  const there = runtime(t);
  const here = runtime(t);
  const got = [];
  const pid = there.spawn((message) => {
    got.push(message.toString());
    return `${message}!`;
  }, 100, { name: 'auth_worker' });
  const addr = await there.listen('127.0.0.1:0');
  assert.match(addr, /^127\.0\.0\.1:\d+$/);
  const watcher = here.spawnWithPathObserved(10, '/watcher');
  assert.equal(here.watchNodes(watcher), true);
  assert.equal(here.watchNodes(watcher), false);
  const standIn = await here.resolveRemote(addr, 'auth_worker');
  let nodes = [];
  await until(() => (nodes = nodes.concat(here.getMessages(watcher))).length > 0);
  assert.equal(nodes[0].system.typeName, 'NODE_UP');
  assert.equal(await here.resolveRemote(addr, 'nobody'), null);
  assert.equal(await here.sendRemote(addr, standIn, Buffer.from('login')), true);
  assert.equal(await here.sendRemote(addr, pid, 'by its own pid'), true);
  assert.equal(here.send(standIn, 'local'), true);
  assert.equal((await here.ask(standIn, 'question')).toString(), 'question!');
  assert.deepEqual(got.slice().sort(), ['by its own pid', 'local', 'login', 'question'].sort());
  assert.equal(await here.isNodeUp(addr), true);
  const observer = here.spawnWithPathObserved(10, '/remote');
  await here.monitorRemote(addr, standIn, observer);
  there.stop(pid);
  let news = [];
  await until(() => (news = news.concat(here.getMessages(observer))).length === 1);
  assert.deepEqual([news[0].system.typeName, news[0].system.reason], ['DOWN', 'killed']);
});

test('a large message crosses, an actor is started by name', { timeout: 60_000 }, async (t) => {
  const there = runtime(t);
  const here = runtime(t);
  there.configureMesh({ name: 'there', allowSpawn: true });
  there.registerBehavior('counter', (init) => {
    let n = Number(init);
    return there.spawn((message) => String((n += message.length)));
  });
  const addr = await there.listen('127.0.0.1:0');
  const pid = await here.spawnOn(addr, 'counter', '1000');
  assert.equal((await here.ask(pid, Buffer.alloc(3_000_000))).toString(), '3001000');
  assert.deepEqual(here.nodes().map(({ name }) => name), ['there']);
  await assert.rejects(here.spawnOn(addr, 'unknown'), iris.MeshError);
});

test('what cannot be reached says so', { timeout: 60_000 }, async (t) => {
  const rt = runtime(t);
  const other = runtime(t);
  const addr = await other.listen('127.0.0.1:0');
  await assert.rejects(rt.listen(addr), iris.MeshError);
  await other.shutdown(0);
  assert.equal(await rt.isNodeUp(addr), false);
  await assert.rejects(rt.resolveRemote(addr, 'x'), iris.MeshError);
});

test('nodes of a mesh find names', { timeout: 60_000 }, async (t) => {
  const seed = runtime(t);
  const member = runtime(t);
  const seedAddr = await seed.listen('127.0.0.1:0');
  await member.listen('127.0.0.1:0');
  await seed.joinMesh(seedAddr, { membership: 'swim' }).catch(() => {});
  assert.equal(await member.joinMesh([seedAddr]), true);
  const pid = seed.spawn((message) => message, 100, { name: 'echo' });
  const found = await member.lookup('echo', 20);
  assert.equal((await member.ask(found, 'hello')).toString(), 'hello');
  assert.equal(seed.lookup('echo'), pid);
  assert.equal(member.meshMembers().length, 1);
});
