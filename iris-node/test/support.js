'use strict';

const { spawn, spawnSync } = require('node:child_process');
const path = require('node:path');

const iris = require('..');

const PACKAGE = path.join(__dirname, '..');
const PATIENCE_MS = 30_000;

/** A runtime that is gone when the test is over, and says nothing of crashes. */
function runtime(t) {
  const rt = new iris.NodeRuntime();
  rt.crashes = [];
  rt.onCrash((crash) => rt.crashes.push(crash));
  t.after(() => rt.shutdown(0));
  return rt;
}

/** Waits until `condition()` holds; the event loop turns meanwhile. */
async function until(condition, what = condition) {
  const end = Date.now() + PATIENCE_MS;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`it never came to be: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
}

/** What programs begin with. */
const RUNTIME = 'const rt = new iris.NodeRuntime();';

/** Runs a program that has `iris`, `rt` and `print`, if it `loads` them; how it has ended. */
function program(source, {
  timeoutMs = PATIENCE_MS, onOutput, onError, args = [], before = RUNTIME, loads = true,
} = {}) {
  const head = !loads ? '' : `const iris = require(${JSON.stringify(PACKAGE)}); ${before}
    const print = (text) => require('node:fs').writeSync(1, text + '\\n');\n`;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...args, '-e', head + source]);
    const ended = { out: '', err: '', timedOut: false };
    const timer = setTimeout(() => {
      ended.timedOut = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.stdout.on('data', (data) => {
      ended.out += data;
      onOutput?.(ended.out, child);
    });
    child.stderr.on('data', (data) => {
      ended.err += data;
      onError?.(ended.err, child);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ ...ended, code, signal });
    });
  });
}

/** A Python with the wheel, or why tests that need one are skipped. */
function python() {
  const folder = process.platform === 'win32' ? 'Scripts' : 'bin';
  const own = path.join(PACKAGE, '..', 'target', 'venv', folder, 'python');
  const command = process.env.IRIS_PYTHON ?? own;
  const tried = spawnSync(command, ['-c', 'import iris; iris.Actor']);
  return tried.status === 0 ? { command, skip: false } : { skip: 'no Python with the wheel of iris' };
}

/** The names of all methods of a class, those that it inherits included. */
function methodsOf(prototype) {
  const names = new Set();
  for (let at = prototype; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) names.add(name);
  }
  names.delete('constructor');
  return [...names];
}

module.exports = {
  PACKAGE, iris, methodsOf, program, python, runtime, until,
};
