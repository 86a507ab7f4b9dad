// Messages a second over time: one area for each node, on top of each other, and marks where
// something happened. An SVG whose parts are made once and moved.

const SVG = 'http://www.w3.org/2000/svg';
const POINTS = 600;
const MARKS = new Set(['kill', 'back', 'swap']);
const EDGE = { left: 46, right: 10, top: 8, bottom: 20 };
const NAMES = { kill: 'killed', back: 'back', swap: 'detector 2' };

function shape(name, attributes = {}) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** A round number that `value` is not above, and whose half is round, too. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 1.2, 1.6, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value);
}

function short(value) {
  return value >= 1e6 ? `${value / 1e6} M` : value >= 1e3 ? `${value / 1e3} k` : String(value);
}

export class Chart {
  #svg;
  #legend;
  #points = [];
  #marks = [];
  #names = [];

  constructor(svg, legend) {
    this.#svg = svg;
    this.#legend = legend;
    new ResizeObserver(() => this.#draw()).observe(svg);
  }

  clear() {
    this.#points = [];
    this.#marks = [];
  }

  /** Takes what is new in a state. */
  show({ samples, log, nodes }) {
    this.#points.push(...samples);
    this.#points.splice(0, this.#points.length - POINTS);
    this.#marks.push(...log.filter(({ kind }) => MARKS.has(kind)));
    const names = nodes.map(({ name }) => name);
    if (names.join('\n') !== this.#names.join('\n')) {
      this.#names = names;
      this.#legend.replaceChildren(...names.map((name, index) => {
        const item = document.createElement('li');
        const swatch = shape('svg', { viewBox: '0 0 10 10', 'aria-hidden': 'true' });
        swatch.append(shape('rect', { width: 10, height: 10, rx: 2, class: `fill-${Math.min(index, 3)}` }));
        item.append(swatch, name);
        return item;
      }), ...Object.entries(NAMES).map(([kind, words]) => {
        const item = document.createElement('li');
        const swatch = shape('svg', { viewBox: '0 0 10 10', 'aria-hidden': 'true' });
        swatch.append(shape('line', { x1: 5, x2: 5, y1: 0, y2: 10, class: `mark ${kind}` }));
        item.append(swatch, words);
        return item;
      }));
    }
    if (samples.length > 0 || log.length > 0) this.#draw();
  }

  #draw() {
    const { width, height } = this.#svg.getBoundingClientRect();
    if (width === 0) return;
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const parts = [];
    const label = (x, y, words, anchor) => {
      const element = shape('text', { x, y, 'text-anchor': anchor });
      element.textContent = words;
      parts.push(element);
    };
    const points = this.#points;
    const from = points[0]?.[0] ?? 0;
    const to = Math.max(points.at(-1)?.[0] ?? 1, from + 1_000);
    const totals = points.map(([, ...rates]) => rates.reduce((sum, rate) => sum + rate, 0));
    const top = roundUp(Math.max(1_000, ...totals));
    const x = (time) => EDGE.left + ((time - from) / (to - from)) * (width - EDGE.left - EDGE.right);
    const y = (rate) => height - EDGE.bottom - (rate / top) * (height - EDGE.top - EDGE.bottom);
    for (const part of [0, 0.5, 1]) {
      const level = y(top * part);
      parts.push(shape('line', { x1: EDGE.left, x2: width - EDGE.right, y1: level, y2: level, class: 'grid' }));
      label(EDGE.left - 6, level + 4, short(top * part), 'end');
    }
    const under = points.map(() => 0);
    this.#names.forEach((_, index) => {
      const floor = points.map(([time], i) => `${x(time).toFixed(1)} ${y(under[i]).toFixed(1)}`).reverse();
      const line = points.map(([time, ...rates], i) => {
        under[i] += rates[index] ?? 0;
        return `${x(time).toFixed(1)} ${y(under[i]).toFixed(1)}`;
      });
      if (points.length > 1) {
        parts.push(shape('path', { d: `M${[...line, ...floor].join('L')}Z`, class: `fill-${Math.min(index, 3)}`, 'fill-opacity': 0.8 }));
      }
    });
    if (points.length > 0) {
      for (const { now, kind, node } of this.#marks) {
        if (now < from || now > to) continue;
        parts.push(shape('line', { x1: x(now), x2: x(now), y1: EDGE.top, y2: height - EDGE.bottom, class: `mark ${kind}` }));
        const title = shape('title');
        title.textContent = `${NAMES[kind]} ${node}`;
        parts.at(-1).append(title);
      }
      for (let step = 0; step <= 4; step++) {
        const time = from + ((to - from) * step) / 4;
        label(x(time), height - 5, `${((time - from) / 1e3).toFixed(1)} s`, ['start', 'middle', 'middle', 'middle', 'end'][step]);
      }
    }
    this.#svg.replaceChildren(...parts);
    const now = Math.round(totals.at(-1) ?? 0).toLocaleString('en-US');
    this.#svg.setAttribute('aria-label', `Messages a second, by node; ${now} at the end of ${points.length} points`);
  }
}
