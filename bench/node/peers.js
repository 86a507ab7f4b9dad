'use strict';
// Who is measured, and how one repetition of each is run in a process of its own.

const { execFile } = require('node:child_process');
const { existsSync } = require('node:fs');
const path = require('node:path');

const IRIS = { name: 'iris', module: 'on_iris' };
const EMITTER = { name: 'EventEmitter', module: 'on_emitter' };
const ARRAY = { name: 'array + promise', module: 'on_array' };
const NACT = { name: 'nact', module: 'on_nact' };
const PORTS = { name: 'worker_threads', module: 'on_ports' };
const TSFN = { name: 'thread-safe functions', module: 'on_tsfn' };

/** Why a peer cannot be measured here, if so. */
function absent(peer) {
  if (peer === NACT && !existsSync(path.join(__dirname, 'node_modules', 'nact'))) {
    return 'nact is not installed (npm ci in bench/node)';
  }
  if (peer === TSFN && !existsSync(process.env.BENCH_TSFN ?? '')) {
    return 'the addon is not built (BENCH_TSFN; cargo xtask bench node builds it)';
  }
  return null;
}

/** One repetition. */
function run(peer, workload, n, size) {
  const child = path.join(__dirname, 'child.js');
  const args = ['--expose-gc', child, peer.module, workload, String(n), String(size)];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { timeout: 150_000 }, (error, out, err) => {
      if (error !== null) {
        reject(new Error(`${workload} on ${peer.name}: ${error.message}\n${err}`));
      } else {
        resolve(JSON.parse(out.trim().split('\n').at(-1)));
      }
    });
  });
}

module.exports = { ARRAY, EMITTER, IRIS, NACT, PORTS, TSFN, absent, run };
