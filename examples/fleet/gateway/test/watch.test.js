'use strict';
// What the gateway asks and hears, with a mesh that is made up.

const assert = require('node:assert/strict');
const test = require('node:test');

const { Model } = require('../model.js');
const { Watch } = require('../watch.js');

const PATIENCE = { timeout: 30_000 };
const GAUGE = Buffer.alloc(8);

/** A runtime with a board, and a node whose gauge answers or does not. */
class FakeRuntime {
  phase = 'streaming';
  address = 'first';
  found = 0;
  asking = 0;
  most = 0;
  gauge = async () => GAUGE;
  #monitors = 0;

  async resolveRemote(address, name) {
    return name === 'board' ? 1 : 2;
  }

  refTo() {
    return { ask: (...call) => this.#board(...call) };
  }

  async #board(method, since) {
    if (method === 'units') return [['N1', 'UA', 0]];
    this.most = Math.max(this.most, ++this.asking);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
    this.asking -= 1;
    const incidents = Array.from({ length: this.found - since }, () => [0, 1, 99, 5, '']);
    const node = { name: 'a', kind: '', address: this.address, life: 1, pid: 1, aircraft: 1, acknowledged: 0, open: 0 };
    return { phase: this.phase, verdict: null, flights: 9, streamed: 1, swapAt: 5, date: '', losses: [], nodes: [node], incidents };
  }

  spawn(handler) {
    this.hear = handler;
    return 3;
  }

  watchNodes() {}

  monitor() {
    return ++this.#monitors;
  }

  ask() {
    return this.gauge();
  }

  down() {
    this.hear({ typeName: 'DOWN', reference: this.#monitors, reason: 'noconnection' });
  }
}

async function begun(t) {
  const rt = new FakeRuntime();
  const model = new Model('epoch');
  const watch = new Watch(rt, model, () => 0);
  t.after(() => watch.end());
  await watch.begin('somewhere');
  const state = () => model.since(0).nodes[0].state;
  await until(() => state() === 'up');
  return { rt, model, state };
}

async function until(condition) {
  const end = Date.now() + PATIENCE.timeout;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`it never came to be: ${condition}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
}

test('a node that is down is found again at its new address', PATIENCE, async (t) => {
  const { rt, model, state } = await begun(t);
  rt.gauge = () => Promise.reject(new Error('dead'));
  rt.address = '';
  rt.down();
  await until(() => state() === 'down');
  rt.gauge = async () => GAUGE;
  rt.address = 'second';
  await until(() => state() === 'up');
  assert.deepEqual(model.since(0).log.map(({ kind }) => kind), ['start', 'up', 'down', 'up']);
});

test('a node that is told to end is not down', PATIENCE, async (t) => {
  const { rt, model, state } = await begun(t);
  rt.phase = 'checking';
  rt.down();
  await until(() => state() === 'ended');
  assert.deepEqual(model.since(0).log.map(({ kind }) => kind), ['start', 'up']);
});

test('a node that does not answer is stalled until it does', PATIENCE, async (t) => {
  const { rt, state } = await begun(t);
  rt.gauge = () => Promise.reject(Object.assign(new Error('late'), { name: 'AskTimeoutError' }));
  await until(() => state() === 'stalled');
  rt.gauge = async () => GAUGE;
  await until(() => state() === 'up');
});

test('no incident counts twice, however many want to know at once', PATIENCE, async (t) => {
  const { rt, model } = await begun(t);
  rt.found = 7;
  for (let i = 0; i < 20; i++) {
    rt.down();
    rt.found += 1;
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
  await until(() => model.incidents >= rt.found);
  await until(() => rt.asking === 0);
  assert.equal(model.incidents, rt.found);
  assert.equal(rt.most, 1, 'one question after the other');
});
