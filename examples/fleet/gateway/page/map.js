// Every aircraft as a cell, one block for each carrier; within a block by node, so that what is
// lost with a node is seen as a whole.

const GAP = 14;
const LABEL = 18;
const LARGEST = 26;
const SMALLEST = 3;
// How long a cell is ringed after an incident, and how many are: the newest.
const RING_MS = 1_000;
const RINGS = 40;

// Mean delay in minutes, up to where a color holds.
const BINS = [
  [-2, 'early'],
  [5, 'to 5 min late'],
  [12, 'to 12'],
  [25, 'to 25'],
  [Infinity, 'later'],
];

/** Blocks of `sizes` cells in rows of the same height: the largest cells that fit. */
function layOut(sizes, width, height) {
  for (let cell = LARGEST; cell >= SMALLEST; cell -= 0.5) {
    for (let shelves = 1; shelves <= 6; shelves++) {
      const rows = Math.floor(((height - (shelves - 1) * GAP) / shelves - LABEL) / cell);
      if (rows < 1) continue;
      const blocks = [];
      let [x, shelf] = [0, 0];
      for (const size of sizes) {
        const wide = Math.max(Math.ceil(size / rows) * cell, 34);
        if (x > 0 && x + wide > width) {
          x = 0;
          shelf += 1;
        }
        blocks.push({ x, y: shelf * (rows * cell + LABEL + GAP) });
        x += wide + GAP;
      }
      const fits = sizes.every((size) => Math.ceil(size / rows) * cell <= width);
      if (shelf < shelves && fits) return { cell, rows, blocks };
    }
  }
  return null;
}

export class FleetMap {
  #canvas;
  #legend;
  #tip;
  #mode = 'delay';
  #units = [];
  #aircraft = [];
  #nodes = [];
  #carriers = [];
  #plan = null;
  #rings = new Map();
  #drawing = false;

  constructor(canvas, legend, tip) {
    this.#canvas = canvas;
    this.#legend = legend;
    this.#tip = tip;
    new ResizeObserver(() => this.#arrange()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#explain();
      this.#draw();
    });
    canvas.addEventListener('pointermove', (event) => this.#point(event));
    canvas.addEventListener('pointerleave', () => {
      tip.hidden = true;
    });
  }

  colorBy(mode) {
    this.#mode = mode;
    this.#explain();
    this.#draw();
  }

  /** Takes what is new in a state. */
  show({ units, aircraft, nodes, incidents, reset }) {
    const names = this.#nodes.map(({ name }) => name).join('\n');
    this.#nodes = nodes;
    if (units) {
      this.#units = units;
      this.#aircraft = units.map(() => ({ flights: 0, mean: 0, version: 0, incidents: 0 }));
      this.#arrange();
    }
    for (let i = 0; i < aircraft.length; i += 5) {
      const [unit, flights, mean, version, found] = aircraft.slice(i, i + 5);
      this.#aircraft[unit] = { flights, mean, version, incidents: found };
    }
    const until = performance.now() + RING_MS;
    for (const { unit } of reset ? [] : incidents) {
      // Behind the others: the first is the oldest.
      this.#rings.delete(unit);
      this.#rings.set(unit, until);
      if (this.#rings.size > RINGS) this.#rings.delete(this.#rings.keys().next().value);
    }
    if (units || nodes.map(({ name }) => name).join('\n') !== names) this.#explain();
    this.#draw();
  }

  #arrange() {
    const byCarrier = new Map();
    this.#units.forEach(([, carrier], unit) => {
      if (!byCarrier.has(carrier)) byCarrier.set(carrier, []);
      byCarrier.get(carrier).push(unit);
    });
    this.#carriers = Array.from(byCarrier, ([carrier, units]) => ({
      carrier,
      units: units.sort((a, b) => this.#units[a][2] - this.#units[b][2] || a - b),
    }));
    this.#carriers.sort((a, b) => b.units.length - a.units.length || (a.carrier < b.carrier ? -1 : 1));
    const { width, height } = this.#canvas.getBoundingClientRect();
    const dense = devicePixelRatio || 1;
    Object.assign(this.#canvas, { width: Math.round(width * dense), height: Math.round(height * dense) });
    this.#plan = layOut(this.#carriers.map(({ units }) => units.length), width, height);
    this.#draw();
  }

  /** Once for all that changes before the next frame. */
  #draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#paint();
    });
  }

  #paint() {
    const context = this.#canvas.getContext('2d');
    const dense = devicePixelRatio || 1;
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    if (!this.#plan) return;
    const { cell, blocks } = this.#plan;
    const side = Math.max(cell - (cell > 6 ? 2 : 1), 2);
    const colors = new Map(['--quiet', '--text', '--bad', '--empty'].map((name) => [name, color(name)]));
    const known = (name) => {
      if (!colors.has(name)) colors.set(name, color(name));
      return colors.get(name);
    };
    const { fontFamily } = getComputedStyle(document.body);
    this.#carriers.forEach(({ carrier, units }, index) => {
      const { x, y } = blocks[index];
      context.font = `600 12px ${fontFamily}`;
      context.fillStyle = known('--text');
      context.fillText(carrier, x, y + 11);
      const after = x + context.measureText(carrier).width + 5;
      context.font = `11px ${fontFamily}`;
      context.fillStyle = known('--quiet');
      const room = Math.max(Math.ceil(units.length / this.#plan.rows) * cell, 34) + GAP;
      const words = units.length.toLocaleString('en-US');
      if (after + context.measureText(words).width < x + room) context.fillText(words, after, y + 11);
      units.forEach((unit, place) => {
        const [left, top] = this.#cell(index, place);
        context.fillStyle = known(this.#color(unit));
        if (this.#isDown(unit)) {
          // Hollow: what it knew is gone with its node.
          context.strokeStyle = known('--bad');
          context.lineWidth = 1;
          context.strokeRect(left + 0.5, top + 0.5, side - 1, side - 1);
        } else {
          context.fillRect(left, top, side, side);
        }
      });
    });
    this.#paintRings(context, side, known('--bad'));
  }

  #paintRings(context, side, color) {
    const now = performance.now();
    let most = 0;
    for (const [unit, until] of this.#rings) {
      if (until < now) this.#rings.delete(unit);
      else most = Math.max(most, until);
    }
    if (this.#rings.size === 0) return;
    context.strokeStyle = color;
    context.lineWidth = 1.5;
    this.#carriers.forEach(({ units }, index) => {
      units.forEach((unit, place) => {
        if (!this.#rings.has(unit)) return;
        const [left, top] = this.#cell(index, place);
        context.strokeRect(left - 1, top - 1, side + 2, side + 2);
      });
    });
    setTimeout(() => this.#draw(), most - now + 20);
  }

  #cell(index, place) {
    const { cell, rows, blocks } = this.#plan;
    const { x, y } = blocks[index];
    return [x + Math.floor(place / rows) * cell, y + LABEL + (place % rows) * cell];
  }

  #isDown(unit) {
    const state = this.#nodes[this.#units[unit][2]]?.state;
    return state === 'down' || state === 'stalled';
  }

  #color(unit) {
    const { flights, mean, version } = this.#aircraft[unit];
    if (this.#mode === 'node') return `--series-${Math.min(this.#units[unit][2], 2)}`;
    if (flights === 0) return '--empty';
    if (this.#mode === 'detector') return version > 1 ? '--detector-2' : '--detector-1';
    return `--delay-${BINS.findIndex(([most]) => mean < most)}`;
  }

  #explain() {
    const entries = {
      delay: [['--empty', 'not flown'], ...BINS.map(([, words], index) => [`--delay-${index}`, words])],
      node: this.#nodes.map(({ name }, index) => [`--series-${Math.min(index, 2)}`, name]),
      detector: [['--empty', 'not flown'], ['--detector-1', 'detector 1'], ['--detector-2', 'detector 2']],
    }[this.#mode];
    const items = [...entries.map(([name, words]) => [words, `fill: var(${name})`]),
      ['node down', 'fill: none; stroke: var(--bad); stroke-width: 2'],
      ['incident', 'fill: var(--empty); stroke: var(--bad); stroke-width: 3']];
    this.#legend.replaceChildren(...items.map(([words, style]) => {
      const item = document.createElement('li');
      const swatch = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
      swatch.setAttribute('viewBox', '0 0 10 10');
      swatch.setAttribute('aria-hidden', 'true');
      const square = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
      for (const [key, value] of Object.entries({ width: 10, height: 10, rx: 1 })) square.setAttribute(key, value);
      square.style.cssText = style;
      swatch.append(square);
      item.append(swatch, words);
      return item;
    }));
    const carriers = this.#carriers.map(({ carrier, units }) => `${carrier} ${units.length}`).join(', ');
    this.#canvas.setAttribute('aria-label', `The aircraft, by carrier: ${carriers}`);
  }

  #point({ offsetX, offsetY }) {
    const { cell = 1, rows = 0 } = this.#plan ?? {};
    let unit;
    this.#plan?.blocks.forEach(({ x, y }, index) => {
      const [column, row] = [Math.floor((offsetX - x) / cell), Math.floor((offsetY - y - LABEL) / cell)];
      if (column >= 0 && row >= 0 && row < rows) unit = this.#carriers[index].units[column * rows + row] ?? unit;
    });
    this.#tip.hidden = unit === undefined;
    if (unit === undefined) return;
    const [name, carrier, home] = this.#units[unit];
    const { flights, mean, version, incidents } = this.#aircraft[unit];
    this.#tip.textContent = `${name}, ${carrier}, at ${this.#nodes[home]?.name ?? 'no node'}\n`
      + `${flights} flights, ${mean.toFixed(1)} min late on average\n`
      + `detector ${version}, ${incidents} incidents`;
    const { offsetLeft, offsetTop, clientWidth } = this.#canvas;
    const left = Math.min(offsetX + 14, clientWidth - this.#tip.offsetWidth);
    this.#tip.style.left = `${offsetLeft + Math.max(0, left)}px`;
    this.#tip.style.top = `${offsetTop + offsetY + 16}px`;
  }
}
