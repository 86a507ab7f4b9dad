'use strict';
// Who may do what at a node: rules, certificates that are renewed, and what is refused.

const test = require('node:test');
const assert = require('node:assert/strict');
const { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const { iris, runtime, until } = require('./support.js');

const SECRET = Buffer.alloc(32, 7);

function folder(t) {
  const made = mkdtempSync(path.join(os.tmpdir(), 'iris-'));
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

test('a peer reaches what its rule names', { timeout: 60_000 }, async (t) => {
  const rt = runtime(t);
  const there = runtime(t);
  rt.configureMesh({ acl: [{ peers: '*', send: ['public.'], resolve: ['public.'] }] });
  const secret = rt.spawn(() => 'private', 100, { name: 'private' });
  rt.spawn((message) => message, 100, { name: 'public.echo' });
  const addr = await rt.listen('127.0.0.1:0');
  const remote = await there.resolveRemote(addr, 'public.echo');
  assert.equal((await there.ask(remote, 'hello')).toString(), 'hello');
  await assert.rejects(there.resolveRemote(addr, 'private'), /does not let this node look up "private"/);
  assert.equal(rt.meshDenied(), 1);
  // By its pid: the stand-in ends, for the node knows of no such actor.
  await there.sendRemote(addr, secret, 'x');
  await until(() => rt.meshDenied() >= 2);
  // Rules change while nodes run.
  rt.setMeshAcl([]);
  await assert.rejects(there.ask(remote, 'denied'), iris.DeadActorError);
  rt.setMeshAcl(null);
  const found = await there.resolveRemote(addr, 'private');
  assert.equal((await there.ask(found, '?')).toString(), 'private');
});

test('rules are for names that are proven, and who is denied is cut off', { timeout: 60_000 }, async (t) => {
  const rt = runtime(t);
  rt.configureMesh({
    secret: SECRET, acl: [{ peers: 'web-*', send: true, resolve: true }], deny: ['web-9'],
  });
  rt.spawn((message) => message, 100, { name: 'echo' });
  const addr = await rt.listen('127.0.0.1:0');
  const peer = (name) => {
    const made = runtime(t);
    made.configureMesh({ name, secret: SECRET });
    return made;
  };
  const web = peer('web-1');
  const echo = await web.resolveRemote(addr, 'echo');
  assert.equal((await web.ask(echo, 'x')).toString(), 'x');
  await assert.rejects(peer('db').resolveRemote(addr, 'echo'), /look up/);
  await assert.rejects(peer('web-9').resolveRemote(addr, 'echo'), /denies/);
  const watcher = web.spawnWithPathObserved(10, '/watcher');
  web.monitor(watcher, echo);
  rt.setMeshDeny(['web-1']);
  const down = await web.selectiveRecv(watcher, ({ system }) => system?.typeName === 'DOWN', 30);
  assert.equal(down.system.targetPid, echo);
  await assert.rejects(web.resolveRemote(addr, 'echo'), iris.MeshError);
});

test('a peer starts what its rule names', { timeout: 60_000 }, async (t) => {
  const rt = runtime(t);
  const there = runtime(t);
  rt.configureMesh({ allowSpawn: true, acl: [{ peers: '*', send: true, spawn: ['job.'] }] });
  for (const name of ['job.echo', 'shell']) rt.registerBehavior(name, () => rt.spawn((message) => message));
  const addr = await rt.listen('127.0.0.1:0');
  const pid = await there.spawnOn(addr, 'job.echo');
  assert.equal((await there.ask(pid, 'x')).toString(), 'x');
  await assert.rejects(there.spawnOn(addr, 'shell'), iris.MeshError);
});

test('certificates name peers and are renewed', { timeout: 60_000 }, async (t) => {
  const [old, renewed] = [folder(t), folder(t)];
  const hosts = ['127.0.0.1'];
  const here = iris.makeCertificates(old, 'here', { cluster: 'c', hosts });
  const mine = iris.makeCertificates(pathToFileURL(old), 'there', { cluster: 'c', hosts, days: 1 });
  assert.equal(here.ca, mine.ca);
  assert.match(readFileSync(mine.cert, 'utf8'), /^-----BEGIN CERTIFICATE-----/);
  const rt = runtime(t);
  rt.configureMesh({
    cluster: 'c', tls: here, acl: [{ peers: 'iris://c/there', send: true, resolve: true }],
  });
  rt.spawn((message) => message, 100, { name: 'echo' });
  const addr = await rt.listen('127.0.0.1:0');
  const node = (tls) => {
    const made = runtime(t);
    made.configureMesh({ cluster: 'c', tls, connectTimeout: 10 });
    return made;
  };
  const there = node(mine);
  const echo = await there.resolveRemote(addr, 'echo');
  assert.equal((await there.ask(echo, 'x')).toString(), 'x');
  const other = iris.makeCertificates(old, 'other', { cluster: 'c', hosts });
  await assert.rejects(node(other).resolveRemote(addr, 'echo'), /look up/);
  await assert.rejects(runtime(t).resolveRemote(addr, 'echo'), iris.MeshError);
  // Another authority, in the files that the node has: who shows the old certificate is out.
  const next = iris.makeCertificates(renewed, 'here', { cluster: 'c', hosts });
  const late = iris.makeCertificates(renewed, 'there', { cluster: 'c', hosts });
  for (const part of ['ca', 'cert', 'key']) copyFileSync(next[part], here[part]);
  rt.reloadTls();
  assert.equal((await there.ask(echo, 'still')).toString(), 'still', 'connections stay');
  await assert.rejects(node({ ...mine, ca: next.ca }).resolveRemote(addr, 'echo'), iris.MeshError);
  assert.notEqual(await node(late).resolveRemote(addr, 'echo'), null);
  // What cannot be used changes nothing.
  writeFileSync(here.key, 'half a key');
  assert.throws(() => rt.reloadTls(), { name: 'RangeError', message: /the key/ });
  const none = { ca: '/no/ca.pem', cert: '/no/node.pem', key: '/no/node.key' };
  assert.throws(() => rt.reloadTls(none), { name: 'RangeError', message: /cannot read/ });
  assert.notEqual(await node(late).resolveRemote(addr, 'echo'), null);
});

test('an address is opened with certificates', { timeout: 60_000 }, async (t) => {
  const tls = iris.makeCertificates(folder(t), 'node');
  const rt = runtime(t);
  const addr = await rt.listen('127.0.0.1:0', { tls });
  const there = runtime(t);
  there.configureMesh({ tls });
  assert.equal(await there.isNodeUp(addr), true);
  await assert.rejects(rt.listen('127.0.0.1:0', { tls }), /has been used already/);
});

test('only certificates are renewed', (t) => {
  assert.throws(() => runtime(t).reloadTls(), { name: 'IrisError', message: /comes first/ });
});

test('settings that are none are refused', (t) => {
  const rt = runtime(t);
  const tls = { ca: 'a', cert: 'b', key: 'c' };
  for (const [settings, name, message] of [
    [{ acl: [{ peers: '*', sned: true }] }, 'TypeError', /acl\[0\] has no "sned"/],
    [{ acl: [{ send: true }] }, 'TypeError', /acl\[0\] needs peers/],
    [{ acl: [{ peers: '*' }, { peers: '' }] }, 'RangeError', /acl\[1\]\.peers must not be empty/],
    [{ acl: [{ peers: 7 }] }, 'TypeError', /acl\[0\]\.peers must be a string/],
    [{ acl: [{ peers: '*', send: 'x' }] }, 'TypeError', /an array of prefixes, not string/],
    [{ acl: [{ peers: '*', send: [1] }] }, 'TypeError', /an array of prefixes/],
    [{ acl: [{ peers: '*', exit: 'yes' }] }, 'TypeError', /exit must be true or false/],
    [{ acl: { peers: '*' } }, 'TypeError', /acl must be an array/],
    [{ acl: ['*'] }, 'TypeError', /acl\[0\] must be an object/],
    [{ deny: 'iris://c/x' }, 'TypeError', /deny must be an array/],
    [{ deny: [''] }, 'RangeError', /must not be empty/],
    [{ name: 'a\nb' }, 'RangeError', /control character/],
    [{ cluster: 'a\u001b[31m' }, 'RangeError', /control character/],
    [{ name: 'x'.repeat(256) }, 'RangeError', /255 bytes at most/],
    [{ secret: '' }, 'RangeError', /secret must not be empty/],
    [{ expose: 'some' }, 'RangeError', /expose must be one of/],
    [{ maxLinks: 0 }, 'RangeError', /maxLinks/],
    [{ maxUnproven: 0 }, 'RangeError', /maxUnproven/],
    [{ maxUnprovenPerIp: 1.5 }, 'RangeError', /maxUnprovenPerIp/],
    [{ heartbeat: 0 }, 'RangeError', /heartbeat/],
    [{ resume: 90_000 }, 'RangeError', /from 0 to 86400 seconds/],
    [{ tls: { ca: 'a', cert: 'b' } }, 'TypeError', /tls\.key must be a string/],
    [{ tls: null }, 'TypeError', /tls must be/],
    [{ tls: { ...tls, ca: '/no/such/file' } }, 'RangeError', /cannot read/],
    [{ nats: 4222 }, 'TypeError', /nats must be a string/],
    [{ allowLegacy: 1 }, 'TypeError', /allowLegacy/],
  ]) {
    assert.throws(() => rt.configureMesh(settings), { name, message }, JSON.stringify(settings));
  }
  assert.throws(() => rt.setMeshAcl(), TypeError);
  assert.throws(() => rt.setMeshDeny(null), TypeError);
  assert.throws(() => rt.reloadTls(null), TypeError);
  assert.throws(() => iris.makeCertificates(os.tmpdir(), 'a/b'), RangeError);
  assert.throws(() => iris.makeCertificates(os.tmpdir(), 'a', { days: 0 }), RangeError);
  assert.throws(() => iris.makeCertificates(os.tmpdir(), 'a', { hosts: 'x' }), TypeError);
  const file = path.join(folder(t), 'file');
  writeFileSync(file, '');
  assert.throws(() => iris.makeCertificates(file, 'a'), { name: 'IrisError' });
});

test('NATS is there where it is built in, and says how if it is not', { timeout: 60_000 }, async (t) => {
  const rt = runtime(t);
  const nats = 'nats://user:password@127.0.0.1:1';
  let refused = null;
  try {
    rt.configureMesh({ name: 'a', secret: SECRET, nats });
  } catch (error) {
    refused = error;
  }
  if (refused === null) {
    // Nobody serves there.
    await assert.rejects(rt.listen('nats:a'), iris.MeshError);
    return;
  }
  assert.match(refused.message, /^127\.0\.0\.1:1 cannot be used: .* --nats/);
  assert.doesNotMatch(refused.message, /password/);
  await rt.listen('127.0.0.1:0');
  await assert.rejects(rt.joinMesh([], { membership: 'nats' }), /needs configureMesh/);
});
