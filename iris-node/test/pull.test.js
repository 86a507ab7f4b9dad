'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');

const { iris, runtime, until } = require('./support.js');

test('recv gives messages in order, null when none comes in time', async (t) => {
  const rt = runtime(t);
  const log = [];
  const pid = rt.spawnWithMailbox(async (mailbox) => {
    const first = await mailbox.recv();
    log.push(first.data.toString());
    log.push(await mailbox.recv(0.01));
    log.push((await mailbox.recv(20)).data.toString());
    log.push(await mailbox.recv(0));
  }, 100);
  rt.send(pid, 'start');
  await until(() => log.length === 2);
  rt.send(pid, 'confirm');
  assert.equal(await rt.join(pid, 20), true);
  assert.deepEqual(log, ['start', null, 'confirm', null]);
});

test('for await receives until the actor is stopped, which is a quiet end', async (t) => {
  const rt = runtime(t);
  const got = [];
  const observer = rt.spawnWithPathObserved(10, '/pull/observer');
  const pid = rt.spawnWithMailbox(async (mailbox) => {
    for await (const { data } of mailbox) got.push(data.toString());
    got.push('after');
  });
  rt.monitor(observer, pid);
  for (let i = 0; i < 1000; i++) rt.send(pid, String(i));
  await until(() => got.length === 1000);
  rt.stop(pid);
  assert.equal(await rt.join(pid, 20), true);
  assert.equal(got.at(-1), 'after');
  assert.deepEqual(got.slice(0, 1000), Array.from({ length: 1000 }, (_, i) => String(i)));
  let news = [];
  await until(() => (news = news.concat(rt.getMessages(observer))).length === 1);
  assert.equal(news[0].system.reason, 'killed');
});

test('a pull actor with much mail does not keep the loop from turning', async (t) => {
  const rt = runtime(t);
  let got = 0;
  let turns = 0;
  const pid = rt.spawnWithMailbox(async (mailbox) => {
    for await (const one of mailbox) got += one.data.length;
  }, 50);
  for (let i = 0; i < 20_000; i++) rt.send(pid, 'x');
  const turn = () => {
    turns += 1;
    if (got < 20_000) setImmediate(turn);
  };
  setImmediate(turn);
  await until(() => got === 20_000);
  assert.ok(turns > 100, `${turns} turns`);
});

test('selectiveRecv takes what matches and leaves the rest in order', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawnWithMailbox(async (mailbox) => {
    const is = (text) => (message) => message.data.toString() === text;
    got.push((await mailbox.selectiveRecv(is('c'))).data.toString());
    got.push(await mailbox.selectiveRecv(is('z'), 0.01));
    got.push(rt.mailboxSize(mailbox.pid));
    await assert.rejects(mailbox.selectiveRecv(() => {
      throw new Error('hard to please');
    }), /hard to please/);
    const wait = mailbox.selectiveRecv(is('late'));
    await assert.rejects(mailbox.recv(), /one at a time/);
    got.push((await wait).data.toString());
    for (const one of await mailbox.recvMany(10)) got.push(one.data.toString());
  });
  for (const one of 'abcd') rt.send(pid, one);
  await until(() => got.length === 3);
  rt.send(pid, 'late');
  assert.equal(await rt.join(pid, 20), true);
  assert.deepEqual(got, ['c', null, 3, 'late', 'a', 'b', 'd']);
});

test('one that throws crashes; MailboxClosed may leave it', async (t) => {
  const rt = runtime(t);
  const observer = rt.spawnWithPathObserved(10, '/pull/ends');
  const throws = rt.spawnWithMailbox(async (mailbox) => {
    await mailbox.recv();
    throw new RangeError('out of it');
  });
  const leaves = rt.spawnWithMailbox(async (mailbox) => {
    for (;;) await mailbox.recv();
  });
  const notAsync = rt.spawnWithMailbox(() => {
    throw new Error('at once');
  });
  for (const pid of [throws, leaves, notAsync]) rt.monitor(observer, pid);
  rt.send(throws, 'x');
  rt.stop(leaves);
  let news = [];
  await until(() => (news = news.concat(rt.getMessages(observer))).length === 3);
  const ends = new Map(news.map(({ system }) => [system.targetPid, system]));
  assert.equal(ends.get(throws).metadata.message, 'out of it');
  assert.equal(ends.get(leaves).reason, 'killed');
  assert.equal(rt.crashes.length, 2);
});

test('stopped while it waits for something else, it ends there', async (t) => {
  const rt = runtime(t);
  let box;
  const pid = rt.spawnWithMailbox((mailbox) => {
    box = mailbox;
    return new Promise(() => {});
  });
  await until(() => box !== undefined);
  rt.send(pid, 'left');
  rt.stop(pid);
  assert.equal(await rt.join(pid, 20), true);
  await assert.rejects(box.recv(), iris.MailboxClosed);
  assert.equal(rt.deadLetters(), 1);
});

test('a pull actor answers with reply, and hears system messages', async (t) => {
  const rt = runtime(t);
  const heard = [];
  const pid = rt.spawnWithMailbox(async (mailbox) => {
    for await (const { data, system } of mailbox) {
      if (system) heard.push(system.typeName);
      else mailbox.reply(`${data}!`);
    }
  });
  assert.equal((await rt.ask(pid, 'hello')).toString(), 'hello!');
  const other = rt.spawn(() => {});
  rt.monitor(pid, other);
  rt.stop(other);
  await until(() => heard.length === 1);
  assert.deepEqual(heard, ['DOWN']);
});
