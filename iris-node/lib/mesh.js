'use strict';
// What a runtime has of other nodes.

const check = require('./check.js');
const { native } = require('./errors.js');
const {
  EXPOSE, acl, deny, meshOptions, tlsFiles,
} = require('./mesh_options.js');
const { SHARED } = require('./shared.js');
const { Supervision } = require('./supervision.js');

function pairs(flat, first, second) {
  const all = [];
  for (let i = 0; i < flat.length; i += 2) all.push({ [first]: flat[i], [second]: flat[i + 1] });
  return all;
}

class Mesh extends Supervision {
  configureMesh(options) {
    const config = meshOptions(options);
    native(() => this[SHARED].core.configureMesh(config));
  }

  async listen(addr, options) {
    check.text(addr, 'addr');
    const { insecure, expose, tls } = check.options(options, ['insecure', 'expose', 'tls']);
    const trusted = check.flag(insecure, 'insecure');
    if (expose !== undefined) check.word(expose, EXPOSE, 'expose');
    const files = tls === undefined ? undefined : tlsFiles(tls);
    const { core, lane, promises } = this[SHARED];
    if (files !== undefined) native(() => core.configureMesh({ tls: files }));
    if (expose !== undefined) native(() => core.expose(expose));
    const bound = await promises.begin((ticket) => core.listen(ticket, addr, trusted));
    lane.listening = true;
    lane.hold();
    return bound;
  }

  /** Other rules for peers, from now on; `null`: none. */
  setMeshAcl(rules) {
    const read = rules === null ? undefined : acl(rules);
    native(() => this[SHARED].core.setMeshAcl(read));
  }

  /** Refuses others from now on; connections with those end at once. */
  setMeshDeny(peers) {
    const read = deny(peers);
    native(() => this[SHARED].core.setMeshDeny(read));
  }

  meshDenied() {
    return native(() => this[SHARED].core.meshDenied());
  }

  /** Reads the certificates again, from their files or from others. */
  reloadTls(tls) {
    const files = tls === undefined ? undefined : tlsFiles(tls);
    native(() => this[SHARED].core.reloadTls(files));
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
    check.word(membership, ['swim', 'static', 'nats'], 'membership');
    const all = typeof seeds === 'string' ? [seeds] : seeds;
    if (!Array.isArray(all)) {
      throw new TypeError(`seeds must be an address or an array of them, not ${check.kind(seeds)}`);
    }
    for (const seed of all) check.text(seed, 'a seed');
    // Those that announce themselves are found without.
    if (all.length === 0 && membership !== 'nats') throw new RangeError('seeds must name at least one address');
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
    return this[SHARED].core.registerBehavior(name, this[SHARED].lane.slots.take(factory));
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
