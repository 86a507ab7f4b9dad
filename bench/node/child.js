'use strict';
// One repetition of one workload in a process of its own: `child.js PEER WORKLOAD N SIZE`.

const [peer, workload, n, size] = process.argv.slice(2);

require(`./${peer}.js`)[workload](Number(n), Number(size)).then(
  (timing) => {
    process.stdout.write(`${JSON.stringify(timing)}\n`, () => process.exit(0));
  },
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
