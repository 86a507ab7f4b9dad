'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');

const { iris, program, runtime } = require('./support.js');

const says = (text) => ({ data, system }) => system === undefined && data.toString() === text;
const texts = (messages) => messages.map(({ data }) => data.toString());

test('a selective receive waits for what matches and leaves the rest', async (t) => {
  const rt = runtime(t);
  const observer = rt.spawnWithPathObserved(10, '/o');
  let looks = 0;
  const waits = rt.selectiveRecv(observer, (message) => {
    looks += 1;
    return says('b')(message);
  });
  for (const text of ['a', 'a', 'b', 'c']) {
    rt.send(observer, text);
    // It is there, and the loop has turned.
    await rt.ask(observer, '');
  }
  assert.equal((await waits).data.toString(), 'b');
  assert.equal(looks, 3, 'each message is looked at once');
  assert.deepEqual(texts(rt.getMessages(observer)), ['a', 'a', 'c']);
});

test('several wait, each for its own, and one message is for one of them', async (t) => {
  const rt = runtime(t);
  const observer = rt.spawnWithPathObserved(10, '/o');
  const pid = rt.spawn(() => iris.STOP);
  rt.monitor(observer, pid);
  const [x, first, second, down] = [
    rt.selectiveRecv(observer, says('x')),
    rt.selectiveRecv(observer, says('y')),
    rt.selectiveRecv(observer, says('y')),
    rt.selectiveRecv(observer, ({ system }) => system?.typeName === 'DOWN'),
  ];
  rt.send(observer, 'y');
  assert.equal((await Promise.race([first, second])).data.toString(), 'y');
  rt.send(pid, 'end');
  assert.equal((await down).system.targetPid, pid);
  rt.send(observer, 'x');
  assert.equal((await x).data.toString(), 'x');
  rt.send(observer, 'y');
  assert.deepEqual(texts(await Promise.all([first, second])), ['y', 'y']);
  assert.deepEqual(rt.getMessages(observer), []);
});

test('a selective receive ends with its time, its matcher or its observer', async (t) => {
  const rt = runtime(t);
  const observer = rt.spawnWithPathObserved(10, '/o');
  assert.equal(await rt.selectiveRecv(observer, says('x'), 0), null);
  rt.send(observer, 'kept');
  await rt.ask(observer, '');
  const thrown = new Error('no matcher');
  const throws = () => {
    throw thrown;
  };
  await assert.rejects(rt.selectiveRecv(observer, throws), thrown);
  const waits = rt.selectiveRecv(observer, ({ data }) => {
    // Whatever else it does.
    rt.send(observer, 'more');
    return data.toString() === 'more';
  });
  assert.equal((await waits).data.toString(), 'more');
  assert.equal(texts(rt.getMessages(observer, { drain: false }))[0], 'kept');
  const late = rt.selectiveRecv(observer, says('never'));
  rt.stop(observer);
  await assert.rejects(late, iris.MailboxClosed);
  await assert.rejects(rt.selectiveRecv(observer, says('x')), iris.MailboxClosed);
  await assert.rejects(rt.selectiveRecv(rt.spawn(() => {}), says('x')), RangeError);
  assert.throws(() => rt.selectiveRecv(observer, 'x'), TypeError);
  assert.throws(() => rt.selectiveRecv(observer, says('x'), -1), RangeError);
});

test('one that has found something keeps nothing waiting', async () => {
  const { out, code } = await program(`
    const observer = rt.spawnWithPathObserved(10, '/o');
    rt.send(observer, 'x');
    rt.ask(observer, '').then(() => rt.selectiveRecv(observer, () => true, 1000))
      .then(({ data }) => print(String(data)));
  `);
  assert.deepEqual([out, code], ['x\n', 0]);
});
