'use strict';
// One mesh of nodes in Rust, Python and Node.js, in processes of their own.
//
// Needs a Python with the wheel, which `cargo xtask py` makes or IRIS_PYTHON names, and the node in
// Rust: `cargo build --release -p iris --example mesh_peer` makes one, IRIS_RUST_PEER names another.

const test = require('node:test');
const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { existsSync } = require('node:fs');
const path = require('node:path');
const { createInterface } = require('node:readline');

const { PACKAGE, iris, python, runtime } = require('./support.js');

const PATIENCE_MS = 30_000;
const FOLDER = path.join(__dirname, 'peers');

const { command: PYTHON, skip: noPython } = python();

function rust() {
  if (process.env.IRIS_RUST_PEER) return process.env.IRIS_RUST_PEER;
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return path.join(PACKAGE, '..', 'target', 'release', 'examples', `mesh_peer${suffix}`);
}

const RUST = rust();
const skip = noPython || (existsSync(RUST) ? false : 'there is no node in Rust');

const COMMANDS = {
  rust: [RUST],
  python: [PYTHON, path.join(FOLDER, 'peer.py')],
  node: [process.execPath, path.join(FOLDER, 'peer.js')],
};
const LANGUAGES = Object.keys(COMMANDS);

/** A node in a process of its own, which says lines and is told some. */
class Peer {
  #child;
  #lines = [];
  #waits = [];
  /** How the process has ended. */
  #ended;

  constructor(t, language, name) {
    this.name = name;
    const [command, ...args] = COMMANDS[language];
    this.#child = spawn(command, [...args, name], { stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(() => this.#child.kill('SIGKILL'));
    // A pipe to one that is killed.
    this.#child.stdin.on('error', () => {});
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const wait = this.#waits.find(({ wanted }) => wanted.test(line));
      if (wait === undefined) this.#lines.push(line);
      else wait.done(line);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        for (const { failed } of this.#waits) failed(`${name} has ended: ${signal ?? code}`);
        resolve(signal ?? code);
      });
    });
  }

  /** The first line that it has said or will say and that fits. */
  line(wanted) {
    const at = this.#lines.findIndex((line) => wanted.test(line));
    if (at >= 0) return Promise.resolve(this.#lines.splice(at, 1)[0]);
    return new Promise((resolve, reject) => {
      const over = (settle) => (value) => {
        clearTimeout(timer);
        this.#waits.splice(this.#waits.indexOf(wait), 1);
        settle(value);
      };
      const wait = { wanted, done: over(resolve), failed: (text) => over(reject)(new Error(text)) };
      const timer = setTimeout(() => {
        wait.failed(`${this.name} says no ${wanted}, but ${JSON.stringify(this.#lines)}`);
      }, PATIENCE_MS);
      this.#waits.push(wait);
    });
  }

  /** Does what a line says; what comes of it. */
  does(line, wanted) {
    this.#child.stdin.write(`${line}\n`);
    return this.line(wanted);
  }

  async kill() {
    this.#child.kill('SIGKILL');
    assert.equal(await this.#ended, 'SIGKILL');
  }

  /** Lines that nobody has waited for. */
  get rest() {
    return this.#lines;
  }
}

/** Starts a node, which joins those that there are. */
async function join(t, language, life, peers) {
  const peer = new Peer(t, language, `${language}${life}`);
  peer.address = (await peer.line(/^at /)).slice(3);
  const seed = peers.length > 0 ? peers[0].address : peer.address;
  await peer.does(`join ${seed}`, /^joined$/);
  return peer;
}

/** What a node can do with another one. */
async function talk(a, b) {
  const { address, name } = b;
  await a.does(`resolve ${address} ear.${name}`, /^found$/);
  await a.does(`resolve ${address} no.${name}`, /^nobody$/);
  await a.does(`send ${address} ear.${name} from-${a.name}`, /^sent$/);
  await b.line(new RegExp(`^got from-${a.name}$`));
  const answer = await a.does(`ask echo.${name} is-it-you`, /^answer /);
  assert.equal(answer, `answer ${name}:is-it-you`);
}

test('nodes in three languages find, tell, ask and mourn each other', { skip, timeout: 120_000 }, async (t) => {
  const peers = {};
  for (const language of LANGUAGES) {
    peers[language] = await join(t, language, 1, Object.values(peers));
  }
  for (const a of LANGUAGES) {
    for (const b of LANGUAGES) {
      if (a !== b) await talk(peers[a], peers[b]);
    }
  }
  for (const language of LANGUAGES) {
    const victim = peers[language];
    const others = LANGUAGES.filter((one) => one !== language).map((one) => peers[one]);
    for (const other of others) {
      await other.does(`monitor ${victim.address} echo.${victim.name}`, /^monitors$/);
    }
    await victim.kill();
    for (const other of others) assert.equal(await other.line(/^down /), 'down noconnection');
    // Another one takes its place, and those that are left go on with it.
    peers[language] = await join(t, language, 2, others);
    await Promise.all(others.map((other) => talk(other, peers[language])));
  }
  for (const peer of Object.values(peers)) assert.deepEqual(peer.rest, []);
});

test('a compiled function of a node in Python answers who asks from here', { skip, timeout: 60_000 }, async (t) => {
  const peer = await join(t, 'python', 1, []);
  const rt = runtime(t);
  const ask = async (name, question) => {
    const pid = await rt.resolveRemote(peer.address, `${name}.python1`);
    return iris.unpack(await rt.ask(pid, question, { timeoutMs: PATIENCE_MS }));
  };
  const before = await ask('native', '');
  for (const args of [[1.5, 1000], [0.1, 7], [-3, 0]]) {
    const there = await ask('pool', iris.pack(['trail', args]));
    assert.equal(typeof there, 'number');
    assert.ok(Object.is(there, await ask('plain', iris.pack(args))), `${args}: ${there}`);
  }
  assert.equal(await ask('native', ''), before + 3, 'it ran as machine code');
  await assert.rejects(ask('pool', iris.pack(['trail', ['x', 2]])), (error) => {
    const [module, name] = iris.unpack(error.answer);
    return error instanceof iris.HandlerError && `${module}.${name}` === 'builtins.TypeError';
  });
});
