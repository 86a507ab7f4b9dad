'use strict';
// Every Node.js program of the original description, as printed there.
//
// `before` and `after` are what a reader has to add: the runtime that a fragment takes for granted,
// the handlers that it only names, and how to see what it did. They run at the root of the checkout,
// where './index.js' is.

const test = require('node:test');
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');

const { PACKAGE } = require('./support.js');

const ROOT = path.join(PACKAGE, '..');

const RUNTIME = "const { NodeRuntime } = require('./index.js');\nconst rt = new NodeRuntime();\n";

const EXAMPLES = {
  'push actors': {
    text: `
      const { NodeRuntime } = require('./index.js');
      const rt = new NodeRuntime();

      const fastWorker = (msg) => {
        // msg is a Buffer
        console.log(\`Processed: \${msg.toString()}\`);
      };

      for (let i = 0; i < 1000; i++) {
        rt.spawn(fastWorker, 50);
      }
    `,
    after: `
      console.log(rt.stats().actors);
      rt.send(rt.spawn(fastWorker, 50), Buffer.from('one'));
    `,
    output: '1000\nProcessed: one\n',
  },
  'pull actors': {
    before: RUNTIME,
    text: `
      const sagaCoordinator = async (mailbox) => {
        const msg = await mailbox.recv();
        console.log("Starting Saga...");

        // Wait up to 5 seconds
        const confirm = await mailbox.recv(5.0);

        if (confirm) {
          console.log("Confirmed");
        } else {
          console.log("Timed out");
        }
      };

      rt.spawnWithMailbox(sagaCoordinator, 100);
    `,
    after: `
      const pid = rt.spawnWithMailbox(sagaCoordinator, 100);
      rt.send(pid, 'go');
      rt.send(pid, 'yes');
    `,
    output: 'Starting Saga...\nConfirmed\n',
  },
  'remote names': {
    before: `${RUNTIME}
      const there = new NodeRuntime();
      const myHandler = () => {};
    `,
    text: `
      // 1. Register
      const pid = rt.spawn(myHandler);
      rt.register("auth_worker", pid);

      // 2. Resolve Remote
      async function findAndQuery() {
        const addr = "192.168.1.5:9000";
        const targetPid = await rt.resolveRemote(addr, "auth_worker");

        if (targetPid) {
          rt.sendRemote(addr, targetPid, Buffer.from("login"));
        }
      }
    `,
    // The same at an address where somebody listens.
    after: `
      console.log(rt.whereis('auth_worker') === pid);
      there.listen('127.0.0.1:0').then((addr) => {
        there.spawn((message) => {
          console.log(\`got \${message}\`);
          rt.shutdown();
          there.shutdown();
        }, 100, { name: 'auth_worker' });
        eval(\`(\${findAndQuery.toString().replace('192.168.1.5:9000', addr)})\`)();
      });
    `,
    output: 'true\ngot login\n',
  },
  'system messages': {
    before: `${RUNTIME}
      const observerPid = rt.spawnWithPathObserved(10, '/observer');
      const pid = rt.spawn(() => { throw new Error('on purpose'); });
      rt.onCrash(() => {});
      rt.link(observerPid, pid);
      rt.send(observerPid, 'hello');
      rt.send(pid, 'x');
      rt.join(pid).then(() => {
    `,
    text: `
      // Node wrappers return wrapped objects { data: Buffer, system: Object }
      const messages = rt.getMessages(observerPid);

      messages.forEach(msg => {
        if (msg.system) {
          if (msg.system.typeName === "EXIT") {
            console.log(\`Actor \${msg.system.targetPid} has crashed!\`);
          }
        } else {
          console.log(\`User Data: \${msg.data.toString()}\`);
        }
      });
    `,
    after: '});',
    output: 'User Data: hello\nActor PID has crashed!\n',
  },
  'bounded mailboxes': {
    // The description names the call, and prints no program.
    before: `${RUNTIME}
      const runtime = rt;
    `,
    text: 'const pid = runtime.spawn_bounded(() => {}, 1);',
    after: "console.log(rt.send(pid, 'a'), rt.send(pid, 'b'));",
    output: 'true false\n',
  },
  paths: {
    before: 'const myHandler = () => {};',
    text: `
      const { NodeRuntime } = require('./index.js');
      const rt = new NodeRuntime();
      const pid = rt.spawn(myHandler, 10);
      rt.registerPath('/system/service/one', pid);
      const children = rt.listChildren('/system/service');
    `,
    after: 'console.log(children);',
    output: "[ { path: '/system/service/one', pid: PID } ]\n",
  },
};

for (const [name, { before = '', text, after = '', output }] of Object.entries(EXAMPLES)) {
  test(`the example of ${name} runs as printed`, () => {
    const code = [before, text, after].join('\n');
    const done = spawnSync(process.execPath, ['-e', code], { cwd: ROOT, encoding: 'utf8', timeout: 60_000 });
    assert.deepEqual([done.stderr, done.status], ['', 0]);
    // Pids are long numbers.
    assert.equal(done.stdout.replace(/\b\d{12,16}\b/g, 'PID'), output);
  });
}
