'use strict';
// What keeps the process alive: work, timers, promises and listeners, and nothing else.

/** The longest between two looks whether there is still something to stay alive for. */
const LONGEST_LOOK_MS = 1000;

class Life {
  #held = false;
  #look = null;
  #lookMs = 4;
  /** Promises that are waited for, by ticket. */
  pending = new Map();
  listening = false;
  /** Whether the user has said so; `null`: neither way. */
  referenced = null;
  closed = false;

  /** Whether the process is kept alive. */
  get holds() {
    return this.#held;
  }

  /** Keeps the process alive until there is nothing to do. */
  hold() {
    if (this.#held || this.closed || this.referenced === false) return;
    this.#held = true;
    this.calls.hold(true);
  }

  /** As `hold`, after something that may not come to an end with a turn. */
  holdFor() {
    this.hold();
    this.#lookMs = 4;
    this.rest();
  }

  /** Lets the process end if there is nothing to do. */
  rest() {
    if (!this.#held || this.closed) return;
    if (this.referenced === false) return this.#release();
    if (this.referenced || this.listening || this.pending.size > 0 || this.isBusy()) return;
    if (this.calls.isIdle()) return this.#release();
    // A timer, or work that is none of this thread's: its end is not always seen from here.
    if (this.#look === null) {
      this.#look = setTimeout(() => {
        this.#look = null;
        this.#lookMs = Math.min(this.#lookMs * 2, LONGEST_LOOK_MS);
        this.rest();
      }, this.#lookMs);
      this.#look.unref();
    }
  }

  #release() {
    this.#held = false;
    this.calls.hold(false);
    if (this.#look !== null) clearTimeout(this.#look);
    this.#look = null;
  }

  /** Whether handlers are to be called, or wait for promises. */
  isBusy() {
    return false;
  }

  /** There is nothing to stay alive for any more. */
  close() {
    this.closed = true;
    if (this.#look !== null) clearTimeout(this.#look);
  }
}

module.exports = { Life };
