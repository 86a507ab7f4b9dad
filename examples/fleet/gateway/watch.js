'use strict';
// The gateway's side of the mesh: asks the board and the nodes, one question at a time each, and
// hears of their ends. Nobody sends it anything by himself, so nothing can pile up for it.

const ASK_MS = 100;
const AFTERWARDS_MS = 500;
// A node that takes longer for an answer is shown as stalled.
const PATIENCE_MS = 1_500;
const BOARD_PATIENCE_MS = 5_000;

const pause = (ms) => new Promise((resolve) => {
  setTimeout(resolve, ms);
});

class Watch {
  #rt;
  #model;
  #board;
  #browsers;
  #observer;
  #ended = false;
  // The phase that the board knows to be known here.
  #told = '';
  #asking = Promise.resolve();
  // By name of a node: the address that its gauge was found at, and its stand-in here.
  #links = new Map();

  /** `browsers()` is how many there are, for the board to know. */
  constructor(rt, model, browsers) {
    this.#rt = rt;
    this.#model = model;
    this.#browsers = browsers;
  }

  async begin(address) {
    const board = await this.#rt.resolveRemote(address, 'board');
    if (board === null) throw new Error(`there is no board at ${address}`);
    this.#board = this.#rt.refTo(board);
    this.#observer = this.#rt.spawn((news) => this.#hear(news), { name: 'gateway', system: true });
    this.#rt.watchNodes(this.#observer);
    await this.#askBoard();
    this.#everyBoard();
  }

  end() {
    this.#ended = true;
  }

  async #everyBoard() {
    while (!this.#ended) {
      const { over, phase } = this.#model;
      await pause(over && this.#told === phase ? AFTERWARDS_MS : ASK_MS);
      try {
        await this.#askBoard();
      } catch {
        // The parent is busy, or ends; its end is the end of the standard input.
      }
    }
  }

  /** One question after the other: each continues where the answer before it has ended. */
  #askBoard() {
    const asked = this.#asking.then(() => this.#askOnce());
    this.#asking = asked.catch(() => {});
    return asked;
  }

  async #askOnce() {
    const ask = (...call) => this.#board.ask(...call, { timeoutMs: BOARD_PATIENCE_MS });
    if (!this.#model.hasUnits) {
      const units = await ask('units');
      if (units !== null) this.#model.setUnits(units);
    }
    const { incidents, phase } = this.#model;
    const facts = await ask('facts', incidents, this.#browsers(), phase);
    this.#told = phase;
    this.#model.setFacts(facts, Date.now());
    for (const node of this.#model.nodes()) this.#link(node);
  }

  /** Finds the gauge of a node that is new, or was started again. */
  #link({ name, address }) {
    if (address === '' || this.#links.get(name)?.address === address || this.#model.over) return;
    // Its end may not have been heard of yet.
    if (this.#links.has(name)) this.#model.setState(name, 'down', 'another process took its place', Date.now());
    const link = { address, gauge: null, monitor: null };
    this.#links.set(name, link);
    this.#follow(name, link).catch((error) => {
      this.#lost(name, link, error.message);
    });
  }

  async #follow(name, link) {
    link.gauge = await this.#rt.resolveRemote(link.address, 'gauge');
    if (link.gauge === null) throw new Error('it has no gauge');
    link.monitor = this.#rt.monitor(this.#observer, link.gauge);
    while (!this.#ended && this.#links.get(name) === link) {
      try {
        const answer = await this.#rt.ask(link.gauge, '', { timeoutMs: PATIENCE_MS });
        this.#model.gauged(name, answer, Date.now());
      } catch (error) {
        // Its end comes as a DOWN.
        if (error.name !== 'AskTimeoutError') return;
        this.#model.setState(name, 'stalled', `no answer within ${PATIENCE_MS} ms`, Date.now());
      }
      await pause(ASK_MS);
    }
  }

  async #hear(news) {
    if (Buffer.isBuffer(news)) return;
    const { typeName, node, reference, reason, detail } = news;
    if (typeName === 'NODE_STALLED') this.#model.setState(node, 'stalled', detail ?? '', Date.now());
    if (typeName !== 'DOWN') return;
    for (const [name, link] of this.#links) {
      if (link.monitor === reference) this.#lost(name, link, reason ?? '');
    }
  }

  /** A node's gauge is gone: that of this link, not of a later life. */
  async #lost(name, link, why) {
    const now = Date.now();
    if (this.#links.get(name) !== link) return;
    // At the end of the run nodes end because they are told to: the board knows.
    try {
      await this.#askBoard();
    } catch {
      // Then it counts as lost.
    }
    if (this.#links.get(name) !== link) return;
    if (!this.#model.over) this.#model.setState(name, 'down', why, now);
    // If it was the connection alone, the board goes on to name this address.
    await pause(AFTERWARDS_MS);
    if (this.#links.get(name) === link) this.#links.delete(name);
  }
}

module.exports = { Watch };
