'use strict';

const errors = require('./lib/errors.js');
const { STOP } = require('./lib/lane.js');
const { Mailbox } = require('./lib/mailbox.js');
const { Core } = require('./lib/native.js');
const { NodeRuntime } = require('./lib/runtime.js');
const { SystemMessage } = require('./lib/system.js');

/** The version of the package. */
function version() {
  return Core.version();
}

module.exports = {
  NodeRuntime,
  Mailbox,
  STOP,
  SystemMessage,
  version,
  AskTimeoutError: errors.AskTimeoutError,
  DeadActorError: errors.DeadActorError,
  DeadlockError: errors.DeadlockError,
  HandlerError: errors.HandlerError,
  IrisError: errors.IrisError,
  MailboxClosed: errors.MailboxClosed,
  MailboxFullError: errors.MailboxFullError,
  MeshError: errors.MeshError,
  NameTakenError: errors.NameTakenError,
  NoReplyError: errors.NoReplyError,
  NoSupervisorError: errors.NoSupervisorError,
  ShutDownError: errors.ShutDownError,
  WouldBlockError: errors.WouldBlockError,
};
