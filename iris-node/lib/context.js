'use strict';
// What AsyncLocalStorage has travels with a message from who sends to the handler.
//
// Node cannot be asked cheaply whether anybody uses AsyncLocalStorage, and a copy of a context
// takes a microsecond: several times what a send does. So until the first store is set nothing is
// looked at, and messages bring nothing along.

const { AsyncLocalStorage, AsyncResource, executionAsyncResource } = require('node:async_hooks');

/** What sets stores. The first call of either takes both watches off. */
const SETTERS = ['run', 'enterWith'];

/** So many copies are taken before it is looked again for those that nobody needs. */
const RECLAIM_EVERY = 1024;

/** The property of a resource that a store is in, by name; newer versions of Node have none. */
const inResources = Object.getOwnPropertySymbols(new AsyncLocalStorage())
  .concat(Object.values(new AsyncLocalStorage()))
  .some((one) => typeof one === 'symbol' && one.description === 'kResourceStore');

/** Whether a store may be set where this is called, or in a resource. */
function isSet(resource = executionAsyncResource()) {
  if (!inResources) return true;
  return Object.getOwnPropertySymbols(resource).some(
    (symbol) => symbol.description === 'kResourceStore' && resource[symbol] !== undefined,
  );
}

/** Where handlers of messages that bring nothing along run: nothing is set there. */
const root = new AsyncResource('iris');
if (inResources) {
  // It has what there was when this was loaded, which is somebody's.
  for (const symbol of Object.getOwnPropertySymbols(root)) {
    if (symbol.description === 'kResourceStore') root[symbol] = undefined;
  }
}

/** A copy of that. */
let copy = root;

/** `isUsed`: whether stores have been set in this thread. */
const contexts = { isUsed: inResources && isSet() };

function watch() {
  const { prototype } = AsyncLocalStorage;
  const originals = SETTERS.map((name) => prototype[name]);
  const watches = SETTERS.map((name, i) => function watched(...args) {
    contexts.isUsed = true;
    SETTERS.forEach((other, k) => {
      // Unless somebody else has put theirs in front.
      if (prototype[other] === watches[k]) prototype[other] = originals[k];
    });
    return originals[i].apply(this, args);
  });
  SETTERS.forEach((name, i) => {
    Object.defineProperty(watches[i], 'name', { value: name });
    prototype[name] = watches[i];
  });
}

if (!contexts.isUsed) watch();

/** The contexts that messages of one runtime have brought along. */
class Contexts {
  #reclaim;
  /** By number; 0 is none. */
  #resources = [undefined];
  #free = [];
  #taken = 0;
  #closed = false;

  /** `reclaim()` has those freed that no message has any more. */
  constructor(reclaim) {
    this.#reclaim = reclaim;
  }

  /** The number of the context that this is called in, for one message; 0 if nothing is set. */
  take() {
    if (this.#closed || !isSet()) return 0;
    this.#taken += 1;
    // What goes elsewhere makes no turn of the loop, which would look.
    if (this.#taken % RECLAIM_EVERY === 0) this.#reclaim();
    const number = this.#free.length > 0 ? this.#free.pop() : this.#resources.length;
    // As AsyncLocalStorage.snapshot() has inside of it, at a third of the price.
    this.#resources[number] = new AsyncResource('iris');
    return number;
  }

  /** No message is handled any more, nor told of. */
  close() {
    this.#closed = true;
    this.#resources = [];
    this.#free = [];
  }

  /** Calls a function in the context of that number. */
  within(number, call, ...args) {
    const resource = this.#resources[number];
    if (resource === undefined) return outside(call, ...args);
    return resource.runInAsyncScope(call, undefined, ...args);
  }

  /** No message has these any more. */
  free(numbers) {
    for (const number of numbers) {
      this.#resources[number] = undefined;
      this.#free.push(number);
    }
    if (this.#free.length === this.#resources.length - 1) {
      this.#resources = [undefined];
      this.#free = [];
    }
  }
}

/** Calls a function where nothing is set. */
function outside(call, ...args) {
  if (copy === root) copy = root.runInAsyncScope(() => new AsyncResource('iris'));
  try {
    return copy.runInAsyncScope(call, undefined, ...args);
  } finally {
    // `enterWith` sets stores in the resource itself: they are not for the next.
    if (inResources && isSet(copy)) copy = root;
  }
}

module.exports = { Contexts, contexts, outside };
