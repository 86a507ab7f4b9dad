'use strict';
// Promises that the native side settles, by tickets.

const { Deadline, Deadlines } = require('./deadlines.js');
const { ShutDownError, made, translated } = require('./errors.js');

function shutDown() {
  return new ShutDownError('the runtime has been shut down; create a new one');
}

/** One promise that is waited for. */
class Wait extends Deadline {
  #lane;
  #ticket;
  #late;
  #signal;
  resolve;
  reject;
  /** What is to be looked at when there is news, if that is to be done here. */
  look = null;

  constructor(lane, ticket, late, signal) {
    super();
    this.#lane = lane;
    this.#ticket = ticket;
    this.#late = late;
    this.#signal = signal;
  }

  /** Has it given up in so many seconds, and when the signal says so. */
  begin(deadlines, seconds) {
    if (this.#signal !== undefined) watch(this.#signal, this);
    if (seconds !== undefined) this.start(deadlines, seconds * 1e3);
  }

  /** It is over. */
  end() {
    this.#lane.pending.delete(this.#ticket);
    this.cancel();
    if (this.#signal !== undefined) unwatch(this.#signal, this);
  }

  /** The signal says so. */
  aborted() {
    this.#giveUp(this.reject, this.#signal.reason);
  }

  tooLate() {
    const late = this.#late;
    if (typeof late === 'function') this.#giveUp(this.reject, late());
    else this.#giveUp(this.resolve, late);
  }

  #giveUp(settle, value) {
    if (!this.#lane.pending.has(this.#ticket)) return;
    this.#lane.core.forget(this.#ticket);
    this.end();
    settle(value);
    this.#lane.rest();
  }
}

/**
 * By signal, what it ends. A signal has one listener for all: taking one off costs a walk over
 * the others, and many are warned of.
 */
const signals = new WeakMap();

function watch(signal, wait) {
  let watched = signals.get(signal);
  if (watched === undefined) {
    const waits = new Set();
    const abort = () => {
      signals.delete(signal);
      for (const one of waits) one.aborted();
    };
    watched = { waits, abort };
    signals.set(signal, watched);
    signal.addEventListener('abort', abort, { once: true });
  }
  watched.waits.add(wait);
}

function unwatch(signal, wait) {
  const watched = signals.get(signal);
  if (watched === undefined) return;
  watched.waits.delete(wait);
  if (watched.waits.size > 0) return;
  signals.delete(signal);
  signal.removeEventListener('abort', watched.abort);
}

class Promises {
  #lane;
  #ticket = 0;
  #deadlines = new Deadlines();

  constructor(lane) {
    this.#lane = lane;
  }

  /** A promise that the native side settles. */
  begin(start) {
    return this.within(undefined, null, start);
  }

  /** The same, given up after some seconds with what `late` is or makes. */
  within(seconds, late, start, signal) {
    const lane = this.#lane;
    if (lane.closed) return Promise.reject(shutDown());
    const ticket = (this.#ticket + 1) % 2 ** 32;
    this.#ticket = ticket;
    const wait = new Wait(lane, ticket, late, signal);
    const promise = new Promise((resolve, reject) => {
      wait.resolve = resolve;
      wait.reject = reject;
    });
    lane.pending.set(ticket, wait);
    lane.hold();
    try {
      start(ticket);
    } catch (error) {
      wait.end();
      wait.reject(translated(error));
    }
    // It may be settled already, and then there is nothing to stay alive for.
    if (lane.pending.has(ticket)) wait.begin(this.#deadlines, seconds);
    else lane.rest();
    return promise;
  }

  /** The answer to a question. */
  answered(ticket, data) {
    const wait = this.#lane.pending.get(ticket);
    if (wait === undefined) return;
    wait.end();
    wait.resolve(data);
  }

  /** What the native side says of a ticket; nobody waits any more for one that was given up. */
  settle(ticket, code, reason, value) {
    const wait = this.#lane.pending.get(ticket);
    if (wait === undefined) return;
    wait.end();
    if (code !== undefined) wait.reject(made(code, reason, value));
    else wait.resolve(value ?? null);
  }

  /** Calls `look()` now and whenever there is news for the ticket, until it gives something. */
  lookWith(ticket, look) {
    this.#lane.pending.get(ticket).look = look;
    this.look(ticket);
  }

  /** There may be something to be looked at. */
  look(ticket) {
    const wait = this.#lane.pending.get(ticket);
    if (!wait?.look) return;
    let found;
    try {
      found = wait.look();
    } catch (error) {
      wait.end();
      wait.reject(translated(error));
      return;
    }
    if (found === null) return;
    wait.end();
    wait.resolve(found);
  }

  /** Nothing is settled any more. */
  close() {
    for (const wait of [...this.#lane.pending.values()]) {
      wait.end();
      wait.reject(shutDown());
    }
  }
}

module.exports = { Promises };
