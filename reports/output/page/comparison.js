// Compares two or three permutations that the reader ticks in the table: their scores, the differences between
// them, the keys in which they differ, and their learning curves.

const MOST_COMPARED = 3;
const DASHES = [["solid", null], ["dash", "9 5"], ["dot", "3 4"]]; // of lines: Plotly's name and SVG's

/**
 * The difference of two permutations' means, with the ends of its interval as `Margins.differences` of
 * `reports/statistics/contenders.py` finds them; an end is null if unknown. Null without a score.
 */
function difference(one, other) {
  if (one.mean === null || other.mean === null) return null;
  const [a, b] = [one.margins, other.margins];
  if (!a || !b) return { value: one.mean - other.mean, low: null, high: null };
  const value = a.lead - b.lead;
  if (a.limit === null || b.limit === null) return { value, low: null, high: null };
  const limit = Math.max(a.limit, b.limit);
  const [byT, byRest] = [limit * Math.hypot(a.error, b.error), limit * Math.hypot(a.rest, b.rest)];
  const known = (first, second, sign) => (first === null || second === null ? null : first - second + sign * byRest);
  const [low, high] = [known(a.low, b.high, -1), known(a.high, b.low, 1)];
  return {
    value,
    low: low === null ? null : Math.min(value - byT, low),
    high: high === null ? null : Math.max(value + byT, high),
  };
}

const signed = (value) => (value > 0 ? `+${score(value)}` : score(value));

/** A difference as text. */
function differenceText(found) {
  if (!found) return "–";
  const [low, high] = [found.low, found.high].map((end) => end !== null && signed(end));
  if (low && high) return `${signed(found.value)} (${low} to ${high})`;
  return `${signed(found.value)}${low ? ` (at least ${low})` : high ? ` (at most ${high})` : ""}`;
}

const comparison = {
  names: [], // of the permutations compared

  prepare() {
    byId("uncompare").addEventListener("click", () => this.choose([]));
    this.show();
  },

  toggle(name, isOn) {
    this.choose(isOn ? [...this.names, name] : this.names.filter((each) => each !== name));
  },

  /** Compares the permutations with these names, as far as they exist. */
  choose(names) {
    this.names = names.filter((name) => permutations.some((each) => each.name === name)).slice(0, MOST_COMPARED);
    this.show();
    refresh("together");
  },

  /** The permutations compared, best first; none while only one is ticked. */
  chosen() {
    const found = permutations.filter((each) => this.names.includes(each.name));
    return found.length > 1 ? found : [];
  },

  show() {
    const chosen = this.chosen();
    this.mark();
    byId("comparing").textContent = chosen.length ? this.words(chosen)
      : "Tick two or three permutations in the ranking to compare them here.";
    byId("uncompare").hidden = !this.names.length;
    byId("comparison").classList.toggle("empty", !chosen.length);
    byId("compared").parentElement.hidden = !chosen.length;
    byId("compared").replaceChildren(...(chosen.length ? this.tableOf(chosen) : []));
    this.fold(chosen);
  },

  /** Ticks the boxes in the table's rows; once three are ticked, the others can't be. */
  mark() {
    for (const row of table.rows.values()) {
      const box = row.querySelector("[data-compare]");
      box.checked = this.names.includes(box.dataset.compare);
      box.disabled = !box.checked && this.names.length === MOST_COMPARED;
    }
  },

  words(chosen) {
    const names = chosen.map((each) => each.name).join(", ").replace(/, (?=[^,]*$)/, " and ");
    const known = chosen.some((each) => each.margins);
    return `Permutations ${names}, the best first. ${known
      ? "The interval of a difference allows for all comparisons of the ranking, so it is wider than that of two permutations alone; without 0 in it, one of the two is better."
      : "There are too few repetitions for intervals of differences."}`;
  },

  tableOf(chosen) {
    const line = (title, cells, kind) => element("tr", { class: kind }, element("th", { scope: "row" }, ...breakable(title)),
      ...cells.map((cell) => element("td", {}, cell)));
    const head = element("tr", {}, element("td"), ...chosen.map((each, at) => (
      element("th", { scope: "col" }, `permutation ${each.name}`, this.swatch(at))
    )));
    const differing = data.keys.filter((_, place) => !this.isEqual(chosen, place));
    const seeds = Array.from({ length: data.repetitions }, (_, at) => at);
    const differences = chosen.slice(0, -1).map((one, at) => line(`difference to permutation ${one.name}`, chosen.map((other, own) => (
      own > at ? differenceText(difference(other, one)) : ""
    ))));
    const probability = chosen.some((each) => each.probability !== null)
      ? [line("probability of being best", chosen.map((each) => percent(each.probability)))] : [];
    return [element("thead", {}, head), element("tbody", {},
      line(data.meanMetric, chosen.map((each) => scoreCell(each))),
      line("95 % interval", chosen.map((each) => intervalCell(each))),
      ...differences, ...probability,
      ...differing.map((key) => line(key.label, chosen.map((each) => key.choices[each.choices[data.keys.indexOf(key)]]))),
      ...seeds.map((at) => line(`repetition ${at}, seed ${chosen.find(({ runs }) => runs[at])?.runs[at].seed ?? "–"}`, chosen.map((each) => this.run(each.runs[at])))))];
  },

  run(run) {
    if (!run) return "–";
    return run.value === null ? element("span", { class: run.error ? "bad" : null }, run.state) : score(run.value);
  },

  /** A sample of a permutation's line in the chart. */
  swatch(at) {
    const svg = drawn("svg", { viewBox: "0 0 38 10", "aria-hidden": "true" });
    svg.append(drawn("line", { x1: 1, x2: 37, y1: 5, y2: 5, stroke: this.colour(at), "stroke-width": 3, "stroke-dasharray": DASHES[at][1] ?? "none" }));
    return svg;
  },

  colour: (at) => DISTINCT[theme().dark ? "dark" : "light"][at],

  isEqual: (chosen, place) => new Set(chosen.map((each) => each.choices[place])).size === 1,

  /** Lists the keys with equal choices, folded away. */
  fold(chosen) {
    const equal = data.keys.filter((_, place) => chosen.length && this.isEqual(chosen, place));
    const [summary, list] = byId("equal").children;
    byId("equal").hidden = !equal.length;
    summary.textContent = `${equal.length} equal ${equal.length === 1 ? "hyperparameter" : "hyperparameters"}`;
    list.replaceChildren(...equal.map((key) => element("li", {}, element("code", {}, key.label), `: ${key.choices[chosen[0].choices[data.keys.indexOf(key)]]}`)));
  },
};

function drawTogether(width) {
  const chosen = comparison.chosen().map((each, at) => ({ each, at, colour: comparison.colour(at) }))
    .filter(({ each }) => each.curve && curveFactor(each, state.axis) !== null);
  if (!chosen.length) return { caption: comparison.chosen().length ? "None of them has a learning curve yet." : "" };
  const bands = chosen.map(({ each, colour }) => bandsOf([each], faint(colour, 0.13)));
  const runs = chosen.map(({ each, colour, at }) => {
    const trace = { x: [], y: [], type: "scatter", mode: "lines", line: { color: colour, width: 0.8, dash: DASHES[at][0] }, opacity: 0.6, hoverinfo: "skip", showlegend: false };
    for (const run of each.curve.runs) {
      trace.x.push(...curveTimes(each), null);
      trace.y.push(...run, null);
    }
    return trace;
  });
  const means = chosen.map(({ each, colour, at }) => ({
    ...joined([each], ({ curve }) => curve.mean, {}), name: `permutation ${plain(each.name)}`, hovertemplate: curveHover(),
    line: { color: colour, width: 3, dash: DASHES[at][0] },
  }));
  const values = extent(finite(chosen.flatMap(({ each: { curve } }) => [...curve.mean, ...curve.runs.flat()])));
  const margin = 0.06 * (values[1] - values[0] || 1);
  return {
    traces: [...bands, ...runs, ...means],
    layout: layout(width < NARROW ? 340 : 400, {
      legend: LEGEND, margin: { l: 62, r: 16, t: 60, b: 48 },
      xaxis: { title: { text: AXES[state.axis] }, range: [0, extent(chosen.map(({ each }) => each.curve.last * curveFactor(each, state.axis)))[1]] },
      yaxis: { title: { text: "return" }, range: [values[0] - margin, values[1] + margin] },
    }),
    caption: `The mean return of ${chosen.map(({ each }) => `permutation ${each.name}`).join(", ")} during training, against ${AXES[state.axis]}; thin lines are repetitions.`,
  };
}
