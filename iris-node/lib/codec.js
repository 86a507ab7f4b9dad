'use strict';
// JavaScript values as msgpack, and calls of methods: `[name, [arguments], {keywords}]`, as actor
// classes of other languages read and write them.
//
// What travels: null and undefined (which arrives as null), booleans, numbers, bigints of 64 bits,
// strings, bytes (which arrive as a Buffer), arrays, Maps and plain objects. Nothing else does: an
// instance of a class would arrive as something else than it was.
//
// It is this package's own and not a library's: those at hand write a Map or a Date as an empty
// object and a lone surrogate as another character without a word, read 64 bits either as bigints
// always or inexactly, and a package without dependencies installs without a network.

const { kind } = require('./check.js');
const { IrisError } = require('./errors.js');

/** A value cannot travel in a message; the text says which and where it is. */
class CodecError extends IrisError {}
/** Bytes are not the message that they should be, or name a method that may not be called. */
class ProtocolError extends IrisError {}

/** How deep arrays and objects may lie in each other, in both directions. */
const MOST_LEVELS = 128;

/** A buffer for encoding that grew beyond this is not kept. */
const KEPT_BYTES = 64 * 1024;

/** Up to this, a loop over the characters is quicker than a call out of JavaScript. */
const SHORT_TEXT = 32;

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** What cannot travel, and where it is from the inside out. Becomes a CodecError at the end. */
class Unfit {
  path = [];

  constructor(what) {
    this.what = what;
  }
}

function at(thrown, step) {
  // A getter of the value's may have thrown something of its own.
  if (thrown instanceof Unfit) thrown.path.push(step);
  return thrown;
}

function codecError(thrown, root) {
  if (!(thrown instanceof Unfit)) return thrown;
  return new CodecError(`${root}${thrown.path.reverse().join('')}: ${thrown.what}`);
}

/** Whether it has been made with braces: by no class, of whatever realm. */
function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || (Object.getPrototypeOf(prototype) === null
    && Object.hasOwn(prototype, 'hasOwnProperty'));
}

class Writer {
  #bytes = Buffer.allocUnsafeSlow(1024);
  #view = new DataView(this.#bytes.buffer);
  #used = 0;
  isBusy = false;

  begin() {
    this.isBusy = true;
    this.#used = 0;
  }

  /** What was written; good until the next `begin`. */
  end() {
    return this.#bytes.subarray(0, this.#used);
  }

  rest() {
    this.isBusy = false;
    if (this.#bytes.length > KEPT_BYTES) this.#size(1024);
  }

  #size(size) {
    this.#bytes = Buffer.allocUnsafeSlow(size);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Makes room; where it begins. */
  #take(count) {
    const start = this.#used;
    const end = start + count;
    if (end > this.#bytes.length) {
      const old = this.#bytes;
      this.#size(Math.max(end, old.length * 2));
      old.copy(this.#bytes, 0, 0, start);
    }
    this.#used = end;
    return start;
  }

  byte(byte) {
    const start = this.#take(1);
    this.#bytes[start] = byte;
  }

  #marked8(marker, value) {
    const start = this.#take(2);
    this.#bytes[start] = marker;
    this.#bytes[start + 1] = value;
  }

  #marked16(marker, value) {
    const start = this.#take(3);
    this.#bytes[start] = marker;
    this.#view.setUint16(start + 1, value);
  }

  #marked32(marker, value) {
    const start = this.#take(5);
    this.#bytes[start] = marker;
    this.#view.setUint32(start + 1, value);
  }

  #marked64(marker, value) {
    const start = this.#take(9);
    this.#bytes[start] = marker;
    this.#view.setBigUint64(start + 1, BigInt.asUintN(64, value));
  }

  /** The head of what has a length: `few` items fit into the marker, 0 has no form for bytes. */
  #head(length, few, most, eight, sixteen) {
    if (length < most) this.byte(few | length);
    else if (eight !== 0 && length < 0x100) this.#marked8(eight, length);
    else if (length < 0x10000) this.#marked16(sixteen, length);
    else if (length < 0x100000000) this.#marked32(sixteen + 1, length);
    else throw new Unfit('more than 2^32 - 1 bytes or items cannot travel');
  }

  arrayHead(length) {
    this.#head(length, 0x90, 16, 0, 0xdc);
  }

  mapHead(length) {
    this.#head(length, 0x80, 16, 0, 0xde);
  }

  number(value) {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
      const start = this.#take(9);
      this.#bytes[start] = 0xcb;
      this.#view.setFloat64(start + 1, value);
    } else if (value >= 0) {
      if (value < 0x80) this.byte(value);
      else if (value < 0x100) this.#marked8(0xcc, value);
      else if (value < 0x10000) this.#marked16(0xcd, value);
      else if (value < 0x100000000) this.#marked32(0xce, value);
      else this.#marked64(0xcf, BigInt(value));
    } else if (value >= -0x20) this.byte(0x100 + value);
    else if (value >= -0x80) this.#marked8(0xd0, value);
    else if (value >= -0x8000) this.#marked16(0xd1, value);
    else if (value >= -0x80000000) this.#marked32(0xd2, value);
    else this.#marked64(0xd3, BigInt(value));
  }

  #bigint(value) {
    if (value >= -SAFE && value <= SAFE) this.number(Number(value));
    else if (value < 0n && BigInt.asIntN(64, value) === value) this.#marked64(0xd3, value);
    else if (BigInt.asUintN(64, value) === value) this.#marked64(0xcf, value);
    else throw new Unfit('a bigint beyond 64 bits cannot travel; send it as text or bytes');
  }

  text(value) {
    const { length } = value;
    if (length < SHORT_TEXT) {
      const start = this.#take(length + 1);
      const bytes = this.#bytes;
      bytes[start] = 0xa0 | length;
      let i = 0;
      for (; i < length; i++) {
        const code = value.charCodeAt(i);
        if (code >= 0x80) break;
        bytes[start + 1 + i] = code;
      }
      if (i === length) return;
      this.#used = start;
    }
    if (!value.isWellFormed()) {
      throw new Unfit('a string with lone surrogates is not text that can travel');
    }
    const size = Buffer.byteLength(value);
    this.#head(size, 0xa0, 32, 0xd9, 0xda);
    const start = this.#take(size);
    this.#bytes.utf8Write(value, start, size);
  }

  #binary(bytes) {
    this.#head(bytes.length, 0, 0, 0xc4, 0xc5);
    const start = this.#take(bytes.length);
    this.#bytes.set(bytes, start);
  }

  value(value, level) {
    switch (typeof value) {
      case 'string': return this.text(value);
      case 'number': return this.number(value);
      case 'boolean': return this.byte(value ? 0xc3 : 0xc2);
      case 'undefined': return this.byte(0xc0);
      case 'bigint': return this.#bigint(value);
      case 'object': return value === null ? this.byte(0xc0) : this.#object(value, level);
      default: throw new Unfit(`a ${typeof value} cannot travel in a message`);
    }
  }

  #object(value, level) {
    if (value instanceof Uint8Array) return this.#binary(value);
    if (ArrayBuffer.isView(value)) {
      return this.#binary(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    }
    if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
      return this.#binary(new Uint8Array(value));
    }
    if (level >= MOST_LEVELS) {
      throw new Unfit(`arrays and objects are nested deeper than ${MOST_LEVELS}, or one contains itself`);
    }
    if (Array.isArray(value)) return this.#array(value, level + 1);
    if (value instanceof Map) return this.#map(value, level + 1);
    if (isPlain(value)) return this.#entries(value, level + 1);
    throw new Unfit(
      `${kind(value)} cannot travel in a message; null, booleans, numbers, bigints, strings, bytes, `
      + 'arrays, Maps and plain objects can',
    );
  }

  #array(array, level) {
    const { length } = array;
    this.arrayHead(length);
    let i = 0;
    try {
      for (; i < length; i++) this.value(array[i], level);
    } catch (thrown) {
      throw at(thrown, `[${i}]`);
    }
  }

  #map(map, level) {
    this.mapHead(map.size);
    for (const [key, value] of map) {
      try {
        this.value(key, level);
        this.value(value, level);
      } catch (thrown) {
        throw at(thrown, typeof key === 'string' ? `[${JSON.stringify(key)}]` : `[${String(key)}]`);
      }
    }
  }

  #entries(object, level) {
    const keys = Object.keys(object);
    this.mapHead(keys.length);
    let i = 0;
    try {
      for (; i < keys.length; i++) {
        this.text(keys[i]);
        this.value(object[keys[i]], level);
      }
    } catch (thrown) {
      throw at(thrown, `[${JSON.stringify(keys[i])}]`);
    }
  }
}

const shared = new Writer();

/** Calls `write` with a writer, and `use` with what was written, which is good for that long. */
function written(root, write, use) {
  // A getter of a value's that is being written may write something, too.
  const writer = shared.isBusy ? new Writer() : shared;
  writer.begin();
  try {
    write(writer);
    return use(writer.end());
  } catch (thrown) {
    throw codecError(thrown, root);
  } finally {
    writer.rest();
  }
}

const copied = (bytes) => Buffer.from(bytes);

/** The bytes of a value; errors name it `root`. */
function pack(value, root = 'value') {
  return written(root, (writer) => writer.value(value, 0), copied);
}

/** The bytes of the call of a method, as `use` takes them. */
function packCall(method, args, kwargs, use = copied) {
  const write = (writer) => {
    writer.arrayHead(3);
    writer.text(method);
    // What was left out is left out there, too, so that defaults are taken.
    let count = args.length;
    while (count > 0 && args[count - 1] === undefined) count -= 1;
    writer.arrayHead(count);
    let i = 0;
    try {
      for (; i < count; i++) writer.value(args[i], 0);
    } catch (thrown) {
      throw at(thrown, `args[${i}]`);
    }
    if (kwargs === undefined) return writer.mapHead(0);
    try {
      return writer.value(kwargs, 0);
    } catch (thrown) {
      throw at(thrown, 'kwargs');
    }
  };
  return written('', write, use);
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function broken(what) {
  return new ProtocolError(`not a message that can be read: ${what}`);
}

class Reader {
  #bytes;
  #view;
  #next = 0;

  constructor(bytes) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Where the next `count` bytes begin. */
  #take(count) {
    const start = this.#next;
    if (count > this.#bytes.length - start) throw broken('it ends too early');
    this.#next = start + count;
    return start;
  }

  end() {
    if (this.#next !== this.#bytes.length) throw broken('something follows it');
  }

  marker() {
    return this.#bytes[this.#take(1)];
  }

  #length(size) {
    switch (size) {
      case 0: return this.#bytes[this.#take(1)];
      case 1: return this.#view.getUint16(this.#take(2));
      default: return this.#view.getUint32(this.#take(4));
    }
  }

  /** How many items there are to come. Each takes a byte at least. */
  #count(count, each) {
    if (count * each > this.#bytes.length - this.#next) throw broken('it ends too early');
    return count;
  }

  /** The length of the text that a marker begins; -1 for one that begins none. */
  textLength(marker) {
    if (marker >= 0xa0 && marker < 0xc0) return marker & 0x1f;
    if (marker >= 0xd9 && marker <= 0xdb) return this.#length(marker - 0xd9);
    return -1;
  }

  arrayLength(marker) {
    if (marker >= 0x90 && marker < 0xa0) return this.#count(marker & 0x0f, 1);
    if (marker === 0xdc || marker === 0xdd) return this.#count(this.#length(marker - 0xdb), 1);
    return -1;
  }

  mapLength(marker) {
    if (marker >= 0x80 && marker < 0x90) return this.#count(marker & 0x0f, 2);
    if (marker === 0xde || marker === 0xdf) return this.#count(this.#length(marker - 0xdd), 2);
    return -1;
  }

  text(length) {
    const start = this.#take(length);
    const bytes = this.#bytes;
    if (length < SHORT_TEXT) {
      let text = '';
      let i = 0;
      for (; i < length; i++) {
        const byte = bytes[start + i];
        if (byte >= 0x80) break;
        text += String.fromCharCode(byte);
      }
      if (i === length) return text;
    }
    try {
      return UTF8.decode(bytes.subarray(start, start + length));
    } catch {
      throw broken('text is not UTF-8');
    }
  }

  value(level) {
    const marker = this.marker();
    if (marker < 0x80) return marker;
    if (marker >= 0xe0) return marker - 0x100;
    const length = this.textLength(marker);
    if (length >= 0) return this.text(length);
    switch (marker) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: {
        const size = this.#length(marker - 0xc4);
        const start = this.#take(size);
        // A copy: others have their messages in the same memory.
        return Buffer.from(this.#bytes.subarray(start, start + size));
      }
      case 0xca: return this.#view.getFloat32(this.#take(4));
      case 0xcb: return this.#view.getFloat64(this.#take(8));
      case 0xcc: return this.#bytes[this.#take(1)];
      case 0xcd: return this.#view.getUint16(this.#take(2));
      case 0xce: return this.#view.getUint32(this.#take(4));
      case 0xcf: return narrowed(this.#view.getBigUint64(this.#take(8)));
      case 0xd0: return this.#view.getInt8(this.#take(1));
      case 0xd1: return this.#view.getInt16(this.#take(2));
      case 0xd2: return this.#view.getInt32(this.#take(4));
      case 0xd3: return narrowed(this.#view.getBigInt64(this.#take(8)));
      default:
    }
    if (level >= MOST_LEVELS) throw broken('it is nested too deep');
    const items = this.arrayLength(marker);
    if (items >= 0) return this.array(items, level + 1);
    const entries = this.mapLength(marker);
    if (entries >= 0) return this.map(entries, level + 1);
    throw broken('it has a part of a kind that no value of JavaScript stands for');
  }

  array(length, level) {
    const array = [];
    for (let i = 0; i < length; i++) array.push(this.value(level));
    return array;
  }

  /** An object if all keys are text, else a Map. */
  map(length, level) {
    let object = {};
    let map = null;
    for (let i = 0; i < length; i++) {
      const key = this.value(level);
      if (typeof key === 'object' && key !== null && !Buffer.isBuffer(key)) {
        throw broken('an array or a map cannot be a key');
      }
      if (map === null && typeof key !== 'string') {
        map = new Map(Object.entries(object));
        object = null;
      }
      const value = this.value(level);
      if (map !== null) map.set(key, value);
      else if (key !== '__proto__') object[key] = value;
      else {
        const own = { value, writable: true, enumerable: true, configurable: true };
        Object.defineProperty(object, key, own);
      }
    }
    return map ?? object;
  }
}

function narrowed(value) {
  return value >= -SAFE && value <= SAFE ? Number(value) : value;
}

/** The one value that `bytes` is. */
function unpack(bytes) {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  reader.end();
  return value;
}

/** A call: the name of the method, and its arguments; keywords are one more, an object. */
function unpackCall(bytes) {
  const reader = new Reader(bytes);
  if (bytes.length === 0 || reader.marker() !== 0x93) throw broken('a call is an array of three');
  const length = reader.textLength(reader.marker());
  if (length < 0) throw broken('the name of a method is text');
  const method = reader.text(length);
  const count = reader.arrayLength(reader.marker());
  if (count < 0) throw broken('the arguments are an array');
  const args = reader.array(count, 0);
  const keywords = reader.mapLength(reader.marker());
  if (keywords < 0) throw broken('the keywords are a map');
  if (keywords > 0) {
    const given = reader.map(keywords, 0);
    if (given instanceof Map) throw broken('a keyword is text');
    args.push(given);
  }
  reader.end();
  return { method, args };
}

module.exports = { CodecError, ProtocolError, pack, packCall, unpack, unpackCall };
