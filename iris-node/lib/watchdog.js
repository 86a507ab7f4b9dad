'use strict';
// Notices handlers that are at one message for long.
//
// One that keeps the event loop is seen by a thread of the native side, which reads here whose it
// is. One that awaits is seen by a timer. It is timed from the first look that finds it: it is
// told of up to a quarter of the time too late, never too early.

/** Looks in the time after which a handler is told of. */
const LOOKS = 4;

/** Of a pid in `place`. */
const HALF = 2 ** 32;

class Watchdog {
  #core;
  #waiting;
  #nameOf;
  /** Whose handler runs, and a number that changes with each message. As in src/watchdog.rs. */
  #place;
  #afterMs = null;
  #timer = null;
  /** By what waits, what an earlier look has found. */
  #seen = new Map();

  /** `waiting` has the handlers that await, and `nameOf(pid)` says what one is called. */
  constructor(core, waiting, nameOf) {
    this.#core = core;
    this.#waiting = waiting;
    this.#nameOf = nameOf;
    this.#place = new Int32Array(core.place());
  }

  /** Has handlers told of that take so many seconds; `undefined`: none. */
  set(seconds) {
    this.#core.setWatchdog(seconds);
    this.#afterMs = seconds === undefined ? null : seconds * 1e3;
    this.stop();
    if (this.#waiting.size > 0) this.awaits();
  }

  /** The handler of an actor is called next. */
  enter(pid) {
    this.#place[0] = pid | 0;
    this.#place[1] = (pid / HALF) | 0;
  }

  /** With one message more. */
  step() {
    this.#place[2] += 1;
  }

  /** None runs. */
  leave() {
    this.#place[0] = 0;
    this.#place[1] = 0;
  }

  /** There is a handler that awaits. */
  awaits() {
    if (this.#timer !== null || this.#afterMs === null) return;
    const every = Math.min(Math.max(this.#afterMs / LOOKS, 1), 2 ** 31 - 1);
    this.#timer = setInterval(() => this.#look(), every);
    this.#timer.unref();
  }

  /** Does not look again before another handler awaits. */
  stop() {
    clearInterval(this.#timer);
    this.#timer = null;
    this.#seen.clear();
  }

  #look() {
    if (this.#waiting.size === 0) {
      this.stop();
      return;
    }
    const time = performance.now();
    const before = this.#seen;
    this.#seen = new Map();
    for (const [pid, state] of this.#waiting) {
      const known = before.get(state);
      const same = known !== undefined && known.handled === state.handled;
      const seen = same ? known : { handled: state.handled, since: time, due: this.#afterMs };
      this.#seen.set(state, seen);
      if (time - seen.since < seen.due) continue;
      // Again, but ever more seldom.
      seen.due = (time - seen.since) * 2;
      const secs = ((time - seen.since) / 1e3).toFixed(1);
      process.emitWarning(
        `actor ${pid} (${this.#nameOf(pid)}) has awaited for ${secs} s over one message; `
        + `${state.lengths.length - state.next} more are in hand behind it. Give what it awaits a `
        + 'time-out, or set another time with setWatchdog()',
        'IrisWatchdogWarning',
      );
    }
  }
}

module.exports = { Watchdog };
