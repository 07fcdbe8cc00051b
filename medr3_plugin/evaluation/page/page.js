// Puts the page together. State that is worth a link (filters, the open trajectory, the theme) lives in the hash.

const RUN = JSON.parse(document.getElementById("run-data").textContent);

const FAMILIES = [
  ["Accuracy", ["reward/acc"]],
  ["Reward", ["reward/score", "reward/answer", "reward/reasoning", "reward/retrieval", "reward/coordination"]],
  ["Reasoning parts", ["reward/reasoning_logic", "reward/reasoning_semantic", "reward/reasoning_statistic"]],
  ["Retrieval parts", ["reward/retrieval_quality", "reward/retrieval_coverage", "reward/retrieval_utilisation", "reward/retrieval_breadth"]],
  ["Penalties", ["reward/penalty_format", "reward/penalty_length", "reward/penalty_language", "reward/penalty_overlong"]],
  ["Searches", ["search/per_trajectory", "search/share", "search/hit_at_k"]],
  ["Retrieval latency, seconds", ["search/latency_p50", "search/latency_p95"]],
  ["Failures, count a step", null],
  ["Unusable samples, share", ["invalid_share", "reward/forged", "zero_variance_groups"]],
  ["Response length, tokens", ["response_length/mean", "response_length/max"]],
  ["Policy", ["actor/entropy", "actor/grad_norm", "actor/ppo_kl", "actor/pg_clipfrac"]],
  ["Seconds a step", ["time/step"]],
];

class HashState {
  constructor() { this.read(); }
  read() {
    const text = location.hash.slice(1);
    this.values = new URLSearchParams(text.includes("=") ? text : "");
  }
  get(key) { return this.values.get(key) || ""; }
  set(key, value) {
    if (value) this.values.set(key, value); else this.values.delete(key);
    this.write();
  }
  clear() {
    for (const key of ["text", "stage", "dataset", "kind", "outcome", "min", "max"]) this.values.delete(key);
    this.write();
  }
  write() {
    const text = this.values.toString();
    if (text) history.replaceState(null, "", `#${text}`);
    else if (location.hash.includes("=")) history.replaceState(null, "", location.pathname + location.search);
  }
}

function tiles(s) {
  const percent = (v) => `${(100 * v).toFixed(1)} %`;
  const change = (ends, show) => {
    if (!ends) return null;
    const by = ends.last - ends.first;
    return h("small", {}, "from ", show(ends.first), by ? h("span", { class: by > 0 ? "up" : "down" }, by > 0 ? " ↑" : " ↓") : "");
  };
  const tile = (label, value, below) => h("div", { class: "tile" }, h("dt", {}, label), h("dd", {}, value, below));
  const failures = Object.values(s.failures).reduce((a, b) => a + b, 0);
  return h("dl", { class: "tiles" }, [
    tile("steps", fmt(s.steps), h("small", {}, s.hours === null ? "" : s.hours < 1 ? `${Math.round(s.hours * 60)} min` : `${fmt(s.hours)} h`)),
    s.acc && tile("accuracy, training", percent(s.acc.last), change(s.acc, percent)),
    s.val_acc && tile("accuracy, validation", percent(s.val_acc.last), h("small", {}, `best ${percent(s.val_acc.best)} at step ${s.val_acc.best_step}`)),
    s.score && tile("reward", fmt(s.score.last), change(s.score, fmt)),
    s.searches && tile("searches a trajectory", fmt(s.searches.last), change(s.searches, fmt)),
    s.hit && tile("gold document found", percent(s.hit.last), change(s.hit, percent)),
    tile("failures", fmt(failures), h("small", {}, s.invalid === null ? "" : `${percent(s.invalid)} of samples invalid`)),
  ].filter(Boolean));
}

function overview() {
  const root = document.getElementById("overview");
  const status = document.getElementById("status");
  const any = RUN.train.steps.length + RUN.val.steps.length > 0;
  status.className = `pill ${RUN.finished ? "done" : any ? "running" : ""}`;
  status.textContent = RUN.evaluation ? "evaluation" : RUN.finished ? "finished" : any ? "in progress" : "nothing yet";
  if (RUN.asOf) status.title = `metrics last written ${RUN.asOf}`;
  if (any) root.append(tiles(RUN.summary));
  if (RUN.stages.length) {
    const last = RUN.summary.steps;
    root.append(h("ol", { class: "stages", "aria-label": "Stages" }, RUN.stages.map((s) => {
      const item = h("li", { "--stage": stageColour(s.name) }, h("b", {}, s.name),
        h("span", {}, s.end === null ? `from step ${s.start}, running` : `steps ${s.start}–${s.end}`),
        s.reason ? h("span", { class: "why", title: s.reason }, s.reason) : null);
      item.style.flex = `${Math.max(1, (s.end ?? last) - s.start + 1)} 1 0`;
      return item;
    })));
  }
  if (RUN.asOf || RUN.notes.length) {
    const notes = [...RUN.notes.slice(0, 12)];
    if (RUN.notes.length > 12) notes.push(`and ${RUN.notes.length - 12} more notes of this kind`);
    if (RUN.asOf && !RUN.finished) notes.unshift(`as of ${RUN.asOf}`);
    root.append(h("ul", { class: "notes" }, notes.map((n) => h("li", {}, n))));
  }
}

function charts() {
  const root = document.getElementById("charts");
  if (RUN.evaluation) {
    document.getElementById("curves").remove();
    document.querySelector('nav a[href="#curves"]').remove();
    return null;
  }
  if (!RUN.train.steps.length && !RUN.val.steps.length) {
    root.replaceWith(h("p", { class: "empty" }, "No steps yet. When the first step has ended it is in metrics.jsonl, and this page can be made again."));
    document.querySelector(".smooth").hidden = true;
    return null;
  }
  const board = new Board(RUN, root);
  const label = (name) => name.replace(/^(reward|search|failures|response_length|actor|time)\//, "").replace(/^(reasoning|retrieval|penalty)_/, "").replace(/_/g, " ");
  for (const [title, names] of FAMILIES) {
    const found = names || Object.keys(RUN.train.series).filter((n) => n.startsWith("failures/"));
    board.add(title, found.map((name) => ({ name, label: label(name) })), { counts: !names });
  }
  const all = [...new Set([...Object.keys(RUN.train.series), ...Object.keys(RUN.val.series)])].sort();
  let other = null;
  const pick = h("select", { "aria-label": "Metric to draw", "on:change": (e) => choose(e.target.value) }, h("option", { value: "" }, `any of ${all.length} metrics …`), all.map((n) => h("option", { value: n }, n)));
  const holder = h("figure", { class: "chart" }, h("figcaption", {}, pick));
  root.append(holder);
  function choose(name) {
    if (other) { board.charts.splice(board.charts.indexOf(other), 1); other.el.remove(); other = null; }
    holder.hidden = Boolean(name);
    if (!name) { holder.firstChild.append(pick); return; }
    other = board.add(name, [{ name, label: label(name) }], { head: pick });
    other.draw();
    pick.focus();
  }
  const smoothing = document.getElementById("smoothing");
  smoothing.value = board.smoothing;
  smoothing.addEventListener("input", () => { board.smoothing = Number(smoothing.value); board.draw(); });
  new ResizeObserver(() => board.draw()).observe(root);
  board.draw();
  return board;
}

function setup() {
  const root = document.getElementById("setup-body");
  const flat = (value, prefix) => Object.entries(value).flatMap(([k, v]) =>
    v !== null && typeof v === "object" && !Array.isArray(v) ? flat(v, `${prefix}${k}.`) : [[prefix + k, Array.isArray(v) ? v.join(", ") : String(v)]]);
  const facts = flat(RUN.environment, "");
  if (facts.length) root.append(h("dl", { class: "facts-list" }, facts.map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])));
  if (RUN.config) root.append(h("details", { class: "config" }, h("summary", {}, "config.yaml, as resolved"), h("pre", {}, RUN.config)));
  if (!facts.length && !RUN.config) root.append(h("p", { class: "empty" }, "Neither environment.json nor config.yaml is in the run folder."));
}

function start() {
  const state = new HashState();
  const theme = (name) => { if (name) document.documentElement.dataset.theme = name; };
  theme(state.get("theme"));
  overview();
  charts();
  setup();
  const list = new Trajectories(RUN.trajectories, RUN.trajectoryTotal, state);
  if (state.get("open") !== "") list.open(Number(state.get("open")));
  document.getElementById("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark"
      || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    theme(dark ? "light" : "dark");
    state.set("theme", dark ? "light" : "dark");
  });
  addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return;
    state.read(); theme(state.get("theme")); list.apply();
    if (state.get("open") !== "") list.open(Number(state.get("open")));
  });
  addEventListener("keydown", (e) => {
    if (e.key === "Escape" && list.current !== undefined) { list.close(); return; }
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName) || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "/") { e.preventDefault(); document.getElementById("filter-text").focus(); }
    if (list.current !== undefined && (e.key === "j" || e.key === "k")) list.step(e.key === "j" ? 1 : -1);
  });
}

start();
