'use strict';
// The mailbox of an actor that receives.

const check = require('./check.js');
const { MailboxClosed, translated } = require('./errors.js');
const { message } = require('./system.js');

/** setTimeout takes no more; longer is for ever. */
const LONGEST_MS = 2 ** 31 - 1;

/** The message is not in the arena. As in src/mailbox.rs. */
const APART = -2;
/** For the runtime: there may be something for the wait that is under way. */
const LOOK = Symbol('iris.look');
/** For the runtime: nothing is received any more. */
const CLOSE = Symbol('iris.close');

class Mailbox {
  #lane;
  #pid;
  #budget;
  #pace;
  /** Messages since the loop went round. */
  #spent = 0;
  /** The wait that is under way: one at a time. */
  #wait = null;
  #closed = false;

  constructor(lane, pid, budget, pace) {
    this.#lane = lane;
    this.#pid = pid;
    this.#budget = budget;
    this.#pace = pace;
  }

  /** The pid of the actor whose mailbox it is. */
  get pid() {
    return this.#pid;
  }

  /** The next message; `null` if none came within `seconds`. Rejects with MailboxClosed on stop. */
  recv(seconds) {
    return this.#receive(undefined, check.time(seconds, 'seconds'));
  }

  /** The first message for which `matcher(message)` is true; those before it keep their order. */
  selectiveRecv(matcher, seconds) {
    check.callable(matcher, 'matcher');
    const chosen = (raw) => Boolean(matcher(message(raw)));
    return this.#receive(chosen, check.time(seconds, 'seconds'));
  }

  /** Waits for the first as `recv`, and takes what is there then, `max` at most. */
  async recvMany(max, seconds) {
    check.count(max, 'max');
    const first = await this.recv(seconds);
    if (first === null) return [];
    const batch = [first];
    while (batch.length < max && !this.#closed) {
      let next;
      try {
        next = this.#take(undefined, false);
      } catch (error) {
        // The order to stop is for the next call.
        if (error instanceof MailboxClosed) break;
        throw error;
      }
      if (next === null) break;
      batch.push(next);
    }
    return batch;
  }

  /** Answers who asked with the message that was received last; whether somebody did, and waits. */
  reply(data) {
    return this.#lane.core.reply(this.#pid, check.bytes(data, 'an answer'));
  }

  /** Messages until the actor is told to stop. */
  async* [Symbol.asyncIterator]() {
    for (;;) {
      let next;
      try {
        next = await this.recv();
      } catch (error) {
        if (error instanceof MailboxClosed) return;
        throw error;
      }
      yield next;
    }
  }

  #take(matcher, again) {
    try {
      if (matcher === undefined) return this.#next(again);
      const raw = this.#lane.core.receive(this.#pid, again, matcher);
      return raw === null ? null : message(raw);
    } catch (error) {
      throw translated(error);
    }
  }

  #next(again) {
    const lane = this.#lane;
    const length = lane.calls.next(this.#pid, again, lane.arena, lane.used);
    if (length >= 0) return { data: lane.slice(length) };
    return length === APART ? message(lane.core.taken(this.#pid)) : null;
  }

  #receive(matcher, seconds) {
    if (this.#closed) return Promise.reject(new MailboxClosed('the actor was told to stop'));
    if (this.#wait !== null) {
      return Promise.reject(new Error('a mailbox is received from by one at a time'));
    }
    let found;
    try {
      found = this.#take(matcher, false);
    } catch (error) {
      return Promise.reject(error);
    }
    if (found !== null) return this.#paced(found);
    // Who looks again and again lets others have their turn, too.
    if (seconds === 0) return this.#paced(null);
    this.#spent = 0;
    return new Promise((resolve, reject) => {
      const wait = { resolve, reject, matcher, timer: null };
      if (seconds !== undefined && seconds * 1e3 <= LONGEST_MS) {
        wait.timer = setTimeout(() => this.#end(wait.resolve, null), seconds * 1e3);
        if (this.#lane.referenced === false) wait.timer.unref();
      }
      this.#wait = wait;
    });
  }

  /** After a budget of messages that were all there, or a while, others get their turn. */
  #paced(found) {
    this.#spent += 1;
    if (this.#spent < this.#budget && !this.#pace.isOver()) return Promise.resolve(found);
    this.#spent = 0;
    return new Promise((resolve) => {
      this.#pace.later(() => resolve(found));
    });
  }

  #end(settle, value) {
    if (this.#wait?.timer) clearTimeout(this.#wait.timer);
    this.#wait = null;
    settle(value);
  }

  [LOOK]() {
    const wait = this.#wait;
    if (wait === null) return;
    try {
      const found = this.#take(wait.matcher, true);
      // A matcher may have had the actor stopped meanwhile.
      if (found !== null && this.#wait === wait) this.#end(wait.resolve, found);
    } catch (error) {
      if (this.#wait === wait) this.#end(wait.reject, error);
    }
  }

  [CLOSE]() {
    this.#closed = true;
    if (this.#wait !== null) {
      this.#end(this.#wait.reject, new MailboxClosed('the actor was told to stop'));
    }
  }
}

module.exports = { CLOSE, LOOK, Mailbox };
