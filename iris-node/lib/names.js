'use strict';
// What a runtime has of names, paths and groups, and what can be known of its actors.

const check = require('./check.js');
const { native } = require('./errors.js');
const { SHARED } = require('./shared.js');
const { Tree } = require('./tree.js');

class Names {
  register(name, pid) {
    check.text(name, 'name');
    native(() => this[SHARED].core.register(name, check.pid(pid)));
  }

  unregister(name) {
    return this[SHARED].core.unregister(check.text(name, 'name'));
  }

  whereis(name) {
    return this[SHARED].core.whereis(check.text(name, 'name'));
  }

  resolve(name) {
    return this.whereis(name);
  }

  registerPath(path, pid) {
    check.text(path, 'path');
    native(() => this[SHARED].core.registerPath(path, check.pid(pid)));
  }

  unregisterPath(path) {
    return this[SHARED].core.unregisterPath(check.text(path, 'path'));
  }

  whereisPath(path) {
    return this[SHARED].core.whereisPath(check.text(path, 'path'));
  }

  listChildren(prefix) {
    check.text(prefix, 'prefix');
    return native(() => this[SHARED].core.listChildren(prefix, false));
  }

  listChildrenDirect(prefix) {
    check.text(prefix, 'prefix');
    return native(() => this[SHARED].core.listChildren(prefix, true));
  }

  watchPath(prefix) {
    check.text(prefix, 'prefix');
    return native(() => this[SHARED].core.watchPath(prefix));
  }

  joinGroup(group, pid) {
    check.text(group, 'group');
    return native(() => this[SHARED].core.joinGroup(group, check.pid(pid)));
  }

  leaveGroup(group, pid) {
    return this[SHARED].core.leaveGroup(check.text(group, 'group'), check.pid(pid));
  }

  members(group) {
    return this[SHARED].core.members(check.text(group, 'group'));
  }

  publish(group, data) {
    check.text(group, 'group');
    const accepted = this[SHARED].core.publish(group, check.bytes(data));
    if (accepted > 0) this[SHARED].lane.holdFor();
    return accepted;
  }

  info(pid) {
    const info = this[SHARED].core.info(check.pid(pid));
    if (info === null) return null;
    const mailboxSize = info.mailboxSize + this[SHARED].lane.inHand(pid);
    const { name = null, capacity = null, overflow = null, overflowTarget = null, parent = null } = info;
    return { ...info, mailboxSize, name, capacity, overflow, overflowTarget, parent };
  }

  /** All actors, drawn by `String(tree)`. */
  tree() {
    const { core, lane } = this[SHARED];
    const { text, entries } = core.tree();
    for (const entry of entries) {
      entry.parent ??= null;
      entry.mailboxSize += lane.inHand(entry.pid);
    }
    return new Tree(text, entries);
  }

  stats() {
    return this[SHARED].core.stats();
  }

  deadLetters() {
    return this[SHARED].core.deadLetters();
  }
}

module.exports = { Names };
