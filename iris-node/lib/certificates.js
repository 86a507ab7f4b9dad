'use strict';
// Certificates of one's own, for nodes.

const check = require('./check.js');
const { native } = require('./errors.js');
const { path } = require('./mesh_options.js');
const { Core } = require('./native.js');

/** By which a node is dialled on its own machine. */
const HERE = ['localhost', '127.0.0.1', '::1'];

const LONGEST_DAYS = 3650;

/** Makes a certificate and a key for a node, signed by the authority of the folder. */
function makeCertificates(folder, node, options) {
  const where = path(folder, 'folder');
  check.text(node, 'node');
  const { cluster = '', hosts = HERE, days = 90 } = check.options(options, ['cluster', 'hosts', 'days']);
  check.text(cluster, 'cluster');
  if (!Array.isArray(hosts)) throw new TypeError(`hosts must be an array of names, not ${check.kind(hosts)}`);
  for (const host of hosts) check.text(host, 'a host');
  if (check.count(days, 'days') > LONGEST_DAYS) {
    throw new RangeError(`days must be from 1 to ${LONGEST_DAYS}, not ${days}`);
  }
  const [ca, cert, key] = native(() => Core.makeCertificates(where, node, cluster, hosts, days));
  return { ca, cert, key };
}

module.exports = { makeCertificates };
