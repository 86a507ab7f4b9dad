'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { setTimeout: sleep } = require('node:timers/promises');

const { Core } = require('../lib/native.js');
const { iris, program, runtime, until } = require('./support.js');

const { Actor } = iris;
// Without it an error reaches who asks as the text of a HandlerError.
const skip = 'respond' in Core.prototype ? false : 'the native module has no respond()';

class Counter extends Actor {
  constructor(n = 0) {
    super();
    this.n = n;
  }

  add(k, times = 1) {
    this.n += k * times;
    return this.n;
  }

  async addLater(k) {
    const before = this.n;
    await sleep(1);
    this.n = before + k;
    return this.n;
  }

  bytes(data) {
    return { data, length: data.length };
  }

  fail(text) {
    throw new RangeError(text);
  }

  async failLater() {
    await null;
    throw new TypeError('later');
  }

  quit() {
    return iris.STOP;
  }

  who() {
    return [this.ref.pid, this.rt.self()];
  }

  async whoLater() {
    await sleep(1);
    return this.rt.self();
  }

  _hidden() {
    return 'hidden';
  }

  #secret() {
    return 'secret';
  }

  get secret() {
    return this.#secret();
  }
}

test('methods are called in order, and answer', async (t) => {
  const rt = runtime(t);
  const ref = rt.spawn(Counter, 3);
  assert.ok(ref instanceof iris.Ref);
  assert.equal(Number(ref), ref.pid);
  assert.equal(`${ref}`, `<iris.Ref Counter ${ref.pid}>`);
  ref.tell('add', 1);
  assert.equal(await ref.ask('add', 2), 6);
  assert.equal(await ref.ask('add', 2, undefined, { timeoutMs: 1000 }), 8);
  assert.equal(await ref.ask('add', 2, 3), 14);
  const all = await Promise.all([1, 2, 3].map((k) => ref.ask('addLater', k)));
  assert.deepEqual(all, [15, 17, 20]);
  assert.deepEqual(await ref.ask('bytes', Buffer.from('abc')), { data: Buffer.from('abc'), length: 3 });
  assert.equal(await rt.spawn(Counter).ask('add', 1), 1);
  assert.equal(rt.info(ref.pid).behavior, 'Counter');
});

test('an instance knows itself from its constructor on', async (t) => {
  const rt = runtime(t);
  let seen;
  class Early extends Actor {
    field = this.ref.pid;

    constructor() {
      super();
      seen = [this.rt, this.ref.pid];
      this.ref.tell('note', 'from the constructor');
    }

    note(text) {
      this.noted = text;
    }

    get() {
      return [this.field, this.noted];
    }
  }
  const ref = rt.spawn(Early);
  assert.deepEqual(seen, [rt, ref.pid]);
  assert.deepEqual(await ref.ask('get'), [ref.pid, 'from the constructor']);
  assert.equal(new Counter(2).add(1), 3);
  assert.equal(new Counter().ref, undefined);
  assert.deepEqual(await rt.spawn(Counter).ask('who').then(([a, b]) => a === b), true);
});

test('what a constructor throws is thrown by the spawn, and nobody is left', async (t) => {
  const rt = runtime(t);
  let pid;
  class Stillborn extends Actor {
    constructor() {
      super();
      pid = this.ref.pid;
      throw new URIError('no');
    }
  }
  assert.throws(() => rt.spawnActor(Stillborn, [], { name: 'still' }), new URIError('no'));
  await rt.join(pid, 10);
  assert.equal(rt.whereis('still'), null);
  assert.throws(() => rt.spawn(Actor), /is the base of actors/);
  assert.throws(() => rt.spawnActor(class {}, []), /must be derived from Actor/);
  assert.throws(() => rt.spawnActor(Counter, 3), TypeError);
  assert.throws(() => rt.spawnActor(Counter, [], { nam: 'x' }), /has no "nam"/);
});

test('options of a spawn are heeded', async (t) => {
  const rt = runtime(t);
  const ref = rt.spawnActor(Counter, [5], { name: 'counter', capacity: 2, budget: 7, onError: 'resume' });
  assert.equal(rt.whereis('counter'), ref.pid);
  ref.tell('add', 1);
  ref.tell('add', 1);
  assert.throws(() => ref.tell('add', 1), { name: 'MailboxFullError' });
  await assert.rejects(ref.ask('add', 1), { name: 'MailboxFullError' });
  await until(() => rt.mailboxSize(ref.pid) === 0);
  await ref.ask('fail', 'x').catch(() => {});
  assert.equal(await ref.ask('add', 0), 7);
  const child = rt.spawnActor(Counter, [], { parent: ref.pid });
  rt.stop(ref.pid);
  assert.equal(await rt.join(child.pid, 10), true);
  assert.throws(() => ref.tell('add', 1), { name: 'DeadActorError' });
  await assert.rejects(ref.ask('add', 1), { name: 'DeadActorError' });
});

test('only public methods can be called from outside', { skip }, async (t) => {
  const rt = runtime(t);
  const ref = rt.spawn(Counter);
  for (const name of ['_hidden', '#secret', 'secret', 'constructor', 'onSystem', 'ref', 'toString', 'sub', 'n']) {
    await assert.rejects(ref.ask(name), { name: 'ProtocolError', message: /no method/ }, name);
  }
  // The mistakes of senders harm nobody else.
  assert.equal(await ref.ask('add', 1), 1);
});

test('bytes that are no call are refused, and said so', { skip }, async (t) => {
  const rt = runtime(t);
  const ref = rt.spawn(Counter);
  const warned = new Promise((resolve) => {
    process.once('warning', resolve);
  });
  rt.send(ref.pid, 'junk');
  assert.match((await warned).message, /Counter.*cannot handle/);
  await assert.rejects(rt.ask(ref.pid, 'junk'), { name: 'RejectedError' });
  assert.equal(await ref.ask('add', 1), 1);
});

test('errors reach who asks as their own type, and are crashes', { skip }, async (t) => {
  class PaymentError extends Error {
    constructor(order, code) {
      super(`no money for ${order.name}`);
      this.code = code;
      this.secret = () => {};
    }
  }
  class Shop extends Counter {
    pay() {
      throw new PaymentError({ name: 'tea' }, 402);
    }

    unknown() {
      class OddError extends Error {}
      throw Object.assign(new OddError('odd'), { at: [1] });
    }

    text() {
      throw 'just text'; // eslint-disable-line no-throw-literal
    }

    date() {
      return new Date();
    }

    dead() {
      this.rt.send(1, 'x');
      throw new iris.DeadActorError('gone');
    }
  }
  const rt = runtime(t);
  iris.registerError(PaymentError);
  const failed = async (method, ...args) => {
    const ref = rt.spawn(Shop);
    const error = await ref.ask(method, ...args).then(() => assert.fail('it did not fail'), (e) => e);
    assert.equal(await rt.join(ref.pid, 10), true);
    return error;
  };
  const range = await failed('fail', 'too far');
  assert.ok(range instanceof RangeError && range.message === 'too far');
  assert.match(range.cause.stack, /^in actor \d+\nRangeError: too far\n.*fail/);
  assert.ok(await failed('failLater') instanceof TypeError);
  const payment = await failed('pay');
  assert.ok(payment instanceof PaymentError && payment.message === 'no money for tea');
  assert.equal(payment.code, 402);
  assert.equal(payment.secret, undefined);
  const odd = await failed('unknown');
  assert.ok(odd instanceof iris.RemoteError && odd.typeName === 'OddError' && odd.message === 'odd');
  assert.deepEqual(odd.details, { at: [1] });
  assert.match(odd.traceback, /unknown/);
  assert.equal((await failed('text')).message, 'just text');
  assert.match((await failed('date')).message, /^result: .*Date/);
  assert.ok(await failed('dead') instanceof iris.DeadActorError);
  assert.deepEqual(rt.crashes.map(({ error }) => error.name ?? error), [
    'RangeError', 'TypeError', 'Error', 'Error', 'just text', 'CodecError', 'DeadActorError',
  ]);
  assert.throws(() => iris.registerError(class RangeError extends Error {}), /another class/);
  assert.throws(() => iris.registerError(Counter), /must be derived from Error/);
});

test('a method that returns STOP ends its actor, with an answer', { skip }, async (t) => {
  const rt = runtime(t);
  const ref = rt.spawn(Counter);
  assert.equal(await ref.ask('quit'), null);
  assert.equal(await rt.join(ref.pid, 10), true);
  assert.equal(rt.crashes.length, 0);
});

test('an answer is given up in time, or when a signal says so', async (t) => {
  class Slow extends Actor {
    forever() {
      return new Promise(() => {});
    }
  }
  const rt = runtime(t);
  await assert.rejects(rt.spawn(Slow).ask('forever', { timeoutMs: 5 }), iris.AskTimeout);
  const controller = new AbortController();
  const asked = rt.spawn(Slow).ask('forever', { signal: controller.signal });
  controller.abort(new Error('enough'));
  await assert.rejects(asked, new Error('enough'));
  await assert.rejects(rt.spawn(Slow).ask('forever', { timeoutMs: NaN }), RangeError);
  // An object with another key is an argument.
  assert.deepEqual(await rt.spawn(Counter).ask('bytes', { length: 1, timeoutMs: 1 }), {
    data: { length: 1, timeoutMs: 1 }, length: 1,
  });
});

test('circles are told at once, behind an await, too', { skip }, async (t) => {
  let answered = false;
  class Node extends Actor {
    async pass(pids) {
      await null;
      if (pids.length === 0) return 'end';
      return this.rt.refTo(pids[0], Node).ask('pass', pids.slice(1));
    }

    async detached() {
      const asked = new Promise((resolve) => {
        setTimeout(() => resolve(this.ref.ask('pass', [])), 1);
      });
      this.later = asked.finally(() => {
        answered = true;
      });
      return 'gone on';
    }

    async result() {
      const { later } = this;
      return later.then((value) => value);
    }
  }
  const rt = runtime(t);
  const [a, b, c] = [rt.spawn(Node), rt.spawn(Node), rt.spawn(Node)];
  assert.equal(await a.ask('pass', [b.pid, c.pid]), 'end');
  await assert.rejects(a.ask('pass', [a.pid]), { name: 'DeadlockError' });
  const [d, e, f] = [rt.spawn(Node), rt.spawn(Node), rt.spawn(Node)];
  await assert.rejects(d.ask('pass', [e.pid, f.pid, d.pid]), { name: 'DeadlockError' });
  // What a method has left behind does not wait for the actor.
  const g = rt.spawn(Node);
  assert.equal(await g.ask('detached'), 'gone on');
  await until(() => answered);
  assert.equal(await g.ask('result'), 'end');
  const h = rt.spawn(Counter);
  assert.equal(await h.ask('whoLater'), h.pid);
  assert.equal(rt.self(), null);
});

test('system messages come to onSystem', async (t) => {
  class Watcher extends Actor {
    seen = [];

    onSystem({ typeName, targetPid, reason }) {
      this.seen.push([typeName, targetPid, reason]);
    }

    get() {
      return this.seen;
    }
  }
  const rt = runtime(t);
  const watcher = rt.spawnActor(Watcher, [], { system: true });
  const other = rt.spawn(Counter);
  rt.monitor(watcher.pid, other.pid);
  rt.stop(other.pid);
  await rt.join(other.pid, 10);
  let seen = [];
  while (seen.length === 0) seen = await watcher.ask('get');
  assert.deepEqual(seen, [['DOWN', other.pid, 'killed']]);
});

test('a swap of classes keeps its place, and what the instance has', async (t) => {
  class V2 extends Actor {
    add(k) {
      this.n += 10 * k;
      return this.n;
    }

    twice() {
      return this.n * 2;
    }
  }
  class Private extends Actor {
    #n;

    constructor(n) {
      super();
      this.#n = n;
    }

    add(k) {
      this.#n += k;
      return [this.#n, this.ref.pid];
    }
  }
  const rt = runtime(t);
  const ref = rt.spawn(Counter, 1);
  const first = ref.ask('add', 1);
  assert.equal(rt.hotSwap(ref, V2), 2);
  const second = ref.ask('add', 1);
  assert.deepEqual(await Promise.all([first, second]), [2, 12]);
  assert.equal(await rt.refTo(ref.pid, V2).ask('twice'), 24);
  assert.equal(rt.rollbackBehavior(ref.pid), 1);
  assert.equal(await ref.ask('add', 1), 13);
  rt.hotSwap(ref, V2, { migrate: (old) => ({ n: old.n * 1000 }) });
  assert.equal(await ref.ask('add', 1), 13010);
  assert.throws(() => rt.hotSwap(ref, Private), /private fields/);
  rt.hotSwap(ref.pid, Private, { migrate: (old) => new Private(old.n) });
  assert.deepEqual(await ref.ask('add', 1), [13011, ref.pid]);
  const plain = rt.spawn(() => {});
  assert.throws(() => rt.hotSwap(plain, V2), /none of a class/);
  assert.throws(() => rt.hotSwap(999_999_999, V2), { name: 'DeadActorError' });
  assert.throws(() => rt.hotSwap(ref, V2, { migrate: 3 }), TypeError);
});

test('a migration that fails leaves the actor as it was', async (t) => {
  const rt = runtime(t);
  const ref = rt.spawn(Counter, 1);
  const warned = new Promise((resolve) => {
    process.once('warning', resolve);
  });
  rt.hotSwap(ref, class Other extends Counter {}, {
    migrate() {
      throw new Error('cannot');
    },
  });
  assert.equal(await ref.ask('add', 1), 2);
  assert.match((await warned).message, /swap .*failed; it goes on as Counter: Error: cannot/);
  assert.equal(await ref.ask('add', 1), 3);
});

test('a call is a message for timers and groups', async (t) => {
  const rt = runtime(t);
  const ref = rt.spawn(Counter);
  rt.sendAfter(ref.pid, 1, ref.pack('add', 5));
  rt.joinGroup('counters', ref.pid);
  rt.publish('counters', ref.pack('add', 2));
  while (await ref.ask('add', 0) < 7) await sleep(1);
  assert.equal(await ref.ask('add', 0), 7);
});

test('actors that have ended are let go, and the process ends by itself', async () => {
  const ended = await program(`
    class C extends iris.Actor { constructor() { super(); this.big = new Array(100).fill(this); } add(k) { return k; } }
    (async () => {
      const made = Array.from({ length: 1000 }, () => {
        const ref = rt.spawn(C);
        return [new WeakRef(ref), ref.pid];
      });
      for (const [, pid] of made) rt.stop(pid);
      await Promise.all(made.map(([, pid]) => rt.join(pid, 10)));
      let left = 1000;
      for (let i = 0; i < 200 && left > 50; i++) {
        await rt.spawn(C).ask('add', 1);
        await new Promise((resolve) => { setImmediate(resolve); });
        gc();
        left = made.filter(([ref]) => ref.deref() !== undefined).length;
      }
      print(left <= 50 ? 'collected' : String(left));
    })();`, { args: ['--expose-gc'] });
  assert.equal(ended.out, 'collected\n', ended.err);
  assert.equal(ended.code, 0);
});
