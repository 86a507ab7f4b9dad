'use strict';
// A node that does what its standard input says, a line at a time:
//
//   join ADDRESS                joined
//   resolve ADDRESS NAME        found, or nobody
//   send ADDRESS NAME TEXT      sent
//   ask NAME TEXT               answer TEXT: finds the name in the mesh
//   monitor ADDRESS NAME        monitors
//
// At first it says `at ADDRESS`, and by itself `got TEXT` for each message to `ear.NAME`, and
// `down REASON` for each end that it monitors. `echo.NAME` answers with the name and what it gets.

const { createInterface } = require('node:readline');

const iris = require('../..');

const PATIENCE_MS = 20_000;

async function serve(name) {
  const rt = new iris.NodeRuntime();
  rt.configureMesh({ name });
  rt.spawn((message) => `${name}:${message}`, { name: `echo.${name}` });
  rt.spawn((message) => console.log(`got ${message}`), { name: `ear.${name}` });
  const watcher = rt.spawn((message) => {
    if (message instanceof iris.SystemMessage) console.log(`down ${message.reason}`);
  }, { system: true });
  console.log(`at ${await rt.listen('127.0.0.1:0')}`);
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, ...words] = line.split(' ');
    switch (command) {
      case 'join':
        await rt.joinMesh(words[0]);
        console.log('joined');
        break;
      case 'resolve': {
        const pid = await rt.resolveRemote(...words);
        console.log(pid === null ? 'nobody' : 'found');
        break;
      }
      case 'send': {
        const [address, to, text] = words;
        await rt.sendRemote(address, await rt.resolveRemote(address, to), text);
        console.log('sent');
        break;
      }
      case 'ask': {
        const pid = await rt.lookup(words[0], PATIENCE_MS / 1000);
        console.log(`answer ${await rt.ask(pid, words[1], { timeoutMs: PATIENCE_MS })}`);
        break;
      }
      case 'monitor': {
        const [address, to] = words;
        await rt.monitorRemote(address, await rt.resolveRemote(address, to), watcher);
        console.log('monitors');
        break;
      }
      default:
        throw new Error(`no such line: ${line}`);
    }
  }
  await rt.shutdown(0);
}

serve(process.argv[2]);
