'use strict';
// What the page shows, as one value that grows by facts. Knows no actor, no socket and no clock.
//
// Every part that changes is marked with the number of the change. Who has seen all up to a number
// gets the rest with `since`: one that reads slowly gets the newest state and none in between.

const SAMPLES = 600;
const INCIDENTS = 200;
const LOG = 200;
// An answer older than this says nothing of what a node does now.
const FRESH_MS = 1_000;
// A rate over less is noise.
const SPAN_MS = 80;

// The gauge's answer, as packets.py has it.
const GAUGE = 8;
const GAUGED = 20;

const OVER = new Set(['checking', 'equal', 'different', 'failed']);

class Model {
  #units = null;
  #unitsAt = 0;
  #aircraft = [];
  #nodes = new Map();
  #samples = [];
  #incidents = [];
  #log = [];
  #found = { total: 0, first: 0, second: 0 };
  #told = new Map();
  #started = 0;
  // The most messages a second that there were.
  #peak = 0;
  #fleet = { phase: 'starting', flights: 0, streamed: 0, swapAt: 0, date: '', verdict: null, lost: null };

  /** `epoch` tells this model from one that an earlier process had. */
  constructor(epoch) {
    this.epoch = epoch;
    this.change = 1;
  }

  /** How many incidents are known: the board is asked for those behind. */
  get incidents() {
    return this.#found.total;
  }

  get hasUnits() {
    return this.#units !== null;
  }

  get phase() {
    return this.#fleet.phase;
  }

  get over() {
    return OVER.has(this.#fleet.phase);
  }

  nodes() {
    return this.#nodes.values();
  }

  /** Name, carrier and node number of each aircraft. */
  setUnits(units) {
    this.#units = units;
    this.#unitsAt = ++this.change;
    this.#aircraft = units.map(() => ({ flights: 0, mean: 0, version: 0, incidents: 0, at: 0 }));
  }

  /** What the board says. */
  setFacts(facts, now) {
    const before = this.#fleet;
    const { phase, verdict, flights, streamed, swapAt, date, losses } = facts;
    // What is over stays as it is.
    if (this.over && phase === before.phase && facts.incidents.length === 0) return;
    const at = ++this.change;
    const lost = {
      nodes: losses.length,
      back: losses.filter(({ back }) => back !== null).length,
      resent: losses.reduce((sum, { resent }) => sum + resent, 0),
    };
    this.#fleet = { phase, verdict, flights, streamed, swapAt, date, lost };
    for (const node of facts.nodes) {
      const known = this.#nodes.get(node.name);
      if (known) Object.assign(known, node);
      else this.#nodes.set(node.name, { ...node, state: 'starting', flights: 0, rate: 0, first: 0, second: 0, heard: 0 });
    }
    for (const [unit, version, delay, score, when] of facts.incidents) {
      this.#found.total += 1;
      this.#found[version === 1 ? 'first' : 'second'] += 1;
      const [name, carrier] = this.#units?.[unit] ?? ['', ''];
      const aircraft = this.#aircraft[unit];
      if (aircraft) Object.assign(aircraft, { incidents: aircraft.incidents + 1, at });
      keep(this.#incidents, { at, number: this.#found.total, unit, name, carrier, version, delay, score, when }, INCIDENTS);
    }
    if (phase !== before.phase && !OVER.has(phase)) this.#turned(phase, verdict, now);
    const later = losses.filter(({ after }) => after >= swapAt);
    for (const loss of losses) if (loss.after < swapAt) this.#lost(loss, now);
    if (streamed >= swapAt && before.streamed < swapAt && swapAt > 0) {
      this.#note(now, 'swap', '', `from flight ${swapAt.toLocaleString('en-US')} on the second detector scores`);
    }
    for (const loss of later) this.#lost(loss, now);
    if (phase !== before.phase && OVER.has(phase)) this.#turned(phase, verdict, now);
  }

  #turned(phase, verdict, now) {
    switch (phase) {
      case 'streaming':
        this.#started = now;
        this.#note(now, 'start', '', `${this.#fleet.flights.toLocaleString('en-US')} flights are streamed`);
        break;
      case 'equal':
        this.#note(now, 'equal', '', `the digest is the single loop's: ${verdict.found.slice(0, 16)}…`);
        break;
      case 'different':
        this.#note(now, 'different', '', 'the digest is NOT the single loop\'s');
        break;
      case 'failed':
        this.#note(now, 'different', '', 'the run failed; the terminal says why');
        break;
      default:
    }
    if (this.over) {
      for (const node of this.#nodes.values()) Object.assign(node, { state: 'ended', rate: 0 });
    }
  }

  /** What has become of a node's end since the last time. */
  #lost(loss, now) {
    const key = `${loss.node} ${loss.after}`;
    const told = this.#told.get(key) ?? {};
    this.#told.set(key, { ended: true, restarted: loss.restarted !== null, back: loss.back !== null });
    if (!told.ended) {
      const how = loss.killed ? 'SIGKILL' : 'ended by itself';
      this.#note(now, 'kill', loss.node, `${how} after flight ${loss.after.toLocaleString('en-US')}`);
    }
    if (!told.restarted && loss.restarted !== null) {
      this.#note(now, 'restart', loss.node, `restarted by its supervisor after ${milliseconds(loss.restarted)}`);
    }
    if (!told.back && loss.back !== null) {
      const [opened, resent] = [loss.aircraft, loss.resent].map((number) => number.toLocaleString('en-US'));
      this.#note(now, 'back', loss.node, `${opened} aircraft opened again, ${resent} flights sent again, after ${milliseconds(loss.back)}`);
    }
  }

  /** What a node's gauge says, or `false` if that is not a gauge's answer. */
  gauged(name, answer, now) {
    const node = this.#nodes.get(name);
    if (!node || answer.length < GAUGE) return false;
    const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
    const count = view.getUint32(4, true);
    if (answer.length !== GAUGE + count * GAUGED) return false;
    const at = ++this.change;
    let total = 0;
    const versions = [0, 0, 0];
    for (let offset = GAUGE; offset < answer.length; offset += GAUGED) {
      const unit = view.getUint32(offset, true);
      const flights = view.getUint32(offset + 4, true);
      const version = view.getUint32(offset + 8, true);
      total += flights;
      versions[Math.min(version, 2)] += 1;
      const aircraft = this.#aircraft[unit];
      if (aircraft && (aircraft.flights !== flights || aircraft.version !== version)) {
        Object.assign(aircraft, { flights, version, at });
        aircraft.mean = view.getFloat64(offset + 12, true);
      }
    }
    const life = view.getUint32(0, true);
    if (life !== node.gaugedLife) Object.assign(node, { gaugedLife: life, from: now, base: total, rate: 0 });
    if (now - node.from >= SPAN_MS) {
      // What died with a node is handled twice, and counts when it is.
      node.rate = Math.max(0, ((total - node.base) * 1e3) / (now - node.from));
      Object.assign(node, { from: now, base: total });
    }
    let rate = 0;
    for (const { rate: part } of this.#nodes.values()) rate += part;
    this.#peak = Math.max(this.#peak, Math.round(rate));
    Object.assign(node, { flights: total, first: versions[1], second: versions[2], heard: now });
    if (node.state !== 'ended') this.setState(name, 'up', '', now);
    return true;
  }

  /** A node is `up`, `stalled`, `down` or `ended` from now on. */
  setState(name, state, why, now) {
    const node = this.#nodes.get(name);
    if (!node || node.state === state || node.state === 'ended') return;
    const text = { up: 'up', stalled: 'does not answer', down: 'down', ended: 'ended' }[state];
    node.state = state;
    if (state !== 'up') node.rate = 0;
    this.#note(now, state, name, why ? `${text}: ${why}` : text);
  }

  /** A point of the chart: what each node does at this time. */
  sample(now) {
    if (this.#fleet.phase !== 'streaming' || this.#nodes.size === 0) return;
    const rates = Array.from(this.#nodes.values(), ({ heard, rate, state }) => (
      state === 'up' && now - heard < FRESH_MS ? Math.round(rate) : 0
    ));
    keep(this.#samples, { at: ++this.change, now, rates }, SAMPLES);
  }

  #note(now, kind, node, text) {
    keep(this.#log, { at: ++this.change, now, kind, node, text }, LOG);
  }

  /** What somebody has to be told who has seen all up to `change`; all of it, if that is 0. */
  since(change) {
    const aircraft = [];
    this.#aircraft.forEach(({ at, flights, mean, version, incidents }, unit) => {
      if (at > change) aircraft.push(unit, flights, Math.round(mean * 10) / 10, version, incidents);
    });
    const nodes = Array.from(this.#nodes.values(), (node) => ({
      name: node.name, kind: node.kind, state: node.state, life: node.life, pid: node.pid,
      aircraft: node.aircraft, flights: node.state === 'ended' ? node.acknowledged : node.flights, rate: Math.round(node.rate), open: node.open,
      first: node.first, second: node.second, acknowledged: node.acknowledged,
    }));
    const newer = ({ at }) => at > change;
    return {
      reset: change === 0,
      fleet: { ...this.#fleet, found: this.#found, started: this.#started, peak: this.#peak },
      nodes,
      units: this.#unitsAt > change ? this.#units : null,
      aircraft,
      samples: this.#samples.filter(newer).map(({ now, rates }) => [now, ...rates]),
      incidents: this.#incidents.filter(newer).map(({ at, ...incident }) => incident),
      log: this.#log.filter(newer).map(({ at, ...entry }) => entry),
    };
  }
}

/** Appends to a list that is cut off at its old end. */
function keep(list, item, most) {
  list.push(item);
  if (list.length > most) list.shift();
}

function milliseconds(seconds) {
  return `${Math.round(seconds * 1e3).toLocaleString('en-US')} ms`;
}

module.exports = { Model };
