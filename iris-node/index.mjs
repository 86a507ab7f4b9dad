import iris from './index.js';

export default iris;
export const {
  NodeRuntime,
  Mailbox,
  STOP,
  SystemMessage,
  version,
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
  ShutDownError,
  WouldBlockError,
} = iris;
