'use strict';
// The gateway of the fleet: a node of the mesh in JavaScript that shows a run to browsers.
//
//   node main.js CLUSTER BOARD PORT LIFE
//
// `gateway.py` starts it. It says `READY <address of the page>`, and ends with its standard input.

const { randomBytes } = require('node:crypto');

const { NodeRuntime } = require('../../../iris-node');
const { Model } = require('./model.js');
const { PageServer } = require('./server.js');
const { Watch } = require('./watch.js');

const SAMPLE_MS = 100;

async function main([cluster, board, port]) {
  const rt = new NodeRuntime();
  rt.configureMesh({ name: 'gateway', cluster });
  const model = new Model(randomBytes(6).toString('hex'));
  const server = new PageServer(model);
  const watch = new Watch(rt, model, () => server.browsers);
  await watch.begin(board);
  const url = await server.listen(Number(port));
  const sampling = setInterval(() => model.sample(Date.now()), SAMPLE_MS);
  process.stdin.resume();
  process.stdin.on('end', async () => {
    clearInterval(sampling);
    watch.end();
    await server.end();
    await rt.shutdown(0);
    process.exit(0);
  });
  process.stdout.write(`READY ${url}\n`);
}

main(process.argv.slice(2)).catch((error) => {
  const text = error.code === 'EADDRINUSE' ? `port ${error.port} is taken` : error.message;
  process.stderr.write(`gateway: ${text}\n`);
  process.exit(1);
});
