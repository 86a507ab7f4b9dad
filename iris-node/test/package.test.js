'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { PLATFORMS, packageOf, platform } = require('../lib/platforms.js');
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

/** A folder of its own, and what runs a program in it. */
function workshop(t) {
  const folder = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'iris-node-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const run = (command, ...args) => {
    const options = { cwd: folder, encoding: 'utf8', timeout: 60_000 };
    return spawnSync(command, args, options);
  };
  return { folder, run };
}

const LAY = path.join(PACKAGE, 'scripts', 'packages.js');

/** Lays out the packages as npm installs them. */
function installed(t) {
  const { folder, run } = workshop(t);
  const laid = run(process.execPath, LAY, 'release');
  assert.equal(laid.stderr, '');
  const modules = path.join(folder, 'node_modules');
  const scope = path.join(modules, '@iris');
  fs.mkdirSync(scope, { recursive: true });
  fs.renameSync(path.join(folder, 'release', 'iris'), path.join(modules, 'iris'));
  fs.renameSync(path.join(folder, 'release', `binding-${platform()}`), path.join(scope, `binding-${platform()}`));
  const load = (code = "console.log(require('iris').version())") => run(process.execPath, '-e', code);
  return { modules, binding: path.join(scope, `binding-${platform()}`), load, run };
}

test('a package without a native module finds that of its platform', (t) => {
  const { modules, load, run } = installed(t);
  assert.deepEqual(fs.readdirSync(path.join(modules, 'iris')).filter((file) => file.endsWith('.node')), []);
  const { stdout, stderr } = load();
  assert.deepEqual([stdout, stderr], [`${iris.version()}\n`, '']);
  const code = "import { NodeRuntime } from 'iris'; await using_(new NodeRuntime()); async function using_(rt) { await rt.shutdown(); console.log('over'); }";
  const module = run(process.execPath, '--input-type=module', '-e', code);
  assert.deepEqual([module.stdout, module.stderr], ['over\n', '']);
});

test('it names every platform\'s package in its own version', (t) => {
  const { modules, binding } = installed(t);
  const read = (folder) => JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const { optionalDependencies, private: isPrivate, scripts } = read(path.join(modules, 'iris'));
  assert.deepEqual(Object.keys(optionalDependencies).sort(), Object.keys(PLATFORMS).map(packageOf).sort());
  assert.deepEqual([...new Set(Object.values(optionalDependencies))], [iris.version()]);
  assert.deepEqual([isPrivate, scripts], [undefined, undefined]);
  const own = read(binding);
  assert.deepEqual([own.os, own.cpu], [[process.platform], [process.arch]]);
  assert.ok(fs.existsSync(path.join(binding, own.main)));
  assert.ok(optionalDependencies[own.name] === own.version);
});

test('without a native module the error says what to do', (t) => {
  const { modules, binding, load } = installed(t);
  const aside = `${binding}.aside`;
  fs.renameSync(binding, aside);
  const without = load();
  assert.equal(without.status, 1);
  assert.match(without.stderr, /no native module of iris for \w+-\w+.* and Node v[\d.]+; install @iris\/binding-/);
  assert.match(without.stderr, /--omit=optional/);
  assert.match(without.stderr, /cargo xtask node --release/);
  // Another version of it is none.
  fs.renameSync(aside, binding);
  const manifest = path.join(modules, 'iris', 'package.json');
  fs.writeFileSync(manifest, fs.readFileSync(manifest, 'utf8').replace('"version": "', '"version": "9'));
  assert.match(load().stderr, new RegExp(`it is of version ${iris.version()}, and this package of 9`));
  // A platform that nobody has made a package for.
  const elsewhere = "Object.defineProperty(process, 'platform', { value: 'sunos' }); require('iris')";
  assert.match(load(elsewhere).stderr, /for sunos-\w+ .*there is no package for this platform: build one/);
});

test('packages are laid out of modules of platforms that there are', (t) => {
  const { run } = workshop(t);
  const lay = (...args) => run(process.execPath, LAY, ...args).stderr;
  assert.match(lay('release', 'sunos-x64=x.node'), /no platform: sunos-x64/);
  assert.match(lay('release', 'linux-x64-gnu'), /not PLATFORM=MODULE/);
  assert.match(lay(), /usage/);
});

test('npm install and npm run build are what the root of the checkout says', (t) => {
  const { folder, run } = workshop(t);
  const root = path.join(PACKAGE, '..');
  for (const file of ['package.json', 'package-lock.json']) {
    fs.copyFileSync(path.join(root, file), path.join(folder, file));
  }
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const install = run(npm, 'install', '--offline', '--no-audit', '--no-fund');
  if (install.error?.code === 'ENOENT') return t.skip('there is no npm');
  assert.equal(install.status, 0, install.stderr);
  // What the build does is to be seen without doing it.
  const { scripts } = require('../../package.json');
  assert.equal(scripts.build, 'cargo xtask node --release');
  assert.equal(require('../package.json').scripts.build, scripts.build);
  return undefined;
});

test('the snippets of the README run', (t) => {
  const { folder } = workshop(t);
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
    'request 7 paid\n',
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
