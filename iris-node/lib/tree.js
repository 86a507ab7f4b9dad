'use strict';

/** The actors of a runtime as they were at about one moment, each before its children. */
class Tree {
  #text;

  constructor(text, entries) {
    this.#text = text;
    this.entries = entries;
  }

  get length() {
    return this.entries.length;
  }

  [Symbol.iterator]() {
    return this.entries[Symbol.iterator]();
  }

  /** Those without a parent. */
  roots() {
    return this.entries.filter(({ parent }) => parent === null);
  }

  /** The children of an actor, oldest first. */
  childrenOf(pid) {
    return this.entries.filter(({ parent }) => parent === pid);
  }

  toString() {
    return this.#text;
  }
}

module.exports = { Tree };
