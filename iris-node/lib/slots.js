'use strict';
// Handlers by slot: a number that the native side has in place of the function, and gives back.

class Slots {
  handlers = [];
  #free = [];
  /** The slot that was taken last, for many actors with one handler. */
  #last = -1;
  /** Told of handlers that no actor has any more. */
  freed = null;

  /** A slot for a handler. */
  take(handler) {
    const slot = this.#free.length > 0 ? this.#free.pop() : this.handlers.length;
    this.handlers[slot] = handler;
    this.#last = slot;
    return slot;
  }

  /** The slot that was taken last if it has this handler, or -1. */
  known(handler) {
    return this.#last >= 0 && this.handlers[this.#last] === handler ? this.#last : -1;
  }

  /** No actor has what is in these slots any more. */
  free(slots) {
    for (const slot of slots) {
      if (this.freed !== null) this.freed(this.handlers[slot]);
      this.handlers[slot] = undefined;
      if (this.#last === slot) this.#last = -1;
      this.#free.push(slot);
    }
    if (this.#free.length === this.handlers.length) {
      // All of them: the arrays are as large as they ever were.
      this.handlers.length = 0;
      this.#free = [];
    }
  }

  /** No handler is called any more. */
  close() {
    this.handlers.length = 0;
  }
}

module.exports = { Slots };
