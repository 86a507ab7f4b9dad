'use strict';
// Runs the scenarios of parity/: what iris-py/tests/parity_runner.py is for Python.
//
// The format is in parity/README.md. A thing that a scenario can say is done in one place here.

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');

const { AsAsked, VALUES } = require('./parity_kinds.js');
const { iris } = require('./support.js');

const FOLDER = path.join(__dirname, '..', '..', 'parity');
const LANGUAGE = 'node';
const PATIENCE_MS = 30_000;

/** What a scenario calls an error: the first class that fits. */
const ERRORS = [
  [AsAsked, 'handler'],
  [iris.HandlerError, 'handler'],
  [iris.NameTakenError, 'name_taken'],
  [iris.MailboxClosed, 'closed'],
  [iris.WouldBlockError, 'would_block'],
  [iris.MailboxFullError, 'mailbox_full'],
  [iris.AskTimeoutError, 'timeout'],
  [iris.DeadlockError, 'deadlock'],
  [iris.NoReplyError, 'no_reply'],
  [iris.MeshError, 'mesh'],
  [iris.DeadActorError, 'not_found'],
  [iris.NoSupervisorError, 'not_found'],
  [TypeError, 'bad_type'],
  [RangeError, 'bad_value'],
  [iris.IrisError, 'refused'],
];

function load(name) {
  return JSON.parse(readFileSync(path.join(FOLDER, name), 'utf8'));
}

function errorName(error) {
  const known = ERRORS.find(([kind]) => error instanceof kind);
  if (known === undefined) throw error;
  return known[1];
}

const pause = () => new Promise((resolve) => {
  setTimeout(resolve, 1);
});

/** Whether text is what these bytes say; others are shown in hexadecimal. */
function text(bytes) {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = data.toString();
  return Buffer.from(read).equals(data) ? read : { hex: data.toString('hex') };
}

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** A value as JSON has it; bytes as text, names of fields in snake_case. */
function plain(value) {
  if (value === undefined) return null;
  if (value instanceof Uint8Array) return text(value);
  if (value instanceof iris.Tree) return String(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  if (Buffer.isBuffer(value.data) && Object.keys(value).every((key) => ['data', 'system'].includes(key))) {
    return value.system ? plain(value.system) : text(value.data);
  }
  const fields = Object.entries(value).map(([key, one]) => [snake(key), plain(one)]);
  const made = Object.fromEntries(fields);
  if (value instanceof iris.SystemMessage && made.metadata) {
    const { stack, ...metadata } = made.metadata;
    made.metadata = { ...metadata, traceback: stack };
  }
  return made;
}

/** What a call is named in this language and how it takes its arguments:
 * `of.name(positional, .., {option, option: argument * factor}) -> field`. */
class Signature {
  constructor(written) {
    const match = /^(rt|mailbox|iris)\.([\w.[\]]+)\((.*?)\)(?: -> (.*))?$/.exec(written);
    assert.ok(match, `not a signature: ${written}`);
    const [, of, name, parameters, result] = match;
    this.of = of;
    this.name = name === '[Symbol.asyncIterator]' ? Symbol.asyncIterator : name;
    const [positional, options = ''] = parameters.split('{');
    this.positional = (positional.match(/\w+/g) ?? []).map(snake);
    this.options = options.replace('}', '').split(',').filter((one) => one.trim() !== '').map((one) => {
      const [, option, argument, factor] = /^\s*(\w+)(?::\s*(\w+)(?:\s*\*\s*(\d+))?)?\s*$/.exec(one);
      return { option, argument: argument ?? snake(option), factor: factor && Number(factor) };
    });
    this.fields = result?.startsWith('[') ? result.match(/\w+/g) : undefined;
    this.field = this.fields ? undefined : result;
  }

  arguments(given) {
    const left = { ...given };
    const leading = this.positional.map((name) => {
      const value = left[name];
      delete left[name];
      return value;
    });
    const options = {};
    for (const { option, argument, factor } of this.options) {
      if (!(argument in left)) continue;
      options[option] = factor === undefined ? left[argument] : left[argument] * factor;
      delete left[argument];
    }
    assert.deepEqual(left, {}, `${String(this.name)} takes no such argument`);
    if (Object.keys(options).length > 0) return [...leading, options];
    while (leading.length > 0 && leading.at(-1) === undefined) leading.pop();
    return leading;
  }

  result(value) {
    if (this.fields) return value.map((one) => this.fields.map((field) => one[field]));
    return this.field ? value[this.field] : value;
  }
}

/** What actors say, in order. */
class Log {
  entries = [];

  add(entry) {
    this.entries.push(plain(entry));
  }

  /** All entries, as soon as there are so many or time is up. */
  async wait(count, patienceMs) {
    const end = Date.now() + patienceMs;
    while (this.entries.length < count && Date.now() < end) await pause();
    return [...this.entries];
  }
}

/** One run of one scenario. */
class World {
  #patienceMs;
  #calls;
  #bytes;
  #runtimes = new Map();
  #logs = new Map();
  #observers = new Map();
  #begun = new Map();
  variables = {};
  gates = new Map();

  constructor({ calls, bytes }, patienceMs = PATIENCE_MS) {
    this.#patienceMs = patienceMs;
    this.#calls = calls;
    this.#bytes = bytes;
  }

  async run({ steps }) {
    const last = new Map();
    try {
      for (const step of steps) await this.#step(step, last);
      for (const [pid, runtime] of this.#observers) {
        assert.deepEqual(plain(runtime.getMessages(pid)), [], `observer ${pid} got more`);
      }
    } finally {
      // Who waits at a gate ends there.
      for (const runtime of [...this.#runtimes.values()].reverse()) await runtime.shutdown(0);
    }
    for (const [name, step] of last) {
      this.#matches(step, this.log(name).entries, `log '${name}' after the end`);
    }
  }

  log(name) {
    if (!this.#logs.has(name)) this.#logs.set(name, new Log());
    return this.#logs.get(name);
  }

  #runtime(name = 'a') {
    if (!this.#runtimes.has(name)) {
      const runtime = new iris.NodeRuntime();
      runtime.onCrash(() => {});
      this.#runtimes.set(name, runtime);
    }
    return this.#runtimes.get(name);
  }

  async #step(step, last) {
    if ('call' in step) {
      if ('begin' in step) this.#begun.set(step.begin, begin(() => this.call(step)));
      else await this.#outcome(step, async () => this.call(step));
    } else if ('await' in step) {
      await this.#outcome(step, () => this.#begun.get(step.await));
    } else if ('log' in step) {
      const entries = await this.log(step.log).wait(this.value(step.is).length, this.#patienceMs);
      this.#matches(step, entries, `log '${step.log}'`);
      last.set(step.log, step);
    } else if ('messages' in step) {
      await this.#messages(step);
    } else if ('until' in step) {
      await this.#until(step);
    } else if ('open' in step) {
      this.gates.get(step.open).open();
    } else if ('same' in step || 'differ' in step) {
      const [first, second] = (step.same ?? step.differ).map((one) => plain(this.value(one)));
      if ('same' in step) assert.deepEqual(first, second);
      else assert.notDeepEqual(first, second);
    } else if ('times' in step) {
      for (let i = 0; i < step.times; i++) {
        for (const one of step.steps) await this.#step(one, last);
      }
    } else {
      throw new assert.AssertionError({ message: `no such step: ${JSON.stringify(step)}` });
    }
  }

  /** Does one call; `own` is what the actor knows that does it. */
  call(step, own = {}) {
    const written = this.#calls[step.call][LANGUAGE];
    assert.ok(written, `${step.call} is no call of this language`);
    const signature = new Signature(written);
    const given = {};
    for (const [name, raw] of Object.entries(step.args ?? {})) {
      const value = this.value(raw, own);
      given[name] = this.#bytes.includes(name) ? asBytes(value) : value;
    }
    const positional = signature.arguments(given);
    const target = { rt: this.#runtime(step.on), iris, mailbox: own.mailbox }[signature.of];
    assert.equal(typeof target[signature.name], 'function', `there is no ${step.call}`);
    const result = target[signature.name](...positional);
    if (typeof result?.then === 'function') return result.then((value) => signature.result(value));
    return signature.result(result);
  }

  async #outcome(step, act) {
    const shown = JSON.stringify(step);
    let result;
    try {
      result = await act();
    } catch (error) {
      if (!('fails' in step) || error instanceof assert.AssertionError) throw error;
      assert.equal(errorName(error), step.fails, `${shown}: ${error.stack}`);
      return;
    }
    if ('fails' in step) {
      assert.fail(`${shown}: it was accepted with ${JSON.stringify(plain(result))}`);
    }
    if ('as' in step) this.variables[step.as] = result;
    if ('is' in step) this.#matches(step, plain(result), shown);
  }

  /** What an observer has got, and will have got soon. */
  async #messages(step) {
    const runtime = this.#runtime(step.on);
    const pid = this.value(step.messages);
    this.#observers.set(pid, runtime);
    const got = [];
    const end = Date.now() + this.#patienceMs;
    while (got.length < step.is.length && Date.now() < end) {
      got.push(...plain(runtime.getMessages(pid)));
      await pause();
    }
    this.#matches(step, got, `messages of ${step.messages}`);
  }

  async #until(step) {
    const end = Date.now() + this.#patienceMs;
    for (;;) {
      const result = plain(await this.call(step.until));
      if (this.fits(step.is, result)) return;
      if (Date.now() > end) {
        assert.fail(`${JSON.stringify(step)}: it is ${JSON.stringify(result)} to the end`);
      }
      await pause();
    }
  }

  #matches(step, actual, what) {
    const expected = this.value(step.is);
    const fits = step.sorted
      ? expected.length === actual.length && this.#anyOrder(expected, [...actual])
      : this.fits(expected, actual);
    if (!fits) {
      assert.fail(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
    }
  }

  #anyOrder(expected, actual) {
    return expected.every((one) => {
      const found = actual.findIndex((other) => this.fits(one, other));
      if (found >= 0) actual.splice(found, 1);
      return found >= 0;
    });
  }

  /** Of an object only what is expected counts; of a list, all. */
  fits(raw, actual) {
    const expected = plain(this.value(raw));
    if (Array.isArray(expected)) {
      return Array.isArray(actual) && actual.length === expected.length
        && expected.every((one, i) => this.fits(one, actual[i]));
    }
    if (expected === null || typeof expected !== 'object') return Object.is(expected, actual);
    if ('any' in expected) return true;
    if ('bind' in expected) {
      this.variables[expected.bind] = actual;
      return actual !== null;
    }
    if ('contains' in expected) return typeof actual === 'string' && actual.includes(expected.contains);
    if ('at_least' in expected) return typeof actual === 'number' && actual >= expected.at_least;
    return actual !== null && typeof actual === 'object' && !Array.isArray(actual)
      && Object.entries(expected).every(([key, one]) => key in actual && this.fits(one, actual[key]));
  }

  /** What a value of a scenario stands for. */
  value(raw, own = {}) {
    if (typeof raw === 'string' && raw.startsWith('$')) {
      const [first, ...rest] = raw.slice(1).split('.');
      if (first === 'runtime') return this.#runtime();
      const known = { ...this.variables, ...own };
      assert.ok(first in known, `nothing is called ${raw}`);
      return rest.reduce((found, part) => found[part], known[first]);
    }
    if (Array.isArray(raw)) return raw.map((one) => this.value(one, own));
    if (raw !== null && typeof raw === 'object') {
      const key = Object.keys(VALUES).find((one) => one in raw);
      if (key !== undefined && !Buffer.isBuffer(raw)) return VALUES[key](this, raw);
    }
    return raw;
  }
}

/** Text as bytes, so that no scenario depends on this language taking texts for messages. */
function asBytes(value) {
  if (typeof value === 'string') return Buffer.from(value);
  return Array.isArray(value) ? value.map(asBytes) : value;
}

/** Does something that goes on beside the steps that follow; who awaits it hears of its failure. */
function begin(act) {
  const begun = (async () => act())();
  begun.catch(() => {});
  return begun;
}

module.exports = { LANGUAGE, Signature, World, errorName, load };
