'use strict';
// What comes of calls of handlers: answers, ends, exceptions, and promises that they wait for.

const check = require('./check.js');
const { Contexts, contexts } = require('./context.js');
const { Life } = require('./life.js');
const { Slots } = require('./slots.js');
const { SystemMessage } = require('./system.js');
const { Watchdog } = require('./watchdog.js');

/** Returned by a handler to end its actor, reason `normal`. */
const STOP = Symbol('iris.STOP');

/** Somebody waits for an answer. As in src/hand.rs. */
const ASKED = 1;
/** The actor goes on when its handler throws. */
const RESUME = 2;

/** Messages have brought contexts. */
const CARRIES = 4;

const NOTHING = Buffer.alloc(0);

const now = () => performance.now();

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
    /** What it waits for, as an identity. */
    this.waits = null;
    this.over = false;
  }
}

class Handling extends Life {
  core;
  /** What is called for each message or batch, as functions. */
  calls;
  slots = new Slots();
  /** What messages bring along. */
  contexts;
  /** Looks at handlers that take long. */
  watchdog;
  /** Told of handlers that threw. */
  crashed;

  /** By pid, what actors have in hand whose handlers wait for a promise. */
  waiting = new Map();
  /** Of those, the ones that go on with the next turn. */
  resumable = [];
  /** The actor whose handler is running; 0 for none. */
  inside = 0;
  /** And how it was called. */
  flags = 0;
  /** Counts orders to stop from here: after one, the rest of a batch is looked at each. */
  stops = 0;

  /** Until when the loop may be kept from going round. */
  deadline = 0;
  /** A turn is under way. */
  turning = false;

  /** `reuse()` asks the native side for what nobody has any more. */
  constructor(core, crashed, reuse) {
    super();
    this.core = core;
    this.calls = core.functions();
    this.crashed = crashed;
    this.watchdog = new Watchdog(core, this.waiting, (pid) => core.info(pid)?.behavior);
    this.contexts = new Contexts(reuse);
  }

  /** Whether somebody waits for what the handler that was called last answers. */
  isAsked() {
    return (this.flags & ASKED) !== 0;
  }

  /** Answers who asks an actor before its handler has come to its end, with an error or not. */
  respond(pid, bytes, isError) {
    this.core.respond(pid, bytes, isError);
  }

  /** Calls a handler in the context that a message may have brought. */
  callWithin(entry, handler, message, pid, flags, number) {
    // First: who takes an extra message takes that, too.
    const context = (flags & CARRIES) === 0 ? 0 : this.calls.contextOf(entry, pid, number);
    const given = message ?? this.extra(entry, pid, number);
    return this.contexts.within(context, handler, given, pid);
  }

  /** A message that is in no arena. */
  extra(entry, pid, number) {
    const extra = this.core.extra(entry, pid, number);
    return Buffer.isBuffer(extra) ? extra : new SystemMessage(extra);
  }

  /** A handler has returned a value that is no promise; whether the rest is not handled. */
  returned(entry, pid, flags, handled, value) {
    if (value === STOP) {
      if ((flags & ASKED) !== 0) this.core.respond(pid, NOTHING, false);
      this.core.stops(entry, pid, handled);
      return true;
    }
    if ((flags & ASKED) !== 0) {
      try {
        const answer = value === undefined || value === null ? NOTHING : check.bytes(value, 'an answer');
        this.calls.answer(entry, pid, answer);
      } catch (error) {
        return this.threw(entry, pid, flags, handled, error);
      }
      return true;
    }
    return false;
  }

  /** A handler has thrown; whether that is its end. */
  threw(entry, pid, flags, handled, error) {
    const resumes = (flags & RESUME) !== 0;
    if (!resumes) this.core.crashes(entry, pid, handled, ...failure(error));
    else if ((flags & ASKED) !== 0) this.core.fails(pid, ...failure(error));
    this.crashed(pid, error, resumes);
    return !resumes;
  }

  await(state, promise) {
    const waits = {};
    state.waits = waits;
    const settled = (value, error, failed) => {
      // One of the user's own may call more than once.
      if (state.waits === waits) this.#settled(state, value, error, failed);
    };
    try {
      Promise.resolve(promise).then(
        (value) => settled(value, undefined, false),
        (error) => settled(undefined, error, true),
      );
    } catch (error) {
      // It is none that can be waited for.
      queueMicrotask(() => settled(undefined, error, true));
    }
  }

  /** What a handler waited for is there. */
  #settled(state, value, error, failed) {
    state.waits = null;
    if (state.over) return;
    const { pid, flags, handled } = state;
    if (this.calls.isStopped(-1, pid)) {
      this.toldToStop(pid);
    } else if (failed ? this.threw(-1, pid, flags, handled, error)
      : this.returned(-1, pid, flags, handled, value)) {
      this.#forget(state);
    } else if (state.next === state.lengths.length || now() < this.deadline) {
      this.#goOn(state);
    } else {
      this.resumable.push(state);
      this.schedule();
    }
    if (!this.turning) this.rest();
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
  resume() {
    if (this.resumable.length === 0) return true;
    const states = this.resumable;
    this.resumable = [];
    for (let i = 0; i < states.length; i++) {
      if (i > 0 && now() >= this.deadline) {
        this.resumable = states.slice(i).concat(this.resumable);
        return false;
      }
      if (!states[i].over) this.#goOn(states[i]);
    }
    return this.resumable.length === 0;
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
          message ??= this.extra(-1, pid, state.handled - 1);
          returned = this.slots.handlers[state.slot](message, pid);
        } else {
          const handler = this.slots.handlers[state.slot];
          returned = this.callWithin(-1, handler, message, pid, flags, state.handled - 1);
        }
        waits = isThenable(returned);
      } catch (error) {
        ended = this.threw(-1, pid, flags, state.handled, error);
      }
      this.inside = outside;
      this.watchdog.leave();
      if (waits) return this.await(state, returned);
      if (ended || (returned !== undefined && this.returned(-1, pid, flags, state.handled, returned))) {
        return this.#forget(state);
      }
      if (this.stops !== stops && calls.isStopped(-1, pid)) {
        this.toldToStop(pid);
        return undefined;
      }
      if (state.next < state.lengths.length && now() >= this.deadline) {
        this.resumable.push(state);
        return this.schedule();
      }
    }
    this.#forget(state);
    calls.done(pid);
    return undefined;
  }

  isBusy() {
    return this.waiting.size > 0 || this.resumable.length > 0;
  }

  /** Nothing is called any more. */
  close() {
    super.close();
    for (const state of this.waiting.values()) state.over = true;
    this.waiting.clear();
    this.watchdog.set(undefined);
    this.contexts.close();
    this.resumable.length = 0;
    this.slots.close();
    this.core.close();
  }
}

module.exports = {
  ASKED, CARRIES, Handling, RESUME, STOP, Waiting, failure, isThenable, now,
};
