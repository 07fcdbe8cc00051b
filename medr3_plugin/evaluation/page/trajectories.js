// The table of trajectories, its filters, and the drawer that shows one of them.

const PAGE_ROWS = 200;
const PARTS = [
  ["reasoning", "Reasoning", ["reasoning_logic", "reasoning_semantic", "reasoning_statistic"]],
  ["retrieval", "Retrieval", ["retrieval_quality", "retrieval_coverage", "retrieval_utilisation", "retrieval_breadth"]],
];
const PENALTIES = ["penalty_format", "penalty_length", "penalty_language", "penalty_overlong"];
const SINGLES = ["answer", "acc", "coordination"];
const FLAGS = ["format", "searches", "documents", "search_failures", "judge_failures"];

/** What became of a trajectory: right, partly, wrong, none (no answer), forged or invalid. */
function outcome(t) {
  const r = t.reward;
  if (r.valid === 0) return "invalid";
  if (r.forged > 0) return "forged";
  if (r.acc >= 1) return "right";
  if (!t.segments.some((s) => s.kind === "answer")) return "none";
  return r.answer >= 0.4 ? "partly" : "wrong";
}
const OUTCOMES = { right: "right", partly: "partly right", wrong: "wrong", none: "no answer", forged: "forged evidence", invalid: "not judged" };

const COLUMNS = [
  { key: "step", label: "step", num: true, value: (t) => t.step },
  { key: "stage", label: "stage", value: (t) => t.stage },
  { key: "kind", label: "kind", value: (t) => t.kind, optional: true },
  { key: "dataset", label: "data set", value: (t) => t.dataset, optional: true },
  { key: "question", label: "question", value: (t) => t.question },
  { key: "searches", label: "searches", num: true, value: (t) => t.searches.length, optional: true },
  { key: "outcome", label: "outcome", value: (t) => t.outcome },
  { key: "score", label: "reward", num: true, value: (t) => t.reward.score ?? null },
];

class Trajectories {
  constructor(rows, total, state) {
    this.rows = rows.map((t, i) => ({ ...t, i }));
    this.rows.forEach((t) => { t.outcome = outcome(t); });
    this.total = total; this.state = state;
    this.sort = { key: "step", down: true };
    this.limit = PAGE_ROWS;
    const scores = this.rows.map((t) => t.reward.score).filter((v) => typeof v === "number");
    this.scores = [Math.min(-1, ...scores), Math.max(1.8, ...scores)];
    this.buildFilters();
    this.apply();
  }

  buildFilters() {
    const root = document.getElementById("filters");
    const changed = (key) => (e) => { this.state.set(key, e.target.value); this.limit = PAGE_ROWS; this.apply(); };
    const choice = (key, label, names = {}) => {
      const values = [...new Set(this.rows.map((t) => t[key]))].filter((v) => v !== "").sort();
      if (values.length < 2 && !this.state.get(key)) return null;
      return h("select", { "aria-label": label, id: `filter-${key}`, "on:change": changed(key) },
        h("option", { value: "" }, `any ${label}`), values.map((v) => h("option", { value: v }, names[v] || v)));
    };
    const number = (key, sign) => h("label", {}, sign, h("input", { type: "number", step: "0.1", id: `filter-${key}`,
      placeholder: fmt(this.scores[key === "min" ? 0 : 1]), "aria-label": `reward ${key === "min" ? "at least" : "at most"}`, "on:input": changed(key) }));
    root.append(...[
      h("input", { type: "search", id: "filter-text", placeholder: "Find in questions, answers, queries, documents", "aria-label": "Find text", "on:input": changed("text") }),
      choice("stage", "stage"), choice("dataset", "data set"), choice("kind", "kind"), choice("outcome", "outcome", OUTCOMES),
      number("min", "reward ≥"), number("max", "≤"),
      h("button", { type: "button", class: "quiet", id: "filter-clear", "on:click": () => { this.state.clear(); this.apply(); } }, "clear"),
    ].filter(Boolean));
    this.controls = [...root.querySelectorAll("input, select")];
  }

  passes(t) {
    const get = (key) => this.state.get(key);
    for (const key of ["stage", "dataset", "kind", "outcome"]) if (get(key) && t[key] !== get(key)) return false;
    const score = t.reward.score;
    if (get("min") && !(score >= Number(get("min")))) return false;
    if (get("max") && !(score <= Number(get("max")))) return false;
    const text = (get("text") || "").trim().toLowerCase();
    if (!text) return true;
    t.haystack ??= [t.id, t.question, t.answer, ...t.segments.map((s) => s.text)].join("\n").toLowerCase();
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
    return h("tr", { tabindex: "0", "data-i": t.i, "on:click": () => this.open(t.i), "on:keydown": (e) => this.rowKey(e, t) },
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
    if (next && e.currentTarget[next]) { e.preventDefault(); e.currentTarget[next].focus(); }
  }

  sortBy(column) {
    this.sort = { key: column.key, down: this.sort.key === column.key ? !this.sort.down : Boolean(column.num) };
    this.apply();
  }

  mark() {
    for (const tr of document.querySelectorAll("#table tbody tr")) tr.setAttribute("aria-selected", String(Number(tr.dataset.i) === this.current));
  }

  open(i) {
    const t = this.rows[i];
    if (!t) return;
    this.current = i;
    this.state.set("open", String(i));
    const drawer = document.getElementById("drawer");
    drawer.replaceChildren(...this.detail(t));
    drawer.hidden = false;
    drawer.scrollTop = 0;
    drawer.focus({ preventScroll: true });
    this.mark();
  }

  close() {
    document.getElementById("drawer").hidden = true;
    this.state.set("open", "");
    document.querySelector(`#table tr[data-i="${this.current}"]`)?.focus();
    this.current = undefined;
    this.mark();
  }

  step(by) {
    const at = this.view.findIndex((t) => t.i === this.current);
    const next = this.view[at + by];
    if (next) this.open(next.i);
  }

  detail(t) {
    const at = this.view.findIndex((v) => v.i === t.i);
    const button = (label, text, go, off) => h("button", { type: "button", class: "quiet", "aria-label": label, title: label, disabled: off, "on:click": go }, text);
    const gold = Array.isArray(t.answer) ? t.answer.join(" · ") : String(t.answer ?? "");
    return [
      h("div", { class: "drawer-head" },
        h("span", { class: "tag", "--stage": stageColour(t.stage) }, t.stage),
        h("span", { class: "where" }, `${t.kind} step ${t.step ?? "–"} · ${t.id}`),
        h("span", { class: "buttons" }, button("Previous (k)", "↑", () => this.step(-1), at <= 0),
          button("Next (j)", "↓", () => this.step(1), at < 0 || at >= this.view.length - 1), button("Close (Esc)", "✕", () => this.close()))),
      h("div", { class: "drawer-body" },
        h("p", { class: "question-text" }, t.question),
        gold ? h("p", { class: "gold" }, "gold answer: ", h("b", {}, gold)) : null,
        this.reward(t),
        h("div", { class: "trajectory" }, this.pieces(t)),
        h("p", { class: "keys" }, h("kbd", {}, "j"), " ", h("kbd", {}, "k"), " next, previous · ", h("kbd", {}, "Esc"), " close · ", h("kbd", {}, "/"), " find")),
    ];
  }

  reward(t) {
    const r = t.reward;
    if (!Object.keys(r).length) return h("p", { class: "reward muted" }, "This row has no reward record.");
    const named = new Set(["score", "stage", "valid", "forged", ...SINGLES, ...PARTS.flatMap(([k, , sub]) => [k, ...sub]), ...PENALTIES, ...FLAGS]);
    const part = (key) => h("div", { class: "part" }, h("span", { class: "label" }, key.replace(/^(reasoning|retrieval|penalty)_/, "")),
      !key.startsWith("penalty_") ? h("span", { class: "meter" }, h("i", { "width%": Math.max(0, Math.min(1, r[key] || 0)) * 100 })) : null,
      h("span", { class: `value${r[key] < 0 ? " minus" : ""}` }, fmt(r[key])));
    const group = (title, value, keys) => h("div", {}, h("h4", {}, title, h("span", {}, value)), keys.filter((k) => k in r).map(part));
    const penalties = PENALTIES.filter((k) => k in r);
    const total = penalties.reduce((sum, k) => sum + (r[k] || 0), 0);
    const extra = Object.keys(r).filter((k) => !named.has(k));
    const reasons = Object.keys(t.reasons).length
      ? h("details", { class: "reasons" }, h("summary", {}, "Why these numbers"), tree(t.reasons)) : null;
    return h("div", { class: "reward" },
      h("div", { class: "reward-top" }, h("strong", {}, fmt(r.score)), h("span", { class: `outcome ${t.outcome}` }, OUTCOMES[t.outcome]),
        h("span", { class: "muted" }, FLAGS.filter((k) => r[k] !== undefined && (r[k] || !k.endsWith("failures"))).map((k) => `${k.replace("_", " ")} ${fmt(r[k])}`).join(" · "))),
      h("div", { class: "parts" }, group("Answer", "", SINGLES), PARTS.filter(([k]) => k in r).map(([k, title, sub]) => group(title, fmt(r[k]), sub)),
        penalties.length ? group("Penalties", fmt(Number(total.toFixed(4))), penalties) : null,
        extra.length ? group("Other", "", extra) : null),
      reasons);
  }

  pieces(t) {
    let shownBySearch = new Map(), search = null;
    for (const s of t.segments) {
      if (s.kind === "search") shownBySearch.set((search = s.index), new Set());
      else if (s.kind === "document" && s.meta && search !== null) shownBySearch.get(search).add(s.meta.id);
    }
    const pieces = t.segments.flatMap((s) => {
      if (s.kind === "search") {
        const record = t.searches[s.index];
        const again = (record?.documents || []).filter((d) => !shownBySearch.get(s.index).has(d.id));
        return [this.search(s, record), again.length ? h("p", { class: "again" }, `found, not shown (seen before, or no room): ${again.map((d) => d.title || d.id).join("; ")}`) : null];
      }
      if (s.kind === "document") return [this.document(s, t.reward.forged > 0 && s === t.segments.at(-1) && !s.meta)];
      if (s.kind === "answer") return [h("div", { class: `answer ${t.outcome}` }, h("span", { class: "kicker" }, "answer"), s.text)];
      return [h("div", { class: s.kind === "think" ? "think" : "plain" }, s.text)];
    });
    if (t.reward.forged > 0) pieces.push(h("p", { class: "failed" }, "The model wrote a document tag itself: forged evidence, the environment stopped here."));
    else if (!t.segments.some((s) => s.kind === "answer")) pieces.push(h("p", { class: "failed" }, "The trajectory ends without an answer."));
    return pieces;
  }

  search(s, record) {
    const facts = [];
    if (record) {
      const found = (record.documents || []).length;
      facts.push(found === 1 ? "1 document" : `${found} documents`);
      if (typeof record.latency_s === "number") facts.push(record.latency_s < 1 ? `${Math.round(record.latency_s * 1000)} ms` : `${fmt(record.latency_s)} s`);
    }
    const trouble = record?.failure || (record?.outcome && record.outcome !== "ok" ? record.outcome : null);
    return h("div", { class: "search" }, h("span", { class: "icon", "aria-hidden": "true" }, "⌕"), h("span", { class: "query" }, s.text || "(empty query)"),
      trouble ? h("span", { class: "failed" }, record.failure ? `failed: ${trouble}` : trouble) : null,
      h("span", { class: "facts" }, facts.join(" · ")));
  }

  document(s, forged) {
    const meta = s.meta || {};
    const level = Number(meta.evidence_level) || 0;
    const bars = Array.from({ length: 9 }, (_, i) => { const bar = h("i", { class: i < level ? "on" : null }); bar.style.height = `${3 + i}px`; return bar; });
    return h("details", { class: "document" },
      h("summary", {}, h("span", { class: "title" }, meta.title || s.text.split("\n", 1)[0].slice(0, 160)),
        forged ? h("span", { class: "failed" }, "written by the model") : null,
        level ? h("span", { class: "level", role: "img", "aria-label": `evidence level ${level} of 9`, title: `evidence level ${level} of 9` }, bars) : null,
        meta.evidence_type ? h("span", { class: "evidence" }, `${String(meta.evidence_type).replace(/_/g, " ")} · ${level || "–"}`) : null,
        typeof meta.score === "number" ? h("span", { class: "score", title: "retrieval score" }, fmt(meta.score)) : null),
      h("p", {}, s.text));
  }
}

/** Any JSON value as a nested list of text nodes. */
function tree(value) {
  const leaf = (v) => v === null || typeof v !== "object";
  const short = (v) => Array.isArray(v) && v.length <= 6 && v.every(leaf);
  const items = Array.isArray(value) ? value.map((v, i) => [String(i + 1), v]) : Object.entries(value);
  return h("ul", { class: "tree" }, items.map(([key, v]) => h("li", {}, h("span", { class: "key" }, key),
    leaf(v) ? (typeof v === "number" ? fmt(v) : String(v)) : short(v) ? v.join(" · ") || "none" : tree(v))));
}
