'use strict';
// What is shown, from what is said: no process and no clock.

const assert = require('node:assert/strict');
const test = require('node:test');

const { Model } = require('../model.js');

const LOSS = { node: 'a', after: 90, killed: true, reason: '', restarted: null, back: null, aircraft: 0, resent: 0 };

function facts(more = {}) {
  const node = (name) => ({ name, kind: 'Python', address: '', life: 1, pid: 1, aircraft: 1, acknowledged: 0, open: 0 });
  return {
    phase: 'streaming', verdict: null, flights: 1_000, streamed: 0, swapAt: 500, date: '', losses: [], incidents: [],
    nodes: [node('a'), node('b')], ...more,
  };
}

/** A gauge's answer: life, and unit, flights, version, mean of each aircraft. */
function answer(life, ...aircraft) {
  const bytes = Buffer.alloc(8 + aircraft.length * 20);
  bytes.writeUInt32LE(life, 0);
  bytes.writeUInt32LE(aircraft.length, 4);
  aircraft.forEach(([unit, flights, version, mean], index) => {
    [unit, flights, version].forEach((value, field) => bytes.writeUInt32LE(value, 8 + index * 20 + field * 4));
    bytes.writeDoubleLE(mean, 20 + index * 20);
  });
  return bytes;
}

function model() {
  const made = new Model('epoch');
  made.setUnits([['N1', 'UA', 0], ['N2', 'DL', 1]]);
  made.setFacts(facts(), 0);
  return made;
}

test('who has seen all gets nothing, who has seen some gets the rest', () => {
  const it = model();
  it.gauged('a', answer(1, [0, 5, 1, 2.25]), 100);
  const between = it.change;
  it.gauged('b', answer(1, [1, 7, 2, -3.04]), 100);
  assert.deepEqual(it.since(0).aircraft, [0, 5, 2.3, 1, 0, 1, 7, -3, 2, 0]);
  assert.deepEqual(it.since(between).aircraft, [1, 7, -3, 2, 0]);
  assert.deepEqual([it.since(0).reset, it.since(between).reset], [true, false]);
  assert.equal(it.since(between).units, null);
  const { aircraft, log, samples, incidents } = it.since(it.change);
  assert.deepEqual([aircraft, log, samples, incidents], [[], [], [], []]);
});

test('a rate is what a life has done since; what died with the life before is not a rate', () => {
  const it = model();
  const rate = () => it.since(0).nodes[0].rate;
  it.gauged('a', answer(1, [0, 100, 1, 0]), 1_000);
  it.gauged('a', answer(1, [0, 150, 1, 0]), 1_100);
  assert.equal(rate(), 500);
  it.sample(1_150);
  assert.deepEqual(it.since(0).samples, [[1_150, 500, 0]]);
  it.sample(9_000);
  assert.deepEqual(it.since(0).samples.at(-1), [9_000, 0, 0], 'what is old says nothing of now');
  it.gauged('a', answer(2, [0, 120, 1, 0]), 10_000);
  assert.equal(rate(), 0);
  it.gauged('a', answer(2, [0, 110, 1, 0]), 10_200);
  assert.equal(rate(), 0, 'never below nothing');
  assert.equal(it.since(0).fleet.peak, 500);
});

test('what is no answer of a gauge changes nothing', () => {
  const it = model();
  const before = it.change;
  const whole = answer(1, [0, 5, 1, 0]);
  for (const bad of [Buffer.alloc(0), whole.subarray(0, 7), whole.subarray(0, 27), Buffer.concat([whole, whole])]) {
    assert.equal(it.gauged('a', bad, 1), false);
  }
  assert.equal(it.gauged('nobody', whole, 1), false);
  assert.equal(it.change, before);
  assert.equal(it.gauged('a', answer(1, [99, 5, 1, 0]), 1), true, 'a unit that is not known counts for its node');
});

test('each step of a loss is told once', () => {
  const it = model();
  const losses = [{ ...LOSS }];
  const kinds = () => it.since(0).log.map(({ kind }) => kind);
  it.setFacts(facts({ streamed: 100, losses }), 1);
  it.setFacts(facts({ streamed: 600, losses: [{ ...LOSS, restarted: 0.5 }] }), 2);
  it.setFacts(facts({ streamed: 700, losses: [{ ...LOSS, restarted: 0.5, back: 0.75, resent: 1_234 }] }), 3);
  it.setFacts(facts({ streamed: 800, losses: [{ ...LOSS, restarted: 0.5, back: 0.75, resent: 1_234 }] }), 4);
  assert.deepEqual(kinds(), ['start', 'kill', 'restart', 'swap', 'back']);
  assert.match(it.since(0).log.at(-1).text, /1,234 flights sent again, after 750 ms/);
  assert.deepEqual(it.since(0).fleet.lost, { nodes: 1, back: 1, resent: 1_234 });
});

test('a node is down and up again, and ended at the end', () => {
  const it = model();
  const state = () => it.since(0).nodes[0].state;
  it.gauged('a', answer(1), 1);
  it.setState('a', 'down', 'noconnection', 2);
  assert.equal(state(), 'down');
  it.gauged('a', answer(2), 3);
  assert.equal(state(), 'up');
  const verdict = { equal: true, expected: 'e'.repeat(64), found: 'e'.repeat(64) };
  it.setFacts(facts({ phase: 'equal', verdict, streamed: 1_000 }), 4);
  it.setState('a', 'down', 'too late to matter', 5);
  it.gauged('a', answer(2), 6);
  assert.equal(state(), 'ended');
  assert.deepEqual(it.since(0).log.map(({ kind }) => kind), ['start', 'up', 'down', 'up', 'swap', 'equal']);
  const { change } = it;
  it.setFacts(facts({ phase: 'equal', verdict, streamed: 1_000 }), 7);
  assert.equal(it.change, change, 'what is over stays as it is');
});

test('incidents count in full, and the newest are kept', () => {
  const it = model();
  const incidents = Array.from({ length: 300 }, (_, i) => [i % 2, 1 + (i % 2), 100 + i, 4.5, '2013-01-01 00:00']);
  it.setFacts(facts({ incidents }), 1);
  assert.equal(it.incidents, 300);
  const state = it.since(0);
  assert.deepEqual(state.fleet.found, { total: 300, first: 150, second: 150 });
  assert.equal(state.incidents.length, 200);
  assert.deepEqual(state.incidents.at(-1), {
    number: 300, unit: 1, name: 'N2', carrier: 'DL', version: 2, delay: 399, score: 4.5, when: '2013-01-01 00:00',
  });
  assert.deepEqual(state.aircraft, [0, 0, 0, 0, 150, 1, 0, 0, 0, 150]);
});
