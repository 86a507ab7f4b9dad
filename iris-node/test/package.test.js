'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { PACKAGE, iris } = require('./support.js');

test('import gives what require gives', () => {
  const code = `
    import iris, * as all from 'iris';
    import { createRequire } from 'node:module';
    const required = createRequire(import.meta.url)('iris');
    const names = Object.keys(all).filter((name) => name !== 'default').sort();
    if (iris !== required || String(names) !== String(Object.keys(required).sort())) throw new Error(names);
    if (all.NodeRuntime !== required.NodeRuntime) throw new Error('two of them');
    console.log('same');
  `;
  // A package can import itself by its name from within.
  const file = path.join(PACKAGE, 'test', 'self.tmp.mjs');
  fs.writeFileSync(file, code);
  const { stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
  fs.unlinkSync(file);
  assert.equal(stdout, 'same\n', stderr);
});

test('the root of the checkout has it, too', () => {
  assert.equal(require('../..'), iris);
});

test('without a native module the error says how to get one', () => {
  const lib = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'iris-node-'));
  fs.mkdirSync(path.join(lib, 'lib'));
  fs.copyFileSync(path.join(PACKAGE, 'lib', 'native.js'), path.join(lib, 'lib', 'native.js'));
  const load = ['-e', `require(${JSON.stringify(path.join(lib, 'lib', 'native.js'))})`];
  const { status, stderr } = spawnSync(process.execPath, load, { encoding: 'utf8', env: { PATH: '' } });
  assert.equal(status, 1);
  assert.match(stderr, /no native module of iris for \w+-\w+.* and Node v\d+/);
  assert.match(stderr, /cargo xtask node --release/);
  // A module for the platform's own name is found, whatever tools the machine has.
  const { platform } = require('../lib/native.js');
  fs.copyFileSync(path.join(PACKAGE, 'iris.node'), path.join(lib, `iris.${platform()}.node`));
  const found = spawnSync(process.execPath, load, { encoding: 'utf8', env: { PATH: '' } });
  fs.rmSync(lib, { recursive: true });
  assert.equal(found.status, 0, found.stderr);
});

test('the snippets of the README run', (t) => {
  const folder = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'iris-node-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const readme = fs.readFileSync(path.join(PACKAGE, 'README.md'), 'utf8');
  const snippets = [...readme.matchAll(/```js\n([^]*?)```/g)].map((match) => match[1]);
  const wanted = [
    'got hello\ngot text is sent as UTF-8\n',
    'HELLO\n',
    '6 in actor true\n',
    'starting the saga\nconfirmed\n',
    'crashed: no good\nworked on good\n',
    'there: login\n',
    'rows for everybody\nMeshError\n',
  ];
  const printed = snippets.map((snippet) => {
    const code = snippet.replace("require('iris')", `require(${JSON.stringify(PACKAGE)})`);
    const options = { encoding: 'utf8', timeout: 30_000, env: { ...process.env, TMPDIR: folder } };
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', code], options);
    assert.equal(stderr, '');
    return stdout;
  });
  assert.deepEqual(printed, wanted);
});
