'use strict';
// The JavaScript side of the lane: calls handlers, a batch at a time.
//
// The native side wakes the loop once when its queue was empty. A turn then collects messages of
// many actors into an arena, calls their handlers, and tells the native side of all that did not
// simply return. It ends after a millisecond; what is left comes after a round of the loop. Nothing
// but a turn, and promises that handlers wait for, calls handlers: what they call themselves
// only queues.

const { markAsUntransferable } = require('node:worker_threads');

const { Contexts, contexts, outside } = require('./context.js');
const { SystemMessage } = require('./system.js');
const { Watchdog } = require('./watchdog.js');
const check = require('./check.js');

/** Returned by a handler to end its actor, reason `normal`. */
const STOP = Symbol('iris.STOP');

/** How long a turn goes on, in milliseconds. */
const TURN_MS = 1;

/** Bytes of an arena. Whoever keeps a message keeps all of it. */
const ARENA_BYTES = 64 * 1024;

/** With less room than this a new arena is taken: answers have no other place. */
const LEAST_ROOM = 8 * 1024;

/** Messages between two looks at the clock at most; each costs some 40 ns. */
const LONGEST_STRIDE = 64;

/** A batch whose messages take less than this between two looks gets fewer looks. */
const QUICK_MS = 0.05;

/** The longest between two looks whether there is still something to stay alive for. */
const LONGEST_LOOK_MS = 1000;

/** Somebody waits for an answer. As in src/hand.rs. */
const ASKED = 1;
/** The actor goes on when its handler throws. */
const RESUME = 2;

/** Messages have brought contexts. */
const CARRIES = 4;

const NOTHING = Buffer.alloc(0);

const now = () => performance.now();

function arena(size) {
  const made = Buffer.allocUnsafeSlow(size);
  // Others have their messages in it, too.
  markAsUntransferable(made.buffer);
  return made;
}

/** An exception as texts, whatever was thrown. */
function failure(error) {
  const read = (get, otherwise) => {
    try {
      const value = get();
      return typeof value === 'string' ? value : otherwise;
    } catch {
      return otherwise;
    }
  };
  if (error !== null && typeof error === 'object') {
    const kind = read(() => error.name, 'Error');
    return [kind, read(() => error.message, read(() => String(error), '')), read(() => error.stack, '')];
  }
  return ['Error', read(() => String(error), ''), ''];
}

/** Whether it is to be awaited. Throws what a getter of it throws. */
function isThenable(value) {
  return value !== null && (typeof value === 'object' || typeof value === 'function')
    && typeof value.then === 'function';
}

/** What an actor has in hand whose handler waits for a promise. */
class Waiting {
  constructor(pid, slot, flags, arena, offset, lengths, handled) {
    this.pid = pid;
    this.slot = slot;
    this.flags = flags;
    this.arena = arena;
    this.offset = offset;
    /** Of the messages that are still to be handled. */
    this.lengths = lengths;
    this.next = 0;
    this.handled = handled;
    this.over = false;
  }
}

/** What `turn` says, as in src/turn.rs. */
const [MESSAGES, BYTES, WRITTEN, ANSWERS, TOLD, FREED, AGAIN] = [0, 1, 2, 3, 4, 5, 6];

class Lane {
  core;
  /** What is called for each message or batch, as functions. */
  calls;
  /** What messages bring along. */
  contexts;
  /** Looks at handlers that take long. */
  watchdog;
  /** By slot; slots are numbers that the native side gives back. */
  handlers = [];
  #free = [];
  /** The slot that was taken last, for many actors with one handler. */
  #last = -1;

  /** Where the native side writes messages, from `used` on. */
  arena = arena(ARENA_BYTES);
  used = 0;
  #index = new Int32Array(4096);
  #pids = new Float64Array(512);
  #head = new Int32Array(7);

  // The batch that the lane is at: its arena, which entry and message comes next, and where that is.
  #batch = this.arena;
  #entries = 0;
  #entry = 0;
  #message = 0;
  #at = 0;
  #offset = 0;
  /** Counts orders to stop from here: after one, the rest of a batch is looked at each. */
  stops = 0;
  #stopsSeen = 0;

  /** Until when the loop may be kept from going round. */
  #deadline = 0;
  /** When the clock was looked at last in a turn. */
  #time = 0;
  #scheduled = false;
  #scheduledTurn = () => {
    this.#scheduled = false;
    this.#turn();
  };

  #nextTurn = () => {
    this.#scheduled = false;
    this.#work();
  };

  #turning = false;
  #resumable = [];
  waiting = new Map();
  /** The actor whose handler is running; 0 for none. */
  inside = 0;
  /** And how it was called. */
  flags = 0;

  // What the process is kept alive for.
  #held = false;
  #look = null;
  #lookMs = 4;
  pending = new Map();
  listening = false;
  referenced = null;
  closed = false;

  /** Told of what is no message: by kind, as in src/news.rs. */
  hear;
  /** Told of answers to questions. */
  answered;
  /** Told of handlers that threw. */
  crashed;
  /** Told of handlers that no actor has any more. */
  freed = null;
  /** Told of actors that have ended and want that to be known. */
  ended = null;

  constructor(Core, { hear, answered, crashed }, capacity) {
    this.hear = hear;
    this.answered = answered;
    this.crashed = crashed;
    this.core = new Core(() => this.#turn(), capacity);
    this.calls = this.core.functions();
    this.watchdog = new Watchdog(this.core, this.waiting, (pid) => this.core.info(pid)?.behavior);
    this.contexts = new Contexts(() => this.#reuse());
  }

  /** Whether somebody waits for what the handler that was called last answers. */
  isAsked() {
    return (this.flags & ASKED) !== 0;
  }

  /** Answers who asks an actor before its handler has come to its end, with an error or not. */
  respond(pid, bytes, isError) {
    this.core.respond?.(pid, bytes, isError);
  }

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
    if (this.referenced || this.listening || this.pending.size > 0 || this.waiting.size > 0
      || this.#resumable.length > 0 || this.#entries > 0 || this.#scheduled) {
      return;
    }
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

  /** Nothing is called any more. */
  close() {
    this.closed = true;
    if (this.#look !== null) clearTimeout(this.#look);
    for (const state of this.waiting.values()) state.over = true;
    this.waiting.clear();
    this.watchdog.set(undefined);
    this.#resumable.length = 0;
    this.#entries = 0;
    this.handlers.length = 0;
    this.core.close();
  }

  /** Has the loop turn once more, after what waits for it already. */
  schedule() {
    if (this.#scheduled || this.closed) return;
    this.#scheduled = true;
    const immediate = setImmediate(this.#scheduledTurn);
    if (this.referenced === false) immediate.unref();
  }

  /**
   * Has the lane turn for somebody who has sent: as soon as the code that runs now is done, for as
   * long as the loop has not been kept from going round, else after that.
   */
  soon() {
    if (this.#scheduled || this.closed) return;
    if (!this.#turning && now() < this.#deadline) {
      this.#scheduled = true;
      process.nextTick(this.#nextTurn);
    } else {
      this.schedule();
    }
  }

  /** A turn of the loop. */
  #turn() {
    this.#time = now();
    this.#deadline = this.#time + TURN_MS;
    this.#work();
  }

  #work() {
    if (this.#turning || this.closed) return;
    // Who has had the lane turn has nothing to do with what it finds.
    if (contexts.isUsed) outside(this.#workHere);
    else this.#workHere();
  }

  #workHere = () => {
    this.#turning = true;
    let again = true;
    try {
      again = this.#turnOnce();
    } finally {
      this.inside = 0;
      this.#turning = false;
      if (again && !this.closed) this.schedule();
    }
    this.rest();
  };

  /** Whether there is more to do. */
  #turnOnce() {
    for (let first = true; !this.closed; first = false) {
      if (this.#entries > 0 && !this.#dispatch()) return true;
      const more = this.#resume() && (first || this.#isEarly());
      this.#exchange(more);
      if (this.closed) return false;
      if (!more) return true;
      if (this.#entries === 0 && this.#head[AGAIN] === 0) return false;
    }
    return false;
  }

  /** Whether the turn may go on. */
  #isEarly() {
    this.#time = now();
    return this.#time < this.#deadline;
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
    if (head[TOLD] !== 0) for (const one of this.core.news()) this.hear(one);
    if (head[FREED] !== 0 && !this.closed) this.#reuse();
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
    for (const slot of slots) {
      if (this.freed !== null) this.freed(this.handlers[slot]);
      this.handlers[slot] = undefined;
      if (this.#last === slot) this.#last = -1;
      this.#free.push(slot);
    }
    if (this.#free.length === this.handlers.length) {
      // All of them: the arrays are as large as they ever were.
      this.handlers = [];
      this.#free = [];
    }
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
    const { calls, handlers, watchdog } = this;
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
            message ??= this.#extra(entry, pid, k - 1);
            returned = handlers[index[at]](message, pid);
          } else {
            returned = this.#callWithin(entry, handlers[index[at]], message, pid, flags, k - 1);
          }
          if (returned === undefined && (flags & ASKED) === 0) continue;
          waits = isThenable(returned);
        } catch (error) {
          if (this.#threw(entry, pid, flags, k, error)) break;
          continue;
        }
        if (waits) {
          const lengths = index.slice(at + 3 + k, at + 3 + count);
          const state = new Waiting(pid, index[at], flags, arena, offset, lengths, k);
          this.waiting.set(pid, state);
          watchdog.awaits();
          calls.waits(entry);
          this.#await(state, returned);
          break;
        }
        if (this.#returned(entry, pid, flags, k, returned)) break;
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

  /** Calls a handler in the context that a message may have brought. */
  #callWithin(entry, handler, message, pid, flags, number) {
    // First: who takes an extra message takes that, too.
    const context = (flags & CARRIES) === 0 ? 0 : this.calls.contextOf(entry, pid, number);
    const given = message ?? this.#extra(entry, pid, number);
    return this.contexts.within(context, handler, given, pid);
  }

  /** A message that is in no arena. */
  #extra(entry, pid, number) {
    const extra = this.core.extra(entry, pid, number);
    return Buffer.isBuffer(extra) ? extra : new SystemMessage(extra);
  }

  /** A handler has returned a value that is no promise; whether the rest is not handled. */
  #returned(entry, pid, flags, handled, value) {
    if (value === STOP) {
      if ((flags & ASKED) !== 0) this.core.respond(pid, NOTHING, false);
      this.core.stops(entry, pid, handled);
      return true;
    }
    if ((flags & ASKED) !== 0) {
      let answer = NOTHING;
      if (value !== undefined && value !== null) {
        try {
          answer = check.bytes(value, 'an answer');
        } catch (error) {
          return this.#threw(entry, pid, flags, handled, error);
        }
      }
      this.calls.answer(entry, pid, answer);
      return true;
    }
    return false;
  }

  /** A handler has thrown; whether that is its end. */
  #threw(entry, pid, flags, handled, error) {
    const resumes = (flags & RESUME) !== 0;
    if (!resumes) this.core.crashes(entry, pid, handled, ...failure(error));
    else if ((flags & ASKED) !== 0) this.core.fails(pid, ...failure(error));
    this.crashed(pid, error, resumes);
    return !resumes;
  }

  #await(state, promise) {
    Promise.resolve(promise).then(
      (value) => this.#settled(state, value, undefined, false),
      (error) => this.#settled(state, undefined, error, true),
    );
  }

  /** What a handler waited for is there. */
  #settled(state, value, error, failed) {
    if (state.over) return;
    const { pid, flags, handled } = state;
    if (this.calls.isStopped(-1, pid)) {
      this.toldToStop(pid);
    } else if (failed ? this.#threw(-1, pid, flags, handled, error)
      : this.#returned(-1, pid, flags, handled, value)) {
      this.#forget(state);
    } else if (state.next === state.lengths.length || now() < this.#deadline) {
      this.#goOn(state);
    } else {
      this.#resumable.push(state);
      this.schedule();
    }
    if (!this.#turning) this.rest();
  }

  /** An actor was told to stop while its handler waits: it ends where it waits. */
  toldToStop(pid) {
    const state = this.waiting.get(pid);
    if (state === undefined) return false;
    this.#forget(state);
    this.core.told(-1, pid, state.handled);
    return true;
  }

  #forget(state) {
    state.over = true;
    this.waiting.delete(state.pid);
  }

  /** Goes on with those that have had to wait for the loop to go round; whether with all. */
  #resume() {
    if (this.#resumable.length === 0) return true;
    const states = this.#resumable;
    this.#resumable = [];
    for (let i = 0; i < states.length; i++) {
      if (i > 0 && now() >= this.#deadline) {
        this.#resumable = states.slice(i).concat(this.#resumable);
        return false;
      }
      if (!states[i].over) this.#goOn(states[i]);
    }
    return this.#resumable.length === 0;
  }

  /** Handles what is left of a batch whose handler had to wait. */
  #goOn(state) {
    const { calls } = this;
    const { pid, flags } = state;
    while (state.next < state.lengths.length) {
      const { stops } = this;
      const length = state.lengths[state.next];
      state.next += 1;
      state.handled += 1;
      let message;
      if (length >= 0) {
        message = state.arena.subarray(state.offset, state.offset + length);
        state.offset += length;
      }
      const outside = this.inside;
      this.inside = pid;
      this.flags = flags;
      this.watchdog.enter(pid);
      this.watchdog.step();
      let returned;
      let waits = false;
      let ended = false;
      try {
        if ((flags & CARRIES) === 0 && !contexts.isUsed) {
          message ??= this.#extra(-1, pid, state.handled - 1);
          returned = this.handlers[state.slot](message, pid);
        } else {
          const handler = this.handlers[state.slot];
          returned = this.#callWithin(-1, handler, message, pid, flags, state.handled - 1);
        }
        waits = isThenable(returned);
      } catch (error) {
        ended = this.#threw(-1, pid, flags, state.handled, error);
      }
      this.inside = outside;
      this.watchdog.leave();
      if (waits) return this.#await(state, returned);
      if (ended || (returned !== undefined && this.#returned(-1, pid, flags, state.handled, returned))) {
        return this.#forget(state);
      }
      if (this.stops !== stops && calls.isStopped(-1, pid)) {
        this.toldToStop(pid);
        return undefined;
      }
      if (state.next < state.lengths.length && now() >= this.#deadline) {
        this.#resumable.push(state);
        return this.schedule();
      }
    }
    this.#forget(state);
    calls.done(pid);
    return undefined;
  }
}

module.exports = { Lane, RESUME, STOP, failure };
