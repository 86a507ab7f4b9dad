'use strict';
// Promises that the native side settles, by tickets.

const { ShutDownError, made, translated } = require('./errors.js');

/** setTimeout takes no more; longer is for ever. */
const LONGEST_MS = 2 ** 31 - 1;

function shutDown() {
  return new ShutDownError('the runtime has been shut down; create a new one');
}

class Promises {
  #lane;
  #ticket = 0;

  constructor(lane) {
    this.#lane = lane;
  }

  /** A promise that the native side settles. */
  begin(start) {
    return this.within(undefined, null, start);
  }

  /** The same, given up after some seconds with what `late` is or makes. */
  within(seconds, late, start, signal) {
    if (this.#lane.closed) return Promise.reject(shutDown());
    this.#ticket = (this.#ticket + 1) % 2 ** 32;
    const ticket = this.#ticket;
    return new Promise((resolve, reject) => {
      const { pending } = this.#lane;
      let timer = null;
      const giveUp = (settle, value) => {
        if (!pending.has(ticket)) return;
        this.#lane.core.forget(ticket);
        entry.end();
        settle(value);
        this.#lane.rest();
      };
      const abort = () => giveUp(reject, signal.reason);
      const entry = {
        resolve,
        reject,
        end: () => {
          pending.delete(ticket);
          if (timer !== null) clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
        },
      };
      pending.set(ticket, entry);
      this.#lane.hold();
      try {
        start(ticket);
      } catch (error) {
        entry.end();
        reject(translated(error));
        return;
      }
      signal?.addEventListener('abort', abort, { once: true });
      if (seconds !== undefined && seconds * 1e3 <= LONGEST_MS) {
        timer = setTimeout(() => {
          if (typeof late === 'function') giveUp(reject, late());
          else giveUp(resolve, late);
        }, seconds * 1e3);
      }
    });
  }

  /** What the native side says of a ticket; nobody waits any more for one that was given up. */
  settle(ticket, code, reason, value) {
    const entry = this.#lane.pending.get(ticket);
    if (entry === undefined) return;
    entry.end();
    if (code !== undefined) entry.reject(made(code, reason, value));
    else entry.resolve(value ?? null);
  }

  /** Nothing is settled any more. */
  close() {
    const { pending } = this.#lane;
    for (const { reject } of pending.values()) reject(shutDown());
    pending.clear();
  }
}

module.exports = { Promises };
