'use strict';
// What callers may pass: everything else is a TypeError or RangeError before it reaches native code.

const { isAnyArrayBuffer } = require('node:util').types;

const MOST = 2 ** 32 - 1;

function kind(value) {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return `an object (${value.constructor?.name ?? 'no class'})`;
  return typeof value;
}

function number(value, what) {
  if (typeof value !== 'number') {
    throw new TypeError(`${what} must be a number, not ${kind(value)}`);
  }
  return value;
}

/** A pid, be it somebody's or not. */
function pid(value, what = 'pid') {
  number(value, what);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`${what} must be an integer from 0 to 2^53 - 1, not ${value}`);
  }
  return value;
}

/** A whole number from `least` to 2^32 - 1. */
function count(value, what, least = 1) {
  number(value, what);
  if (!Number.isInteger(value) || value < least || value > MOST) {
    throw new RangeError(`${what} must be an integer from ${least} to 2^32 - 1, not ${value}`);
  }
  return value;
}

/** Seconds or milliseconds that may be waited; `undefined` and Infinity are for ever. */
function time(value, what, least = 0) {
  if (value === undefined || value === null) return undefined;
  number(value, what);
  if (Number.isNaN(value) || value < least) {
    throw new RangeError(`${what} must be at least ${least}, not ${value}`);
  }
  return value === Infinity ? undefined : value;
}

/** A time that must be given. */
function wait(value, what, least = 0) {
  number(value, what);
  const checked = time(value, what, least);
  if (checked === undefined) throw new RangeError(`${what} must be finite, not ${value}`);
  return checked;
}

function text(value, what) {
  if (typeof value !== 'string') {
    throw new TypeError(`${what} must be a string, not ${kind(value)}`);
  }
  return value;
}

function flag(value, what) {
  if (value === undefined) return false;
  if (typeof value !== 'boolean') {
    throw new TypeError(`${what} must be true or false, not ${kind(value)}`);
  }
  return value;
}

function callable(value, what) {
  if (typeof value !== 'function') {
    throw new TypeError(`${what} must be a function, not ${kind(value)}`);
  }
  return value;
}

function options(value, known, what = 'options') {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new TypeError(`${what} must be an object, not ${kind(value)}`);
  }
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) {
      throw new TypeError(`${what} has no ${JSON.stringify(key)}; it may have ${known.join(', ')}`);
    }
  }
  return value;
}

/** One of some words. */
function word(value, known, what) {
  text(value, what);
  if (!known.includes(value)) {
    const all = known.map((one) => `'${one}'`).join(', ');
    throw new RangeError(`${what} must be one of ${all}, not ${JSON.stringify(value)}`);
  }
  return value;
}

/** The bytes of a message: of anything that has bytes, or of a text in UTF-8. */
function bytes(value, what = 'a message') {
  // Neither a proxy nor what only inherits from a typed array is one.
  if (ArrayBuffer.isView(value)) {
    if (value instanceof Uint8Array) return value;
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  if (typeof value === 'string') return Buffer.from(value);
  if (isAnyArrayBuffer(value)) return new Uint8Array(value);
  throw new TypeError(
    `${what} must be a Buffer, another typed array, an ArrayBuffer or a string, not ${kind(value)}`,
  );
}

module.exports = {
  bytes, callable, count, flag, kind, number, options, pid, text, time, wait, word,
};
