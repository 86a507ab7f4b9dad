'use strict';
// The page over HTTP, on loopback. Three files that never change, and /events: a stream of
// server-sent events with what is new in the model.
//
// Whoever may open a connection to this machine's loopback may be a page of somebody else in the
// user's browser. So: no other name of this host than its own (a name that an attacker points at
// 127.0.0.1 comes as the Host header), no method but GET, no reading from other origins, nothing
// that a request could change.

const { readFileSync } = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const PAGE = path.join(__dirname, 'page');
const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/chart.js': ['chart.js', 'text/javascript; charset=utf-8'],
  '/map.js': ['map.js', 'text/javascript; charset=utf-8'],
  '/icon.svg': ['icon.svg', 'image/svg+xml'],
};

const HEADERS = {
  'Content-Security-Policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
};

/** Browsers that may watch at once; each costs one state in memory at most. */
const CLIENTS = 16;
const CONNECTIONS = 64;
/** How often a browser hears of what is new, at most. */
const TICK_MS = 100;
/** How often it hears something in any case: without it for long, the page says so. */
const BEAT_MS = 1_000;
/** A browser that has not read for so long loses its place. */
const STUCK_MS = 30_000;

class PageServer {
  #model;
  #server;
  #clients = new Set();
  #allowed = new Set();
  #timer = null;
  #beat = 0;
  #skipped = 0;

  constructor(model) {
    this.#model = model;
    const files = Object.entries(FILES).map(([url, [name, type]]) => [url, [readFileSync(path.join(PAGE, name)), type]]);
    this.files = new Map(files);
    const limits = {
      maxHeaderSize: 8_192,
      headersTimeout: 5_000,
      requestTimeout: 5_000,
      keepAliveTimeout: 5_000,
      // Node looks for those that have taken too long every 30 s by itself.
      connectionsCheckingInterval: 1_000,
    };
    this.#server = http.createServer(limits, (request, response) => this.#answer(request, response));
    this.#server.maxConnections = CONNECTIONS;
  }

  /** How many browsers watch. */
  get browsers() {
    return this.#clients.size;
  }

  /** States that were left out for browsers that read too slowly. */
  get skipped() {
    return this.#skipped;
  }

  /** The most bytes that wait for one browser. */
  get waiting() {
    return Math.max(0, ...Array.from(this.#clients, ({ response }) => response.writableLength));
  }

  /** Listens on loopback; the address for a browser. */
  async listen(port) {
    await new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    const bound = this.#server.address().port;
    // Browsers leave the port out if it is HTTP's own.
    for (const name of ['127.0.0.1', 'localhost']) {
      this.#allowed.add(`${name}:${bound}`);
      if (bound === 80) this.#allowed.add(name);
    }
    this.#timer = setInterval(() => this.tick(Date.now()), TICK_MS);
    return `http://127.0.0.1:${bound}/`;
  }

  /** Tells all browsers that this was it, and ends when they have heard that or take too long. */
  async end(patienceMs = 1_000) {
    clearInterval(this.#timer);
    for (const client of this.#clients) {
      client.blocked = null;
      this.#show(client);
      client.response.end('event: end\ndata: {}\n\n');
    }
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeIdleConnections();
      setTimeout(() => this.#server.closeAllConnections(), patienceMs).unref();
    });
  }

  /** Shows what is new to everybody who can take it. */
  tick(now) {
    const beats = now - this.#beat >= BEAT_MS;
    if (beats) this.#beat = now;
    for (const client of this.#clients) {
      if (client.blocked !== null) {
        if (client.seen !== this.#model.change) this.#skipped += 1;
        if (now - client.blocked > STUCK_MS) client.response.destroy();
      } else if (client.seen !== this.#model.change) {
        this.#show(client, now);
      } else if (beats) {
        this.#write(client, 'event: beat\ndata: {}\n\n', now);
      }
    }
  }

  #answer(request, response) {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    const refuse = (status, text, headers = {}) => {
      // Nothing more is read from who does not ask as a browser with this page does.
      response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close', ...headers });
      response.end(`${text}\n`);
    };
    const hosts = request.headersDistinct.host ?? [];
    if (hosts.length !== 1 || !this.#allowed.has(hosts[0].toLowerCase())) {
      refuse(421, 'this page is reached as 127.0.0.1 or localhost only');
      return;
    }
    if (request.method !== 'GET') {
      refuse(405, 'there is nothing here but to GET', { Allow: 'GET' });
      return;
    }
    const [url, query] = request.url.split('?', 2);
    if (url === '/events') {
      const site = request.headers['sec-fetch-site'];
      if (site !== undefined && site !== 'same-origin' && site !== 'none') refuse(403, 'not for pages of other origins');
      else if (this.#clients.size >= CLIENTS) refuse(503, 'too many browsers watch', { 'Retry-After': '5' });
      else this.#open(request, response, query);
      return;
    }
    const file = this.files.get(url);
    if (file === undefined) {
      refuse(404, 'there is nothing here');
      return;
    }
    const [body, type] = file;
    response.writeHead(200, { 'Content-Type': type, 'Content-Length': body.length });
    response.end(body);
  }

  #open(request, response, query) {
    const known = request.headers['last-event-id'] ?? new URLSearchParams(query).get('since') ?? '';
    const [epoch, change] = known.split('.');
    // What an earlier gateway has told, or nobody, is not built upon.
    const number = Number(change);
    const goesOn = epoch === this.#model.epoch && Number.isInteger(number) && number > 0 && number <= this.#model.change;
    const client = { response, seen: goesOn ? number : 0, blocked: null };
    response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8', Connection: 'keep-alive' });
    // Small writes, each of which is news.
    request.socket.setNoDelay(true);
    response.on('drain', () => {
      client.blocked = null;
    });
    response.on('error', () => {});
    response.on('close', () => this.#clients.delete(client));
    this.#clients.add(client);
    this.#show(client, Date.now());
  }

  /** Writes what is new for a browser, which has read everything before. */
  #show(client, now) {
    const { change, epoch } = this.#model;
    const state = this.#model.since(client.seen);
    state.page = { browsers: this.#clients.size, skipped: this.#skipped };
    client.seen = change;
    this.#write(client, `id: ${epoch}.${change}\nevent: state\ndata: ${JSON.stringify(state)}\n\n`, now);
  }

  #write(client, text, now) {
    if (!client.response.write(text)) client.blocked = now;
  }
}

module.exports = { CLIENTS, PageServer, STUCK_MS };
