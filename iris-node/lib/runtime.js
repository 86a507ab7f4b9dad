'use strict';

const check = require('./check.js');
const {
  AskTimeoutError, DeadActorError, DeadlockError, MailboxClosed, MeshError, ShutDownError,
  WouldBlockError, made, translated,
} = require('./errors.js');
const { Lane, RESUME, failure } = require('./lane.js');
const { Mailbox } = require('./mailbox.js');
const { Core } = require('./native.js');
const { SystemMessage, message } = require('./system.js');

const BUDGET = 100;
const SPAWN = ['name', 'capacity', 'system', 'onError'];
const STRATEGIES = ['restartone', 'restartall', 'restartrest'];
const RESTARTS = ['permanent', 'transient', 'temporary'];

// What the native side says of a message. As in src/send.rs.
const REFUSED = 0;
const ACCEPTED = 1;
const WOULD_BLOCK = 3;

// Kinds of news. As in src/news.rs.
const [SETTLED, MAIL, STOPPED, FACTORY, LETTER, GAVE_UP] = [0, 1, 2, 3, 4, 5];

const LONGEST_MS = 2 ** 31 - 1;

/** Where `layer.js` finds the lane. */
const LANE = Symbol('iris.lane');

/** Calls the native side, and throws what that throws as the package does. */
function native(call) {
  try {
    return call();
  } catch (error) {
    throw translated(error);
  }
}

/** A word in any case and with or without underscores. */
function plain(word, what) {
  return check.text(word, what).toLowerCase().replaceAll('_', '');
}

/** A callback that throws is an uncaught exception, as in any other emitter. */
function callBack(callback, ...args) {
  try {
    callback(...args);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

class NodeRuntime {
  #lane;
  #core;
  #ticket = 0;
  #mailboxes = new Map();
  #onCrash = null;
  #onDeadLetter = null;
  #shutdown = null;

  constructor() {
    const hear = (news) => this.#hear(news);
    const crashed = (pid, error, resumes) => this.#crashed(pid, error, resumes);
    this.#lane = native(() => new Lane(Core, hear, crashed));
    this.#core = this.#lane.core;
  }

  get [LANE]() {
    return this.#lane;
  }

  // Actors.

  spawn(handler, budget, options) {
    return this.#spawn(handler, budget, options);
  }

  spawnBounded(handler, capacity, budget, options) {
    check.count(capacity, 'capacity');
    return this.#spawn(handler, budget, options, { capacity });
  }

  spawnVirtual(handler, budget, idleTimeoutMs, options) {
    const given = check.options(options, [...SPAWN, 'reactivate']);
    const { reactivate, ...rest } = given;
    const idle = check.time(idleTimeoutMs, 'idleTimeoutMs', 1);
    const shape = { lazy: true, reactivate: check.flag(reactivate, 'reactivate') };
    if (idle !== undefined) shape.idle = idle;
    return this.#spawn(handler, budget, rest, shape);
  }

  spawnChild(parent, handler, budget, options) {
    check.pid(parent, 'parent');
    return this.#spawn(handler, budget, options, { parent });
  }

  spawnChildPool(parent, handler, workers = 4, budget = BUDGET) {
    check.pid(parent, 'parent');
    check.callable(handler, 'handler');
    check.count(workers, 'workers');
    check.count(budget, 'budget');
    const pids = [];
    try {
      for (let i = 0; i < workers; i++) pids.push(this.spawnChild(parent, handler, budget));
    } catch (error) {
      for (const pid of pids) this.stop(pid);
      throw error;
    }
    return pids;
  }

  spawnWithMailbox(handler, budget, options) {
    return this.#spawnPull(handler, budget, options);
  }

  spawnChildWithMailbox(parent, handler, budget, options) {
    check.pid(parent, 'parent');
    return this.#spawnPull(handler, budget, options, parent);
  }

  spawnWithPathObserved(budget, path, options) {
    check.count(budget, 'budget');
    check.text(path, 'path');
    const { cap } = check.options(options, ['cap']);
    if (cap !== undefined) check.count(cap, 'cap');
    return native(() => this.#core.spawnObserver(budget, path, cap));
  }

  stop(pid, options) {
    check.pid(pid);
    const { drain } = check.options(options, ['drain']);
    const drains = check.flag(drain, 'drain');
    if (!drains) this.#lane.stops += 1;
    const stopped = this.#core.stop(pid, drains, this.#lane.inside);
    if (stopped) this.#lane.holdFor();
    return stopped;
  }

  stopChild(pid) {
    this.#lane.stops += 1;
    const stopped = this.#core.stopChild(check.pid(pid));
    if (stopped) this.#lane.holdFor();
    return stopped;
  }

  join(pid, seconds) {
    check.pid(pid);
    const patience = check.time(seconds, 'seconds');
    const { inside } = this.#lane;
    return this.#within(patience, false, (ticket) => this.#core.whenGone(ticket, pid, inside));
  }

  isAlive(pid) {
    return this.#core.isAlive(check.pid(pid));
  }

  /** The actor whose handler is running, or `null`: after an `await` it is not known any more. */
  self() {
    return this.#lane.inside || null;
  }

  hotSwap(pid, handler, options) {
    check.pid(pid);
    check.callable(handler, 'handler');
    const { now, system, onError } = check.options(options, ['now', 'system', 'onError']);
    const atOnce = check.flag(now, 'now');
    const systems = check.flag(system, 'system');
    const flags = this.#flags(onError);
    const slot = this.#lane.take(handler);
    const swapped = native(() => this.#core.hotSwap(pid, slot, nameOf(handler), systems, flags, atOnce));
    // Without a process the slot is free again with the next turn.
    if (swapped === null) throw new DeadActorError(`no actor with pid ${pid} is alive`);
    if (atOnce) this.#lane.retarget(pid, slot);
    this.#lane.holdFor();
    return swapped;
  }

  behaviorVersion(pid) {
    return this.#core.behaviorVersion(check.pid(pid));
  }

  rollbackBehavior(pid, steps = 1) {
    check.pid(pid);
    check.count(steps, 'steps');
    const version = native(() => this.#core.rollbackBehavior(pid, steps));
    this.#lane.holdFor();
    return version;
  }

  // Messages.

  send(pid, data) {
    return this.#sent(this.#core.send(check.pid(pid), check.bytes(data)), pid);
  }

  sendMany(pid, items) {
    check.pid(pid);
    if (items === null || typeof items !== 'object' || typeof items[Symbol.iterator] !== 'function') {
      throw new TypeError(`items must be an iterable of messages, not ${check.kind(items)}`);
    }
    // All of them are looked at before the first is sent.
    const messages = Array.from(items, (item) => check.bytes(item));
    let accepted = 0;
    for (const data of messages) {
      const sent = this.#core.send(pid, data);
      if (sent === REFUSED || sent === WOULD_BLOCK) {
        if (sent === WOULD_BLOCK && accepted === 0) this.#sent(sent, pid);
        break;
      }
      accepted += 1;
    }
    if (accepted > 0) this.#lane.holdFor();
    return accepted;
  }

  sendNamed(name, data) {
    check.text(name, 'name');
    return this.#sent(this.#core.sendNamed(name, check.bytes(data)), JSON.stringify(name));
  }

  sendAsync(pid, data) {
    check.pid(pid);
    const copy = check.bytes(data);
    return this.#promise((ticket) => this.#core.sendAsync(ticket, pid, copy));
  }

  sendAfter(pid, ms, data) {
    check.pid(pid);
    const after = check.wait(ms, 'ms');
    const timer = native(() => this.#core.sendAfter(pid, after, check.bytes(data)));
    this.#lane.holdFor();
    return timer;
  }

  sendInterval(pid, ms, data) {
    check.pid(pid);
    const every = check.wait(ms, 'ms', 1);
    const timer = native(() => this.#core.sendInterval(pid, every, check.bytes(data)));
    this.#lane.holdFor();
    return timer;
  }

  cancelTimer(id) {
    const cancelled = this.#core.cancelTimer(check.pid(id, 'id'));
    this.#lane.rest();
    return cancelled;
  }

  ask(pid, data, options) {
    check.pid(pid);
    const question = check.bytes(data, 'a question');
    const { timeoutMs = 5000, signal, from } = check.options(options, ['timeoutMs', 'signal', 'from']);
    const patience = check.time(timeoutMs, 'timeoutMs');
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw new TypeError(`signal must be an AbortSignal, not ${check.kind(signal)}`);
    }
    const asker = from === undefined ? this.#lane.inside : check.pid(from, 'from');
    if (signal?.aborted) return Promise.reject(signal.reason);
    const late = () => new AskTimeoutError(
      `actor ${pid} did not answer within ${timeoutMs} ms: ${this.#doing(pid)}`,
    );
    const ask = (ticket) => this.#core.ask(ticket, pid, question, asker);
    const seconds = patience === undefined ? undefined : patience / 1e3;
    return this.#within(seconds, late, ask, signal);
  }

  setOverflowPolicy(pid, policy, target) {
    check.pid(pid);
    check.text(policy, 'policy');
    if (target !== undefined && target !== null) check.pid(target, 'target');
    native(() => this.#core.setOverflowPolicy(pid, policy, target ?? undefined));
  }

  mailboxSize(pid) {
    const size = this.#core.mailboxSize(check.pid(pid));
    return size === null ? null : size + this.#lane.inHand(pid);
  }

  // Names and paths.

  register(name, pid) {
    check.text(name, 'name');
    native(() => this.#core.register(name, check.pid(pid)));
  }

  unregister(name) {
    return this.#core.unregister(check.text(name, 'name'));
  }

  whereis(name) {
    return this.#core.whereis(check.text(name, 'name'));
  }

  resolve(name) {
    return this.whereis(name);
  }

  registerPath(path, pid) {
    check.text(path, 'path');
    native(() => this.#core.registerPath(path, check.pid(pid)));
  }

  unregisterPath(path) {
    return this.#core.unregisterPath(check.text(path, 'path'));
  }

  whereisPath(path) {
    return this.#core.whereisPath(check.text(path, 'path'));
  }

  listChildren(prefix) {
    check.text(prefix, 'prefix');
    return native(() => this.#core.listChildren(prefix, false));
  }

  listChildrenDirect(prefix) {
    check.text(prefix, 'prefix');
    return native(() => this.#core.listChildren(prefix, true));
  }

  watchPath(prefix) {
    check.text(prefix, 'prefix');
    return native(() => this.#core.watchPath(prefix));
  }

  // Supervision.

  createPathSupervisor(path) {
    check.text(path, 'path');
    native(() => this.#core.createPathSupervisor(path));
  }

  removePathSupervisor(path) {
    this.#lane.stops += 1;
    const removed = this.#core.removePathSupervisor(check.text(path, 'path'));
    if (removed) this.#lane.holdFor();
    return removed;
  }

  pathSupervisorWatch(path, pid) {
    check.text(path, 'path');
    return native(() => this.#core.pathSupervisorWatch(path, check.pid(pid)));
  }

  pathSupervisorChildren(path) {
    check.text(path, 'path');
    return native(() => this.#core.pathSupervisorChildren(path));
  }

  pathSuperviseWithFactory(path, pid, factory, strategy, options) {
    this.#supervise(check.text(path, 'path'), pid, factory, strategy, options);
  }

  superviseWithFactory(pid, factory, strategy, options) {
    this.#supervise(undefined, pid, factory, strategy, options);
  }

  childPids() {
    return this.#core.childPids();
  }

  childrenCount() {
    return this.#core.childrenCount();
  }

  watchSupervision(pid) {
    native(() => this.#core.watchSupervision(check.pid(pid)));
  }

  // Links, monitors, groups, observers.

  link(a, b, options) {
    check.pid(a, 'a');
    check.pid(b, 'b');
    const { propagate } = check.options(options, ['propagate']);
    const linked = this.#core.link(a, b, check.flag(propagate, 'propagate'));
    this.#lane.holdFor();
    return linked;
  }

  unlink(a, b) {
    return this.#core.unlink(check.pid(a, 'a'), check.pid(b, 'b'));
  }

  monitor(watcher, pid) {
    check.pid(watcher, 'watcher');
    check.pid(pid);
    const reference = native(() => this.#core.monitor(watcher, pid));
    this.#lane.holdFor();
    return reference;
  }

  demonitor(reference) {
    return this.#core.demonitor(check.pid(reference, 'reference'));
  }

  trapExit(pid, traps = true) {
    check.pid(pid);
    native(() => this.#core.trapExit(pid, check.flag(traps, 'traps')));
  }

  joinGroup(group, pid) {
    check.text(group, 'group');
    return native(() => this.#core.joinGroup(group, check.pid(pid)));
  }

  leaveGroup(group, pid) {
    return this.#core.leaveGroup(check.text(group, 'group'), check.pid(pid));
  }

  members(group) {
    return this.#core.members(check.text(group, 'group'));
  }

  publish(group, data) {
    check.text(group, 'group');
    const accepted = this.#core.publish(group, check.bytes(data));
    if (accepted > 0) this.#lane.holdFor();
    return accepted;
  }

  getMessages(pid, options) {
    check.pid(pid);
    const { drain = true } = check.options(options, ['drain']);
    const drains = check.flag(drain, 'drain');
    return native(() => this.#core.getMessages(pid, drains)).map(message);
  }

  observerDropped(pid) {
    return this.#core.observerDropped(check.pid(pid));
  }

  // What there is to know.

  info(pid) {
    const info = this.#core.info(check.pid(pid));
    if (info === null) return null;
    const mailboxSize = info.mailboxSize + this.#lane.inHand(pid);
    return { ...info, mailboxSize, capacity: info.capacity ?? null, parent: info.parent ?? null };
  }

  stats() {
    return this.#core.stats();
  }

  deadLetters() {
    return this.#core.deadLetters();
  }

  /** Calls `hook({ to, data, system, reason })` for each dead letter from now on; `null`: none. */
  onDeadLetter(hook) {
    if (hook !== null) check.callable(hook, 'hook');
    this.#onDeadLetter = hook;
    this.#core.watchDeadLetters(hook !== null);
  }

  /** Calls `hook({ pid, error, resumes })` for each handler that throws, instead of printing it. */
  onCrash(hook) {
    if (hook !== null) check.callable(hook, 'hook');
    this.#onCrash = hook;
  }

  version() {
    return Core.version();
  }

  // Other nodes.

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
    native(() => this.#core.configureMesh(config));
  }

  async listen(addr, options) {
    check.text(addr, 'addr');
    const { insecure, expose } = check.options(options, ['insecure', 'expose']);
    const trusted = check.flag(insecure, 'insecure');
    if (expose !== undefined) native(() => this.#core.expose(check.text(expose, 'expose')));
    const bound = await this.#promise((ticket) => this.#core.listen(ticket, addr, trusted));
    this.#lane.listening = true;
    this.#lane.hold();
    return bound;
  }

  resolveRemote(addr, name) {
    check.text(addr, 'addr');
    check.text(name, 'name');
    return this.#promise((ticket) => this.#core.resolveRemote(ticket, addr, name));
  }

  sendRemote(addr, pid, data) {
    check.text(addr, 'addr');
    check.pid(pid);
    const copy = check.bytes(data);
    return this.#promise((ticket) => this.#core.sendRemote(ticket, addr, pid, copy));
  }

  monitorRemote(addr, pid, watcher) {
    check.text(addr, 'addr');
    check.pid(pid);
    const told = watcher === undefined ? this.#lane.inside : check.pid(watcher, 'watcher');
    if (told === 0) throw new TypeError('monitorRemote() outside of handlers needs a watcher');
    return this.#promise((ticket) => this.#core.monitorRemote(ticket, addr, pid, told));
  }

  isNodeUp(addr) {
    check.text(addr, 'addr');
    return this.#promise((ticket) => this.#core.isNodeUp(ticket, addr));
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
    return this.#promise((ticket) => this.#core.joinMesh(ticket, all, membership));
  }

  lookup(name, seconds) {
    check.text(name, 'name');
    const patience = check.time(seconds, 'seconds');
    if (seconds === undefined) return native(() => this.#core.lookup(name));
    return this.#promise((ticket) => this.#core.lookupWithin(ticket, name, patience ?? 1e10));
  }

  registerBehavior(name, factory) {
    check.text(name, 'name');
    check.callable(factory, 'factory');
    return this.#core.registerBehavior(name, this.#lane.take(factory));
  }

  spawnOn(addr, behavior, init = '') {
    check.text(addr, 'addr');
    check.text(behavior, 'behavior');
    const given = check.bytes(init, 'init');
    return this.#promise((ticket) => this.#core.spawnOn(ticket, addr, behavior, given));
  }

  meshMembers() {
    return pairs(this.#core.meshMembers(), 'id', 'address');
  }

  nodes() {
    return pairs(native(() => this.#core.nodes()), 'id', 'name');
  }

  watchNodes(pid, options) {
    check.pid(pid);
    const { heartbeats } = check.options(options, ['heartbeats']);
    const all = check.flag(heartbeats, 'heartbeats');
    return native(() => this.#core.watchNodes(pid, all));
  }

  export(pid) {
    native(() => this.#core.export(check.pid(pid)));
  }

  // The life of the process.

  /** Keeps the process alive until `unref()` or `shutdown()`. */
  ref() {
    this.#lane.referenced = true;
    this.#lane.hold();
    return this;
  }

  /** Never keeps the process alive, whatever there is to do. */
  unref() {
    this.#lane.referenced = false;
    this.#lane.rest();
    return this;
  }

  shutdown(drain = 2) {
    const seconds = check.wait(drain, 'drain');
    this.#shutdown ??= this.#shutDown(seconds);
    return this.#shutdown;
  }

  [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    return this.shutdown();
  }

  async #shutDown(seconds) {
    this.#lane.stops += 1;
    const report = await this.#promise((ticket) => this.#core.shutdown(ticket, seconds));
    // Not inside of a turn.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    this.#lane.close();
    for (const { mailbox } of this.#mailboxes.values()) mailbox.close();
    this.#mailboxes.clear();
    const { pending } = this.#lane;
    for (const { reject } of pending.values()) reject(shutDown());
    pending.clear();
    const [undelivered, stuck] = report;
    return { undelivered, stuck };
  }

  // Below: how.

  #flags(onError) {
    if (onError === undefined) return 0;
    return check.word(onError, ['crash', 'resume'], 'onError') === 'resume' ? RESUME : 0;
  }

  #spawn(handler, budget, options, shape) {
    check.callable(handler, 'handler');
    // Where a budget may be left out, so may it be before options.
    if (budget !== null && typeof budget === 'object' && options === undefined) {
      options = budget;
      budget = undefined;
    }
    const given = options === undefined ? {} : check.options(options, SPAWN);
    const spec = {
      slot: 0,
      behavior: nameOf(handler),
      budget: budget === undefined || budget === null ? BUDGET : check.count(budget, 'budget'),
      flags: this.#flags(given.onError),
      ...shape,
    };
    if (given.name !== undefined) spec.name = check.text(given.name, 'name');
    if (given.capacity !== undefined) spec.capacity = check.count(given.capacity, 'capacity');
    if (given.system !== undefined) spec.system = check.flag(given.system, 'system');
    const known = this.#lane.known(handler);
    if (known >= 0) {
      spec.slot = known;
      const pid = native(() => this.#core.spawn(spec, true));
      if (pid !== null) return pid;
    }
    spec.slot = this.#lane.take(handler);
    return native(() => this.#core.spawn(spec, false));
  }

  #spawnPull(handler, budget, options, parent) {
    check.callable(handler, 'handler');
    if (budget !== null && typeof budget === 'object' && options === undefined) {
      options = budget;
      budget = undefined;
    }
    const { name, capacity } = check.options(options, ['name', 'capacity']);
    if (name !== undefined) check.text(name, 'name');
    if (capacity !== undefined) check.count(capacity, 'capacity');
    const messages = budget === undefined || budget === null ? BUDGET : check.count(budget, 'budget');
    const called = nameOf(handler);
    const pid = native(() => this.#core.spawnPull(called, messages, capacity, name, parent));
    const mailbox = new Mailbox(this.#lane, pid, messages);
    const actor = { mailbox, ended: false };
    this.#mailboxes.set(pid, actor);
    const ended = (how, error) => this.#pullEnded(pid, actor, how, error);
    Promise.resolve().then(() => handler(mailbox)).then(
      () => ended(0),
      (error) => (error instanceof MailboxClosed ? ended(0) : ended(1, error)),
    );
    return pid;
  }

  #pullEnded(pid, actor, how, error) {
    if (actor.ended) return;
    actor.ended = true;
    this.#mailboxes.delete(pid);
    actor.mailbox.close();
    this.#core.pullEnded(pid, how, ...(how === 1 ? failure(error) : ['', '', '']));
    if (how === 1) this.#crashed(pid, error, false);
    this.#lane.rest();
  }

  #supervise(path, pid, factory, strategy = 'restartone', options = undefined) {
    check.pid(pid);
    check.callable(factory, 'factory');
    const word = check.word(plain(strategy, 'strategy'), STRATEGIES, 'strategy');
    const { restart = 'permanent' } = check.options(options, ['restart']);
    check.word(restart, RESTARTS, 'restart');
    // Refused, it is free again with the next turn.
    const slot = this.#lane.take(factory);
    native(() => this.#core.supervise(path, pid, slot, word, restart));
  }

  /** What `send` says, and what keeps the process alive for it. */
  #sent(sent, to) {
    if (sent === REFUSED) return false;
    if (sent === WOULD_BLOCK) {
      throw new WouldBlockError(
        `the mailbox of actor ${to} is full and its policy is 'block', but the event loop cannot `
        + 'wait for room: await rt.sendAsync(..), or choose another policy',
      );
    }
    if (sent === ACCEPTED) this.#lane.holdFor();
    else this.#lane.hold();
    return true;
  }

  #doing(pid) {
    const info = this.info(pid);
    if (info === null) return 'it has ended';
    return `it is ${info.status}, ${info.mailboxSize} messages wait in its mailbox`;
  }

  /** A promise that the native side settles. */
  #promise(begin) {
    return this.#within(undefined, null, begin);
  }

  /** The same, given up after some seconds with what `late` is or makes. */
  #within(seconds, late, begin, signal) {
    if (this.#lane.closed) return Promise.reject(shutDown());
    this.#ticket = (this.#ticket + 1) % 2 ** 32;
    const ticket = this.#ticket;
    return new Promise((resolve, reject) => {
      const { pending } = this.#lane;
      let timer = null;
      const giveUp = (settle, value) => {
        if (!pending.has(ticket)) return;
        this.#core.forget(ticket);
        entry.end();
        settle(value);
        this.#lane.rest();
      };
      const abort = () => giveUp(reject, signal.reason);
      const entry = {
        resolve,
        reject,
        end: () => {
          pending.delete(ticket);
          if (timer !== null) clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
        },
      };
      pending.set(ticket, entry);
      this.#lane.hold();
      try {
        begin(ticket);
      } catch (error) {
        entry.end();
        reject(translated(error));
        return;
      }
      signal?.addEventListener('abort', abort, { once: true });
      if (seconds !== undefined && seconds * 1e3 <= LONGEST_MS) {
        timer = setTimeout(() => {
          if (typeof late === 'function') giveUp(reject, late());
          else giveUp(resolve, late);
        }, seconds * 1e3);
      }
    });
  }

  #hear(news) {
    switch (news.kind) {
      case SETTLED: {
        const entry = this.#lane.pending.get(news.id);
        if (entry === undefined) return;
        entry.end();
        if (news.code !== undefined) entry.reject(made(news.code, news.reason, news.value));
        else entry.resolve(news.value ?? null);
        return;
      }
      case MAIL:
        this.#mailboxes.get(news.id)?.mailbox.look();
        return;
      case STOPPED:
        if (!this.#lane.toldToStop(news.id)) this.#pullStopped(news.id);
        return;
      case FACTORY:
        this.#make(news);
        return;
      case LETTER:
        if (this.#onDeadLetter !== null) {
          callBack(this.#onDeadLetter, {
            to: news.id,
            reason: news.reason,
            data: news.value ?? null,
            system: news.system ? new SystemMessage(news.system) : null,
          });
        }
        return;
      case GAVE_UP:
        process.emitWarning(news.value, 'IrisSupervisionWarning');
        return;
      default:
    }
  }

  /** An actor that receives was told to stop: it hears of it in `recv`, or ends where it waits. */
  #pullStopped(pid) {
    const actor = this.#mailboxes.get(pid);
    if (actor === undefined) return;
    actor.mailbox.look();
    if (!this.#core.pullHeard(pid)) this.#pullEnded(pid, actor, 2);
  }

  /** Calls a factory that a thread of the runtime waits for. */
  #make({ id, reason, value }) {
    const factory = this.#lane.handlers[Number(reason)];
    const failed = (error) => {
      this.#core.made(id, 0, ...failure(error));
      process.emitWarning(`a factory threw: ${failure(error)[2]}`, 'IrisSupervisionWarning');
    };
    const done = (pid) => {
      try {
        this.#core.made(id, check.pid(pid, "a factory's pid"), '', '', '');
      } catch (error) {
        failed(error);
      }
    };
    let returned;
    let thrown = null;
    this.#core.succeed(id, () => {
      try {
        returned = value === undefined ? factory() : factory(value);
      } catch (error) {
        thrown = { error };
      }
    });
    if (thrown !== null) failed(thrown.error);
    else if (typeof returned === 'object' && returned !== null) Promise.resolve(returned).then(done, failed);
    else done(returned);
  }

  #crashed(pid, error, resumes) {
    if (this.#onCrash !== null) {
      callBack(this.#onCrash, { pid, error, resumes });
      return;
    }
    const outcome = resumes ? 'it goes on' : 'it is stopped (crash)';
    const [kind, text, stack] = failure(error);
    process.stderr.write(`iris: actor ${pid} threw; ${outcome}\n${stack || `${kind}: ${text}`}\n`);
  }
}

const MESH = [
  'name', 'cluster', 'advertise', 'secret', 'tls', 'insecure', 'expose', 'allowSpawn', 'heartbeat',
  'resume', 'connectTimeout', 'stalledAfter', 'maxMessage',
];

function nameOf(handler) {
  const { name } = handler;
  return typeof name === 'string' && name !== '' ? name : 'handler';
}

function pairs(flat, first, second) {
  const all = [];
  for (let i = 0; i < flat.length; i += 2) all.push({ [first]: flat[i], [second]: flat[i + 1] });
  return all;
}

function shutDown() {
  return new ShutDownError('the runtime has been shut down; create a new one');
}

// The name that the description has.
NodeRuntime.prototype.spawn_bounded = NodeRuntime.prototype.spawnBounded;

module.exports = { LANE, NodeRuntime };
