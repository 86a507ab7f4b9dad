'use strict';
// Errors on their way from who was asked to who asks: `[module, name, message, stack, details]`, as
// actor classes of other languages read and write them. A class is looked up among what is built in
// and what was registered: a message imports nothing and calls nobody's constructor.

const check = require('./check.js');
const { CodecError, ProtocolError, pack, unpack } = require('./codec.js');
const errors = require('./errors.js');

const { IrisError } = errors;

/**
 * An actor failed with an error that the asker has no class for. `typeName` is what that is called,
 * `message` its text, `traceback` where it happened as its language prints that, and `details` what
 * else it had.
 */
class RemoteError extends IrisError {
  constructor(typeName, message, traceback = '', details = null) {
    super(message);
    this.typeName = typeName;
    this.traceback = traceback;
    this.details = details;
  }
}

/** The cause of an error that came from an actor: where in the actor it was thrown. */
class RemoteTraceback extends IrisError {
  constructor(pid, traceback) {
    super(`in actor ${pid}`);
    this.stack = `in actor ${pid}\n${traceback}`;
  }
}

/** Built-in ones. Only `message` of an AggregateError travels, as of the others. */
const BUILT_IN = [
  Error, AggregateError, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError,
];

/** Where the classes of the package are in Python; they are made anew there by that name. */
const IRIS = 'iris._errors';

/** The classes that have a namesake in Python, by that. */
const NAMESAKES = new Map([
  ['AskTimeout', errors.AskTimeoutError],
  ['CodecError', CodecError],
  ['DeadActorError', errors.DeadActorError],
  ['DeadlockError', errors.DeadlockError],
  ['IrisError', IrisError],
  ['MailboxClosed', errors.MailboxClosed],
  ['MailboxFullError', errors.MailboxFullError],
  ['MeshError', errors.MeshError],
  ['NameTakenError', errors.NameTakenError],
  ['NoReplyError', errors.NoReplyError],
  ['ProtocolError', ProtocolError],
  ['WouldBlockError', errors.WouldBlockError],
]);
const NAMES = new Map([...NAMESAKES].map(([name, type]) => [type, name]));

const builtIn = new Map(BUILT_IN.map((type) => [type.name, type]));
const registered = new Map();

/** Has errors of this class that actors throw, here and on other nodes, thrown as it by `ask`. */
function registerError(type, name = type?.name) {
  check.callable(type, 'type');
  if (!(type.prototype instanceof Error)) {
    throw new TypeError(`${type.name || 'type'} must be derived from Error`);
  }
  if (check.text(name, 'name') === '') throw new RangeError('name must not be empty');
  const known = builtIn.get(name) ?? registered.get(name);
  if (known !== undefined && known !== type) {
    throw new RangeError(`another class of errors has the name ${JSON.stringify(name)}`);
  }
  registered.set(name, type);
  NAMES.set(type, name);
}

function read(get, otherwise) {
  try {
    const value = get();
    return typeof value === 'string' ? value : otherwise;
  } catch {
    return otherwise;
  }
}

/** What an error is called: by its class, or as its `name` says if somebody has set that. */
function nameOf(error) {
  const known = NAMES.get(error.constructor);
  if (known !== undefined) return known;
  const own = read(() => error.name, '');
  const ofClass = read(() => error.constructor.name, '');
  return own !== '' && own !== 'Error' ? own : ofClass || 'Error';
}

/** What an error has beside its text, as far as that can travel. */
function detailsOf(error) {
  const details = {};
  for (const key of Object.keys(error)) {
    if (key === 'message' || key === 'stack') continue;
    try {
      pack(error[key]);
      details[key] = error[key];
    } catch {
      // The error matters, not all that hangs on it.
    }
  }
  return Object.keys(details).length > 0 ? details : null;
}

const sound = (text) => text.toWellFormed();

/** What the asker is told of what was thrown, as bytes. */
function told(thrown) {
  if (!(thrown instanceof Error)) {
    return pack(['', 'Error', sound(read(() => String(thrown), '')), '', null]);
  }
  const name = nameOf(thrown);
  const message = sound(read(() => thrown.message, ''));
  const stack = sound(read(() => thrown.stack, ''));
  if (NAMESAKES.get(name) === thrown.constructor) return pack([IRIS, name, message, stack, [message]]);
  if (thrown instanceof RemoteError) {
    // Handed on: it is still what it was.
    return pack(['', sound(thrown.typeName), message, sound(thrown.traceback), thrown.details]);
  }
  return pack(['', sound(name), message, stack, detailsOf(thrown)]);
}

function ownType(module, name) {
  if (module === IRIS || module === 'iris') return NAMESAKES.get(name);
  if (module === '') return registered.get(name) ?? builtIn.get(name);
  if (module === 'builtins') return builtIn.get(name);
  return registered.get(`${module}.${name}`);
}

/** The error that was thrown, of its own type if the asker knows that. */
function rebuilt(pid, bytes) {
  let parts;
  try {
    parts = unpack(bytes);
  } catch {
    parts = null;
  }
  if (!Array.isArray(parts) || parts.length !== 5
    || !parts.slice(0, 4).every((part) => typeof part === 'string')) {
    return new ProtocolError(`actor ${pid} answered with an error that cannot be read`);
  }
  const [module, name, message, traceback, details] = parts;
  const type = ownType(module, name);
  let error;
  if (type === undefined) {
    const called = module === '' || module === 'builtins' ? name : `${module}.${name}`;
    error = new RemoteError(called, message, traceback, details);
  } else {
    // By the constructor of all errors: its own may take other arguments, or do anything.
    error = Reflect.construct(Error, [message], type);
    if (module === '' && details !== null && typeof details === 'object' && !Array.isArray(details)) {
      for (const [key, value] of Object.entries(details)) {
        const own = { value, writable: true, enumerable: true, configurable: true };
        Object.defineProperty(error, key, own);
      }
    }
  }
  if (traceback !== '') {
    const cause = new RemoteTraceback(pid, traceback);
    const own = { value: cause, writable: true, enumerable: false, configurable: true };
    Object.defineProperty(error, 'cause', own);
  }
  return error;
}

module.exports = { RemoteError, RemoteTraceback, rebuilt, registerError, told };
