'use strict';
// The workloads: how large, on which peers, and what is to be reached.
//
// The goals were set as absolute figures beside those of other systems on one machine; they count
// as the ratio to such a system, taken in this run.

const { ARRAY, EMITTER, IRIS, NACT, PORTS, TSFN } = require('./peers.js');

// Figures of the machine that the goals were set on, per second: a thread-safe function for each
// message 0.67 M and created 1.16 M times, nact 0.3 M messages and 171 k actors, an array and a
// promise 4.04 M messages and 522 k actors, EventEmitter 51 M messages and 1.19 M emitters.
const TELL = 4e6;
const SPAWN = 2e6;

/** Each peer with the part of `n` that it does: a slow one is not waited for all day. */
const WORKLOADS = [
  {
    key: 'tell',
    title: 'tell 1->1, 32 B',
    n: 1_000_000,
    size: 0,
    peers: [[IRIS, 1], [EMITTER, 1], [ARRAY, 1], [NACT, 0.2], [TSFN, 0.5], [PORTS, 0.1]],
    goals: [[TSFN, TELL / 0.67e6], [NACT, TELL / 0.3e6], [ARRAY, TELL / 4.04e6]],
  },
  {
    key: 'flood',
    title: 'tell 1->1, all at once',
    n: 1_000_000,
    size: 0,
    peers: [[IRIS, 1], [ARRAY, 1]],
    goals: [],
  },
  {
    key: 'tellMethod',
    title: 'tell of a method',
    n: 500_000,
    size: 0,
    peers: [[IRIS, 1]],
    goals: [],
  },
  {
    key: 'pingPong',
    title: 'ping-pong',
    n: 200_000,
    size: 0,
    peers: [[IRIS, 1], [ARRAY, 1], [NACT, 0.5], [TSFN, 1], [PORTS, 0.1]],
    goals: [],
  },
  {
    key: 'fanOut',
    title: 'fan-out to 100k',
    n: 500_000,
    size: 100_000,
    peers: [[IRIS, 1], [ARRAY, 1], [NACT, 0.2], [TSFN, 1]],
    goals: [],
  },
  {
    key: 'spawn',
    title: 'create 100k actors',
    n: 100_000,
    size: 0,
    peers: [[IRIS, 1], [EMITTER, 1], [ARRAY, 1], [NACT, 1], [TSFN, 1]],
    goals: [[TSFN, SPAWN / 1.16e6], [NACT, SPAWN / 171e3], [ARRAY, SPAWN / 522e3]],
  },
  {
    key: 'spawnOwn',
    title: 'create 100k, a closure each',
    n: 100_000,
    size: 0,
    peers: [[IRIS, 1]],
    goals: [],
  },
  {
    key: 'ask',
    title: 'ask, one at a time',
    n: 100_000,
    size: 1,
    peers: [[IRIS, 1], [ARRAY, 1], [NACT, 0.5], [PORTS, 0.2]],
    goals: [],
  },
  {
    key: 'ask',
    title: 'ask, 100 at a time',
    n: 200_000,
    size: 100,
    peers: [[IRIS, 1], [ARRAY, 1], [NACT, 0.5], [PORTS, 0.2]],
    goals: [],
  },
  {
    key: 'askMethod',
    title: 'ask of a method, 100 at a time',
    n: 200_000,
    size: 100,
    peers: [[IRIS, 1]],
    goals: [],
  },
];

/** A tenth of it, for a first look. */
function quick(workload) {
  const isLarge = workload.size > 100;
  return {
    ...workload,
    n: workload.n / 10,
    size: isLarge ? workload.size / 10 : workload.size,
    title: workload.title.replace('100k', '10k'),
  };
}

module.exports = { WORKLOADS, quick };
