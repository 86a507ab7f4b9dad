'use strict';
// The workloads on nact.

const { dispatch, query, spawn, start, stop } = require('nact');

const { Clock, PAYLOAD, asking, countdown, inBursts, spawning } = require('./measure.js');

let last = 0;

function actor(system, handler) {
  last += 1;
  return spawn(system, (state, message, context) => {
    handler(message, context);
    return state;
  }, `actor-${last}`);
}

exports.tell = async (n) => {
  const clock = new Clock(n);
  const counter = actor(start(), countdown(n, clock));
  clock.start();
  await inBursts(n, () => dispatch(counter, PAYLOAD));
  return clock.stopped();
};

exports.pingPong = (n) => {
  const system = start();
  const clock = new Clock(n);
  let left = n;
  const pong = actor(system, (message) => dispatch(ping, message));
  const ping = actor(system, (message) => {
    left -= 1;
    if (left === 0) clock.stop();
    else dispatch(pong, message);
  });
  clock.start();
  dispatch(pong, PAYLOAD);
  return clock.stopped();
};

exports.fanOut = async (n, size) => {
  const system = start();
  const clock = new Clock(n);
  const handler = countdown(n, clock);
  const actors = Array.from({ length: size }, () => actor(system, handler));
  clock.start();
  await inBursts(n, (i) => dispatch(actors[i % size], PAYLOAD));
  return clock.stopped();
};

exports.spawn = (n) => {
  const system = start();
  const handler = () => {};
  return spawning(n, () => actor(system, handler), async (actors) => actors.forEach(stop));
};

exports.ask = (n, width) => {
  const echo = actor(start(), ({ message, sender }) => dispatch(sender, message));
  return asking(n, width, () => query(echo, (sender) => ({ message: PAYLOAD, sender }), 5000));
};
