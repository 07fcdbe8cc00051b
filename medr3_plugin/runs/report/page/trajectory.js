// One trajectory: its reward with the reasons in words, its group, and its text in colours.

const PARTS = [
  ["reasoning", "Reasoning", ["reasoning_logic", "reasoning_semantic", "reasoning_statistic"]],
  ["retrieval", "Retrieval", ["retrieval_quality", "retrieval_coverage", "retrieval_utilisation", "retrieval_breadth"]],
];
const PENALTIES = ["penalty_format", "penalty_length", "penalty_language", "penalty_overlong"];
const SINGLES = ["answer", "acc"];
const FLAGS = ["format", "searches", "documents", "search_failures", "judge_failures"];

/** The content of the drawer for one row of `list` (a Trajectories). */
function detail(t, list) {
  const at = list.view.findIndex((v) => v.i === t.i);
  const button = (label, text, go, off) => h("button", { type: "button", class: "quiet", "aria-label": label, title: label, disabled: off, "on:click": go }, text);
  const gold = Array.isArray(t.answer) ? t.answer.join(" · ") : String(t.answer ?? "");
  const keys = [["j k", "next, previous"], ["d", "all documents"], ["Esc", "close"], ["/", "find"]];
  return [
    h("div", { class: "drawer-head" },
      h("span", { class: "tag", "--stage": stageColour(t.stage) }, t.stage),
      h("span", { class: "where", title: `line ${t.line} of trajectories.jsonl` }, `${t.kind} step ${t.step ?? "–"} · ${t.id} · line ${t.line}`),
      h("span", { class: "buttons" }, button("Previous (k)", "↑", () => list.step(-1), at <= 0),
        button("Next (j)", "↓", () => list.step(1), at < 0 || at >= list.view.length - 1), button("Close (Esc)", "✕", () => list.close()))),
    h("div", { class: "drawer-body" },
      h("p", { class: "question-text" }, t.question),
      gold ? h("p", { class: "gold" }, "gold answer: ", h("b", {}, gold)) : null,
      rewardCard(t, list),
      h("div", { class: "trajectory" }, pieces(t)),
      h("p", { class: "keys" }, keys.map(([key, what], i) => [i ? " · " : "", key.split(" ").map((k) => [h("kbd", {}, k), " "]), what]))),
  ];
}

function rewardCard(t, list) {
  const r = t.reward;
  if (!Object.keys(r).length) return h("p", { class: "reward muted" }, "This row has no reward record.");
  const named = new Set(["score", "stage", "valid", "forged", "coordination", ...SINGLES, ...PARTS.flatMap(([k, , sub]) => [k, ...sub]), ...PENALTIES, ...FLAGS]);
  const part = (key) => h("div", { class: "part" }, h("span", { class: "label" }, key.replace(/^(reasoning|retrieval|penalty)_/, "")),
    !key.startsWith("penalty_") ? h("span", { class: "meter" }, h("i", { "width%": Math.max(0, Math.min(1, r[key] || 0)) * 100 })) : null,
    h("span", { class: `value${r[key] < 0 ? " minus" : ""}` }, fmt(r[key])));
  const group = (title, value, keys) => h("div", {}, h("h4", {}, title, h("span", {}, value)), keys.filter((k) => k in r).map(part));
  const penalties = PENALTIES.filter((k) => k in r);
  const total = penalties.reduce((sum, k) => sum + (r[k] || 0), 0);
  const extra = Object.keys(r).filter((k) => !named.has(k) && !(k.startsWith("paper_") && !r[k])); // 0 under other presets
  return h("div", { class: "reward" },
    h("div", { class: "reward-top" }, h("strong", {}, t.outcome === "invalid" ? "–" : fmt(r.score)), h("span", { class: `outcome ${t.outcome}` }, OUTCOMES[t.outcome]),
      h("span", { class: "muted" }, FLAGS.filter((k) => r[k] !== undefined && (r[k] || !k.endsWith("failures"))).map((k) => `${k.replace("_", " ")} ${fmt(r[k])}`).join(" · "))),
    h("div", { class: "parts" }, h("div", {}, group("Answer", "", SINGLES), "coordination" in r ? group("Coordination", fmt(r.coordination), []) : null), PARTS.filter(([k]) => k in r).map(([k, title, sub]) => group(title, fmt(r[k]), sub)),
      penalties.length ? group("Penalties", fmt(Number(total.toFixed(4))), penalties) : null,
      extra.length ? group("Other", "", extra) : null),
    why(t), groupOf(t, list));
}

/** Why each part has its value: in words, or as recorded if another reward manager wrote the reasons. */
function why(t) {
  const words = Object.entries(t.words);
  if (!words.length && !Object.keys(t.reasons).length) return null;
  return h("details", { class: "reasons", open: true }, h("summary", {}, "Why these numbers"), words.length
    ? h("dl", {}, words.map(([part, lines]) => [h("dt", {}, part === "score" ? "reward" : part), h("dd", {}, lines.map((line) => h("p", {}, line)))]))
    : tree(t.reasons));
}

/** Where the reward stands among the samples of the same prompt, and those of them that are in this page. */
function groupOf(t, list) {
  const others = list.rows.filter((o) => o !== t && o.step === t.step && o.kind === t.kind && o.id === t.id);
  const scores = t.group;
  if (scores.length < 2 && !others.length) return null;
  const say = [];
  if (scores.length > 1) {
    const mean = scores.reduce((a, b) => a + b, 0) / scores.length;
    const rank = scores.findIndex((score) => score <= t.reward.score + 1e-9) + 1;
    const place = t.outcome === "invalid" || !rank ? "not among" : `number ${rank} of`;
    if (scores[0] - scores.at(-1) < 1e-9) say.push(`all ${scores.length} samples have this reward: nothing to learn from this group`);
    else say.push(`${place} ${scores.length} by reward, mean ${fmt(mean)}, from ${fmt(scores[0])} to ${fmt(scores.at(-1))}`);
  }
  return h("p", { class: "group" }, h("b", {}, "Samples of this prompt"), say.map((text) => h("span", {}, text)),
    others.length ? h("span", {}, "also here: ", others.slice(0, 12).map((o) => h("button", { type: "button", class: `quiet outcome ${o.outcome}`,
      "on:click": () => list.open(o.i) }, `${fmt(o.reward.score)} ${OUTCOMES[o.outcome]}`))) : null);
}

function pieces(t) {
  let shownBySearch = new Map(), search = null;
  for (const s of t.segments) {
    if (s.kind === "search") shownBySearch.set((search = s.index), new Set());
    else if (s.kind === "document" && s.meta && search !== null) shownBySearch.get(search).add(s.meta.id);
  }
  const pieces = t.segments.flatMap((s) => {
    if (s.kind === "search") {
      const record = t.searches[s.index];
      const again = (record?.documents || []).filter((d) => !shownBySearch.get(s.index).has(d.id));
      return [searchPiece(s, record), again.length ? h("p", { class: "again" }, `found, not shown (seen before, or no room): ${again.map((d) => d.title || d.id).join("; ")}`) : null];
    }
    if (s.kind === "document") return [documentPiece(s, t.reasons.retrieval, t.reward.forged > 0 && s === t.segments.at(-1) && !s.meta)];
    if (s.kind === "answer") return [h("div", { class: `answer ${t.outcome}` }, h("span", { class: "kicker" }, "answer"), s.text)];
    return [h("div", { class: s.kind === "think" ? "think" : "plain" }, s.text)];
  });
  if (t.reward.forged > 0) pieces.push(h("p", { class: "failed" }, "The model wrote a document tag itself: forged evidence, the environment stopped here."));
  else if (!t.segments.some((s) => s.kind === "answer")) pieces.push(h("p", { class: "failed" }, "The trajectory ends without an answer."));
  return pieces;
}

function searchPiece(s, record) {
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

function documentPiece(s, retrieval, forged) {
  const meta = s.meta || {};
  const level = Number(meta.evidence_level) || 0;
  const bars = Array.from({ length: 9 }, (_, i) => { const bar = h("i", { class: i < level ? "on" : null }); bar.style.height = `${3 + i}px`; return bar; });
  const counted = ["relevant", "used"].filter((key) => Array.isArray(retrieval?.[key]) && retrieval[key].includes(meta.id));
  return h("details", { class: "document" },
    h("summary", {}, h("span", { class: "title" }, meta.title || s.text.split("\n", 1)[0].slice(0, 160)),
      forged ? h("span", { class: "failed" }, "written by the model") : null,
      counted.map((word) => h("span", { class: "counted", title: word === "used" ? "its new terms come up in the model's text afterwards" : "it counts for the reward's quality and coverage" }, word)),
      level ? h("span", { class: "level", role: "img", "aria-label": `evidence level ${level} of 9`, title: `evidence level ${level} of 9` }, bars) : null,
      meta.evidence_type ? h("span", { class: "evidence" }, `${String(meta.evidence_type).replace(/_/g, " ")} · ${level || "–"}`) : null,
      typeof meta.score === "number" ? h("span", { class: "score", title: "retrieval score" }, fmt(meta.score)) : null),
    h("p", {}, s.text));
}

/** Any JSON value as a nested list of text nodes. */
function tree(value) {
  const leaf = (v) => v === null || typeof v !== "object";
  const short = (v) => Array.isArray(v) && v.length <= 6 && v.every(leaf);
  const items = Array.isArray(value) ? value.map((v, i) => [String(i + 1), v]) : Object.entries(value);
  return h("ul", { class: "tree" }, items.map(([key, v]) => h("li", {}, h("span", { class: "key" }, key),
    leaf(v) ? (typeof v === "number" ? fmt(v) : String(v)) : short(v) ? v.join(" · ") || "none" : tree(v))));
}
