'use strict';
// What a runtime has of supervisors, links, monitors and observers.

const check = require('./check.js');
const { native } = require('./errors.js');
const { Names } = require('./names.js');
const { SHARED } = require('./shared.js');
const { message } = require('./system.js');

const STRATEGIES = ['restartone', 'restartall', 'restartrest'];
const RESTARTS = ['permanent', 'transient', 'temporary'];

/** A word in any case and with or without underscores. */
function plain(word, what) {
  return check.text(word, what).toLowerCase().replaceAll('_', '');
}

class Supervision extends Names {
  createPathSupervisor(path) {
    check.text(path, 'path');
    native(() => this[SHARED].core.createPathSupervisor(path));
  }

  removePathSupervisor(path) {
    this[SHARED].lane.stops += 1;
    const removed = this[SHARED].core.removePathSupervisor(check.text(path, 'path'));
    if (removed) this[SHARED].lane.holdFor();
    return removed;
  }

  pathSupervisorWatch(path, pid) {
    check.text(path, 'path');
    return native(() => this[SHARED].core.pathSupervisorWatch(path, check.pid(pid)));
  }

  pathSupervisorChildren(path) {
    check.text(path, 'path');
    return native(() => this[SHARED].core.pathSupervisorChildren(path));
  }

  pathSuperviseWithFactory(path, pid, factory, strategy, options) {
    this.#supervise(check.text(path, 'path'), pid, factory, strategy, options);
  }

  superviseWithFactory(pid, factory, strategy, options) {
    this.#supervise(undefined, pid, factory, strategy, options);
  }

  childPids() {
    return this[SHARED].core.childPids();
  }

  childrenCount() {
    return this[SHARED].core.childrenCount();
  }

  watchSupervision(pid) {
    native(() => this[SHARED].core.watchSupervision(check.pid(pid)));
  }

  link(a, b, options) {
    check.pid(a, 'a');
    check.pid(b, 'b');
    const { propagate } = check.options(options, ['propagate']);
    const propagates = check.flag(propagate, 'propagate');
    const linked = native(() => this[SHARED].core.link(a, b, propagates));
    this[SHARED].lane.holdFor();
    return linked;
  }

  unlink(a, b) {
    return this[SHARED].core.unlink(check.pid(a, 'a'), check.pid(b, 'b'));
  }

  monitor(watcher, pid) {
    check.pid(watcher, 'watcher');
    check.pid(pid);
    const reference = native(() => this[SHARED].core.monitor(watcher, pid));
    this[SHARED].lane.holdFor();
    return reference;
  }

  demonitor(reference) {
    return this[SHARED].core.demonitor(check.pid(reference, 'reference'));
  }

  trapExit(pid, traps = true) {
    check.pid(pid);
    native(() => this[SHARED].core.trapExit(pid, check.flag(traps, 'traps')));
  }

  getMessages(pid, options) {
    check.pid(pid);
    const { drain = true } = check.options(options, ['drain']);
    const drains = check.flag(drain, 'drain');
    return native(() => this[SHARED].core.getMessages(pid, drains)).map(message);
  }

  /** The first of an observer's messages for which `matcher(message)` is true, then or later. */
  selectiveRecv(pid, matcher, seconds) {
    check.pid(pid);
    check.callable(matcher, 'matcher');
    const patience = check.time(seconds, 'seconds');
    const chosen = (raw) => Boolean(matcher(message(raw)));
    const { core, promises } = this[SHARED];
    return promises.within(patience, null, (ticket) => {
      core.selectFrom(ticket, pid);
      promises.lookWith(ticket, () => {
        const raw = core.select(ticket, chosen);
        return raw === null ? null : message(raw);
      });
    });
  }

  observerDropped(pid) {
    return this[SHARED].core.observerDropped(check.pid(pid));
  }

  #supervise(path, pid, factory, strategy = 'restartone', options = undefined) {
    check.pid(pid);
    check.callable(factory, 'factory');
    const word = check.word(plain(strategy, 'strategy'), STRATEGIES, 'strategy');
    const { restart = 'permanent' } = check.options(options, ['restart']);
    const again = check.word(plain(restart, 'restart'), RESTARTS, 'restart');
    // Refused, it is free again with the next turn.
    const slot = this[SHARED].lane.slots.take(factory);
    native(() => this[SHARED].core.supervise(path, pid, slot, word, again));
  }
}

module.exports = { Supervision };
