'use strict';
// Has actors that receive leave the loop its turn.
//
// What they do between two receives runs as promises do, which the loop does not go round for. So
// all of a runtime's have a millisecond together; who receives after that goes on behind a round,
// few at a time, for those are not timed before they have run.

/** How long the loop may be kept from going round. */
const TIME_MS = 1;

/** So many go on in a round. */
const AT_A_TIME = 4;

class Pace {
  #until = 0;
  #queue = [];
  #drain = () => {
    this.#until = performance.now() + TIME_MS;
    const calls = this.#queue.splice(0, AT_A_TIME);
    if (this.#queue.length > 0) setImmediate(this.#drain);
    for (const call of calls) call();
  };

  /** Whether the loop is to go round first. */
  isOver() {
    return performance.now() >= this.#until;
  }

  /** Calls it in its turn. Keeps the process alive until then. */
  later(call) {
    this.#queue.push(call);
    if (this.#queue.length === 1) setImmediate(this.#drain);
  }
}

module.exports = { Pace };
