'use strict';
// The JavaScript side of the lane: calls handlers, a batch at a time.
//
// The native side wakes the loop once when its queue was empty. A turn then collects messages of
// many actors into an arena, calls their handlers, and tells the native side of all that did not
// simply return. It ends after a millisecond; what is left comes after a round of the loop. Nothing
// but a turn, and promises that handlers wait for, calls handlers: what they call themselves
// only queues.

const { markAsUntransferable } = require('node:worker_threads');

const { contexts, outside } = require('./context.js');
const {
  ASKED, CARRIES, Handling, Waiting, isThenable, now,
} = require('./handling.js');

/** How long a turn goes on, in milliseconds. */
const TURN_MS = 1;

/** Bytes of an arena. Whoever keeps a message keeps all of it. */
const ARENA_BYTES = 64 * 1024;

/** With less room than this a new arena is taken: answers have no other place. */
const LEAST_ROOM = 8 * 1024;

/** Messages between two looks at the clock at most; each costs some 40 ns. */
const LONGEST_STRIDE = 8;

/** A batch whose messages take less than this between two looks gets fewer looks. */
const QUICK_MS = 0.05;

function arena(size) {
  const made = Buffer.allocUnsafeSlow(size);
  // Others have their messages in it, too.
  markAsUntransferable(made.buffer);
  return made;
}

/** What `turn` says, as in src/turn.rs. */
const [MESSAGES, BYTES, WRITTEN, ANSWERS, TOLD, FREED, AGAIN] = [0, 1, 2, 3, 4, 5, 6];

class Lane extends Handling {
  /** Where the native side writes messages, from `used` on. */
  arena = arena(ARENA_BYTES);
  used = 0;
  #index = new Int32Array(4096);
  #pids = new Float64Array(512);
  #head = new Int32Array(7);
  /** What is still to be told. */
  #news = [];

  // The batch that the lane is at: its arena, which entry and message comes next, and where that is.
  #batch = this.arena;
  #entries = 0;
  #entry = 0;
  #message = 0;
  #at = 0;
  #offset = 0;
  #stopsSeen = 0;

  /** When the clock was looked at last in a turn. */
  #time = 0;
  #scheduled = false;
  /** The immediate of the next turn is there. */
  #immediate = false;
  #scheduledTurn = () => {
    this.#immediate = false;
    this.#turn();
  };

  /**
   * Another thread has woken the loop. Node may call this a thousand times before the loop goes
   * round, so the turn comes behind that.
   */
  #woken = () => {
    if (this.#immediate || this.closed) return;
    this.#scheduled = true;
    this.#immediate = true;
    setImmediate(this.#scheduledTurn);
  };

  #nextTurn = () => {
    this.#scheduled = false;
    this.#work();
  };

  /** Told of what is no message: by kind, as in src/news.rs. */
  hear;
  /** Told of answers to questions. */
  answered;
  /** Told of actors that have ended and want that to be known. */
  ended = null;

  constructor(Core, { hear, answered, crashed }, capacity) {
    super(new Core(() => this.#woken(), capacity), crashed, () => this.#reuse());
    this.hear = hear;
    this.answered = answered;
  }

  /** Messages that an actor has in hand, and has not been called with. */
  inHand(pid) {
    let waiting = 0;
    const state = this.waiting.get(pid);
    if (state !== undefined) waiting = state.lengths.length - state.next;
    let at = this.#at;
    for (let entry = this.#entry; entry < this.#entries; entry++) {
      const count = this.#index[at + 1];
      if (this.#pids[entry] === pid) {
        waiting += count - (entry === this.#entry ? this.#message : 0);
      }
      at += 3 + count;
    }
    return waiting;
  }

  /** Has what an actor has in hand handled by another handler. */
  retarget(pid, slot) {
    const state = this.waiting.get(pid);
    if (state !== undefined) state.slot = slot;
    let at = this.#at;
    for (let entry = this.#entry; entry < this.#entries; entry++) {
      if (this.#pids[entry] === pid) this.#index[at] = slot;
      at += 3 + this.#index[at + 1];
    }
  }

  isBusy() {
    return this.#entries > 0 || this.#news.length > 0 || this.#scheduled || super.isBusy();
  }

  close() {
    this.#entries = 0;
    super.close();
  }

  /** Has the loop turn once more, after what waits for it already. */
  schedule() {
    if (this.#scheduled || this.closed) return;
    this.#scheduled = true;
    // An immediate keeps the process alive, or else does not keep the loop from sleeping.
    if (this.referenced === false) this.calls.wake();
    else this.#woken();
  }

  /**
   * Has the lane turn for somebody who has sent: as soon as the code that runs now is done, for as
   * long as the loop has not been kept from going round, else after that.
   */
  soon() {
    if (this.#scheduled || this.closed) return;
    if (!this.turning && now() < this.deadline) {
      this.#scheduled = true;
      process.nextTick(this.#nextTurn);
    } else {
      this.schedule();
    }
  }

  /** A turn of the loop. */
  #turn() {
    this.#scheduled = false;
    this.#time = now();
    this.deadline = this.#time + TURN_MS;
    this.#work();
  }

  #work() {
    if (this.turning || this.closed) return;
    // Who has had the lane turn has nothing to do with what it finds.
    outside(this.#workHere);
  }

  #workHere = () => {
    this.turning = true;
    let again = true;
    try {
      again = this.#turnOnce();
    } finally {
      this.inside = 0;
      this.watchdog.leave();
      this.turning = false;
      if (again && !this.closed) this.schedule();
    }
    this.rest();
  };

  /** Whether there is more to do. */
  #turnOnce() {
    for (let first = true; !this.closed; first = false) {
      if (this.#entries > 0 && !this.#dispatch()) return true;
      const more = this.resume() && (first || this.#isEarly());
      this.#exchange(more);
      if (this.closed) return false;
      if (!more || this.#news.length > 0) return true;
      if (this.#entries === 0 && this.#head[AGAIN] === 0) return false;
    }
    return false;
  }

  /** Whether the turn may go on. */
  #isEarly() {
    this.#time = now();
    return this.#time < this.deadline;
  }

  /** Has the native side settle the batch, and takes news and, if there is time, messages. */
  #exchange(collects) {
    const head = this.#head;
    // An arena is used up and never used again: who keeps a message may do so.
    if (this.used + LEAST_ROOM > this.arena.length) this.#renew(ARENA_BYTES);
    const entries = this.calls.turn(
      collects, this.arena, this.used, this.#index, this.#pids, head,
    );
    if (head[ANSWERS] > 0) this.#answer(head[ANSWERS]);
    if (entries > 0) this.#begin(entries);
    // From here on it is others' code that is called.
    if (head[TOLD] !== 0) this.#news.push(...this.core.news());
    if (this.#news.length > 0) this.#hearAll();
    if (head[FREED] !== 0 && !this.closed) this.#reuse();
  }

  /** Tells news, as many as there is time for. */
  #hearAll() {
    const news = this.#news;
    this.#news = [];
    for (let i = 0; i < news.length && !this.closed; i++) {
      if (i > 0 && !this.#isEarly()) {
        this.#news = news.slice(i).concat(this.#news);
        return;
      }
      try {
        this.hear(news[i]);
      } catch (error) {
        // A defect, but none of the others'.
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }

  #renew(size) {
    this.arena = arena(size);
    this.used = 0;
  }

  /** A message that was written into the arena. */
  slice(length) {
    const start = this.used;
    this.used += length;
    const data = this.arena.subarray(start, this.used);
    if (this.used + LEAST_ROOM > this.arena.length) this.#renew(ARENA_BYTES);
    return data;
  }

  /** Settles promises with answers that are in the arena. */
  #answer(count) {
    const lastTicket = this.#pids.length - 1;
    const lastLength = this.#index.length - 1;
    for (let i = 0; i < count; i++) {
      const end = this.used + this.#index[lastLength - i];
      this.answered(this.#pids[lastTicket - i], this.arena.subarray(this.used, end));
      this.used = end;
    }
  }

  #reuse() {
    const [slots, numbers] = this.core.freed();
    this.contexts.free(numbers);
    this.slots.free(slots);
  }

  /** Takes up a batch, and has the native side write it if there was no room for that. */
  #begin(entries) {
    const head = this.#head;
    const messages = head[MESSAGES];
    const size = head[BYTES];
    if (head[WRITTEN] === 0) {
      const words = 3 * entries + messages;
      if (this.#index.length < words) this.#index = new Int32Array(words);
      if (this.#pids.length < entries) this.#pids = new Float64Array(entries);
      if (this.used + size > this.arena.length) this.#renew(Math.max(ARENA_BYTES, size));
      this.calls.fill(this.arena, this.used, this.#index, this.#pids);
    }
    this.#batch = this.arena;
    this.#offset = this.used;
    this.used += size;
    this.#entry = 0;
    this.#message = 0;
    this.#at = 0;
    this.#stopsSeen = this.stops;
    this.#entries = entries;
  }

  /** Calls handlers; whether the batch is done. */
  #dispatch() {
    const { calls, watchdog } = this;
    const { handlers } = this.slots;
    const index = this.#index;
    const arena = this.#batch;
    let offset = this.#offset;
    let stride = 1;
    let left = 1;
    let since = this.#time;
    while (this.#entry < this.#entries) {
      const entry = this.#entry;
      const at = this.#at;
      const pid = this.#pids[entry];
      const count = index[at + 1];
      const flags = index[at + 2];
      let k = this.#message;
      watchdog.enter(pid);
      while (k < count) {
        if (left-- === 0) {
          if (!this.#isEarly()) {
            this.#offset = offset;
            this.inside = 0;
            watchdog.leave();
            return false;
          }
          stride = this.#time - since < QUICK_MS ? Math.min(stride * 2, LONGEST_STRIDE) : 1;
          since = this.#time;
          left = stride;
        }
        if (this.stops !== this.#stopsSeen && calls.isStopped(entry, pid)) {
          this.core.told(entry, pid, k);
          break;
        }
        const length = index[at + 3 + k];
        k += 1;
        this.#message = k;
        let message;
        if (length >= 0) {
          message = arena.subarray(offset, offset + length);
          offset += length;
        }
        this.inside = pid;
        this.flags = flags;
        watchdog.step();
        let returned;
        let waits;
        try {
          if ((flags & CARRIES) === 0 && !contexts.isUsed) {
            message ??= this.extra(entry, pid, k - 1);
            returned = handlers[index[at]](message, pid);
          } else {
            returned = this.callWithin(entry, handlers[index[at]], message, pid, flags, k - 1);
          }
          if (returned === undefined && (flags & ASKED) === 0) continue;
          waits = isThenable(returned);
        } catch (error) {
          if (this.threw(entry, pid, flags, k, error)) break;
          continue;
        }
        if (waits) {
          const lengths = index.slice(at + 3 + k, at + 3 + count);
          const state = new Waiting(pid, index[at], flags, arena, offset, lengths, k);
          this.waiting.set(pid, state);
          watchdog.awaits();
          calls.waits(entry);
          this.await(state, returned);
          break;
        }
        if (this.returned(entry, pid, flags, k, returned)) break;
      }
      while (k < count) {
        const length = index[at + 3 + k];
        if (length > 0) offset += length;
        k += 1;
      }
      this.#message = 0;
      this.#at = at + 3 + count;
      this.#entry = entry + 1;
    }
    this.inside = 0;
    watchdog.leave();
    this.#entries = 0;
    return true;
  }
}

module.exports = { Lane };
