'use strict';
// Finds the native module: the one that was built in this checkout first, else that of the package
// for this platform, as npm installs it beside this one.

const { existsSync } = require('node:fs');
const { join } = require('node:path');

const { version } = require('../package.json');
const { PLATFORMS, packageOf, platform } = require('./platforms.js');

/** Places to look at, in order. */
function* candidates() {
  const folder = join(__dirname, '..');
  // Without a look at the platform, which takes a millisecond.
  const built = join(folder, 'iris.node');
  if (existsSync(built)) yield built;
  const name = platform();
  const local = join(folder, `iris.${name}.node`);
  if (existsSync(local)) yield local;
  yield packageOf(name);
}

/** What there is to be done where nothing was found. */
function advice() {
  const name = platform();
  const build = 'build one with `cargo xtask node --release` in the checkout';
  if (!(name in PLATFORMS)) return `there is no package for this platform: ${build}`;
  return `install ${packageOf(name)}@${version}, which npm does by itself unless optional dependencies `
    + 'are left out (--omit=optional), or node_modules or its lock file come from another platform: '
    + `then remove both and install again. Or ${build}`;
}

function load() {
  const failures = [];
  for (const candidate of candidates()) {
    try {
      const native = require(candidate);
      const built = native.Core.version();
      if (built === version) return native;
      failures.push(`${candidate}: it is of version ${built}, and this package of ${version}`);
    } catch (error) {
      failures.push(`${candidate}: ${error.message.split('\n')[0]}`);
    }
  }
  throw new Error(
    `no native module of iris for ${platform()} and Node ${process.version}; ${advice()}.\n  `
    + failures.join('\n  '),
  );
}

module.exports = load();
