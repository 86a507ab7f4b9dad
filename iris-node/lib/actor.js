'use strict';
// Actors as classes: their state is `this`, and messages are calls of their methods.

const { AsyncLocalStorage } = require('node:async_hooks');

const check = require('./check.js');
const { ProtocolError, pack, unpackCall } = require('./codec.js');
const { STOP } = require('./handling.js');
const { told } = require('./remote.js');
const { SystemMessage } = require('./system.js');

/** Instances of earlier classes that an actor keeps for rollbacks, as many as it keeps behaviors. */
const KEPT_INSTANCES = 16;

/** The being that a handler is of. */
const BEING = Symbol('iris.being');

/** What classes of actors have, and no handler has. */
const ACTOR = Symbol('iris.actor');

/** What the instance that is being made gets to know of itself. */
let birth = null;

/** Calls `make` with what the base of an instance takes over. */
function bearing(rt, ref, make) {
  const outer = birth;
  birth = { rt, ref };
  try {
    return make();
  } finally {
    birth = outer;
  }
}

/** The base of classes of actors. */
class Actor {
  static [ACTOR] = true;

  #rt = birth?.rt;
  #ref = birth?.ref;

  /** The runtime, in the constructor already; undefined for an instance that is no actor. */
  get rt() {
    return this.#rt;
  }

  /** The actor itself, for others to talk to; likewise. */
  get ref() {
    return this.#ref;
  }

  /** Called with system messages if the actor was spawned with `system`. */
  onSystem() {}

  /** Called when the actor has ended, for whatever reason. */
  onStop() {}
}

/** What is known of a class: made once. */
class Table {
  methods = new Set();
  /** Whether it has methods that are `async`. */
  isAsync = false;
  hasPrivates = false;
  /** Whether its instances want to know of their end. */
  hasOnStop;

  constructor(type) {
    this.type = type;
    this.name = type.name || 'an actor class';
    this.hasOnStop = type.prototype.onStop !== Actor.prototype.onStop;
    for (let at = type; at !== Actor; at = Object.getPrototypeOf(at)) {
      const own = Object.getOwnPropertyDescriptors(at.prototype);
      for (const [name, { value }] of Object.entries(own)) {
        if (typeof value !== 'function' || name.startsWith('_') || name in Actor.prototype) continue;
        this.methods.add(name);
        if (Object.prototype.toString.call(value) === '[object AsyncFunction]') this.isAsync = true;
      }
      this.hasPrivates ||= /#[\p{ID_Start}$_]/u.test(Function.prototype.toString.call(at));
    }
  }
}

const tables = new WeakMap();

/** Whether a function is a class of actors, and no handler. */
function isActorClass(type) {
  // Not by its prototype: a function that is asked for that gets one.
  return typeof type === 'function' && type[ACTOR] === true;
}

function tableOf(type) {
  let table = tables.get(type);
  if (table === undefined) {
    if (!isActorClass(type) || type === Actor) {
      throw new TypeError(
        type === Actor ? 'Actor is the base of actors: spawn a class derived from it'
          : `a class of actors must be derived from Actor, not ${check.kind(type)}`,
      );
    }
    table = new Table(type);
    tables.set(type, table);
  }
  return table;
}

/** The actor that code is inside of that was called by its method, across `await`, too. */
const inside = new AsyncLocalStorage();
/** It makes all promises dearer: not before there is a class that needs it. */
let isInsideUsed = false;

/** The pid of that actor while its method has not come to its end, else undefined. */
function insideOf() {
  if (!isInsideUsed) return undefined;
  const call = inside.getStore();
  return call?.isRunning ? call.pid : undefined;
}

let lastNumber = 0;

/** An instance, and those that it has succeeded. */
class Being {
  instance = null;
  /** The number of the behavior that it is of. */
  of = 0;
  table = null;
  /** Of behaviors before it, oldest first. */
  earlier = [];
  /** Behaviors whose instance could not be made. */
  failed = new Set();
  ref = null;
  #behaviors = 0;
  #lane;

  constructor(lane, rt) {
    this.#lane = lane;
    this.rt = rt;
  }

  /** One of its behaviors is gone; whether it was the last. */
  leave() {
    this.#behaviors -= 1;
    return this.#behaviors === 0;
  }

  /** A handler that calls methods of this class; instances of others become it by `migrate`. */
  behavior(table, migrate) {
    lastNumber += 1;
    const number = lastNumber;
    const handler = (message) => {
      if (this.of !== number && this.instance !== null) this.#become(number, table, migrate);
      return this.#receive(message);
    };
    Object.defineProperty(handler, 'name', { value: table.name });
    handler[BEING] = this;
    this.#behaviors += 1;
    if (this.table === null) {
      this.table = table;
      this.of = number;
    }
    if (table.isAsync) isInsideUsed = true;
    return handler;
  }

  #receive(message) {
    if (message instanceof SystemMessage) return this.instance.onSystem(message);
    const isAsked = this.#lane.isAsked();
    let call;
    try {
      call = unpackCall(message);
    } catch (error) {
      return this.#refuse(error, isAsked);
    }
    if (!this.table.methods.has(call.method)) {
      const name = JSON.stringify(call.method);
      return this.#refuse(new ProtocolError(
        `${this.table.name} has no method ${name} that may be called from outside: public methods may`,
      ), isAsked);
    }
    if (this.table.isAsync) return this.#callAsync(call, isAsked);
    let returned;
    try {
      returned = this.instance[call.method](...call.args);
    } catch (error) {
      return this.#failed(error, isAsked);
    }
    return this.#answer(returned, isAsked);
  }

  /** As `#receive`, known as this actor for as long as the method takes. */
  #callAsync({ method, args }, isAsked) {
    const call = { pid: this.ref.pid, isRunning: true };
    let returned;
    try {
      returned = inside.run(call, () => this.instance[method](...args));
    } catch (error) {
      call.isRunning = false;
      return this.#failed(error, isAsked);
    }
    if (typeof returned?.then !== 'function') {
      call.isRunning = false;
      return this.#answer(returned, isAsked);
    }
    return Promise.resolve(returned).then(
      (value) => {
        call.isRunning = false;
        return this.#answer(value, isAsked);
      },
      (error) => {
        call.isRunning = false;
        return this.#failed(error, isAsked);
      },
    );
  }

  /** What the lane is to make of what a method has returned. */
  #answer(returned, isAsked) {
    if (returned === STOP) {
      if (isAsked) this.#lane.respond(this.ref.pid, pack(null), false);
      return STOP;
    }
    if (typeof returned?.then === 'function') {
      return Promise.resolve(returned).then(
        (value) => this.#answer(value, isAsked),
        (error) => this.#failed(error, isAsked),
      );
    }
    if (!isAsked) return undefined;
    try {
      return pack(returned, 'result');
    } catch (error) {
      return this.#failed(error, isAsked);
    }
  }

  /** It is a crash of the actor, or what else was chosen; who asks gets it, too. */
  #failed(error, isAsked) {
    if (isAsked) this.#lane.respond(this.ref.pid, told(error), true);
    throw error;
  }

  /** A message that is the sender's mistake: told to who asks, else to whoever listens. */
  #refuse(error, isAsked) {
    if (isAsked) this.#lane.respond(this.ref.pid, told(error), true);
    else {
      const text = `actor ${this.ref.pid} (${this.table.name}) got a message it cannot handle: ${error.message}`;
      process.emitWarning(text, 'IrisProtocolWarning');
    }
  }

  /** Has an instance of another behavior's class take over. */
  #become(number, table, migrate) {
    if (this.failed.has(number)) return;
    try {
      const at = this.earlier.findIndex((one) => one.of === number);
      if (at >= 0) {
        // A rollback: what both have is what the present one has.
        const { instance } = this.earlier[at];
        for (const key of Object.keys(instance)) {
          if (Object.hasOwn(this.instance, key)) instance[key] = this.instance[key];
        }
        this.earlier.length = at;
        this.instance = instance;
      } else {
        const successor = bearing(this.rt, this.ref, () => evolved(this.instance, table.type, migrate));
        this.earlier.push({ of: this.of, instance: this.instance });
        // The original is kept for ever, as with behaviors.
        if (this.earlier.length > KEPT_INSTANCES) this.earlier.splice(1, 1);
        this.instance = successor;
      }
      this.of = number;
      this.table = table;
    } catch (error) {
      this.failed.add(number);
      const text = `the swap of actor ${this.ref.pid} to ${table.name} failed; it goes on as `
        + `${this.table.name}: ${error?.stack ?? error}`;
      process.emitWarning(text, 'IrisSwapWarning');
    }
  }
}

/** An instance of `type` that goes on where `old` is. */
function evolved(old, type, migrate) {
  const state = migrate === undefined ? { ...old } : migrate(old);
  if (state instanceof type) return state;
  if (state === null || typeof state !== 'object' || state instanceof Actor) {
    throw new TypeError(
      `migrate must return an object of the fields, or an instance of ${type.name}, not ${check.kind(state)}`,
    );
  }
  // With what the base has, and without the class's own constructor.
  const made = Reflect.construct(Actor, [], type);
  for (const key of Object.keys(state)) made[key] = state[key];
  return made;
}

/** Refuses a swap that would lose what an instance keeps to itself. */
function checkSwap(table, migrate) {
  if (migrate === undefined && table.hasPrivates) {
    throw new TypeError(
      `${table.name} has private fields, which nobody else can fill: say how with `
      + `migrate: (old) => an instance of ${table.name}`,
    );
  }
  if (migrate !== undefined) check.callable(migrate, 'migrate');
}

module.exports = {
  Actor, BEING, Being, bearing, checkSwap, insideOf, isActorClass, tableOf,
};
