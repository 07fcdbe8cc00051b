// The table of trajectories, its filters, and opening one of them in the drawer.

const PAGE_ROWS = 200;

/** What became of a trajectory: right, partly, wrong, none (no answer), forged or invalid. */
function outcome(t) {
  const r = t.reward;
  if (r.valid === 0) return "invalid";
  if (r.forged > 0) return "forged";
  if (r.acc >= 1) return "right";
  if (!t.segments.some((s) => s.kind === "answer")) return "none";
  return r.answer >= 0.4 ? "partly" : "wrong";
}
const OUTCOMES = { right: "right", partly: "partly right", wrong: "wrong", none: "no answer", forged: "forged evidence", invalid: "invalid" };

const COLUMNS = [
  { key: "step", label: "step", num: true, value: (t) => t.step },
  { key: "stage", label: "stage", value: (t) => t.stage },
  { key: "kind", label: "kind", value: (t) => t.kind, optional: true },
  { key: "dataset", label: "dataset", value: (t) => t.dataset, optional: true },
  { key: "question", label: "question", value: (t) => t.question },
  { key: "searches", label: "searches", num: true, value: (t) => t.searches.length, optional: true },
  { key: "outcome", label: "outcome", value: (t) => t.outcome },
  { key: "score", label: "reward", num: true, value: (t) => t.reward.score ?? null },
];

/** Keys of the page's state that choose rows; each has a control `filter-<key>`. */
const FILTERS = ["text", "stage", "dataset", "kind", "outcome", "failures", "from", "to", "min", "max"];

class Trajectories {
  constructor(rows, total, state) {
    this.rows = rows.map((t, i) => ({ ...t, i }));
    this.rows.forEach((t) => { t.outcome = outcome(t); });
    this.total = total; this.state = state;
    this.sort = { key: "step", down: true };
    this.limit = PAGE_ROWS;
    const scores = this.rows.map((t) => t.reward.score).filter((v) => typeof v === "number");
    this.scores = [Math.min(-1, ...scores), Math.max(1.8, ...scores)];
    const steps = this.rows.map((t) => t.step).filter((v) => v !== null);
    this.steps = [Math.min(...steps), Math.max(...steps)];
    this.buildFilters();
    this.apply();
    this.openLinked();
  }

  buildFilters() {
    const root = document.getElementById("filters");
    const changed = (key) => (e) => { this.state.set(key, e.target.value); this.limit = PAGE_ROWS; this.apply(); };
    const choice = (key, label, names = {}, fewest = 2) => {
      const values = [...new Set(this.rows.flatMap((t) => t[key]))].filter((v) => v !== "").sort();
      if (values.length < fewest && !this.state.get(key)) return null;
      return h("select", { "aria-label": label, id: `filter-${key}`, "on:change": changed(key) },
        h("option", { value: "" }, `any ${label}`), values.map((v) => h("option", { value: v }, names[v] || v)));
    };
    const number = (key, sign, name, step, hint) => h("label", {}, sign, h("input", { type: "number", step, id: `filter-${key}`,
      placeholder: fmt(hint), "aria-label": name, "on:input": changed(key) }));
    const between = (...ends) => h("span", { class: "between" }, ends);
    root.append(...[
      h("input", { type: "search", id: "filter-text", placeholder: "Find in questions, answers, queries, documents", "aria-label": "Find text", "on:input": changed("text") }),
      choice("stage", "stage"), choice("dataset", "dataset"), choice("kind", "kind"), choice("outcome", "outcome", OUTCOMES),
      choice("failures", "failure", {}, 1), this.steps[0] < this.steps[1] && between(number("from", "step ≥", "first step", 1, this.steps[0]), number("to", "≤", "last step", 1, this.steps[1])),
      between(number("min", "reward ≥", "reward at least", 0.1, this.scores[0]), number("max", "≤", "reward at most", 0.1, this.scores[1])),
      h("button", { type: "button", class: "quiet", id: "filter-clear", "on:click": () => { this.state.clear(FILTERS); this.apply(); } }, "clear"),
    ].filter(Boolean));
    this.controls = [...root.querySelectorAll("input, select")];
  }

  passes(t) {
    const get = (key) => this.state.get(key);
    for (const key of ["stage", "dataset", "kind", "outcome"]) if (get(key) && t[key] !== get(key)) return false;
    if (get("failures") && !t.failures.includes(get("failures"))) return false;
    if (get("from") && !(t.step >= Number(get("from")))) return false;
    if (get("to") && !(t.step <= Number(get("to")))) return false;
    const score = t.reward.score;
    if (get("min") && !(score >= Number(get("min")))) return false;
    if (get("max") && !(score <= Number(get("max")))) return false;
    const text = (get("text") || "").trim().toLowerCase();
    if (!text) return true;
    t.haystack ??= [t.id, t.question, t.answer, ...t.searches.map((s) => s.query ?? ""), ...t.segments.map((s) => s.text)].join("\n").toLowerCase();
    return t.haystack.includes(text);
  }

  apply() {
    for (const control of this.controls) {
      const value = this.state.get(control.id.slice(7)) || "";
      if (control.value !== value) control.value = value;
      control.classList.toggle("active", value !== "");
    }
    document.getElementById("filter-clear").hidden = !this.controls.some((c) => c.value);
    const column = COLUMNS.find((c) => c.key === this.sort.key);
    const sign = this.sort.down ? -1 : 1;
    this.view = this.rows.filter((t) => this.passes(t)).sort((a, b) => {
      const [p, q] = [column.value(a), column.value(b)];
      if (p === q) return a.i - b.i;
      if (p === null || p === undefined) return 1;
      if (q === null || q === undefined) return -1;
      return (p < q ? -1 : 1) * sign;
    });
    const of = this.total > this.rows.length ? `${this.rows.length} shown of ${this.total}` : String(this.rows.length);
    document.getElementById("count").textContent = this.view.length === this.rows.length ? of : `${this.view.length} of ${of}`;
    this.render();
  }

  render() {
    const root = document.getElementById("table");
    if (!this.rows.length) {
      root.replaceWith(h("p", { class: "empty", id: "table" }, "No trajectories yet: trajectories.jsonl is not there or has no complete line."));
      document.getElementById("filters").hidden = true;
      return;
    }
    if (!this.view.length) {
      root.replaceChildren(h("p", { class: "empty" }, "No trajectory passes these filters."));
      return;
    }
    const head = h("tr", {}, COLUMNS.map((c) => h("th", { class: [c.num && "num", c.optional && "optional"].filter(Boolean).join(" ") || null, scope: "col",
      "aria-sort": c.key === this.sort.key ? (this.sort.down ? "descending" : "ascending") : null },
      h("button", { type: "button", "on:click": () => this.sortBy(c) }, c.label))));
    const body = h("tbody", {}, this.view.slice(0, this.limit).map((t) => this.row(t)));
    const rest = this.view.length - this.limit;
    root.replaceChildren(h("table", {}, h("thead", {}, head), body),
      rest > 0 ? h("button", { type: "button", class: "more", "on:click": () => { this.limit += PAGE_ROWS; this.render(); } }, `show ${Math.min(rest, PAGE_ROWS)} more of ${rest}`) : "");
    this.mark();
  }

  row(t) {
    const [lo, hi] = this.scores;
    const score = t.reward.score;
    const share = typeof score === "number" ? Math.max(0, Math.min(100, ((score - lo) / (hi - lo)) * 100)) : 0;
    const colour = { right: "var(--good)", partly: "var(--fair)", invalid: "var(--muted)" }[t.outcome] || "var(--bad)";
    return h("tr", { tabindex: "-1", "data-i": t.i, "on:click": () => this.open(t.i), "on:keydown": (e) => this.rowKey(e, t) },
      h("td", { class: "num" }, String(t.step ?? "–")),
      h("td", {}, h("span", { class: "tag", "--stage": stageColour(t.stage) }, t.stage)),
      h("td", { class: "optional" }, t.kind), h("td", { class: "optional" }, t.dataset),
      h("td", { class: "question", title: t.question.slice(0, 600) }, t.question),
      h("td", { class: "num optional" }, String(t.searches.length)),
      h("td", {}, h("span", { class: `outcome ${t.outcome}` }, OUTCOMES[t.outcome])),
      h("td", { class: "num" }, h("span", { class: "meter", "--c": colour, "aria-hidden": "true" }, h("i", { "width%": share })), h("span", { class: "value" }, fmt(score))));
  }

  rowKey(e, t) {
    if (e.key === "Enter" || e.key === " ") { e.preventDefault(); this.open(t.i); }
    const next = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[e.key];
    const row = next && e.currentTarget[next];
    if (row) { e.preventDefault(); e.currentTarget.tabIndex = -1; row.tabIndex = 0; row.focus(); }
  }

  sortBy(column) {
    this.sort = { key: column.key, down: this.sort.key === column.key ? !this.sort.down : Boolean(column.num) };
    this.apply();
  }

  /** Mark the open row. One row is in the tab order; the arrow keys go from there. */
  mark() {
    const rows = [...document.querySelectorAll("#table tbody tr")];
    for (const tr of rows) { tr.setAttribute("aria-selected", String(Number(tr.dataset.i) === this.current)); tr.tabIndex = -1; }
    const stop = rows.find((tr) => tr.getAttribute("aria-selected") === "true") || rows[0];
    if (stop) stop.tabIndex = 0;
  }

  /** Only the trajectories of one step: a click into a curve. Not every step need be in this page: the nearest. */
  showStep(step) {
    const distance = (t) => (t.step === null ? Infinity : Math.abs(t.step - step));
    const nearest = this.rows.reduce((a, b) => (distance(b) < distance(a) ? b : a), this.rows[0])?.step;
    if (typeof nearest !== "number") return;
    this.state.set("from", String(nearest));
    this.state.set("to", String(nearest));
    this.limit = PAGE_ROWS;
    this.apply();
    document.getElementById("trajectories").scrollIntoView();
  }

  /** Open the trajectory of the address: `line` is its line in trajectories.jsonl, the same in every page of a run. */
  openLinked() {
    const line = this.state.get("line");
    if (!line) return;
    const t = this.rows.find((row) => String(row.line) === line);
    if (t) { this.open(t.i); return; }
    this.show([
      h("div", { class: "drawer-head" }, h("span", { class: "where" }, `line ${line} of trajectories.jsonl`),
        h("span", { class: "buttons" }, h("button", { type: "button", class: "quiet", "aria-label": "Close (Esc)", "on:click": () => this.close() }, "✕"))),
      h("div", { class: "drawer-body" }, h("p", { class: "empty" },
        `This page has ${this.rows.length} of ${this.total} trajectories, but not this one. Run medr3 report again with a larger --max-trajectories, or look into the file: `, h("code", {}, `sed -n ${Number(line)}p trajectories.jsonl`))),
    ]);
  }

  open(i) {
    const t = this.rows[i];
    if (!t) return;
    this.current = i;
    this.state.set("line", String(t.line));
    this.show(detail(t, this));
    this.mark();
  }

  show(content) {
    const drawer = document.getElementById("drawer");
    drawer.replaceChildren(...content);
    drawer.hidden = false;
    drawer.scrollTop = 0;
    drawer.focus({ preventScroll: true });
  }

  get isOpen() { return !document.getElementById("drawer").hidden; }

  close() {
    document.getElementById("drawer").hidden = true;
    this.state.set("line", "");
    const row = document.querySelector(`#table tr[data-i="${this.current}"]`);
    this.current = undefined;
    this.mark();
    row?.focus();
  }

  step(by) {
    const at = this.view.findIndex((t) => t.i === this.current);
    const next = this.view[at + by];
    if (next) this.open(next.i);
  }
}
