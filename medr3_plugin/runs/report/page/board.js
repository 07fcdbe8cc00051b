// The charts of a run together: they share the range of steps, the smoothing and the cursor.

class Board {
  constructor(run, root, onPick) {
    this.run = run; this.root = root; this.onPick = onPick; this.charts = []; this.index = null;
    const all = [...run.train.steps, ...run.val.steps];
    const lo = Math.min(...all), hi = Math.max(...all);
    this.full = this.range = [lo, lo === hi ? lo + 1 : hi];
    // the first stage begins where the run does: a validation before it is at step 0
    this.spans = run.stages.map((s, i) => ({ name: s.name, from: i ? s.start : Math.min(lo, s.start), end: s.end ?? hi, to: s.end === null ? hi : s.end + 1 }));
    this.breaks = this.spans.map((s) => s.from).filter((s) => s > lo);
    this.smoothing = run.train.steps.length > 20 ? 0.6 : 0;
  }

  has(name) { return name in this.run.train.series || name in this.run.val.series; }

  add(title, wanted, { head, counts } = {}) {
    const series = wanted.filter((s) => this.has(s.name));
    if (!series.length) return null;
    const chart = new Chart({ title, series, run: this.run, board: this, head, counts });
    this.charts.push(chart);
    this.root.append(chart.el);
    return chart;
  }

  draw() { for (const chart of this.charts) chart.draw(); }

  /** Show the steps of one stage (its number), or all of them (null). */
  zoom(stage) {
    const span = this.spans[stage];
    this.range = span ? [span.from, Math.max(span.from + 1, Math.min(span.end, this.full[1]))] : this.full;
    this.index = null;
    this.draw();
  }

  nearest(step) {
    const { steps } = this.run.train;
    let best = 0;
    steps.forEach((s, i) => { if (Math.abs(s - step) < Math.abs(steps[best] - step)) best = i; });
    return best;
  }

  point(step) { this.focus(step === null || !this.run.train.steps.length ? null : this.nearest(step)); }

  move(by) {
    const { steps } = this.run.train;
    if (!steps.length) return;
    const [first, last] = this.range.map((step) => this.nearest(step));
    this.focus(Math.max(first, Math.min(last, (this.index ?? (by > 0 ? first - 1 : last + 1)) + by)));
  }

  pick(index) { if (index !== null) this.onPick(this.run.train.steps[index]); }

  focus(index) {
    this.index = index;
    for (const chart of this.charts) chart.show(index);
  }
}
