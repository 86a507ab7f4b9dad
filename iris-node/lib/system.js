'use strict';

/**
 * News from the runtime, such as the end of an actor: an EXIT for the end of a linked one, a DOWN
 * for that of a monitored one, RESTARTED and GAVE_UP of supervised ones, NODE_UP and the like.
 */
class SystemMessage {
  constructor(raw) {
    this.typeName = raw.typeName;
    this.fromPid = raw.fromPid ?? null;
    this.targetPid = raw.targetPid ?? null;
    this.reason = raw.reason ?? null;
    this.metadata = raw.metadata ?? null;
    this.reference = raw.reference ?? null;
    this.node = raw.node ?? null;
    this.detail = raw.detail ?? null;
  }
}

/** What was received: bytes, or a system message beside none. */
function message(raw) {
  return raw.system ? { data: raw.data, system: new SystemMessage(raw.system) } : { data: raw.data };
}

module.exports = { SystemMessage, message };
