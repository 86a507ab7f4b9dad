'use strict';
// Handlers that are at one message for long are told of.

const test = require('node:test');
const assert = require('node:assert/strict');

const { iris, program, until } = require('./support.js');

/** Of a runtime with this watchdog: what it warns of, and what it is called. */
function watched(t, watchdog) {
  const rt = new iris.NodeRuntime({ watchdog });
  const warnings = [];
  const listen = (warning) => {
    if (warning.name === 'IrisWatchdogWarning') warnings.push(warning.message);
  };
  process.on('warning', listen);
  t.after(() => {
    process.off('warning', listen);
    return rt.shutdown(0);
  });
  return { rt, warnings };
}

test('a handler that keeps the loop is told of while it does', async () => {
  let seen = '';
  const { err, code, signal } = await program(`
    rt.setWatchdog(0.05);
    const pid = rt.spawn(function stuck() {
      print('pid ' + pid);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });
    rt.send(pid, 'x');
  `, {
    onError: (text, child) => {
      seen = text;
      if (/event loop/.test(text)) child.kill('SIGKILL');
    },
  });
  assert.equal(code, null);
  assert.equal(signal, 'SIGKILL', err);
  assert.match(seen, /^iris: actor \d+ \(stuck\) has been at one message for \d+\.\d(ms|s) and keeps the event loop/);
});

test('many messages that take no time each are no reason', async () => {
  const { out, err } = await program(`
    rt.setWatchdog(0.6);
    const end = Date.now() + 1500;
    let handled = 0;
    const pid = rt.spawn(() => {
      handled += 1;
      for (const until = Date.now() + 5; Date.now() < until;);
      if (Date.now() < end) rt.sendMany(pid, ['x']);
      else print(handled > 50);
    });
    rt.sendMany(pid, Array(20).fill('x'));
  `);
  assert.equal(err, '');
  assert.match(out, /^true\n/);
});

test('one that awaits is told of, and goes on', async (t) => {
  const { rt, warnings } = watched(t, 0.02);
  let go;
  const pid = rt.spawn(async function patient() {
    await new Promise((resolve) => { go = resolve; });
    return 'done';
  });
  const answer = rt.ask(pid, 'x');
  rt.send(pid, 'y');
  await until(() => warnings.length > 0);
  assert.match(warnings[0], new RegExp(`^actor ${pid} \\(patient\\) has awaited for \\d+\\.\\d s over one message`));
  await until(() => warnings.length > 1, 'it is told of again');
  go();
  assert.equal((await answer).toString(), 'done');
});

test('one that awaits again and again, over a message each, is not', async (t) => {
  const { rt, warnings } = watched(t, 1);
  let handled = 0;
  const pid = rt.spawn(async () => {
    await new Promise((resolve) => { setTimeout(resolve, 25); });
    handled += 1;
  });
  rt.sendMany(pid, Array(60).fill('x'));
  await until(() => handled === 60);
  assert.deepEqual(warnings, []);
});

test('it can be turned off and on', async (t) => {
  const { rt, warnings } = watched(t, null);
  let done = false;
  const pid = rt.spawn(async () => {
    await until(() => done);
  });
  rt.send(pid, 'x');
  await new Promise((resolve) => { setTimeout(resolve, 50); });
  assert.deepEqual(warnings, []);
  rt.setWatchdog(0.01);
  await until(() => warnings.length > 0);
  rt.setWatchdog(null);
  const { length } = warnings;
  await new Promise((resolve) => { setTimeout(resolve, 50); });
  assert.equal(warnings.length, length);
  done = true;
});

test('times that are none are refused', (t) => {
  const { rt } = watched(t, Infinity);
  for (const wrong of [0, -1, NaN]) {
    assert.throws(() => rt.setWatchdog(wrong), RangeError);
    assert.throws(() => new iris.NodeRuntime({ watchdog: wrong }), RangeError);
  }
  for (const wrong of ['1', {}, undefined]) assert.throws(() => rt.setWatchdog(wrong), TypeError);
  assert.throws(() => new iris.NodeRuntime({ watchdog: '1' }), TypeError);
});
