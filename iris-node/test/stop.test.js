'use strict';
// What actors of classes do at their end.

const test = require('node:test');
const assert = require('node:assert/strict');

const { iris, program, runtime, until } = require('./support.js');

/** A class whose instances write down their ends. */
function mortal(log) {
  return class Mortal extends iris.Actor {
    constructor(name) {
      super();
      this.name = name;
    }

    fail() {
      throw new Error('an end');
    }

    leave() {
      return iris.STOP;
    }

    rename(name) {
      this.name = name;
    }

    onStop() {
      log.push([this.name, this.rt.whereis(this.name), this.rt.isAlive(this.ref.pid)]);
    }
  };
}

test('onStop is called once for each end, before join says so', async (t) => {
  const rt = runtime(t);
  const log = [];
  const Mortal = mortal(log);
  const ends = {
    stopped: (ref) => rt.stop(ref.pid),
    drained: (ref) => rt.stop(ref.pid, { drain: true }),
    crashed: (ref) => ref.tell('fail'),
    left: (ref) => ref.tell('leave'),
  };
  for (const [name, end] of Object.entries(ends)) {
    const ref = rt.spawnActor(Mortal, [name], { name });
    end(ref);
    assert.equal(await rt.join(ref.pid, 30), true);
    assert.deepEqual(log.splice(0), [[name, null, false]]);
  }
  const parent = rt.spawn(() => {});
  const child = rt.spawnActor(Mortal, ['child'], { parent });
  rt.stop(parent);
  await rt.join(child.pid, 30);
  rt.spawn(Mortal, 'at the shutdown');
  await rt.shutdown(0);
  assert.deepEqual(log.map(([name]) => name), ['child', 'at the shutdown']);
});

test('it is of the instance in force, and no method for others', async (t) => {
  const rt = runtime(t);
  const log = [];
  class Silent extends iris.Actor {
    get() {
      return 1;
    }
  }
  const ref = rt.spawn(Silent);
  await assert.rejects(ref.ask('onStop'), iris.ProtocolError);
  rt.hotSwap(ref, mortal(log), { migrate: () => ({ name: 'second' }) });
  await ref.ask('rename', 'renamed');
  rt.stop(ref.pid);
  await until(() => log.length > 0);
  assert.deepEqual(log, [['renamed', null, false]]);
});

test('what it throws is a warning, and what it waits for is waited for by a shutdown', async () => {
  const { out, err, code } = await program(`
    class Throws extends iris.Actor {
      onStop() { throw new Error('sync'); }
    }
    class Rejects extends iris.Actor {
      async onStop() { throw new Error('async'); }
    }
    class Slow extends iris.Actor {
      async onStop() {
        await new Promise((resolve) => setTimeout(resolve, 50));
        print('closed');
      }
    }
    for (const type of [Throws, Rejects, Slow]) rt.spawn(type);
    rt.shutdown(0).then(() => print('down'));
  `);
  assert.deepEqual([out, code], ['closed\ndown\n', 0]);
  assert.match(err, /IrisStopWarning: onStop of Throws threw: Error: sync/);
  assert.match(err, /IrisStopWarning: onStop of Rejects threw: Error: async/);
});

test('a supervised actor of a class is made again, and each instance hears of its own end', async (t) => {
  const rt = runtime(t);
  const log = [];
  const Mortal = mortal(log);
  let made = 0;
  const make = () => rt.spawn(Mortal, `life ${(made += 1)}`);
  const first = make();
  rt.register('mortal', first.pid);
  // It may be async, too.
  rt.superviseWithFactory(first.pid, () => (made === 1 ? make() : Promise.resolve(make())));
  for (let life = 1; life <= 2; life++) {
    const pid = rt.whereis('mortal');
    rt.refTo(pid, Mortal).tell('fail');
    await until(() => ![null, pid].includes(rt.whereis('mortal')));
    await rt.join(pid, 30);
  }
  assert.deepEqual(log.map(([name]) => name), ['life 1', 'life 2']);
  assert.equal(await rt.refTo(rt.whereis('mortal'), Mortal).ask('rename', 'x'), null);
});

test('a process that has nothing else to do hears of it', async () => {
  const { out, code } = await program(`
    class Mortal extends iris.Actor {
      onStop() { print('over'); }
    }
    rt.stop(rt.spawn(Mortal).pid);
  `);
  assert.deepEqual([out, code], ['over\n', 0]);
});
