'use strict';
// Time-outs of promises. Most are never reached, and each has one of few lengths: so those of a
// length are in a list, in the order of their ends, and there is one timer for each list.

const now = () => performance.now();

/** setTimeout takes little more; longer is for ever. */
const LONGEST_MS = 2 ** 31 - 2 ** 21;

/** How long those that are due are called in one go. */
const MOST_MS = 1;

/** So many lists may wait for something to be in them. */
const MOST_LISTS = 64;

/** One time-out, or the end of a list. */
class Deadline {
  #list = null;
  #before = this;
  #after = this;
  #due = 0;

  /** Has `tooLate()` called in so many milliseconds, or up to one more, or a thousandth. */
  start(deadlines, milliseconds) {
    if (milliseconds > LONGEST_MS) return;
    // Or times that are computed would make a list each.
    const whole = Math.max(Math.ceil(milliseconds), 1);
    const step = 2 ** Math.max(21 - Math.clz32(whole), 0);
    const ms = Math.ceil(whole / step) * step;
    const list = deadlines.of(ms);
    this.#due = now() + ms;
    this.#list = list;
    const { end } = list;
    const last = end.#before;
    last.#after = this;
    this.#before = last;
    this.#after = end;
    end.#before = this;
    if (last === end) list.arm(ms);
  }

  /** Has it not called any more. */
  cancel() {
    const list = this.#list;
    if (list === null) return;
    this.#list = null;
    this.#before.#after = this.#after;
    this.#after.#before = this.#before;
    if (list.end.first === null) list.emptied();
  }

  tooLate() {}

  /** The first of the list that this is the end of, or `null`. */
  get first() {
    return this.#after === this ? null : this.#after;
  }

  get due() {
    return this.#due;
  }
}

/** Those of one length. */
class List {
  end = new Deadline();
  #deadlines;
  #ms;
  #timer = null;
  #fired = () => this.#fire();

  constructor(deadlines, ms) {
    this.#deadlines = deadlines;
    this.#ms = ms;
  }

  arm(ms) {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(this.#fired, ms);
    // What waits keeps the process alive, if it is to.
    this.#timer.unref();
  }

  /** Without any, it waits for the next one, unless there are many lists that do. */
  emptied() {
    if (!this.#deadlines.isMany) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#deadlines.drop(this.#ms, this);
  }

  #fire() {
    this.#timer = null;
    const end = now() + MOST_MS;
    for (let { first } = this.end; first !== null; { first } = this.end) {
      const time = now();
      const left = first.due - time;
      if (left > 0 || time >= end) {
        this.arm(Math.max(Math.ceil(left), 1));
        return;
      }
      first.cancel();
      first.tooLate();
    }
    this.#deadlines.drop(this.#ms, this);
  }
}

class Deadlines {
  #lists = new Map();

  get isMany() {
    return this.#lists.size > MOST_LISTS;
  }

  /** The list for a length. */
  of(ms) {
    let list = this.#lists.get(ms);
    if (list === undefined) {
      list = new List(this, ms);
      this.#lists.set(ms, list);
    }
    return list;
  }

  /** There is none of that length any more. */
  drop(ms, list) {
    if (list.end.first === null && this.#lists.get(ms) === list) this.#lists.delete(ms);
  }
}

module.exports = { Deadline, Deadlines };
