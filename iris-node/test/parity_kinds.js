'use strict';
// The actors, and other values that are no JSON, which the scenarios of parity/ name.

const { iris } = require('./support.js');

/** What actors throw that are told to. */
class AsAsked extends Error {
  get name() {
    return 'AsAsked';
  }
}

/** Keeps handlers waiting until it is opened. */
class Gate {
  constructor() {
    this.passed = new Promise((resolve) => {
      this.open = resolve;
    });
  }
}

const isThenable = (value) => typeof value?.then === 'function';
const turn = () => new Promise((resolve) => {
  setImmediate(resolve);
});

/** Logs what it gets, after a prefix if it has one. */
function recorder(world, { log = 'log', prefix }) {
  const entries = world.log(log);
  return (message) => {
    entries.add(prefix === undefined ? message : prefix + message);
  };
}

/** Answers with what it gets. */
function echo() {
  return (message) => message;
}

/** The same, after a wait. */
function asyncEcho() {
  return async (message) => {
    await turn();
    return message;
  };
}

/** Answers with the number of messages that it has had, and logs it. */
function counter(world, { log = 'log' }) {
  const entries = world.log(log);
  let count = 0;
  return () => {
    count += 1;
    entries.add(count);
    return String(count);
  };
}

/** Throws at `raise`, ends at `stop` and logs everything else. */
function mortal(world, { log = 'log' }) {
  const entries = world.log(log);
  return (message) => {
    if (message.toString() === 'raise') throw new AsAsked('as asked');
    if (message.toString() === 'stop') return iris.STOP;
    entries.add(message);
    return undefined;
  };
}

/** The same, after a wait. */
function asyncMortal(world, raw) {
  const act = mortal(world, raw);
  return async (message) => {
    await turn();
    return act(message);
  };
}

/** Sends what it gets to another actor. */
function forwarder(world, { to, on = 'a' }) {
  const step = { call: 'send', on, args: { pid: to, data: '$message' } };
  return (message) => {
    world.call(step, { message });
  };
}

/** Waits in its first message until the scenario opens it; logs when it enters each message and
 * when it is done with it. */
function gate(world, { gate: name, log = 'log' }) {
  const entries = world.log(log);
  const held = world.gates.get(name) ?? new Gate();
  world.gates.set(name, held);
  return async (message) => {
    entries.add(`in ${message}`);
    await held.passed;
    entries.add(`out ${message}`);
  };
}

/** Does some steps for each message. */
function doer(world, raw) {
  return (message) => perform(world, raw, { message });
}

/** A pull actor that does some steps. */
function puller(world, raw) {
  return async (mailbox) => perform(world, raw, { mailbox, self: mailbox.pid });
}

/** The steps of an actor: they log what comes of them, and do not fail the scenario.
 *
 * Waits only where a call does: a handler that need not wait does not. */
function perform(world, { steps, log = 'log' }, own, from = 0) {
  const { errorName } = require('./parity_runner.js');
  const entries = world.log(log);
  const failed = (error) => {
    if (error instanceof iris.MailboxClosed) {
      entries.add({ error: 'closed' });
      throw error;
    }
    entries.add({ error: errorName(error) });
  };
  const done = (step, result) => {
    own[step.as ?? 'result'] = result;
    if (!step.quiet) entries.add(result);
  };
  for (let i = from; i < steps.length; i++) {
    const step = steps[i];
    if ('raise' in step) throw new AsAsked(step.raise);
    if ('return' in step) return step.return === 'STOP' ? iris.STOP : step.return;
    if ('say' in step) {
      entries.add(step.say);
      continue;
    }
    let result;
    try {
      result = step.call === 'mailbox.iterate' ? iterate(own.mailbox, entries) : world.call(step, own);
    } catch (error) {
      failed(error);
      continue;
    }
    if (isThenable(result)) {
      const rest = () => perform(world, { steps, log }, own, i + 1);
      if (step.call === 'mailbox.iterate') return result.then(rest);
      return result.then((value) => done(step, value), failed).then(rest);
    }
    done(step, result);
  }
  return undefined;
}

async function iterate(mailbox, entries) {
  for await (const message of mailbox) entries.add(message);
  entries.add('end');
}

const KINDS = {
  recorder,
  echo,
  async_echo: asyncEcho,
  counter,
  mortal,
  async_mortal: asyncMortal,
  forwarder,
  gate,
  doer,
  puller,
};

/** Makes an actor when it is called, and logs that. */
function factory(world, { factory: step, log = 'factory' }) {
  const entries = world.log(log);
  return (...init) => {
    entries.add(['made', ...init]);
    if ('raise' in step) throw new AsAsked(step.raise);
    return world.call(step);
  };
}

/** Wants one text, or throws. */
function matcher(world, { matcher: wanted }) {
  return (message) => {
    if (typeof wanted === 'object') throw new AsAsked(wanted.raise);
    return message.system === undefined && message.data.toString() === wanted;
  };
}

/** Logs dead letters. */
function hook(world, { hook: log }) {
  const entries = world.log(log);
  return ({ to, data, reason }) => entries.add({ to, data, reason });
}

/** Values that JSON has no notation for, by the key that says so. */
const VALUES = {
  handler: (world, raw) => KINDS[raw.handler](world, raw),
  factory,
  matcher,
  hook,
  hex: (world, raw) => Buffer.from(raw.hex, 'hex'),
  number: (world, raw) => Number(raw.number === 'nan' ? NaN : raw.number),
  numbers: (world, raw) => Array.from({ length: raw.numbers }, (_, n) => String(n)),
  wrong: () => ({}),
};

module.exports = { AsAsked, VALUES };
