'use strict';
// What a runtime has of other nodes.

const check = require('./check.js');
const { native } = require('./errors.js');
const { SHARED } = require('./shared.js');
const { Supervision } = require('./supervision.js');

const MESH = [
  'name', 'cluster', 'advertise', 'secret', 'tls', 'insecure', 'expose', 'allowSpawn', 'heartbeat',
  'resume', 'connectTimeout', 'stalledAfter', 'maxMessage',
];

function pairs(flat, first, second) {
  const all = [];
  for (let i = 0; i < flat.length; i += 2) all.push({ [first]: flat[i], [second]: flat[i + 1] });
  return all;
}

class Mesh extends Supervision {
  configureMesh(options) {
    const given = check.options(options, MESH);
    for (const key of ['name', 'cluster', 'advertise', 'expose']) {
      if (given[key] !== undefined) check.text(given[key], key);
    }
    for (const key of ['heartbeat', 'resume', 'connectTimeout', 'stalledAfter']) {
      if (given[key] !== undefined) check.wait(given[key], key, key === 'resume' ? 0 : 0.001);
    }
    for (const key of ['insecure', 'allowSpawn']) check.flag(given[key], key);
    for (const key of ['name', 'cluster']) {
      if (Buffer.byteLength(given[key] ?? '') > 255) {
        throw new RangeError(`${key} must have 255 bytes at most`);
      }
    }
    const config = { ...given };
    if (given.maxMessage !== undefined) check.count(given.maxMessage, 'maxMessage');
    if (given.secret !== undefined) {
      config.secret = Array.from(check.bytes(given.secret, 'secret'));
      if (config.secret.length === 0) throw new RangeError('secret must not be empty');
    }
    if (given.tls !== undefined) {
      const { ca, cert, key } = check.options(given.tls, ['ca', 'cert', 'key'], 'tls');
      config.tls = [check.text(ca, 'ca'), check.text(cert, 'cert'), check.text(key, 'key')];
    }
    native(() => this[SHARED].core.configureMesh(config));
  }

  async listen(addr, options) {
    check.text(addr, 'addr');
    const { insecure, expose } = check.options(options, ['insecure', 'expose']);
    const trusted = check.flag(insecure, 'insecure');
    if (expose !== undefined) native(() => this[SHARED].core.expose(check.text(expose, 'expose')));
    const bound = await this[SHARED].promises.begin((ticket) => this[SHARED].core.listen(ticket, addr, trusted));
    this[SHARED].lane.listening = true;
    this[SHARED].lane.hold();
    return bound;
  }

  resolveRemote(addr, name) {
    check.text(addr, 'addr');
    check.text(name, 'name');
    return this[SHARED].promises.begin((ticket) => this[SHARED].core.resolveRemote(ticket, addr, name));
  }

  sendRemote(addr, pid, data) {
    check.text(addr, 'addr');
    check.pid(pid);
    const copy = check.bytes(data);
    return this[SHARED].promises.begin((ticket) => this[SHARED].core.sendRemote(ticket, addr, pid, copy));
  }

  monitorRemote(addr, pid, watcher) {
    check.text(addr, 'addr');
    check.pid(pid);
    const told = watcher === undefined ? this[SHARED].lane.inside : check.pid(watcher, 'watcher');
    if (told === 0) throw new TypeError('monitorRemote() outside of handlers needs a watcher');
    return this[SHARED].promises.begin((ticket) => this[SHARED].core.monitorRemote(ticket, addr, pid, told));
  }

  isNodeUp(addr) {
    check.text(addr, 'addr');
    return this[SHARED].promises.begin((ticket) => this[SHARED].core.isNodeUp(ticket, addr));
  }

  joinMesh(seeds, options) {
    const { membership = 'swim' } = check.options(options, ['membership']);
    check.word(membership, ['swim', 'static'], 'membership');
    const all = typeof seeds === 'string' ? [seeds] : seeds;
    if (!Array.isArray(all)) {
      throw new TypeError(`seeds must be an address or an array of them, not ${check.kind(seeds)}`);
    }
    for (const seed of all) check.text(seed, 'a seed');
    if (all.length === 0) throw new RangeError('seeds must name at least one address');
    return this[SHARED].promises.begin((ticket) => this[SHARED].core.joinMesh(ticket, all, membership));
  }

  lookup(name, seconds) {
    check.text(name, 'name');
    const patience = check.time(seconds, 'seconds');
    if (seconds === undefined) return native(() => this[SHARED].core.lookup(name));
    return this[SHARED].promises.begin((ticket) => this[SHARED].core.lookupWithin(ticket, name, patience ?? 1e10));
  }

  registerBehavior(name, factory) {
    check.text(name, 'name');
    check.callable(factory, 'factory');
    return this[SHARED].core.registerBehavior(name, this[SHARED].lane.take(factory));
  }

  spawnOn(addr, behavior, init = '') {
    check.text(addr, 'addr');
    check.text(behavior, 'behavior');
    const given = check.bytes(init, 'init');
    return this[SHARED].promises.begin((ticket) => this[SHARED].core.spawnOn(ticket, addr, behavior, given));
  }

  meshMembers() {
    return pairs(this[SHARED].core.meshMembers(), 'id', 'address');
  }

  nodes() {
    return pairs(native(() => this[SHARED].core.nodes()), 'id', 'name');
  }

  watchNodes(pid, options) {
    check.pid(pid);
    const { heartbeats } = check.options(options, ['heartbeats']);
    const all = check.flag(heartbeats, 'heartbeats');
    return native(() => this[SHARED].core.watchNodes(pid, all));
  }

  export(pid) {
    native(() => this[SHARED].core.export(check.pid(pid)));
  }
}

module.exports = { Mesh };
