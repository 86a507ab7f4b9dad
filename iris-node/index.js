'use strict';

const { Actor } = require('./lib/actor.js');
const check = require('./lib/check.js');
const { makeCertificates } = require('./lib/certificates.js');
const { CodecError, ProtocolError, pack, unpack } = require('./lib/codec.js');
const errors = require('./lib/errors.js');
const { STOP } = require('./lib/handling.js');
const { NodeRuntime } = require('./lib/layer.js');
const { Mailbox } = require('./lib/mailbox.js');
const { Core } = require('./lib/native.js');
const { Ref } = require('./lib/ref.js');
const { RemoteError, RemoteTraceback, registerError } = require('./lib/remote.js');
const { SystemMessage } = require('./lib/system.js');
const { Tree } = require('./lib/tree.js');

/** The version of the package. */
function version() {
  return Core.version();
}

module.exports = {
  NodeRuntime,
  Actor,
  Mailbox,
  Ref,
  STOP,
  SystemMessage,
  Tree,
  makeCertificates,
  pack: (value) => pack(value),
  registerError,
  unpack: (data) => unpack(check.bytes(data, 'data')),
  version,
  AskTimeout: errors.AskTimeoutError,
  CodecError,
  ProtocolError,
  RemoteError,
  RemoteTraceback,
  ...errors.classes,
};
