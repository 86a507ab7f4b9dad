'use strict';

const { inspect } = require('node:util');

const check = require('./check.js');
const { insideOf } = require('./actor.js');
const { packCall, unpack } = require('./codec.js');
const { DeadActorError, MailboxFullError, RejectedError } = require('./errors.js');
const { rebuilt } = require('./remote.js');

const OPTIONS = ['timeoutMs', 'signal', 'kwargs'];

/** Whether the last of what a method is asked with is how to ask, and no argument. */
function isOptions(value) {
  if (value === null || typeof value !== 'object') return false;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const keys = Object.keys(value);
  return keys.length > 0 && keys.every((key) => OPTIONS.includes(key));
}

/**
 * An actor of a class, for others to talk to: here or, by the pid that stands for it, on another
 * node, in whatever language.
 */
class Ref {
  #rt;
  #pid;
  #type;

  constructor(rt, pid, type) {
    this.#rt = rt;
    this.#pid = check.pid(pid);
    this.#type = type;
  }

  get pid() {
    return this.#pid;
  }

  get rt() {
    return this.#rt;
  }

  /**
   * What the method returns. What it throws is thrown, of its own type if that is known here. An
   * object last with nothing but `timeoutMs` (5000; Infinity is for ever), `signal` and `kwargs`
   * (arguments by name, for methods of Python) is no argument.
   */
  async ask(method, ...args) {
    check.text(method, 'method');
    let options;
    let kwargs;
    if (args.length > 0 && isOptions(args[args.length - 1])) {
      ({ kwargs, ...options } = args.pop());
      if (kwargs !== undefined) check.options(kwargs, Object.keys(kwargs ?? {}), 'kwargs');
    }
    const from = insideOf();
    if (from !== undefined) options = { ...options, from };
    let answer;
    try {
      answer = await packCall(method, args, kwargs, (call) => this.#rt.ask(this.#pid, call, options));
    } catch (error) {
      throw error instanceof RejectedError ? rebuilt(this.#pid, error.answer) : error;
    }
    return unpack(answer);
  }

  /** Has the actor call the method, and does not wait for it. */
  tell(method, ...args) {
    check.text(method, 'method');
    const sent = packCall(method, args, undefined, (call) => this.#rt.send(this.#pid, call));
    if (sent) return;
    if (this.#rt.isAlive(this.#pid)) {
      throw new MailboxFullError(`the mailbox of actor ${this.#pid} is full and refuses what does not fit`);
    }
    throw new DeadActorError(`no actor with pid ${this.#pid} is alive`);
  }

  /** The call as a message, for `sendAfter`, `sendInterval` and `publish`. */
  pack(method, ...args) {
    return packCall(check.text(method, 'method'), args, undefined);
  }

  [Symbol.toPrimitive](hint) {
    return hint === 'string' ? this.toString() : this.#pid;
  }

  toString() {
    return `<iris.Ref ${this.#type?.name ?? 'Actor'} ${this.#pid}>`;
  }

  [inspect.custom]() {
    return this.toString();
  }
}

module.exports = { Ref };
