'use strict';
// The workloads on worker_threads: an actor is a thread with a MessagePort.

const { Worker } = require('node:worker_threads');

const { Clock, PAYLOAD, asking, inBursts } = require('./measure.js');

const COUNTS = `
  const { parentPort, workerData } = require('node:worker_threads');
  let left = workerData;
  parentPort.on('message', () => {
    left -= 1;
    if (left === 0) parentPort.postMessage(null);
  });
  parentPort.postMessage(null);`;

const ECHOES = `
  const { parentPort } = require('node:worker_threads');
  parentPort.on('message', (message) => parentPort.postMessage(message));
  parentPort.postMessage(null);`;

/** A worker that is there. */
async function worker(source, workerData) {
  const made = new Worker(source, { eval: true, workerData });
  await new Promise((resolve) => {
    made.once('message', resolve);
  });
  return made;
}

exports.tell = async (n) => {
  const clock = new Clock(n);
  const counter = await worker(COUNTS, n);
  counter.once('message', () => clock.stop());
  clock.start();
  await inBursts(n, () => counter.postMessage(PAYLOAD));
  const timing = await clock.stopped();
  await counter.terminate();
  return timing;
};

exports.ask = async (n, width) => {
  const echo = await worker(ECHOES);
  const waiting = [];
  echo.on('message', (message) => waiting.shift()(message));
  const timing = await asking(n, width, () => new Promise((resolve) => {
    waiting.push(resolve);
    echo.postMessage(PAYLOAD);
  }));
  await echo.terminate();
  return timing;
};

exports.pingPong = (n) => exports.ask(n, 1);
