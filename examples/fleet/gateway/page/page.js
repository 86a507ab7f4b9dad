// The page of a run: keeps a connection to the gateway, and shows what comes over it. Everything
// that comes is data: it becomes text, numbers and colors, never markup.

import { Chart } from './chart.js';
import { FleetMap } from './map.js';

const INCIDENTS = 100;
const LOG = 200;
// The gateway says something every second.
const SILENCE_MS = 4_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 5_000;

const PHASES = {
  starting: 'the nodes start',
  streaming: 'flights are streamed',
  checking: 'the figures are compared',
  equal: 'the run is over',
  different: 'the run is over',
  failed: 'the run failed',
};
const VERDICTS = { equal: 'equal', different: 'DIFFERENT', failed: 'failed' };

const at = (id) => document.getElementById(id);
const count = (number) => Math.round(number).toLocaleString('en-US');
const fixed = (number) => number.toLocaleString('en-US', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const map = new FleetMap(at('map'), at('legend'), at('tip'));
const chart = new Chart(at('chart'), at('series'));

function text(id, value) {
  const element = at(id);
  if (element.textContent !== value) element.textContent = value;
}

/** An element with text, or with others in it. */
function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// The connection.

let source = null;
let last = '';
let retryMs = FIRST_RETRY_MS;
let silence = null;

function connected(state, words) {
  at('connection').dataset.state = state;
  text('connection', words);
}

function connect() {
  source = new EventSource(`/events?since=${encodeURIComponent(last)}`);
  source.addEventListener('state', (event) => {
    last = event.lastEventId;
    heard();
    show(JSON.parse(event.data));
  });
  source.addEventListener('beat', heard);
  source.addEventListener('end', () => {
    stop();
    connected('ended', 'the demo has ended, this is what it came to');
  });
  // A browser does not try again by itself after an answer like 503.
  source.addEventListener('error', lost);
  watchSilence();
}

function stop() {
  clearTimeout(silence);
  source.close();
}

function heard() {
  retryMs = FIRST_RETRY_MS;
  connected('live', 'live');
  watchSilence();
}

function watchSilence() {
  clearTimeout(silence);
  silence = setTimeout(lost, SILENCE_MS);
}

function lost() {
  stop();
  connected('lost', 'connection lost, trying again');
  setTimeout(connect, retryMs);
  retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
}

// What is shown.

function show(state) {
  const { fleet, nodes } = state;
  if (state.reset) {
    at('log').replaceChildren();
    at('incidents').replaceChildren();
    chart.clear();
  }
  showFleet(fleet, nodes);
  showNodes(nodes);
  showLog(state.log, fleet.started);
  showIncidents(state.incidents);
  map.show(state);
  chart.show(state);
  const { browsers, skipped } = state.page;
  const left = skipped > 0 ? `, ${count(skipped)} states left out for browsers that read slowly` : '';
  text('page-facts', `${count(browsers)} ${browsers === 1 ? 'browser' : 'browsers'} on this page${left}`);
}

function sum(nodes, key) {
  return nodes.reduce((total, node) => total + node[key], 0);
}

function showFleet(fleet, nodes) {
  const { phase, flights, streamed, swapAt, date, found, lost: losses, verdict, peak } = fleet;
  text('phase', PHASES[phase] ?? phase);
  text('streamed', count(streamed));
  text('flights', count(flights));
  text('date', date);
  at('bar').style.width = `${flights > 0 ? (streamed / flights) * 100 : 0}%`;
  at('swap').hidden = !(flights > 0);
  at('swap').style.left = `${flights > 0 ? (swapAt / flights) * 100 : 0}%`;
  at('swap').title = `from flight ${count(swapAt)} on the second detector scores`;
  text('handled', count(sum(nodes, 'acknowledged')));
  text('rate', count(sum(nodes, 'rate')));
  text('rate-note', `at the nodes; at most ${count(peak)}`);
  text('found', count(found.total));
  text('found-by', `${count(found.first)} by the first, ${count(found.second)} by the second`);
  text('lost', `${losses?.nodes ?? 0} / ${losses?.back ?? 0}`);
  text('resent', losses?.resent > 0 ? `${count(losses.resent)} flights sent again` : 'no flight sent again');
  const second = sum(nodes, 'second');
  const all = second + sum(nodes, 'first');
  text('detector', second > 0 ? '2' : '1');
  at('share').style.width = `${all > 0 ? (second / all) * 100 : 0}%`;
  text('detector-share', second > 0 ? `${count(second)} of ${count(all)} aircraft` : 'on all aircraft');
  at('digest').dataset.state = phase in VERDICTS ? phase : 'open';
  text('verdict', VERDICTS[phase] ?? 'open');
  text('hashes', verdict ? `${verdict.expected.slice(0, 16)} one loop ${verdict.found.slice(0, 16)} the mesh` : 'known when the run is over');
}

function showNodes(nodes) {
  const rows = at('nodes');
  for (const node of nodes) {
    let row = Array.from(rows.children).find(({ dataset }) => dataset.node === node.name);
    if (!row) {
      const name = make('td', {}, make('span', { className: 'name' }), make('span', { className: 'sub' }));
      const cell = (className) => make('td', { className });
      row = make('tr', {}, name, cell('state'), cell('number'), cell('number'), cell('number'));
      row.dataset.node = node.name;
      rows.append(row);
    }
    row.dataset.state = node.state;
    const lives = node.life > 1 ? `, life ${node.life}` : '';
    const values = [node.state, count(node.flights), count(node.rate), count(node.open)];
    row.querySelector('.name').textContent = node.name;
    row.querySelector('.sub').textContent = `${node.kind}, pid ${node.pid}${lives}`;
    values.forEach((value, index) => {
      row.children[index + 1].textContent = value;
    });
  }
}

function showLog(entries, started) {
  const list = at('log');
  for (const { now, kind, node, text: words } of entries) {
    // Seconds of the run, as under the chart; what was before it has none.
    const time = make('time', { textContent: started > 0 && now >= started ? `${fixed((now - started) / 1e3)} s` : '' });
    const item = make('li', { className: kind }, time, make('i', {}), make('span', {}));
    if (node) item.lastChild.append(make('strong', { textContent: node }), ' ');
    item.lastChild.append(words);
    list.prepend(item);
  }
  while (list.children.length > LOG) list.lastChild.remove();
}

function showIncidents(incidents) {
  const rows = at('incidents');
  for (const { name, carrier, when, delay, score, version } of incidents.slice(-INCIDENTS)) {
    const numbers = [count(delay), fixed(score), String(version)];
    const row = make(
      'tr',
      {},
      make('td', {}, name, ' ', make('span', { className: 'note', textContent: carrier })),
      make('td', { textContent: when }),
      ...numbers.map((textContent) => make('td', { className: 'number', textContent })),
    );
    rows.prepend(row);
  }
  while (rows.children.length > INCIDENTS) rows.lastChild.remove();
}

for (const input of document.querySelectorAll('#modes input')) {
  input.addEventListener('change', () => map.colorBy(input.value));
}
connect();
