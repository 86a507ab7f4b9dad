'use strict';
// The workloads on a thread-safe function of Node-API for each actor, called for each message.

const { Actor } = require(process.env.BENCH_TSFN);

const { Clock, PAYLOAD, countdown, inBursts, spawning } = require('./measure.js');

/** They keep no process alive. */
async function awake(work) {
  const timer = setInterval(() => {}, 1000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

exports.tell = (n) => awake(async () => {
  const clock = new Clock(n);
  const actor = new Actor(countdown(n, clock));
  clock.start();
  await inBursts(n, () => actor.send(PAYLOAD));
  return clock.stopped();
});

exports.pingPong = (n) => awake(() => {
  const clock = new Clock(n);
  let left = n;
  const pong = new Actor((message) => {
    ping.send(message);
  });
  const ping = new Actor((message) => {
    left -= 1;
    if (left === 0) clock.stop();
    else pong.send(message);
  });
  clock.start();
  pong.send(PAYLOAD);
  return clock.stopped();
});

exports.fanOut = (n, size) => awake(async () => {
  const clock = new Clock(n);
  const handler = countdown(n, clock);
  const actors = Array.from({ length: size }, () => new Actor(handler));
  clock.start();
  await inBursts(n, (i) => actors[i % size].send(PAYLOAD));
  return clock.stopped();
});

exports.spawn = (n) => {
  const handler = () => {};
  const stopAll = async (actors) => actors.forEach((actor) => actor.stop());
  return spawning(n, () => new Actor(handler), stopAll);
};
