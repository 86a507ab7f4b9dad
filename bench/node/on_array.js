'use strict';
// The workloads on an array and a promise for each actor: the mailbox that one writes by hand.

const { Clock, PAYLOAD, asking, countdown, inBursts, spawning } = require('./measure.js');

class Actor {
  #queue = [];
  #next = 0;
  #wake = null;

  constructor(handler) {
    this.#run(handler);
  }

  send(message) {
    this.#queue.push(message);
    if (this.#wake !== null) {
      const wake = this.#wake;
      this.#wake = null;
      wake();
    }
  }

  async #recv() {
    if (this.#next === this.#queue.length) {
      this.#queue.length = 0;
      this.#next = 0;
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
    const message = this.#queue[this.#next];
    this.#next += 1;
    return message;
  }

  async #run(handler) {
    for (;;) handler(await this.#recv());
  }
}

exports.tell = async (n) => {
  const clock = new Clock(n);
  const actor = new Actor(countdown(n, clock));
  clock.start();
  await inBursts(n, () => actor.send(PAYLOAD));
  return clock.stopped();
};

exports.flood = (n) => {
  const clock = new Clock(n);
  const actor = new Actor(countdown(n, clock));
  clock.start();
  for (let i = 0; i < n; i++) actor.send(PAYLOAD);
  return clock.stopped();
};

exports.pingPong = (n) => {
  const clock = new Clock(n);
  let left = n;
  const pong = new Actor((message) => ping.send(message));
  const ping = new Actor((message) => {
    left -= 1;
    if (left === 0) clock.stop();
    else pong.send(message);
  });
  clock.start();
  pong.send(PAYLOAD);
  return clock.stopped();
};

exports.fanOut = async (n, size) => {
  const clock = new Clock(n);
  const handler = countdown(n, clock);
  const actors = Array.from({ length: size }, () => new Actor(handler));
  clock.start();
  await inBursts(n, (i) => actors[i % size].send(PAYLOAD));
  return clock.stopped();
};

exports.spawn = (n) => {
  const handler = () => {};
  return spawning(n, () => new Actor(handler));
};

exports.ask = (n, width) => {
  const actor = new Actor(({ message, resolve }) => resolve(message));
  return asking(n, width, () => new Promise((resolve) => {
    actor.send({ message: PAYLOAD, resolve });
  }));
};
