'use strict';
// Wrong arguments throw, and never end the process.

const test = require('node:test');
const assert = require('node:assert/strict');

const { iris, program, runtime } = require('./support.js');

const SUPPORT = require.resolve('./support.js');

const VALUES = `
  const values = () => [
    undefined, null, true, NaN, Infinity, -Infinity, -1, 0, 1.5, 2 ** 53, 2 ** 32, 42, 10n, '', 'text',
    '/a/path', Symbol('s'), [], [1, 'a'], {}, { name: 5, drain: 1 }, () => {}, new Uint8Array(0),
    Buffer.from('x'), new Date(), new Proxy({}, { get() { throw new Error('hostile'); } }),
    Object.create(null), new Map(), 'x'.repeat(70000), '\\ud800', new Error('e'), Promise.resolve(1),
  ];
`;

test('every method with every kind of wrong value', { timeout: 120_000 }, async () => {
  const result = await program(`${VALUES}
    process.on('unhandledRejection', (error) => { print('unhandled ' + (error?.stack ?? error)); process.exit(9); });
    const rt = new iris.NodeRuntime();
    rt.onCrash(() => {});
    const pid = rt.spawn(() => {});
    const { methodsOf } = require(${JSON.stringify(SUPPORT)});
    const names = methodsOf(iris.NodeRuntime.prototype);
    let calls = 0;
    const wrong = new Set();
    const looked = (name, error) => {
      const known = error instanceof TypeError || error instanceof RangeError
        || error instanceof iris.IrisError || String(error?.message) === 'hostile';
      if (!known) wrong.add(name + ': ' + (error?.stack ?? String(error)));
    };
    const waits = [];
    const attempt = (name, args) => {
      calls += 1;
      try {
        const returned = rt[name](...args);
        if (returned instanceof Promise) waits.push(returned.catch((error) => looked(name, error)));
      } catch (error) {
        looked(name, error);
      }
      rt.unref(); rt.onCrash(() => {}); rt.onDeadLetter(null);
    };
    const slow = ['shutdown', 'joinMesh', 'isNodeUp', 'resolveRemote', 'sendRemote', 'monitorRemote', 'spawnOn', 'lookup', 'listen'];
    for (const name of names) {
      if (name === 'shutdown') continue;
      for (const first of values()) {
        attempt(name, [first]);
        if (slow.includes(name)) continue;
        for (const second of values()) {
          attempt(name, [first, second]);
          attempt(name, [pid, second, first]);
        }
      }
    }
    for (const value of values()) {
      if (value === undefined || (typeof value === 'number' && value >= 0 && value < Infinity)) continue;
      attempt('shutdown', [value]);
    }
    // The actor that half of the calls were about may have been stopped; nothing else may have happened.
    let handled = 0;
    const after = rt.spawn(() => { handled += 1; return 'still here'; });
    rt.ref();
    (async () => {
      print(String(await rt.ask(after, 'x')));
      print([...wrong].slice(0, 5).join('\\n') + calls);
      process.exit(0);
    })();
  `, { timeoutMs: 100_000, before: '' });
  assert.deepEqual([result.timedOut, result.code, result.signal], [false, 0, null], result.err + result.out);
  assert.match(result.out, /^still here\n\d+\n$/);
});

test('every function of the native module with every kind of wrong value', { timeout: 120_000 }, async () => {
  const result = await program(`${VALUES}
    const { Core } = require(${JSON.stringify(require.resolve('../lib/native.js'))});
    const core = new Core(() => {});
    for (const value of values()) {
      if (typeof value === 'function') continue;
      try { new Core(value); } catch {}
      try { Core.prototype.whereis.call(value, 'x'); } catch {}
    }
    let calls = 0;
    // Those that are functions have the runtime with them, whatever they are called on.
    const raw = Object.entries(core.functions());
    const methods = Object.getOwnPropertyNames(Core.prototype)
      .filter((name) => !['constructor', 'close', 'shutdown'].includes(name))
      .map((name) => [name, core[name].bind(core)]);
    const small = () => [new Uint8Array(8), new Int32Array(1), new Float64Array(0)];
    for (const [name, call] of [...methods, ...raw]) {
      const all = values();
      for (const first of all) {
        for (const second of all) {
          for (const rest of [[], [second, first], [first, 1, 1, 1], ['a', 'b', 'c', 'd'], [Buffer.from('x'), 1, 1]]) {
            calls += 1;
            try { call(first, second, ...rest); } catch {}
            if (name === 'listen' || name.endsWith('Remote') || name === 'spawnOn') break;
          }
          if (name === 'listen' || name.endsWith('Remote') || name === 'spawnOn') break;
        }
      }
    }
    const live = core.functions().spawnPlain(0, 100, 0, 'x');
    for (const [, call] of raw) {
      for (const first of [true, ...small(), 1, -1]) {
        for (const second of [...small(), live, 2 ** 31]) {
          for (const third of [...small(), 0, 7, -1]) {
            calls += 1;
            core.functions().send(live, Buffer.alloc(9));
            try { call(first, second, third, ...small()); } catch {}
          }
        }
      }
    }
    print(calls);
    process.exit(0);
  `, { timeoutMs: 100_000, before: '' });
  assert.deepEqual([result.timedOut, result.code, result.signal], [false, 0, null], result.err.slice(0, 2000));
  assert.ok(Number(result.out) > 10_000);
});

test('errors say what was wrong', (t) => {
  const rt = runtime(t);
  const pid = rt.spawn(() => {});
  const cases = [
    [() => rt.spawn(42), TypeError, 'handler must be a function, not number'],
    [() => rt.spawn(() => {}, 0), RangeError, 'budget must be an integer from 1 to 2^32 - 1, not 0'],
    [() => rt.spawn(() => {}, 10, { nmae: 'x' }), TypeError, 'options has no "nmae"; it may have name, capacity, system, onError'],
    [() => rt.spawnBounded(() => {}, 0, 10), RangeError, 'capacity must be an integer from 1 to 2^32 - 1, not 0'],
    [() => rt.send('1', 'x'), TypeError, 'pid must be a number, not string'],
    [() => rt.send(10n, 'x'), TypeError, 'pid must be a number, not bigint'],
    [() => rt.send(2 ** 53, 'x'), RangeError, 'pid must be an integer from 0 to 2^53 - 1, not 9007199254740992'],
    [() => rt.send(pid, { a: 1 }), TypeError, 'a message must be a Buffer, another typed array, an ArrayBuffer or a string, not an object (Object)'],
    [() => rt.sendInterval(pid, 0, 'x'), RangeError, 'ms must be at least 1, not 0'],
    [() => rt.sendAfter(pid, NaN, 'x'), RangeError, 'ms must be at least 0, not NaN'],
    [() => rt.setOverflowPolicy(pid, 'spill'), RangeError, 'the policy "spill" needs a target: the pid that overflowing messages go to'],
    [() => rt.superviseWithFactory(pid, () => 1, 'sometimes'), RangeError, /strategy must be one of/],
    [() => rt.register('', pid), RangeError, /name/],
    [() => rt.getMessages(pid), RangeError, /is no observer/],
    [() => rt.pathSupervisorChildren('/none'), iris.NoSupervisorError, /none/],
  ];
  for (const [call, type, text] of cases) {
    assert.throws(call, (error) => {
      assert.ok(error instanceof type, `${error}`);
      if (typeof text === 'string') assert.equal(error.message, text);
      else assert.match(error.message, text);
      return true;
    });
  }
});
