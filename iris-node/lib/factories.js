'use strict';
// Factories: functions that make actors when a thread of the runtime wants one, and waits for it.

const check = require('./check.js');
const { failure } = require('./handling.js');
const { Ref } = require('./ref.js');

/** Calls the factory that news asks for, and says what it has made. */
function make(lane, { id, reason, value }) {
  const factory = lane.slots.handlers[Number(reason)];
  const failed = (error) => {
    lane.core.made(id, 0, ...failure(error));
    process.emitWarning(`a factory threw: ${failure(error)[2]}`, 'IrisSupervisionWarning');
  };
  const done = (made) => {
    const pid = made instanceof Ref ? made.pid : made;
    try {
      lane.core.made(id, check.pid(pid, "a factory's pid"), '', '', '');
    } catch (error) {
      failed(error);
    }
  };
  let returned;
  let thrown = null;
  lane.core.succeed(id, () => {
    try {
      returned = value === undefined ? factory() : factory(value);
    } catch (error) {
      thrown = { error };
    }
  });
  if (thrown !== null) failed(thrown.error);
  else if (typeof returned === 'object' && returned !== null) Promise.resolve(returned).then(done, failed);
  else done(returned);
}

module.exports = { make };
