'use strict';
// The workloads on EventEmitter: no mailbox, the sender calls the handler.

const { EventEmitter } = require('node:events');

const { Clock, PAYLOAD, countdown, inBursts, spawning } = require('./measure.js');

function actor(handler) {
  const emitter = new EventEmitter();
  emitter.on('message', handler);
  return emitter;
}

exports.tell = async (n) => {
  const clock = new Clock(n);
  const emitter = actor(countdown(n, clock));
  clock.start();
  await inBursts(n, () => emitter.emit('message', PAYLOAD));
  return clock.stopped();
};

exports.spawn = (n) => {
  const handler = () => {};
  return spawning(n, () => actor(handler));
};
