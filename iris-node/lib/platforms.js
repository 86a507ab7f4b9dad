'use strict';
// The platforms that there are packages with a native module for, and which of them this is.

const { existsSync } = require('node:fs');

/** By what the platform is called in the names of packages; what npm installs them by. */
const PLATFORMS = {
  'linux-x64-gnu': { os: 'linux', cpu: 'x64', libc: 'glibc' },
  'linux-x64-musl': { os: 'linux', cpu: 'x64', libc: 'musl' },
  'linux-arm64-gnu': { os: 'linux', cpu: 'arm64', libc: 'glibc' },
  'linux-arm64-musl': { os: 'linux', cpu: 'arm64', libc: 'musl' },
  'android-arm64': { os: 'android', cpu: 'arm64' },
  'darwin-x64': { os: 'darwin', cpu: 'x64' },
  'darwin-arm64': { os: 'darwin', cpu: 'arm64' },
  'win32-x64-msvc': { os: 'win32', cpu: 'x64' },
  'win32-arm64-msvc': { os: 'win32', cpu: 'arm64' },
};

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

/** The package that has the native module for a platform. */
function packageOf(name) {
  return `@iris/binding-${name}`;
}

module.exports = { PLATFORMS, packageOf, platform };
