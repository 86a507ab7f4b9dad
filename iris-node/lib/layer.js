'use strict';
// What `NodeRuntime` has of actor classes, above the calls of `runtime.js`.

const { setTimeout } = require('node:timers/promises');

const {
  Actor, BEING, Being, bearing, checkSwap, insideOf, isActorClass, tableOf,
} = require('./actor.js');
const check = require('./check.js');
const { failure } = require('./handling.js');
const { Ref } = require('./ref.js');
const { NodeRuntime: Core } = require('./runtime.js');
const { SHARED } = require('./shared.js');

const SPAWN = ['name', 'capacity', 'system', 'onError', 'budget', 'parent'];

/** How long a shutdown waits for `onStop` that is async, in milliseconds. */
const ON_STOP_DEADLINE_MS = 5000;

class NodeRuntime extends Core {
  /** Of the actors that have instances, by pid. */
  #beings = new Map();
  /** Those whose instances are to be told of their end. */
  #mortals = new Map();
  /** What has been told and waits. */
  #stopping = new Set();

  constructor(options) {
    super(options);
    const { lane } = this[SHARED];
    lane.slots.freed = (handler) => {
      const being = handler?.[BEING];
      if (being?.leave()) this.#beings.delete(being.ref.pid);
    };
    lane.ended = (pid) => this.#ended(pid);
  }

  spawn(handler, budget, options, ...more) {
    if (!isActorClass(handler)) return super.spawn(handler, budget, options);
    const args = [budget, options, ...more];
    args.length = Math.min(arguments.length - 1, args.length);
    return this.#spawnActor(handler, args, {});
  }

  spawnActor(type, args = [], options = undefined) {
    if (!Array.isArray(args)) {
      throw new TypeError(`args must be an array of what the constructor takes, not ${check.kind(args)}`);
    }
    return this.#spawnActor(type, args, check.options(options, SPAWN));
  }

  /** A reference to an actor that is known by its pid, here or on another node. */
  refTo(pid, type = Actor) {
    return new Ref(this, pid, check.callable(type, 'type'));
  }

  hotSwap(pid, handler, options) {
    const target = pid instanceof Ref ? pid.pid : pid;
    if (!isActorClass(handler)) return super.hotSwap(target, handler, options);
    const { migrate, ...rest } = check.options(options, ['now', 'system', 'onError', 'migrate']);
    const table = tableOf(handler);
    checkSwap(table, migrate);
    const being = this.#beings.get(check.pid(target));
    if (being === undefined) {
      if (this.isAlive(target)) {
        throw new TypeError(
          `actor ${target} is none of a class, so it has no instance that ${table.name} could take over from`,
        );
      }
      return super.hotSwap(target, handler, rest);
    }
    const swapped = super.hotSwap(target, being.behavior(table, migrate), rest);
    if (table.hasOnStop) this.#watchEnd(target, being);
    return swapped;
  }

  join(pid, seconds) {
    const joined = super.join(pid, seconds);
    if (!this.#mortals.has(pid)) return joined;
    return joined.then((isGone) => {
      // Whoever hears of an end first, what was to be done at it is.
      if (isGone) this.#ended(pid);
      return isGone;
    });
  }

  shutdown(drain) {
    return super.shutdown(drain).then((report) => this.#stopped(report));
  }

  /** All actors have ended; waits for what they do at that. */
  async #stopped(report) {
    for (const pid of [...this.#mortals.keys()]) this.#ended(pid);
    if (this.#stopping.size > 0) {
      const deadline = new AbortController();
      const late = setTimeout(ON_STOP_DEADLINE_MS, undefined, { signal: deadline.signal });
      await Promise.race([Promise.all(this.#stopping), late.catch(() => {})]);
      deadline.abort();
    }
    return report;
  }

  /** The actor whose code this is called from, or `null`: in an `async` method after `await`, too. */
  self() {
    return super.self() ?? insideOf() ?? null;
  }

  #spawnActor(type, args, { budget, parent, ...rest }) {
    const table = tableOf(type);
    const being = new Being(this[SHARED].lane, this);
    const handler = being.behavior(table);
    const pid = parent === undefined ? super.spawn(handler, budget, rest)
      : super.spawnChild(Number(parent), handler, budget, rest);
    const ref = new Ref(this, pid, type);
    being.ref = ref;
    try {
      // No turn comes between, so no message does.
      being.instance = bearing(this, ref, () => new type(...args));
    } catch (error) {
      this.stop(pid);
      throw error;
    }
    this.#beings.set(pid, being);
    if (table.hasOnStop) this.#watchEnd(pid, being);
    return ref;
  }

  #watchEnd(pid, being) {
    if (this.#mortals.has(pid)) return;
    this.#mortals.set(pid, being);
    this[SHARED].core.watchEnd(pid);
  }

  /** Tells the instance of an actor of its end, once. */
  #ended(pid) {
    const being = this.#mortals.get(pid);
    if (being === undefined) return;
    this.#mortals.delete(pid);
    const failed = (error) => {
      const [kind, text, stack] = failure(error);
      const told = `onStop of ${being.table.name} threw: ${stack || `${kind}: ${text}`}`;
      process.emitWarning(told, 'IrisStopWarning');
    };
    try {
      const returned = being.instance.onStop();
      if (typeof returned?.then !== 'function') return;
      const over = Promise.resolve(returned).catch(failed).then(() => this.#stopping.delete(over));
      this.#stopping.add(over);
    } catch (error) {
      failed(error);
    }
  }
}

module.exports = { NodeRuntime };
