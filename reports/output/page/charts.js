// Charts: each function makes Plotly's traces, the layout and a caption from the data.
// Without data it returns a caption alone, which says why.

const NARROW = 640; // pixels
const TOUCH = matchMedia("(pointer: coarse)").matches;

/** A layout with the page's colours and the settings that all charts share. */
function layout(height, more = {}) {
  const { text, soft, rule, ground } = theme();
  const axis = {
    gridcolor: rule, linecolor: soft, zeroline: false, automargin: true,
    tickfont: { color: soft }, title: { font: { color: text } },
  };
  const { xaxis = {}, yaxis = {}, ...rest } = more;
  return {
    height,
    autosize: true,
    margin: { l: 62, r: 16, t: 16, b: 52 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: text },
    hoverlabel: { bgcolor: ground, bordercolor: soft, font: { color: text, size: 13 }, align: "left" },
    hovermode: "closest",
    // Touch scrolls the page instead of zooming a chart.
    dragmode: TOUCH ? false : "zoom",
    modebar: { bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: text },
    ...rest,
    xaxis: { ...axis, ...xaxis, title: { ...axis.title, ...xaxis.title } },
    yaxis: { ...axis, ...yaxis, title: { ...axis.title, ...yaxis.title } },
  };
}

const LEGEND = { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom" };

const CHARACTER = 8.5; // pixels, at most

/** Labels of an axis, in two rows by turns where they would touch; a label with several lines stays. */
const byTurns = (labels, room) => (Math.max(...labels.map((label) => label.length)) * CHARACTER < room || labels.some((label) => label.includes("<br>"))
  ? labels : labels.map((label, place) => (place % 2 ? `<br>${label}` : label)));

// Learning curves.

const AXES = { steps: "environment steps", updates: "updates", time: `wall time, ${timeUnit[0]}` };

/** The factor from steps to an axis's unit; null if unknown. */
function curveFactor(permutation, axis) {
  if (axis === "updates") return permutation.batch ? 1 / permutation.batch : null;
  if (axis === "time") return permutation.seconds ? permutation.seconds / timeUnit[1] / permutation.curve.last : null;
  return 1;
}

function curveTimes({ curve, ...permutation }) {
  const factor = curveFactor({ curve, ...permutation }, state.axis);
  const gap = (curve.last - curve.first) / (curve.mean.length - 1);
  return curve.mean.map((_, place) => (curve.first + gap * place) * factor);
}

const curveHover = () => `%{text}<br>return %{y:.4~g} after %{x:.4~s} ${AXES[state.axis].replace("wall time, ", "")}<extra></extra>`;

/** One trace for many curves, because a browser draws few long lines much faster than many short ones. */
function joined(shown, values, more) {
  const trace = { x: [], y: [], customdata: [], text: [], type: "scatter", mode: "lines", ...more };
  for (const each of shown) {
    const [times, words] = [curveTimes(each), description(each)];
    trace.x.push(...times, null);
    trace.y.push(...values(each), null);
    trace.customdata.push(...times.map(() => each.rank), null);
    trace.text.push(...times.map(() => words), null);
  }
  return trace;
}

/** The intervals of curves as areas. */
function bandsOf(shown, colour) {
  const trace = { x: [], y: [], type: "scatter", mode: "lines", fill: "toself", line: { width: 0 }, hoverinfo: "skip", showlegend: false, fillcolor: colour };
  for (const each of shown) {
    const known = curveTimes(each).map((time, place) => [time, each.curve.low[place], each.curve.high[place]])
      .filter(([, low, high]) => low !== null && high !== null);
    if (!known.length) continue;
    const back = [...known].reverse();
    trace.x.push(...known.map(([time]) => time), ...back.map(([time]) => time), null);
    trace.y.push(...known.map(([, , high]) => high), ...back.map(([, low]) => low), null);
  }
  return trace;
}

/** The groups of curves, each with a colour and a legend entry. */
function curveGroups() {
  const { best, soft } = theme();
  if (state.colour === "contender") {
    return [
      { name: "could be the best", colour: best, has: (each) => each.contender },
      { name: "others", colour: soft, has: (each) => !each.contender },
    ];
  }
  const place = Number(state.colour);
  const { choices } = data.keys[place];
  return palette(choices).map((colour, at) => (
    { name: inLines(choices[at], 28, 1), colour, has: (each) => each.choices[place] === at }
  ));
}

/** Whether the reader wants to see a curve's interval, though it isn't highlighted. */
const isBanded = (each) => state.bands === "all" || (state.bands === "contenders" && each.contender);

function curveTraces(shown) {
  const traces = [];
  const banded = shown.filter(isBanded);
  for (const group of curveGroups()) {
    const own = shown.filter(group.has);
    // Curves that could be the best are drawn above the others, with stronger lines.
    const parts = data.decided ? [own.filter((each) => !each.contender), own.filter((each) => each.contender)] : [[], own];
    traces.push({ ...bandsOf(banded.filter(group.has), faint(group.colour, 0.12)), legendgroup: group.name, order: 0 });
    parts.forEach((part, strong) => traces.push({
      ...joined(part, (each) => each.curve.mean, {}),
      legendgroup: group.name, hovertemplate: curveHover(), order: 1 + strong, showlegend: false,
      line: { color: group.colour, width: strong ? 2 : 1.2 }, opacity: strong ? 1 : 0.7,
    }));
    if (own.length) {
      // The legend shows the full colour.
      traces.push({ x: [null], y: [null], type: "scatter", mode: "lines", name: group.name, legendgroup: group.name, line: { color: group.colour, width: 3 }, order: 3 });
    }
  }
  return traces.sort((a, b) => a.order - b.order).map(({ order, ...trace }) => trace);
}

/** The highlighted curve: its interval, its repetitions, its mean. */
function outstanding() {
  const { text } = theme();
  const rank = state.hovered ?? state.highlighted;
  const one = visible().filter((each) => each.rank === rank && each.curve && curveFactor(each, state.axis) !== null);
  const quiet = { hoverinfo: "skip", showlegend: false };
  const runs = { x: [], y: [], type: "scatter", mode: "lines", line: { color: text, width: 0.8 }, opacity: 0.55, ...quiet };
  for (const run of one.flatMap((each) => each.curve.runs)) {
    runs.x.push(...curveTimes(one[0]), null);
    runs.y.push(...run, null);
  }
  const mean = joined(one, (each) => each.curve.mean, { line: { color: text, width: 3 }, ...quiet });
  mean.name = one.length ? `permutation ${plain(one[0].name)}` : "";
  mean.showlegend = one.length > 0;
  return [bandsOf(one, faint(text, 0.16)), runs, mean];
}

/** Redraws the highlighted line alone. */
function bringOut(root) {
  const traces = root.id === "curves" ? outstanding() : outstandingPath();
  const places = traces.map((_, place) => root.data.length - traces.length + place);
  const changed = Object.fromEntries(["x", "y"].map((name) => [name, traces.map((trace) => trace[name])]));
  Plotly.restyle(root, { ...changed, name: traces.map((trace) => trace.name ?? "") }, places);
}

/**
 * A range for what is drawn: all means, and the repetitions and intervals beside them.
 * An interval wider than the returns themselves adds a quarter of their range at most, as it would squeeze all curves.
 */
function curveRange(shown) {
  const ends = (lists) => extent(lists.map((each) => extent(finite(each))).flat().filter(Number.isFinite));
  const banded = shown.filter((each) => isBanded(each) || each.rank === state.highlighted);
  const threshold = data.threshold === null ? [] : [[data.threshold]];
  const returns = ends([...shown.map(({ curve }) => curve.mean), ...banded.flatMap(({ curve }) => curve.runs), ...threshold]);
  const bands = ends([returns, ...banded.flatMap(({ curve }) => [curve.low, curve.high])]);
  const most = 0.25 * (returns[1] - returns[0]);
  const [low, high] = [Math.max(bands[0], returns[0] - most), Math.min(bands[1], returns[1] + most)];
  const margin = 0.04 * (high - low || 1);
  return [low - margin, high + margin];
}

function drawCurves(width) {
  const shown = visible().filter((each) => each.curve && curveFactor(each, state.axis) !== null);
  if (!shown.length) return { caption: "No run has a learning curve yet." };
  const { soft } = theme();
  const shapes = data.threshold === null ? [] : [{
    type: "line", xref: "paper", x0: 0, x1: 1, y0: data.threshold, y1: data.threshold, line: { color: soft, dash: "dash", width: 1 },
  }];
  const coloured = state.colour === "contender" ? "" : `Colours show ${data.keys[Number(state.colour)].label}. `;
  const hasBands = shown.some(({ curve }) => finite(curve.low).length);
  return {
    traces: [...curveTraces(shown), ...outstanding()],
    layout: layout(width < NARROW ? 420 : 500, {
      shapes, legend: LEGEND, margin: { l: 62, r: 16, t: 70, b: 48 },
      xaxis: { title: { text: AXES[state.axis] }, range: [0, extent(shown.map((each) => each.curve.last * curveFactor(each, state.axis)))[1]] },
      yaxis: { title: { text: "return" }, range: curveRange(shown) },
    }),
    caption: `The mean return of ${shown.length} permutations during training, against ${AXES[state.axis]}. ${coloured}`
      + `The black or white line is the highlighted permutation, with ${hasBands ? "its 95 % interval as a band and " : ""}its repetitions as thin lines. `
      + "Point at a curve to see its permutation. Failed runs are left out of the means.",
  };
}

// Two keys together, and the repetitions.

/** A permutation's choices, or the parts of ranges where the sweep has ranges. */
const partsOf = (each) => each.parts ?? each.choices;

function drawHeat(width) {
  if (data.keys.length < 2) return { caption: "This chart needs two varied hyperparameters." };
  const [across, down] = [data.keys[state.across], data.keys[state.down]];
  const cells = down.parts.map((_, y) => across.parts.map((__, x) => finite(visible()
    .filter((each) => partsOf(each)[state.across] === x && partsOf(each)[state.down] === y)
    .map((each) => each.mean))));
  const means = cells.map((row) => row.map((values) => (values.length ? average(values) : null)));
  if (!finite(means.flat()).length) return { caption: "No permutation shown has a score yet." };
  const { soft, bad } = theme();
  const [low, high] = extent(finite(means.flat()));
  const scale = data.lessIsBetter ? [...VIRIDIS].reverse() : VIRIDIS;
  const ink = (value) => (value === null ? bad : inkOn(blend(scale, high > low ? (value - low) / (high - low) : 0.5)));
  const isLost = (x, y) => visible().some((each) => each.failed && partsOf(each)[state.across] === x && partsOf(each)[state.down] === y);
  const words = (value, x, y) => (value === null ? (isLost(x, y) ? "failed" : "") : score(value));
  const marks = means.flatMap((row, y) => row.map((value, x) => ({ value, x, y })));
  const labels = (key, most) => key.parts.map((choice) => inLines(choice, most, 12));
  const room = (width - 180) / across.parts.length;
  const places = (key) => key.parts.map((_, place) => place);
  const full = (key) => key.parts.map((choice) => inLines(choice, 60, 20));
  const [names, others] = [full(across), full(down)];
  return {
    traces: [{
      type: "heatmap", x: places(across), y: places(down), z: means, zmin: low, zmax: high,
      text: means.map((row) => row.map((value) => (value === null ? "" : score(value)))),
      customdata: cells.map((row, y) => row.map((values, x) => [values.length, names[x], others[y]])),
      hoverongaps: false, xgap: 2, ygap: 2, colorscale: scale.map((colour, place) => [place / (scale.length - 1), colour]),
      hovertemplate: `${plain(across.label)} = %{customdata[1]}<br>${plain(down.label)} = %{customdata[2]}<br>%{text}, the mean of %{customdata[0]} permutations<extra></extra>`,
      showscale: width >= NARROW,
      colorbar: { title: { text: plain(data.metric), side: "right" }, tickfont: { color: soft }, outlinewidth: 0, thickness: 14 },
    }, {
      type: "scatter", mode: "text", x: marks.map(({ x }) => x), y: marks.map(({ y }) => y), hoverinfo: "skip", showlegend: false,
      text: marks.map(({ value, x, y }) => words(value, x, y)), textfont: { size: 12, color: marks.map(({ value }) => ink(value)) },
    }],
    layout: layout(Math.min(900, 130 + 62 * down.parts.length), {
      xaxis: { tickvals: places(across), ticktext: byTurns(labels(across, Math.max(6, Math.floor(room / CHARACTER))), room), range: [-0.5, names.length - 0.5], title: { text: inLines(across.label, Math.floor(width / 9), 3) }, showgrid: false },
      yaxis: { tickvals: places(down), ticktext: labels(down, width < NARROW ? 10 : 24), range: [others.length - 0.5, -0.5], title: { text: inLines(down.label, 24, 3) }, showgrid: false },
    }),
    caption: `The ${data.meanMetric} of the permutations with each pair of choices of ${across.label} and ${down.label}. Gaps are pairs without a score; in those that say so, runs failed.`,
  };
}

const MOST_DRAWN = 1000; // of the best permutations, which keeps a browser fast

/** The best of the permutations shown that have a score. */
const scored = () => visible().filter((each) => each.mean !== null).slice(0, MOST_DRAWN);

const counted = (shown) => (shown.length < MOST_DRAWN ? shown.length : `the best ${MOST_DRAWN}`);

function drawRepetitions(width) {
  const shown = visible().filter((each) => each.mean !== null).slice(0, Number(state.count));
  if (!shown.length) return { caption: "No permutation shown has a score yet." };
  const { text, bad } = theme();
  const colours = palette(Array.from({ length: data.repetitions }, (_, place) => `repetition ${place}`));
  const symbols = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon"];
  const few = data.repetitions <= symbols.length;
  const seeds = Array.from({ length: data.repetitions }, (_, repetition) => ({
    type: "scatter", mode: "markers", name: `seed ${shown[0].runs[repetition]?.seed ?? repetition}`,
    x: shown.map((each) => each.runs[repetition]?.value ?? null), y: shown.map((_, at) => at),
    text: shown.map(description), hovertemplate: `%{text}<br>${plain(data.metric)} %{x:.4~g}, seed ${shown[0].runs[repetition]?.seed}<extra></extra>`,
    marker: { color: few ? colours[repetition] : colours[0], symbol: few ? symbols[repetition] : "circle", size: 8, opacity: 0.85 }, showlegend: few,
  }));
  const mean = {
    type: "scatter", mode: "markers", name: shown.some((each) => each.low !== null) ? "mean, 95 % interval" : "mean", x: shown.map((each) => each.mean), y: shown.map((_, at) => at), hoverinfo: "skip",
    marker: { symbol: "line-ns", size: 16, line: { width: 2.5, color: text } },
    error_x: {
      type: "data", symmetric: false, color: faint(text, 0.45), thickness: 4, width: 0,
      array: shown.map((each) => (each.high === null ? null : each.high - each.mean)),
      arrayminus: shown.map((each) => (each.low === null ? null : each.mean - each.low)),
    },
  };
  // A failed run counts as the worst score, so its mark is there.
  const [worst] = (data.lessIsBetter ? (ends) => [ends[1]] : (ends) => ends)(extent(finite(shown.flatMap((each) => each.runs.map((run) => run.value)))));
  const losses = shown.flatMap((each, at) => each.runs.filter((run) => run.error).map((run) => ({ at, words: `${description(each)}<br>${plain(run.state)}, seed ${run.seed}: ${inLines(run.error, 60, 3)}` })));
  const failures = losses.length ? [{
    type: "scatter", mode: "markers", name: "failed", x: losses.map(() => worst), y: losses.map(({ at }) => at),
    text: losses.map(({ words }) => words), hovertemplate: "%{text}<extra></extra>", marker: { symbol: "x-thin", size: 9, line: { width: 2, color: bad } },
  }] : [];
  const lost = (each) => (each.failed ? ` <span style="color:${bad}">${each.failed} failed</span>` : "");
  return {
    traces: [mean, ...seeds, ...failures],
    layout: layout(130 + 26 * shown.length, {
      legend: LEGEND, margin: { l: 60, r: 16, t: 60, b: 48 },
      xaxis: { title: { text: plain(data.metric) } },
      yaxis: { title: { text: "permutation" }, tickvals: shown.map((_, at) => at), ticktext: shown.map((each) => plain(each.name) + lost(each)), range: [shown.length - 0.4, -0.6] },
    }),
    caption: `The ${data.metric} of every repetition of ${shown.length === 1 ? "the permutation" : `the best ${shown.length} permutations`}, the best at the top. Each seed has the same mark in all rows.${failures.length ? " A cross is a failed run, which counts as the worst score; a run without a mark isn't done." : ""}`,
  };
}
