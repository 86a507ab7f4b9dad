'use strict';
// The errors that the package throws, and the one map from codes of the native module to them.

/** What all errors of the package are. */
class IrisError extends Error {
  get name() {
    return this.constructor.name;
  }
}

/** No actor with this pid is alive. */
class DeadActorError extends IrisError {}
/** The name belongs to somebody else. */
class NameTakenError extends IrisError {}
/** No answer came in time. */
class AskTimeoutError extends IrisError {}
/** Actors would wait for each other, or one for itself. */
class DeadlockError extends IrisError {}
/** The actor took the question and did not answer. */
class NoReplyError extends IrisError {}
/** The handler failed over the question. */
class HandlerError extends IrisError {}
/** The actor has answered with an error of its own, of which `answer` are the bytes. */
class RejectedError extends HandlerError {
  constructor(text, answer) {
    super(text);
    this.answer = answer;
  }
}
/** The mailbox is full and refuses what does not fit. */
class MailboxFullError extends IrisError {}
/** The mailbox is full, and the event loop cannot wait for room. */
class WouldBlockError extends IrisError {}
/** The actor was told to stop. May leave an actor's function unnoticed: it is a quiet end. */
class MailboxClosed extends IrisError {}
/** The path has no supervisor. */
class NoSupervisorError extends IrisError {}
/** Another node cannot be reached, or this one cannot be. */
class MeshError extends IrisError {}
/** The runtime has been shut down. */
class ShutDownError extends IrisError {}

const CLASSES = {
  ASK_TIMEOUT: AskTimeoutError,
  CLOSED: MailboxClosed,
  DEADLOCK: DeadlockError,
  DEAD_ACTOR: DeadActorError,
  HANDLER: HandlerError,
  MAILBOX_FULL: MailboxFullError,
  MESH: MeshError,
  NAME_TAKEN: NameTakenError,
  NO_REPLY: NoReplyError,
  NO_SUPERVISOR: NoSupervisorError,
  OTHER: IrisError,
  RANGE: RangeError,
  REJECTED: RejectedError,
  SHUT_DOWN: ShutDownError,
};

/** The error that a code of the native module stands for. */
function made(code, text, value) {
  return new (CLASSES[code] ?? IrisError)(text, value);
}

/** What the native module has thrown, as the package throws it. */
function translated(thrown) {
  const match = thrown instanceof Error && /^([A-Z_]+)\|([^]*)$/.exec(thrown.message);
  return match ? made(match[1], match[2]) : thrown;
}

/** Calls the native side, and throws what that throws as the package does. */
function native(call) {
  try {
    return call();
  } catch (error) {
    throw translated(error);
  }
}

/** What users catch, by name. */
const classes = {
  AskTimeoutError,
  DeadActorError,
  DeadlockError,
  HandlerError,
  IrisError,
  MailboxClosed,
  MailboxFullError,
  MeshError,
  NameTakenError,
  NoReplyError,
  NoSupervisorError,
  RejectedError,
  ShutDownError,
  WouldBlockError,
};

module.exports = {
  ...classes, classes, made, native, translated,
};
