'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { setTimeout: sleep } = require('node:timers/promises');

const { iris, runtime, until } = require('./support.js');

test('a handler answers with what it returns', async (t) => {
  const rt = runtime(t);
  const pid = rt.spawn((message) => {
    switch (message.toString()) {
      case 'text': return 'ä';
      case 'bytes': return new Uint8Array([1, 2, 3]);
      case 'none': return undefined;
      case 'null': return null;
      case 'late': return sleep(2).then(() => 'later');
      default: return message;
    }
  });
  const answers = await Promise.all(['text', 'bytes', 'none', 'null', 'late', 'echo'].map((q) => rt.ask(pid, q)));
  assert.deepEqual(answers.map((answer) => answer.toString('latin1')), [
    Buffer.from('ä').toString('latin1'), '\x01\x02\x03', '', '', 'later', 'echo',
  ]);
});

test('questions and messages of one sender keep their order', async (t) => {
  const rt = runtime(t);
  const got = [];
  const pid = rt.spawn((message) => {
    got.push(message.toString());
    return message;
  });
  const asked = [];
  for (let i = 0; i < 100; i++) {
    rt.send(pid, `send ${i}`);
    asked.push(rt.ask(pid, `ask ${i}`));
  }
  await Promise.all(asked);
  assert.deepEqual(got, Array.from({ length: 100 }, (_, i) => [`send ${i}`, `ask ${i}`]).flat());
});

test('questions that are not answered say why', async (t) => {
  const rt = runtime(t);
  const silent = rt.spawn(() => new Promise(() => {}));
  await assert.rejects(rt.ask(silent, 'x', { timeoutMs: 10 }), (error) => {
    assert.ok(error instanceof iris.AskTimeoutError && error instanceof iris.IrisError);
    assert.match(error.message, /did not answer within 10 ms: it is running/);
    return true;
  });
  const controller = new AbortController();
  const aborted = rt.ask(silent, 'x', { signal: controller.signal });
  controller.abort(new Error('changed my mind'));
  await assert.rejects(aborted, /changed my mind/);
  await assert.rejects(rt.ask(silent, 'x', { signal: AbortSignal.abort() }), { name: 'AbortError' });
  const failing = rt.spawn(() => {
    throw new Error('not today');
  });
  await assert.rejects(rt.ask(failing, 'x'), { name: 'HandlerError', message: /Error: not today/ });
  await assert.rejects(rt.ask(failing, 'x'), { name: 'DeadActorError' });
  const wrong = rt.spawn(() => ({ an: 'object' }));
  await assert.rejects(rt.ask(wrong, 'x'), { name: 'HandlerError', message: /an answer must be/ });
  const dies = rt.spawn(() => iris.STOP);
  assert.equal((await rt.ask(dies, 'x')).length, 0);
});

test('an actor that asks itself, or in a circle, is told so at once', async (t) => {
  const rt = runtime(t);
  const own = rt.spawn((message, pid) => rt.ask(pid, 'again').catch((error) => error.name));
  assert.equal((await rt.ask(own, 'x')).toString(), 'DeadlockError');
  let b;
  const a = rt.spawn((message) => rt.ask(b, message).catch((error) => error.name));
  b = rt.spawn((message) => rt.ask(a, message).catch((error) => error.name));
  assert.equal((await rt.ask(a, 'x')).toString(), 'DeadlockError');
  const joins = rt.spawn((message, pid) => rt.join(pid).catch((error) => error.name));
  assert.equal((await rt.ask(joins, 'x')).toString(), 'DeadlockError');
});

test('100,000 actors are asked, ten at a time', async (t) => {
  const rt = runtime(t);
  const handler = (message) => message;
  const pids = Array.from({ length: 100_000 }, () => rt.spawn(handler));
  let right = 0;
  for (let i = 0; i < pids.length; i += 1000) {
    const answers = await Promise.all(pids.slice(i, i + 1000).map((pid, k) => rt.ask(pid, String(i + k))));
    answers.forEach((answer, k) => {
      if (answer.toString() === String(i + k)) right += 1;
    });
  }
  assert.equal(right, 100_000);
});

test('a question in the midst of a batch is answered alone', async (t) => {
  const rt = runtime(t);
  let sum = 0;
  const pid = rt.spawn((message) => {
    sum += Number(message);
    return String(sum);
  });
  for (let i = 1; i <= 10; i++) rt.send(pid, String(i));
  const asked = rt.ask(pid, '0');
  for (let i = 1; i <= 10; i++) rt.send(pid, '1');
  assert.equal((await asked).toString(), '55');
  await until(() => sum === 65);
});
