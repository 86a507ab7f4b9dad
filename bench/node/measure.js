'use strict';
// What one run of a workload says about itself, and the clock that it is taken with.

const PAYLOAD = Buffer.alloc(32, 'x');

/** A sender goes round the loop after so many messages, as one that reads them from a socket. */
const BURST = 1000;

/** A run that takes longer has lost something. */
const LIMIT_MS = 120_000;

/** Times from `start` to the first `stop`. */
class Clock {
  #n;
  #start = 0n;
  #cpu;
  #stopped;

  constructor(n) {
    this.#n = n;
    this.#stopped = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.limit = setTimeout(() => {
        reject(new Error(`not every message was handled within ${LIMIT_MS / 1e3} s`));
      }, LIMIT_MS);
    });
  }

  /** The first message is about to be sent. */
  start() {
    this.#cpu = process.cpuUsage();
    this.#start = process.hrtime.bigint();
  }

  /** The last message has been handled. */
  stop() {
    const seconds = Number(process.hrtime.bigint() - this.#start) / 1e9;
    const { user, system } = process.cpuUsage(this.#cpu);
    clearTimeout(this.limit);
    this.resolve({ n: this.#n, seconds, cpuNs: ((user + system) * 1e3) / this.#n });
  }

  /** What was measured, as soon as the clock has stopped. */
  stopped() {
    return this.#stopped;
  }
}

const round = () => new Promise((resolve) => {
  setImmediate(resolve);
});

/** Calls `send()` so many times, in bursts. */
async function inBursts(n, send) {
  for (let sent = 0; sent < n;) {
    const end = Math.min(n, sent + BURST);
    for (; sent < end; sent++) send(sent);
    await round();
  }
}

/** A handler that stops the clock with the last of `n` messages. */
function countdown(n, clock) {
  let left = n;
  return () => {
    left -= 1;
    if (left === 0) clock.stop();
  };
}

/** Calls `ask()` so many times, `width` at a time, and awaits each. */
async function asking(n, width, ask) {
  const clock = new Clock(n);
  clock.start();
  for (let done = 0; done < n; done += width) {
    if (width === 1) await ask();
    else await Promise.all(Array.from({ length: width }, ask));
  }
  clock.stop();
  return clock.stopped();
}

/** Memory of this process in bytes, when all that is garbage has been collected. */
function settledBytes() {
  globalThis.gc();
  return process.memoryUsage.rss();
}

/** The least that it comes to within a while: memory goes back to the system late. */
async function leastBytes(enough) {
  const end = Date.now() + 3000;
  let least = settledBytes();
  while (least > enough && Date.now() < end) {
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    least = Math.min(least, settledBytes());
  }
  return least;
}

/** Makes idle actors; what each of them holds, and, if they can be stopped, what is left. */
async function spawning(n, make, stopAll) {
  // The first ones bring tables into being, and have the compiler look at it.
  const first = Array.from({ length: 2000 }, make);
  if (stopAll !== undefined) await stopAll(first);
  await round();
  const before = await leastBytes(0);
  const clock = new Clock(n);
  const actors = new Array(n);
  clock.start();
  for (let i = 0; i < n; i++) actors[i] = make(i);
  clock.stop();
  const timing = await clock.stopped();
  timing.bytesEach = Math.max(0, settledBytes() - before) / n;
  if (stopAll !== undefined) {
    await stopAll(actors);
    actors.length = 0;
    timing.before = before;
    timing.after = await leastBytes(before * 1.05);
  }
  return timing;
}

module.exports = { Clock, PAYLOAD, asking, countdown, inBursts, round, spawning };
