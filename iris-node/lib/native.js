'use strict';
// Finds the native module: the one that was built in this checkout first, else that of the package
// for this platform, as npm installs it beside this one.

const { existsSync } = require('node:fs');
const { join } = require('node:path');

/** Whether this Node was built against musl. Looks at what Node says of itself, not at tools. */
function isMusl() {
  if (process.platform !== 'linux') return false;
  // Or it looks up the names of all peers.
  if (process.report) process.report.excludeNetwork = true;
  const { header, sharedObjects } = process.report?.getReport?.() ?? {};
  if (header?.glibcVersionRuntime) return false;
  if (Array.isArray(sharedObjects)) {
    return sharedObjects.some((path) => path.includes('libc.musl-') || path.includes('ld-musl-'));
  }
  return existsSync('/etc/alpine-release');
}

/** What the platform is called in the names of packages. */
function platform() {
  const { arch } = process;
  switch (process.platform) {
    case 'linux': return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}`;
    case 'win32': return `win32-${arch}-msvc`;
    default: return `${process.platform}-${arch}`;
  }
}

/** Places to look at, in order. */
function* candidates() {
  const folder = join(__dirname, '..');
  // Without a look at the platform, which takes a millisecond.
  const built = join(folder, 'iris.node');
  if (existsSync(built)) yield built;
  const name = platform();
  const local = join(folder, `iris.${name}.node`);
  if (existsSync(local)) yield local;
  yield `@iris/binding-${name}`;
}

function load() {
  const failures = [];
  for (const candidate of candidates()) {
    try {
      return require(candidate);
    } catch (error) {
      failures.push(`${candidate}: ${error.message.split('\n')[0]}`);
    }
  }
  throw new Error(
    `no native module of iris for ${platform()} and Node ${process.version}; build one with `
    + `\`cargo xtask node --release\` in the checkout.\n  ${failures.join('\n  ')}`,
  );
}

module.exports = load();
module.exports.candidates = candidates;
module.exports.platform = platform;
