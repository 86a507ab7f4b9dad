'use strict';
// Messages handled per second from Node.js, beside EventEmitter, a mailbox of an array and a
// promise, nact, worker_threads and a thread-safe function for each message.
//
// Every workload's clock stops when its last message has been handled. Each repetition is a process
// of its own; the implementations take turns, so that a slow minute of the machine hits them all.

const { parseArgs } = require('node:util');

const { WORKLOADS, quick } = require('./catalogue.js');
const { IRIS, NACT, TSFN, absent, run } = require('./peers.js');

/** Memory after all actors have stopped may be so much of what it was before. */
const BACK = 1.1;

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** All repetitions of all peers, in turns. */
async function measured(workload, repetitions) {
  const taken = new Map();
  for (let i = 0; i < repetitions; i++) {
    for (const [peer, part] of workload.peers) {
      if (absent(peer) !== null) continue;
      const n = Math.max(Math.round(workload.n * part), workload.key === 'fanOut' ? workload.size : 1);
      try {
        const timing = await run(peer, workload.key, n, workload.size);
        taken.set(peer, [...taken.get(peer) ?? [], timing]);
      } catch (error) {
        // nact loses the answer to one of many questions now and then, and the run is none then.
        if (peer === IRIS) throw error;
        console.error(`bench: a repetition is left out: ${error.message}`);
      }
    }
  }
  return taken;
}

/** The medians, and how far Iris is from its goals. */
function* rows(workload, taken) {
  const medians = new Map();
  for (const [peer, runs] of taken) {
    const seconds = median(runs.map((one) => one.seconds));
    const [{ n }] = runs;
    const row = {
      impl: peer.name,
      workload: workload.title,
      n,
      seconds,
      per_sec: n / seconds,
      cpu_ns: median(runs.map((one) => one.cpuNs)),
      rss_bytes: runs[0].bytesEach === undefined ? null : median(runs.map((one) => one.bytesEach)),
    };
    medians.set(peer, row);
    yield row;
  }
  const ours = medians.get(IRIS);
  for (const [anchor, goal] of workload.goals) {
    const theirs = medians.get(anchor);
    if (theirs !== undefined) {
      const title = `${workload.title} / ${anchor.name}`;
      yield { workload: title, ratio: ours.per_sec / theirs.per_sec, goal: Number(goal.toFixed(2)) };
    }
  }
  if (workload.key === 'spawn') {
    const back = taken.get(IRIS).map((one) => (one.before * BACK) / one.after);
    yield { workload: `${workload.title}: memory back within 10 %`, ratio: median(back), goal: 1 };
  }
}

/** One line of the small table. */
function asText(row) {
  if ('ratio' in row) {
    const verdict = row.ratio >= row.goal ? 'met' : 'NOT met';
    return `  ${row.workload.padEnd(48)} ${row.ratio.toFixed(2).padStart(8)}   goal ${row.goal.toFixed(2)} ${verdict}`;
  }
  const rate = Math.round(row.per_sec).toLocaleString('en').padStart(12);
  const cpu = Math.round(row.cpu_ns).toLocaleString('en').padStart(8);
  const each = row.rss_bytes === null ? '' : ` ${Math.round(row.rss_bytes).toLocaleString('en').padStart(7)} bytes each`;
  return `${row.workload.padEnd(31)} ${row.impl.padEnd(22)} ${rate} /s ${cpu} ns CPU${each}`;
}

/** One line; figures keep six digits, which is more than any of them is worth. */
function asJson(row) {
  const short = (key, value) => (typeof value === 'number' ? Number(value.toPrecision(6)) : value);
  return JSON.stringify(row, short);
}

/** Measures everything; a goal that is not met is a figure, not a failure. */
async function main() {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean' },
      // A tenth of it, 3 repetitions of 5.
      quick: { type: 'boolean' },
      // One workload, by its key in catalogue.js.
      only: { type: 'string' },
    },
  });
  for (const peer of [NACT, TSFN]) {
    const reason = absent(peer);
    if (reason !== null) console.error(`bench: ${reason}: ${peer.name} is left out`);
  }
  const show = values.json ? asJson : asText;
  for (const whole of WORKLOADS) {
    if (values.only !== undefined && values.only !== whole.key) continue;
    const workload = values.quick ? quick(whole) : whole;
    const taken = await measured(workload, values.quick ? 3 : 5);
    for (const row of rows(workload, taken)) console.log(show(row));
  }
}

main().catch((error) => {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
});
