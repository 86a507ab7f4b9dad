'use strict';
// The scenarios that Python and Node.js have in common: parity/README.md says what they are.

const test = require('node:test');
const assert = require('node:assert/strict');

const { LANGUAGE, Signature, World, load } = require('./parity_runner.js');
const { iris, methodsOf } = require('./support.js');

const CALLS = load('calls.json');
const PENDING = load(`pending-${LANGUAGE}.json`);
const SCENARIOS = load('scenarios.json');
const RECEIVERS = { rt: iris.NodeRuntime.prototype, mailbox: iris.Mailbox.prototype, iris };

const signatures = Object.entries(CALLS.calls).filter(([, call]) => LANGUAGE in call)
  .map(([name, call]) => [name, new Signature(call[LANGUAGE])]);

for (const scenario of SCENARIOS) {
  if ((scenario.only ?? LANGUAGE) !== LANGUAGE) continue;
  test(scenario.name, async () => {
    if (scenario.name in PENDING.scenarios) {
      const run = new World(CALLS, 500).run(scenario);
      await assert.rejects(run, undefined, 'it passes: take it off the list of those that are known to fail');
    } else {
      await new World(CALLS).run(scenario);
    }
  });
}

test('each call is there', () => {
  for (const [name, { of, name: called }] of signatures) {
    const isThere = typeof RECEIVERS[of][called] === 'function';
    assert.equal(isThere, !(name in PENDING.calls), name);
  }
});

test('no public method is missing from the list', () => {
  for (const of of ['rt', 'mailbox']) {
    const known = new Set(signatures.filter(([, one]) => one.of === of).map(([, one]) => one.name));
    const elsewhere = Object.keys(CALLS.elsewhere[LANGUAGE][of] ?? {}).sort();
    const own = methodsOf(RECEIVERS[of]);
    const there = own.filter((name) => !known.has(name)).sort();
    assert.deepEqual(there, elsewhere, 'list it as a call, or say where it is tested and why');
  }
});

/** The calls of a scenario, at any depth. */
function* callsIn(node) {
  if (node === null || typeof node !== 'object') return;
  if (typeof node.call === 'string') yield node.call;
  for (const one of Object.values(node)) yield* callsIn(one);
}

test('each call is exercised', () => {
  const here = SCENARIOS.filter((one) => (one.only ?? LANGUAGE) === LANGUAGE);
  const used = new Set(here.flatMap((one) => [...callsIn(one.steps)]));
  for (const [name] of signatures) assert.ok(used.has(name), `no scenario uses ${name}`);
});

const WRONG = [
  { call: 'is_alive', args: { pid: '$pid' }, is: false },
  { call: 'is_alive', args: { pid: '$pid' }, is: 1 },
  { call: 'is_alive', args: { pid: '$pid' }, fails: 'bad_value' },
  { call: 'is_alive', args: { pid: 'x' }, fails: 'bad_value' },
  { call: 'is_alive', args: { pid: 'x' } },
  { call: 'is_alive', args: { pid: '$pid', no_such_argument: 1 } },
  { call: 'child_pids', is: ['$pid'] },
  { call: 'info', args: { pid: '$pid' }, is: { kind: 'pull' } },
  { call: 'info', args: { pid: '$pid' }, is: { 'no such field': null } },
  { call: 'version', is: { contains: 'no version' } },
  { call: 'mailbox_size', args: { pid: '$pid' }, is: { at_least: 1 } },
  { log: 'log', is: [] },
  { log: 'log', sorted: true, is: ['a', 'a'] },
  { log: 'log', is: ['b', 'a'] },
  { messages: '$observer', is: [] },
  { same: ['$pid', '$observer'] },
  { differ: ['$pid', '$pid'] },
  { 'no such step': 1 },
];

test('a step that does not hold fails', async () => {
  const steps = [
    { call: 'spawn', args: { handler: { handler: 'recorder' } }, as: 'pid' },
    { call: 'spawn_with_path_observed', args: { budget: 1, path: '/o' }, as: 'observer' },
    { call: 'send_many', args: { pid: '$pid', items: ['a', 'b'] } },
    { log: 'log', is: ['a', 'b'] },
    { call: 'send', args: { pid: '$observer', data: 'x' } },
  ];
  await new World(CALLS).run({ steps: [...steps, { messages: '$observer', is: ['x'] }] });
  for (const step of WRONG) {
    const run = () => new World(CALLS).run({ steps: [...steps, step] });
    await assert.rejects(run, /AssertionError|TypeError/, JSON.stringify(step));
  }
});
