// Puts the page together. State that is worth a link (filters, the open trajectory, the theme) lives in the hash.

const RUN = JSON.parse(document.getElementById("run-data").textContent);

const FAMILIES = [
  ["Accuracy", ["reward/acc"]],
  ["Accuracy by dataset", /^reward\/acc\//],
  ["Reward", ["reward/score", "reward/answer", "reward/reasoning", "reward/retrieval", "reward/coordination"]],
  ["Reasoning parts", ["reward/reasoning_logic", "reward/reasoning_semantic", "reward/reasoning_statistic"]],
  ["Retrieval parts", ["reward/retrieval_quality", "reward/retrieval_coverage", "reward/retrieval_utilisation", "reward/retrieval_breadth"]],
  ["Penalties", ["reward/penalty_format", "reward/penalty_length", "reward/penalty_language", "reward/penalty_overlong"]],
  ["Searches", ["search/per_trajectory", "search/share", "search/hit_at_k", "search/query_gain"]],
  ["Retrieval latency, seconds", ["search/latency_p50", "search/latency_p95"]],
  ["Searches without a result, count per step", ["search/empty", "search/duplicate", "search/limit", "search/malformed"], { counts: true }],
  ["Failures, count per step", /^failures\//, { counts: true }],
  ["Unusable samples, share", ["invalid_share", "reward/forged", "zero_variance_groups", "truncated_share"]],
  ["Response length, tokens", ["response_length/mean", "response_length/max"]],
  ["Entropy and gradient norm", ["actor/entropy", "actor/grad_norm"]],
  ["KL to the policy that sampled, clipped share", ["actor/ppo_kl", "actor/pg_clipfrac"]],
  ["Seconds per step", ["time/step"]],
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
  clear(keys) {
    for (const key of keys) this.values.delete(key);
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
  const tile = (label, value, ...below) => h("div", { class: "tile" }, h("dt", {}, label), h("dd", {}, value, ...below));
  // a share without its interval says nothing when few trajectories stand behind it
  const range = (share) => share.samples ? h("small", {}, `${percent(share.low)} to ${percent(share.high)} (95 %, ${fmt(share.samples)} trajectories) `) : null;
  const failures = Object.values(s.failures).reduce((a, b) => a + b, 0);
  return h("dl", { class: "tiles" }, [
    tile("steps", fmt(s.steps), h("small", {}, s.hours === null ? "" : s.hours < 1 ? `${Math.round(s.hours * 60)} min` : `${fmt(s.hours)} h`)),
    s.acc && tile("accuracy, training", percent(s.acc.last), range(s.acc), change(s.acc, percent)),
    s.val_acc && tile("accuracy, validation", percent(s.val_acc.last), range(s.val_acc), h("small", {}, `best ${percent(s.val_acc.best)} at step ${s.val_acc.best_step}`)),
    s.score && tile("reward", fmt(s.score.last), change(s.score, fmt)),
    s.searches && tile("searches per trajectory", fmt(s.searches.last), change(s.searches, fmt)),
    s.hit && tile("gold document found", percent(s.hit.last), range(s.hit), change(s.hit, percent)),
    tile("failures", fmt(failures), h("small", {}, s.invalid === null ? "" : `${percent(s.invalid)} of samples invalid`)),
  ].filter(Boolean));
}

/** The stages beside each other: first tenth -> last tenth of their steps. */
function stageTable() {
  const columns = [...new Set(RUN.byStage.flatMap((s) => Object.keys(s.values)))];
  const checked = RUN.byStage.some((s) => s.validation !== null);
  const short = (v) => (Math.abs(v) < 10 ? fmt(Number(v.toFixed(2))) : fmt(Number(v.toPrecision(3))));
  const cell = (ends) => h("td", {}, ends ? [h("span", { class: "muted" }, `${short(ends.first)} → `), short(ends.last)] : "–");
  const head = (text, title) => h("th", { scope: "col", title }, text);
  return h("details", { class: "compare", open: true }, h("summary", {}, "Stages compared ", h("span", { class: "muted" }, "means over the first → last tenth of a stage's training steps")),
    h("div", { class: "table-wrap" }, h("table", {}, h("thead", {}, h("tr", {}, head("stage"), head("steps"), checked && head("validation", "accuracy of its last validation"), columns.map((c) => head(c)))),
      h("tbody", {}, RUN.byStage.map((s) => h("tr", {}, h("th", { scope: "row" }, h("span", { class: "tag", "--stage": stageColour(s.name) }, s.name)),
        h("td", {}, String(s.steps)), checked && h("td", {}, s.validation === null ? "–" : short(s.validation)), columns.map((c) => cell(s.values[c]))))))));
}

/** The results of an evaluation. */
function results() {
  const number = (v) => (typeof v === "number" ? fmt(v) : "–");
  const percent = (v) => (typeof v === "number" ? (100 * v).toFixed(1) : "–");
  const columns = [["benchmark", (r) => r.benchmark], ["questions", (r) => number(r.questions)],
    ["accuracy %, 95 % interval", (r) => `${percent(r.accuracy?.mean)} [${percent(r.accuracy?.low)}, ${percent(r.accuracy?.high)}]`],
    ["pass@n %", (r) => `${percent(r.pass_at_n)} (n=${number(r.n)})`], ["answered %", (r) => percent(r.answered)], ["searches", (r) => number(r.searches)],
    ["gold found %", (r) => percent(r.gold_recall)], ["undecided", (r) => number(r.undecided)], ["invalid", (r) => number(r.invalid)]];
  return h("div", { class: "table-wrap compare" }, h("table", {}, h("thead", {}, h("tr", {}, columns.map(([name]) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, RUN.results.map((r) => h("tr", {}, columns.map(([, value], i) => h(i ? "td" : "th", { scope: i ? null : "row" }, String(value(r)))))))));
}

function overview(zoom) {
  const root = document.getElementById("overview");
  const status = document.getElementById("status");
  const any = RUN.train.steps.length + RUN.val.steps.length > 0;
  status.className = `pill ${RUN.finished ? "done" : any ? "running" : ""}`;
  status.textContent = RUN.evaluation ? "evaluation" : RUN.finished ? "finished" : any ? "in progress" : "nothing yet";
  if (RUN.asOf) status.title = `metrics last written ${RUN.asOf}`;
  if (any) root.append(tiles(RUN.summary));
  if (RUN.stages.length) {
    const last = RUN.summary.steps;
    root.append(h("ol", { class: "stages", "aria-label": "Stages" }, RUN.stages.map((s, i) => {
      const item = h("li", {}, h("button", { type: "button", "--stage": stageColour(s.name), "aria-pressed": "false", title: "show only this stage in the curves", "on:click": () => zoom(i) }, h("b", {}, s.name),
        h("span", {}, s.end === null ? `from step ${s.start}, running` : `steps ${s.start}–${s.end}`),
        s.reason ? h("span", { class: "why", title: s.reason }, s.reason) : null));
      item.style.flex = `${Math.max(1, (s.end ?? last) - s.start + 1)} 1 0`;
      return item;
    })));
    if (RUN.train.steps.length) root.append(stageTable());
  }
  if (RUN.results.length) root.append(results());
  if (RUN.asOf || RUN.notes.length) {
    const notes = [...RUN.notes.slice(0, 12)];
    if (RUN.notes.length > 12) notes.push(`and ${RUN.notes.length - 12} more notes of this kind`);
    if (RUN.asOf && !RUN.finished) notes.unshift(`as of ${RUN.asOf}`);
    root.append(h("ul", { class: "notes" }, notes.map((n) => h("li", {}, n))));
  }
}

function charts(onPick) {
  const root = document.getElementById("charts");
  if (RUN.evaluation) {
    document.getElementById("curves").remove();
    document.querySelector('nav a[href="#curves"]').remove();
    return null;
  }
  if (!RUN.train.steps.length && !RUN.val.steps.length) {
    root.replaceWith(h("p", { class: "empty" }, "No steps yet. Once the first step is in metrics.jsonl, run medr3 report again."));
    document.querySelector(".smooth").hidden = true;
    return null;
  }
  const board = new Board(RUN, root, onPick);
  const label = (name) => name.replace(/^reward\/acc\//, "").replace(/^(reward|search|failures|response_length|actor|time)\//, "").replace(/^(reasoning|retrieval|penalty)_/, "").replace(/_/g, " ");
  const all = [...new Set([...Object.keys(RUN.train.series), ...Object.keys(RUN.val.series)])].sort();
  for (const [title, names, options] of FAMILIES) {
    const found = names instanceof RegExp ? all.filter((name) => names.test(name)) : names;
    board.add(title, found.map((name) => ({ name, label: label(name) })), options);
  }
  document.getElementById("key").hidden = !RUN.val.steps.length;
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
  let board = null;
  const zoom = (stage) => {
    state.set("zoom", state.get("zoom") === String(stage) ? "" : String(stage));
    zoomed();
  };
  const zoomed = () => {
    const chosen = state.get("zoom");
    document.querySelectorAll(".stages button").forEach((button, i) => button.setAttribute("aria-pressed", String(String(i) === chosen)));
    board?.zoom(chosen === "" ? null : Number(chosen));
  };
  overview(zoom);
  setup();
  const list = new Trajectories(RUN.trajectories, RUN.trajectoryTotal, state);
  board = charts((step) => list.showStep(step));
  zoomed();
  document.getElementById("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark"
      || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    theme(dark ? "light" : "dark");
    state.set("theme", dark ? "light" : "dark");
  });
  addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return;
    state.read(); theme(state.get("theme")); zoomed(); list.apply(); list.openLinked();
  });
  const unfold = (open) => document.querySelectorAll("#drawer .document").forEach((el) => { el.open = open; });
  addEventListener("beforeprint", () => unfold(true));
  addEventListener("keydown", (e) => {
    if (e.key === "Escape" && list.isOpen) { list.close(); return; }
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName) || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "/") { e.preventDefault(); document.getElementById("filter-text").focus(); }
    if (list.current !== undefined && (e.key === "j" || e.key === "k")) list.step(e.key === "j" ? 1 : -1);
    if (list.isOpen && e.key === "d") unfold(document.querySelector("#drawer .document:not([open])") !== null);
  });
}

start();
