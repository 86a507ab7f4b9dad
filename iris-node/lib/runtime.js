'use strict';

const check = require('./check.js');
const {
  AskTimeoutError, DeadActorError, WouldBlockError, native, translated,
} = require('./errors.js');
const { contexts } = require('./context.js');
const { make } = require('./factories.js');
const { RESUME, failure } = require('./handling.js');
const { Lane } = require('./lane.js');
const { Mesh } = require('./mesh.js');
const { Core } = require('./native.js');
const { Promises } = require('./promises.js');
const { Pulls } = require('./pull.js');
const { SHARED } = require('./shared.js');
const { SystemMessage } = require('./system.js');

const BUDGET = 100;
/** Seconds at one message, after which a handler is told of. */
const WATCHDOG = 10;
const LEAST_WATCHDOG = 0.001;
const SPAWN = ['name', 'capacity', 'system', 'onError'];

// What the native side says of a message. As in src/send.rs.
const REFUSED = 0;
const ACCEPTED = 1;
const TURNS = 2;
const WOULD_BLOCK = 3;

// Kinds of news. As in src/news.rs.
const [SETTLED, MAIL, STOPPED, FACTORY, LETTER, GAVE_UP, LOOK, ENDED] = [0, 1, 2, 3, 4, 5, 6, 7];

/** A callback that throws is an uncaught exception, as in any other emitter. */
function callBack(callback, ...args) {
  try {
    callback(...args);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

class NodeRuntime extends Mesh {
  // Of their own, beside `#shared`: `send` is as quick as one look makes it.
  #lane;
  #core;
  #calls;
  #promises;
  #pulls;
  #shared;
  #onCrash = null;
  #onDeadLetter = null;
  #shutdown = null;

  constructor(options) {
    super();
    const given = check.options(options, ['mailboxCapacity', 'watchdog']);
    const { mailboxCapacity, watchdog = WATCHDOG } = given;
    if (mailboxCapacity !== undefined) check.count(mailboxCapacity, 'mailboxCapacity');
    const patience = check.time(watchdog, 'watchdog', LEAST_WATCHDOG);
    const crashed = (pid, error, resumes) => this.#crashed(pid, error, resumes);
    this.#lane = native(() => new Lane(Core, {
      hear: (news) => this.#hear(news),
      answered: (ticket, data) => this.#promises.answered(ticket, data),
      crashed,
    }, mailboxCapacity));
    this.#core = this.#lane.core;
    this.#calls = this.#lane.calls;
    this.#promises = new Promises(this.#lane);
    this.#pulls = new Pulls(this.#lane, crashed);
    native(() => this.#lane.watchdog.set(patience));
    this.#shared = { core: this.#core, lane: this.#lane, promises: this.#promises };
  }

  get [SHARED]() {
    return this.#shared;
  }

  // Actors.

  spawn(handler, budget, options) {
    return this.#spawn(handler, budget, options);
  }

  spawnBounded(handler, capacity, budget, options) {
    check.count(capacity, 'capacity');
    return this.#spawn(handler, budget, options, { capacity });
  }

  spawnVirtual(handler, budget, idleTimeoutMs, options) {
    const given = check.options(options, [...SPAWN, 'reactivate']);
    const { reactivate, ...rest } = given;
    const idle = check.time(idleTimeoutMs, 'idleTimeoutMs', 1);
    const shape = { lazy: true, reactivate: check.flag(reactivate, 'reactivate') };
    if (idle !== undefined) shape.idle = idle;
    return this.#spawn(handler, budget, rest, shape);
  }

  spawnChild(parent, handler, budget, options) {
    check.pid(parent, 'parent');
    return this.#spawn(handler, budget, options, { parent });
  }

  spawnChildPool(parent, handler, workers = 4, budget = BUDGET) {
    check.pid(parent, 'parent');
    check.callable(handler, 'handler');
    check.count(workers, 'workers');
    check.count(budget, 'budget');
    const pids = [];
    try {
      for (let i = 0; i < workers; i++) pids.push(this.spawnChild(parent, handler, budget));
    } catch (error) {
      for (const pid of pids) this.stop(pid);
      throw error;
    }
    return pids;
  }

  spawnWithMailbox(handler, budget, options) {
    return this.#spawnPull(handler, budget, options);
  }

  spawnChildWithMailbox(parent, handler, budget, options) {
    check.pid(parent, 'parent');
    return this.#spawnPull(handler, budget, options, parent);
  }

  spawnWithPathObserved(budget, path, options) {
    check.count(budget, 'budget');
    check.text(path, 'path');
    const { cap } = check.options(options, ['cap']);
    if (cap !== undefined) check.count(cap, 'cap');
    return native(() => this.#core.spawnObserver(budget, path, cap));
  }

  stop(pid, options) {
    check.pid(pid);
    const { drain } = check.options(options, ['drain']);
    const drains = check.flag(drain, 'drain');
    if (!drains) this.#lane.stops += 1;
    const stopped = this.#core.stop(pid, drains, this.#lane.inside);
    if (stopped) this.#lane.holdFor();
    return stopped;
  }

  stopChild(pid) {
    this.#lane.stops += 1;
    const stopped = this.#core.stopChild(check.pid(pid));
    if (stopped) this.#lane.holdFor();
    return stopped;
  }

  join(pid, seconds) {
    check.pid(pid);
    const patience = check.time(seconds, 'seconds');
    // Nobody has outlived it.
    if (this.#lane.closed) return Promise.resolve(true);
    const { inside } = this.#lane;
    return this.#promises.within(patience, false, (ticket) => this.#core.whenGone(ticket, pid, inside));
  }

  isAlive(pid) {
    return this.#core.isAlive(check.pid(pid));
  }

  /** The actor whose handler is running, or `null`: after an `await` it is not known any more. */
  self() {
    return this.#lane.inside || null;
  }

  hotSwap(pid, handler, options) {
    check.pid(pid);
    check.callable(handler, 'handler');
    const { now, system, onError } = check.options(options, ['now', 'system', 'onError']);
    const atOnce = check.flag(now, 'now');
    const systems = check.flag(system, 'system');
    const flags = this.#flags(onError);
    const slot = this.#lane.slots.take(handler);
    const swapped = native(() => this.#core.hotSwap(pid, slot, nameOf(handler), systems, flags, atOnce));
    // Without a process the slot is free again with the next turn.
    if (swapped === null) throw new DeadActorError(`no actor with pid ${pid} is alive`);
    if (atOnce) this.#lane.retarget(pid, slot);
    this.#lane.holdFor();
    return swapped;
  }

  behaviorVersion(pid) {
    return this.#core.behaviorVersion(check.pid(pid));
  }

  rollbackBehavior(pid, steps = 1) {
    check.pid(pid);
    check.count(steps, 'steps');
    const version = native(() => this.#core.rollbackBehavior(pid, steps));
    this.#lane.holdFor();
    return version;
  }

  // Messages.

  send(pid, data) {
    const sent = this.#send(check.pid(pid), check.bytes(data));
    // The loop turns, and so knows that it has to.
    if (sent === TURNS && this.#lane.holds) return true;
    return this.#sent(sent, pid);
  }

  sendMany(pid, items) {
    check.pid(pid);
    if (items === null || typeof items !== 'object' || typeof items[Symbol.iterator] !== 'function') {
      throw new TypeError(`items must be an iterable of messages, not ${check.kind(items)}`);
    }
    let accepted = 0;
    // One by one: there may be no end of them, and what comes before a wrong one is sent.
    for (const item of items) {
      const sent = this.#send(pid, check.bytes(item));
      if (sent === REFUSED || sent === WOULD_BLOCK) {
        if (sent === WOULD_BLOCK && accepted === 0) this.#sent(sent, pid);
        break;
      }
      if (accepted === 0 || sent > WOULD_BLOCK) this.#sent(sent, pid);
      accepted += 1;
    }
    return accepted;
  }

  sendNamed(name, data) {
    check.text(name, 'name');
    const message = check.bytes(data);
    const pid = this.#core.whereis(name);
    return pid !== null && this.#sent(this.#send(pid, message), JSON.stringify(name));
  }

  sendAsync(pid, data) {
    check.pid(pid);
    const copy = check.bytes(data);
    const context = contexts.isUsed ? this.#lane.contexts.take() : 0;
    return this.#promises.begin((ticket) => this.#core.sendAsync(ticket, context, pid, copy));
  }

  sendAfter(pid, ms, data) {
    check.pid(pid);
    const after = check.wait(ms, 'ms');
    const timer = native(() => this.#core.sendAfter(pid, after, check.bytes(data)));
    this.#lane.holdFor();
    return timer;
  }

  sendInterval(pid, ms, data) {
    check.pid(pid);
    const every = check.wait(ms, 'ms', 1);
    const timer = native(() => this.#core.sendInterval(pid, every, check.bytes(data)));
    this.#lane.holdFor();
    return timer;
  }

  cancelTimer(id) {
    const cancelled = this.#core.cancelTimer(check.pid(id, 'id'));
    this.#lane.rest();
    return cancelled;
  }

  ask(pid, data, options) {
    check.pid(pid);
    const question = check.bytes(data, 'a question');
    const { timeoutMs = 5000, signal, from } = check.options(options, ['timeoutMs', 'signal', 'from']);
    const patience = check.time(timeoutMs, 'timeoutMs');
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw new TypeError(`signal must be an AbortSignal, not ${check.kind(signal)}`);
    }
    const asker = from === undefined ? this.#lane.inside : check.pid(from, 'from');
    if (signal?.aborted) return Promise.reject(signal.reason);
    const late = () => new AskTimeoutError(
      `actor ${pid} did not answer within ${timeoutMs} ms: ${this.#doing(pid)}`,
    );
    const context = contexts.isUsed ? this.#lane.contexts.take() : 0;
    const ask = (ticket) => {
      if (this.#calls.ask(ticket, pid, question, asker, context)) this.#lane.soon();
    };
    const seconds = patience === undefined ? undefined : patience / 1e3;
    return this.#promises.within(seconds, late, ask, signal);
  }

  setOverflowPolicy(pid, policy, target) {
    check.pid(pid);
    check.text(policy, 'policy');
    if (target !== undefined && target !== null) check.pid(target, 'target');
    native(() => this.#core.setOverflowPolicy(pid, policy, target ?? undefined));
  }

  mailboxSize(pid) {
    const size = this.#core.mailboxSize(check.pid(pid));
    return size === null ? null : size + this.#lane.inHand(pid);
  }

  // What there is to know.

  /** Calls `hook({ to, data, system, reason })` for each dead letter from now on; `null`: none. */
  onDeadLetter(hook) {
    if (hook !== null) check.callable(hook, 'hook');
    this.#onDeadLetter = hook;
    this.#core.watchDeadLetters(hook !== null);
  }

  /** Has handlers told of that are at one message for so many seconds; `null`: none. */
  setWatchdog(seconds) {
    if (seconds === undefined) throw new TypeError('seconds must be a number or null');
    native(() => this.#lane.watchdog.set(check.time(seconds, 'seconds', LEAST_WATCHDOG)));
  }

  /** Calls `hook({ pid, error, resumes })` for each handler that throws, instead of printing it. */
  onCrash(hook) {
    if (hook !== null) check.callable(hook, 'hook');
    this.#onCrash = hook;
  }

  version() {
    return Core.version();
  }

  // The life of the process.

  /** Keeps the process alive until `unref()` or `shutdown()`. */
  ref() {
    this.#lane.referenced = true;
    this.#lane.hold();
    return this;
  }

  /** Never keeps the process alive, whatever there is to do. */
  unref() {
    this.#lane.referenced = false;
    this.#lane.rest();
    return this;
  }

  shutdown(drain = 2) {
    const seconds = check.wait(drain, 'drain');
    this.#shutdown ??= this.#shutDown(seconds);
    return this.#shutdown;
  }

  [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    return this.shutdown();
  }

  async #shutDown(seconds) {
    this.#lane.stops += 1;
    const report = await this.#promises.begin((ticket) => this.#core.shutdown(ticket, seconds));
    // Not inside of a turn.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    this.#lane.close();
    this.#pulls.close();
    this.#promises.close();
    const [undelivered, stuck] = report;
    return { undelivered, stuck };
  }

  // Below: how.

  #flags(onError) {
    if (onError === undefined) return 0;
    return check.word(onError, ['crash', 'resume'], 'onError') === 'resume' ? RESUME : 0;
  }

  #spawn(handler, budget, options, shape) {
    check.callable(handler, 'handler');
    // Where a budget may be left out, so may it be before options.
    if (budget !== null && typeof budget === 'object' && options === undefined) {
      options = budget;
      budget = undefined;
    }
    const messages = budget === undefined || budget === null ? BUDGET : check.count(budget, 'budget');
    if (options === undefined && shape === undefined) return this.#spawnPlain(handler, messages);
    const given = check.options(options, SPAWN);
    const spec = {
      slot: 0,
      behavior: nameOf(handler),
      budget: messages,
      flags: this.#flags(given.onError),
      ...shape,
    };
    if (given.name !== undefined) spec.name = check.text(given.name, 'name');
    if (given.capacity !== undefined) spec.capacity = check.count(given.capacity, 'capacity');
    if (given.system !== undefined) spec.system = check.flag(given.system, 'system');
    const known = this.#lane.slots.known(handler);
    if (known >= 0) {
      spec.slot = known;
      const pid = native(() => this.#core.spawn(spec, true));
      if (pid !== null) return pid;
    }
    spec.slot = this.#lane.slots.take(handler);
    return native(() => this.#core.spawn(spec, false));
  }

  /** The same for an actor that has a handler, a budget and nothing else. */
  #spawnPlain(handler, budget) {
    const known = this.#lane.slots.known(handler);
    try {
      const pid = known >= 0 ? this.#calls.spawnPlain(known, budget, 0) : 0;
      if (pid !== 0) return pid;
      return this.#calls.spawnPlain(this.#lane.slots.take(handler), budget, 0, nameOf(handler));
    } catch (error) {
      throw translated(error);
    }
  }

  #spawnPull(handler, budget, options, parent) {
    check.callable(handler, 'handler');
    if (budget !== null && typeof budget === 'object' && options === undefined) {
      options = budget;
      budget = undefined;
    }
    const { name, capacity } = check.options(options, ['name', 'capacity']);
    if (name !== undefined) check.text(name, 'name');
    if (capacity !== undefined) check.count(capacity, 'capacity');
    const messages = budget === undefined || budget === null ? BUDGET : check.count(budget, 'budget');
    const called = nameOf(handler);
    const pid = native(() => this.#core.spawnPull(called, messages, capacity, name, parent));
    this.#pulls.begin(pid, handler, messages);
    return pid;
  }

  #send(pid, message) {
    if (!contexts.isUsed) return this.#calls.send(pid, message);
    return this.#calls.sendFrom(this.#lane.contexts.take(), pid, message);
  }

  /** What `send` says, and what keeps the process alive for it. */
  #sent(sent, to) {
    if (sent === REFUSED) return false;
    if (sent === WOULD_BLOCK) {
      throw new WouldBlockError(
        `the mailbox of actor ${to} is full and its policy is 'block', but the event loop cannot `
        + 'wait for room: await rt.sendAsync(..), or choose another policy',
      );
    }
    if (sent === ACCEPTED) {
      this.#lane.holdFor();
      return true;
    }
    this.#lane.hold();
    if (sent > WOULD_BLOCK) this.#lane.soon();
    return true;
  }

  #doing(pid) {
    const info = this.info(pid);
    if (info === null) return 'it has ended';
    return `it is ${info.status}, ${info.mailboxSize} messages wait in its mailbox`;
  }

  #hear(news) {
    switch (news.kind) {
      case SETTLED:
        this.#promises.settle(news.id, news.code, news.reason, news.value);
        return;
      case MAIL:
        this.#pulls.look(news.id);
        return;
      case STOPPED:
        if (!this.#lane.toldToStop(news.id)) this.#pulls.stopped(news.id);
        return;
      case FACTORY:
        make(this.#lane, news);
        return;
      case LETTER:
        if (this.#onDeadLetter !== null) {
          callBack(this.#onDeadLetter, {
            to: news.id,
            reason: news.reason,
            data: news.value ?? null,
            system: news.system ? new SystemMessage(news.system) : null,
          });
        }
        return;
      case GAVE_UP:
        process.emitWarning(news.value, 'IrisSupervisionWarning');
        return;
      case LOOK:
        this.#promises.look(news.id);
        return;
      case ENDED:
        this.#lane.ended?.(news.id);
        return;
      default:
    }
  }

  #crashed(pid, error, resumes) {
    if (this.#onCrash !== null) {
      callBack(this.#onCrash, { pid, error, resumes });
      return;
    }
    const outcome = resumes ? 'it goes on' : 'it is stopped (crash)';
    const [kind, text, stack] = failure(error);
    process.stderr.write(`iris: actor ${pid} threw; ${outcome}\n${stack || `${kind}: ${text}`}\n`);
  }
}

function nameOf(handler) {
  const { name } = handler;
  return typeof name === 'string' && name !== '' ? name : 'handler';
}

// The name that the description has.
NodeRuntime.prototype.spawn_bounded = NodeRuntime.prototype.spawnBounded;

module.exports = { NodeRuntime };
