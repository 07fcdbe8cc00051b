"use strict";
// Line charts as inline SVG: a curve per metric over steps, stage boundaries, one cursor shared by all charts.

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["--s1", "--s2", "--s3", "--s4", "--s5", "--s7", "--s6"];

/** An element with properties, attributes (`attr:`), event handlers (`on:`) and children; text stays text. */
function h(tag, props, ...children) {
  const el = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on:")) el.addEventListener(key.slice(3), value);
    else if (key.startsWith("--")) el.style.setProperty(key, value);
    else if (key === "width%") el.style.width = value + "%";
    else if (key === "class") el.setAttribute("class", value);
    else el.setAttribute(key, value === true ? "" : String(value));
  }
  el.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return el;
}

/** A number for people: three significant digits, no trailing zeros, a true minus sign. */
function fmt(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value < 0) return `−${fmt(-value)}`;
  const size = value;
  if (size >= 10000) return Math.round(value).toLocaleString("en");
  if (size >= 100 || Number.isInteger(value)) return String(Math.round(value * 10) / 10);
  if (size >= 0.001 || size === 0) return String(Number(value.toPrecision(3)));
  return value.toExponential(1);
}

/** Round values that span [low, high] in about `count` steps. */
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const found = [];
  const last = Math.floor(high / step + 1e-6);
  for (let i = Math.ceil(low / step - 1e-9); i <= last; i++) found.push(Number((i * step || 0).toPrecision(12)));
  return found;
}

/** Exponential moving average that starts at the first value, skips gaps and starts over at `breaks`. */
function smoothed(steps, values, weight, breaks) {
  let last = null, next = 0;
  return values.map((value, i) => {
    while (next < breaks.length && steps[i] >= breaks[next]) { last = null; next += 1; }
    if (value === null) return null;
    last = last === null ? value : weight * last + (1 - weight) * value;
    return last;
  });
}

const stageNames = [];
/** The colour of a stage: the same everywhere on the page. */
function stageColour(name) {
  const known = { reasoning: "--s5", retrieval: "--s2", joint: "--s3" };
  if (known[name]) return `var(${known[name]})`;
  if (!stageNames.includes(name)) stageNames.push(name);
  return `var(${["--s1", "--s4", "--s7", "--s6"][stageNames.indexOf(name) % 4]})`;
}

class Chart {
  /** `series`: [{name, label}]; `head`: an element in place of the title; `counts`: rare events, never smoothed. */
  constructor({ title, series, run, board, head, counts }) {
    this.run = run; this.board = board; this.hidden = new Set(); this.counts = counts;
    this.series = series.map((s, i) => ({ ...s, colour: `var(${COLOURS[i % COLOURS.length]})` }));
    this.at = h("span", { class: "at" });
    this.legend = h("div", { class: "legend" });
    this.svg = h("svg:svg", { role: "img", tabindex: "0", "aria-label": `${title}: ${series.map((s) => s.label).join(", ")}` });
    this.el = h("figure", { class: "chart" }, h("figcaption", {}, head || h("h3", {}, title), this.at), this.legend, this.svg);
    this.svg.addEventListener("pointermove", (e) => board.point(this.stepAt(e)));
    this.svg.addEventListener("pointerleave", () => board.point(null));
    this.svg.addEventListener("blur", () => board.point(null));
    this.svg.addEventListener("click", (e) => { board.point(this.stepAt(e)); board.pick(board.index); });
    this.svg.addEventListener("keydown", (e) => {
      const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
      if (e.key in moves) { e.preventDefault(); board.move(moves[e.key]); }
      if (e.key === "Enter") board.pick(board.index);
    });
    this.buttons = this.series.map((s) => {
      const value = h("b"), validation = h("span", { class: "validation", title: "last validation so far" });
      const button = h("button", { type: "button", "aria-pressed": "true", "--c": s.colour, title: s.name,
        "on:click": () => this.toggle(s.name) }, h("i"), s.label, value, series.length === 1 && validation);
      this.legend.append(button);
      return { button, value, validation, name: s.name };
    });
  }

  toggle(name) {
    if (!this.hidden.delete(name)) this.hidden.add(name);
    for (const b of this.buttons) b.button.setAttribute("aria-pressed", String(!this.hidden.has(b.name)));
    this.draw();
  }

  stepAt(event) {
    const box = this.svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * this.width;
    const [lo, hi] = this.board.range;
    return lo + ((x - this.left) / (this.width - this.left - this.right)) * (hi - lo);
  }

  draw() {
    const width = (this.width = Math.max(280, Math.round(this.svg.clientWidth || 360)));
    const height = 158, top = 16, bottom = 20;
    this.left = 44; this.right = 8;
    const { train, val } = this.run;
    const [x0, x1] = this.board.range;
    const breaks = this.board.breaks;
    const smoothing = this.counts ? 0 : this.board.smoothing;
    const shown = this.series.filter((s) => !this.hidden.has(s.name));
    const curves = shown.map((s) => {
      const raw = train.series[s.name] || [];
      return { s, raw, line: smoothed(train.steps, raw, smoothing, breaks), val: val.series[s.name] || [] };
    });
    const visible = (steps, data) => data.filter((v, i) => v !== null && steps[i] >= x0 && steps[i] <= x1);
    const values = curves.flatMap((c) => [...visible(train.steps, c.line), ...visible(val.steps, c.val),
      ...(c.raw.length < 400 ? visible(train.steps, c.raw) : [])]);
    let low = values.length ? Math.min(...values) : 0, high = values.length ? Math.max(...values) : 1;
    if (low >= 0 && low < 0.5 * high) low = 0;
    if (high <= 0 && high > 0.5 * low) high = 0;
    if (low === high) { low -= low === 0 ? 0 : Math.abs(low) * 0.5; high += high === 0 ? 1 : Math.abs(high) * 0.5; }
    const marks = ticks(low, high, 4);
    low = Math.min(low, marks[0]); high = Math.max(high, marks[marks.length - 1]);
    const x = (step) => this.left + ((step - x0) / (x1 - x0)) * (width - this.left - this.right);
    const y = (value) => top + (1 - (value - low) / (high - low)) * (height - top - bottom);
    this.x = x;

    const parts = [];
    for (const stage of this.board.spans) {
      const from = x(Math.max(stage.from, x0)), to = x(Math.min(stage.to, x1));
      if (to <= from) continue;
      if (to - from > 44) {
        const text = h("svg:text", { x: from + 4, y: 11, class: "band-label" }, stage.name);
        text.style.fill = stageColour(stage.name);
        parts.push(text);
      }
      const tint = h("svg:rect", { x: from, y: top, width: to - from, height: height - top - bottom, opacity: 0.045 });
      tint.style.fill = stageColour(stage.name);
      parts.push(tint);
      if (stage.from > x0) parts.push(h("svg:line", { x1: from, x2: from, y1: 4, y2: height - bottom, class: "boundary" }));
    }
    for (const mark of marks) {
      parts.push(h("svg:line", { x1: this.left, x2: width - this.right, y1: y(mark), y2: y(mark), class: mark === 0 ? "zero" : "gridline" }));
      parts.push(h("svg:text", { x: this.left - 6, y: y(mark) + 3.5, "text-anchor": "end", class: "axis" }, fmt(mark)));
    }
    for (const mark of ticks(x0, x1, Math.max(2, width / 80)).filter(Number.isInteger)) {
      const anchor = x(mark) > width - 24 ? "end" : "middle";
      parts.push(h("svg:text", { x: anchor === "end" ? width : x(mark), y: height - 5, "text-anchor": anchor, class: "axis" }, fmt(mark)));
    }
    // an inner svg with the same coordinates cuts off what lies outside the axes
    const box = [this.left, top - 2, width - this.left - this.right, height - top - bottom + 4];
    const plot = h("svg:svg", { x: box[0], y: box[1], width: box[2], height: box[3], viewBox: box.join(" ") });
    const dots = [], small = visible(val.steps, val.steps).length > 24;
    for (const { s, raw, line, val: points } of curves) {
      const add = (kind, steps, data) => {
        const d = path(steps, data, x, y, breaks);
        if (!d) return;
        const el = h("svg:path", { d, class: kind });
        el.style.stroke = s.colour;
        plot.append(el);
      };
      if (smoothing > 0) add("raw", train.steps, raw);
      add("line", train.steps, line);
      points.forEach((v, i) => {
        if (v === null || val.steps[i] < x0 || val.steps[i] > x1) return;
        const dot = h("svg:circle", { cx: x(val.steps[i]), cy: y(v), r: small ? 1.8 : 3, class: "dot" }, h("svg:title", {}, `validation, step ${val.steps[i]}: ${fmt(v)}`));
        dot.style.stroke = s.colour;
        dots.push(dot);
      });
    }
    this.cursor = h("svg:line", { y1: top, y2: height - bottom, class: "cursor", visibility: "hidden" });
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.replaceChildren(...parts, plot, ...dots, this.cursor);
    this.lines = new Map(curves.map((c) => [c.s.name, c.raw]));
    this.show(this.board.index);
  }

  /** Put the cursor at a row of the training metrics and its values into the legend; null: the last values in the range. */
  show(index) {
    const { train, val } = this.run;
    const last = index === null;
    const until = last ? this.board.range[1] : train.steps[index];
    const latest = (of, name) => (of.series[name] || []).filter((v, i) => v !== null && of.steps[i] <= until).at(-1);
    this.cursor.setAttribute("visibility", last ? "hidden" : "visible");
    if (!last) {
      const at = this.x(train.steps[index]);
      this.cursor.setAttribute("x1", at); this.cursor.setAttribute("x2", at);
    }
    this.at.textContent = last ? "" : `step ${train.steps[index]}`;
    for (const { value, validation, name } of this.buttons) {
      const series = train.series[name];
      const checked = latest(val, name);
      validation.textContent = series && checked !== undefined ? `○ ${fmt(checked)}` : "";
      if (series) value.textContent = fmt(last ? latest(train, name) : series[index]);
      else value.textContent = fmt(checked);
    }
  }
}

/** SVG path of a curve; gaps and stage boundaries interrupt it. */
function path(steps, values, x, y, breaks) {
  let d = "", pen = false, next = 0;
  values.forEach((value, i) => {
    while (next < breaks.length && steps[i] >= breaks[next]) { pen = false; next += 1; }
    if (value === null) { pen = false; return; }
    const dot = !pen && (i + 1 >= values.length || values[i + 1] === null || steps[i + 1] >= (breaks[next] ?? Infinity));
    d += `${pen ? "L" : "M"}${x(steps[i]).toFixed(1)} ${y(value).toFixed(1)}${dot ? "h1.5" : ""}`;
    pen = true;
  });
  return d;
}
