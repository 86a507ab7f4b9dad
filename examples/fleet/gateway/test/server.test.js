'use strict';
// The page's server with a model of its own: who reads slowly, who comes again, who is too many.

const assert = require('node:assert/strict');
const http = require('node:http');
const net = require('node:net');
const test = require('node:test');

const { CLIENTS, PageServer, STUCK_MS } = require('../server.js');

const PATIENCE = { timeout: 30_000 };

/** A model whose state says what it was asked, and is as large as it is told to be. */
class FakeModel {
  epoch = 'now';
  change = 1;
  padding = '';

  since(change) {
    return { after: change, upTo: this.change, padding: this.padding };
  }
}

async function serve(t) {
  const model = new FakeModel();
  const server = new PageServer(model);
  const url = new URL(await server.listen(0));
  t.after(() => server.end(0));
  return { model, server, url };
}

const turn = () => new Promise((resolve) => {
  setImmediate(resolve);
});

async function until(condition) {
  const end = Date.now() + PATIENCE.timeout;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`it never came to be: ${condition}`);
    await turn();
  }
}

/** The events of a stream, from when they are asked for. */
async function* events(url, headers = {}, query = '') {
  const response = await new Promise((resolve, reject) => {
    http.get(new URL(`/events${query}`, url), { headers }, resolve).on('error', reject);
  });
  assert.equal(response.statusCode, 200);
  let text = '';
  for await (const chunk of response) {
    text += chunk;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const fields = text.slice(0, end).split('\n').map((line) => line.split(/: (.*)/s));
      text = text.slice(end + 2);
      const { id, event, data } = Object.fromEntries(fields);
      yield { id, event, data: JSON.parse(data) };
    }
  }
}

async function next(stream, kind) {
  for (;;) {
    const { value, done } = await stream.next();
    assert.equal(done, false, 'the stream has ended');
    if (value.event === kind) return value;
  }
}

test('a browser that does not read is left out, and gets the newest when it does', PATIENCE, async (t) => {
  const { model, server, url } = await serve(t);
  model.padding = 'x'.repeat(1 << 18);
  const socket = net.connect(url.port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.pause();
  socket.write(`GET /events HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
  await until(() => server.browsers === 1);
  // Far more than the system keeps for a socket.
  for (let i = 0; i < 200; i++) {
    model.change += 1;
    server.tick(Date.now());
    await turn();
  }
  assert.ok(server.skipped > 50, `${server.skipped} were left out`);
  assert.ok(server.waiting < 2 << 18, `${server.waiting} bytes wait`);
  const newest = `"upTo":${model.change},`;
  let seen = '';
  socket.on('data', (data) => {
    seen = (seen + data).slice(-(1 << 19));
    server.tick(Date.now());
  });
  socket.resume();
  await until(() => seen.includes(newest));
});

test('a browser that is stuck loses its place', PATIENCE, async (t) => {
  const { model, server, url } = await serve(t);
  model.padding = 'x'.repeat(1 << 24);
  const socket = net.connect(url.port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  socket.pause();
  socket.write(`GET /events HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
  await until(() => server.browsers === 1);
  server.tick(Date.now() + STUCK_MS / 2);
  await turn();
  assert.equal(server.browsers, 1);
  server.tick(Date.now() + STUCK_MS * 2);
  await until(() => server.browsers === 0);
});

test('who comes again goes on where he was; of another process he gets all', PATIENCE, async (t) => {
  const { model, url } = await serve(t);
  model.change = 10;
  const first = await next(events(url), 'state');
  assert.deepEqual([first.id, first.data.after, first.data.upTo], ['now.10', 0, 10]);
  model.change = 12;
  const cases = [['now.10', 10], ['before.10', 0], ['now.99', 0], ['now.-1', 0], ['now.1e1', 10], ['', 0], ['<script>', 0]];
  for (const [known, after] of cases) {
    const byHeader = await next(events(url, { 'Last-Event-ID': known }), 'state');
    const byQuery = await next(events(url, {}, `?since=${encodeURIComponent(known)}`), 'state');
    assert.deepEqual([byHeader.data.after, byQuery.data.after], [after, after], known);
  }
});

test('a state comes when there is a new one, a beat when there is none', PATIENCE, async (t) => {
  const { model, server, url } = await serve(t);
  const stream = events(url);
  assert.equal((await next(stream, 'state')).data.upTo, 1);
  model.change = 5;
  server.tick(Date.now());
  const { data } = await next(stream, 'state');
  assert.deepEqual([data.after, data.upTo], [1, 5]);
  server.tick(Date.now() + 60_000);
  await next(stream, 'beat');
});

test('there are places for so many browsers, and again when they leave', PATIENCE, async (t) => {
  const { server, url } = await serve(t);
  const streams = Array.from({ length: CLIENTS }, () => events(url));
  for (const stream of streams) await next(stream, 'state');
  const refused = await fetch(new URL('/events', url));
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '5']);
  assert.equal((await fetch(url)).status, 200, 'the page itself is there');
  await streams[0].return();
  await until(() => server.browsers === CLIENTS - 1);
  await next(events(url), 'state');
});

test('the end is told to everybody', PATIENCE, async (t) => {
  const { model, server, url } = await serve(t);
  const stream = events(url);
  await next(stream, 'state');
  model.change = 7;
  const ended = server.end();
  assert.equal((await next(stream, 'state')).data.upTo, 7);
  await next(stream, 'end');
  await ended;
});

/** What the server says to these bytes, until it ends the connection. */
function raw(url, bytes) {
  return new Promise((resolve, reject) => {
    let said = '';
    const socket = net.connect(Number(url.port), url.hostname, () => socket.write(bytes));
    socket.on('data', (data) => { said += data; });
    socket.on('close', () => resolve(said));
    socket.on('error', reject);
    socket.setTimeout(PATIENCE.timeout, () => socket.destroy(new Error('it never ended the connection')));
  });
}

test('two hosts in a request are none', PATIENCE, async (t) => {
  const { url } = await serve(t);
  const said = await raw(url, `GET / HTTP/1.1\r\nHost: ${url.host}\r\nHost: evil\r\nConnection: close\r\n\r\n`);
  assert.match(said, /^HTTP\/1\.1 4/);
});

test('a connection that says nothing makes room for others in time', PATIENCE, async (t) => {
  const { url } = await serve(t);
  // Half a request: the server ends it, long before Node's own look for such.
  const begun = Date.now();
  assert.match(await raw(url, 'GET / HTTP/1.1\r\n'), /^HTTP\/1\.1 408/);
  assert.ok(Date.now() - begun < 20_000);
});
