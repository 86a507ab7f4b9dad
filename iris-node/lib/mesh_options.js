'use strict';
// How a node is to be, as users say it, and what of that is refused.

const { fileURLToPath } = require('node:url');

const check = require('./check.js');

const OPTIONS = [
  'name', 'cluster', 'advertise', 'secret', 'tls', 'nats', 'natsCredentials', 'insecure', 'expose',
  'allowSpawn', 'allowLegacy', 'heartbeat', 'resume', 'connectTimeout', 'stalledAfter',
  'maxMessage', 'acl', 'deny', 'maxLinks', 'maxUnproven', 'maxUnprovenPerIp',
];
const RIGHTS = ['send', 'resolve', 'register', 'spawn'];
const RULE = ['peers', ...RIGHTS, 'exit'];
const EXPOSE = ['named', 'all'];

/** Seconds that a node can work with, from the least of each on. */
const TIMES = [['heartbeat', 0.01], ['resume', 0], ['connectTimeout', 0.001], ['stalledAfter', 0.01]];
const MOST_SECONDS = 86_400;

/** What travels in a byte for its length. */
const MOST_NAME_BYTES = 255;

/** A path, as text or as a URL of a file. */
function path(value, what) {
  if (value instanceof URL) return fileURLToPath(value);
  return check.text(value, what);
}

/** The three files of `tls`. */
function tlsFiles(tls, what = 'tls') {
  if (tls === undefined || tls === null) throw new TypeError(`${what} must be { ca, cert, key }`);
  const { ca, cert, key } = check.options(tls, ['ca', 'cert', 'key'], what);
  return [path(ca, `${what}.ca`), path(cert, `${what}.cert`), path(key, `${what}.key`)];
}

/** One of those that a node can be called. */
function name(value, what) {
  check.text(value, what);
  const size = Buffer.byteLength(value);
  if (size > MOST_NAME_BYTES) {
    throw new RangeError(`${what} must have ${MOST_NAME_BYTES} bytes at most, not ${size}`);
  }
  const control = /\p{Cc}/u.exec(value);
  if (control !== null) {
    throw new RangeError(`${what} must not have the control character ${JSON.stringify(control[0])}`);
  }
  return value;
}

/** Whom a rule is for, or who is refused. */
function pattern(value, what) {
  if (check.text(value, what) === '') throw new RangeError(`${what} must not be empty: nobody is called so`);
  return value;
}

function right(value, what) {
  if (typeof value === 'boolean') return value;
  if (!Array.isArray(value) || !value.every((prefix) => typeof prefix === 'string')) {
    throw new TypeError(`${what} must be true, false or an array of prefixes, not ${check.kind(value)}`);
  }
  return value;
}

function rule(given, at) {
  const place = `acl[${at}]`;
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw new TypeError(`${place} must be an object, not ${check.kind(given)}`);
  }
  check.options(given, RULE, place);
  if (given.peers === undefined) {
    throw new TypeError(
      `${place} needs peers, whom it is for: a name such as 'iris://cluster/node', with * for any `
      + "characters, or '*' for everybody",
    );
  }
  const read = { peers: pattern(given.peers, `${place}.peers`) };
  for (const key of RIGHTS) {
    if (given[key] !== undefined) read[key] = right(given[key], `${place}.${key}`);
  }
  read.exit = check.flag(given.exit, `${place}.exit`);
  return read;
}

/** What peers may do. */
function acl(rules) {
  if (!Array.isArray(rules)) {
    throw new TypeError(`acl must be an array of rules, not ${check.kind(rules)}`);
  }
  return rules.map(rule);
}

/** Who is refused. */
function deny(peers) {
  if (!Array.isArray(peers)) {
    throw new TypeError(`deny must be an array of names, not ${check.kind(peers)}`);
  }
  return peers.map((peer) => pattern(peer, 'a name in deny'));
}

function secret(value) {
  const bytes = Array.from(check.bytes(value, 'secret'));
  if (bytes.length === 0) throw new RangeError('secret must not be empty');
  return bytes;
}

/** Options of `configureMesh`, as the native side takes them. */
function meshOptions(options) {
  const given = check.options(options, OPTIONS);
  const config = { ...given };
  const read = (key, by) => {
    if (given[key] !== undefined) config[key] = by(given[key], key);
  };
  read('name', name);
  read('cluster', name);
  read('advertise', check.text);
  read('secret', secret);
  read('tls', tlsFiles);
  read('nats', check.text);
  read('natsCredentials', path);
  read('expose', (value, key) => check.word(value, EXPOSE, key));
  for (const key of ['insecure', 'allowSpawn', 'allowLegacy']) read(key, check.flag);
  for (const [key, least] of TIMES) {
    read(key, (value) => {
      if (check.wait(value, key, least) <= MOST_SECONDS) return value;
      throw new RangeError(`${key} must be from ${least} to ${MOST_SECONDS} seconds, not ${value}`);
    });
  }
  for (const key of ['maxMessage', 'maxLinks', 'maxUnproven', 'maxUnprovenPerIp']) {
    read(key, (value) => check.count(value, key));
  }
  read('acl', acl);
  read('deny', deny);
  return config;
}

module.exports = {
  EXPOSE, acl, deny, meshOptions, name, path, tlsFiles,
};
