'use strict';
// Actors that receive: functions that run as they like, each with a mailbox.

const { MailboxClosed } = require('./errors.js');
const { failure } = require('./handling.js');
const { CLOSE, LOOK, Mailbox } = require('./mailbox.js');
const { Pace } = require('./pace.js');

// How one has ended. As in src/mailbox.rs.
const [RETURNED, THREW, STOPPED] = [0, 1, 2];

class Pulls {
  #lane;
  #crashed;
  /** By pid, those that have not ended. */
  #actors = new Map();
  #pace = new Pace();

  /** `crashed` is told of functions that threw. */
  constructor(lane, crashed) {
    this.#lane = lane;
    this.#crashed = crashed;
  }

  /** Calls the function of a new actor, when what calls this has come to its end. */
  begin(pid, handler, budget) {
    const mailbox = new Mailbox(this.#lane, pid, budget, this.#pace);
    const actor = { mailbox, ended: false };
    this.#actors.set(pid, actor);
    const ended = (how, error) => this.#ended(pid, actor, how, error);
    // In the context of who spawns it, like any promise of its.
    const begun = new Promise((resolve) => {
      this.#pace.later(resolve);
    });
    begun.then(() => handler(mailbox)).then(
      () => ended(RETURNED),
      (error) => (error instanceof MailboxClosed ? ended(RETURNED) : ended(THREW, error)),
    );
  }

  /** There may be something for an actor to receive. */
  look(pid) {
    this.#pace.later(() => this.#actors.get(pid)?.mailbox[LOOK]());
  }

  /** An actor was told to stop: it hears of it in `recv`, or ends where it waits. */
  stopped(pid) {
    const actor = this.#actors.get(pid);
    if (actor === undefined) return;
    actor.mailbox[LOOK]();
    if (!this.#lane.core.pullHeard(pid)) this.#ended(pid, actor, STOPPED);
  }

  /** Nothing is received any more. */
  close() {
    for (const { mailbox } of this.#actors.values()) mailbox[CLOSE]();
    this.#actors.clear();
  }

  #ended(pid, actor, how, error) {
    if (actor.ended) return;
    actor.ended = true;
    this.#actors.delete(pid);
    actor.mailbox[CLOSE]();
    this.#lane.core.pullEnded(pid, how, ...(how === THREW ? failure(error) : ['', '', '']));
    if (how === THREW) this.#crashed(pid, error, false);
    this.#lane.rest();
  }
}

module.exports = { Pulls };
