'use strict';
// Lays out the packages that a release has: `iris`, which has no native module, and one for each
// platform, which npm chooses by `os`, `cpu` and `libc`.
//
//   node scripts/packages.js FOLDER [PLATFORM=MODULE ..]
//
// makes FOLDER/iris and, for each native module that is given, FOLDER/binding-PLATFORM; without any,
// for the one that was built here. All are to be published together: `iris` names every platform's
// package in this very version.

const fs = require('node:fs');
const path = require('node:path');

const { PLATFORMS, packageOf, platform } = require('../lib/platforms.js');

const PACKAGE = path.join(__dirname, '..');

function read() {
  return JSON.parse(fs.readFileSync(path.join(PACKAGE, 'package.json'), 'utf8'));
}

/** What the package of a platform says of itself. */
function bindingManifest(name) {
  const {
    version, license, engines, description,
  } = read();
  const { os, cpu, libc } = PLATFORMS[name];
  return {
    name: packageOf(name),
    version,
    description: `${description}: the native module for ${name}`,
    license,
    main: `iris.${name}.node`,
    files: [`iris.${name}.node`],
    engines,
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
  };
}

/** What `iris` says of itself where its native module is in another package. */
function manifest() {
  const { private: _, scripts, devDependencies, ...rest } = read();
  const bindings = Object.keys(PLATFORMS).map((name) => [packageOf(name), rest.version]);
  return {
    ...rest,
    files: rest.files.filter((file) => file !== 'iris.node'),
    optionalDependencies: Object.fromEntries(bindings),
  };
}

function write(folder, name, given) {
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, name), given);
}

function writeManifest(folder, given) {
  write(folder, 'package.json', `${JSON.stringify(given, null, 2)}\n`);
}

/** Makes the package of a platform of its native module. */
function layBinding(folder, name, module) {
  if (!(name in PLATFORMS)) {
    throw new Error(`no platform: ${name}; there are ${Object.keys(PLATFORMS).join(', ')}`);
  }
  const own = path.join(folder, `binding-${name}`);
  const given = bindingManifest(name);
  writeManifest(own, given);
  write(own, 'README.md', `# ${given.name}\n\n${given.description}. Installed by \`iris\`.\n`);
  fs.copyFileSync(module, path.join(own, given.main));
}

/** Makes the package of all platforms. */
function layMain(folder) {
  const own = path.join(folder, 'iris');
  const given = manifest();
  writeManifest(own, given);
  for (const file of [...given.files, 'README.md']) {
    fs.cpSync(path.join(PACKAGE, file), path.join(own, file), { recursive: true });
  }
}

function main([folder, ...modules]) {
  if (folder === undefined) throw new Error('usage: packages.js FOLDER [PLATFORM=MODULE ..]');
  const given = modules.length > 0 ? modules : [`${platform()}=${path.join(PACKAGE, 'iris.node')}`];
  layMain(folder);
  for (const one of given) {
    const at = one.indexOf('=');
    if (at < 0) throw new Error(`not PLATFORM=MODULE: ${one}`);
    layBinding(folder, one.slice(0, at), one.slice(at + 1));
  }
}

main(process.argv.slice(2));
