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

const legend = (title, width) => ({
  orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom",
  title: { text: title && width >= NARROW ? `${plain(title)}  ` : "" },
});

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
  const title = state.colour === "contender" ? "" : data.keys[Number(state.colour)].label;
  const hasBands = shown.some(({ curve }) => finite(curve.low).length);
  return {
    traces: [...curveTraces(shown), ...outstanding()],
    layout: layout(width < NARROW ? 420 : 500, {
      shapes, legend: legend(title, width), margin: { l: 62, r: 16, t: 70, b: 48 },
      xaxis: { title: { text: AXES[state.axis] }, range: [0, extent(shown.map((each) => each.curve.last * curveFactor(each, state.axis)))[1]] },
      yaxis: { title: { text: "return" }, range: curveRange(shown) },
    }),
    caption: `The mean return of ${shown.length} permutations during training, against ${AXES[state.axis]}. `
      + `The black or white line is the highlighted permutation, with ${hasBands ? "its 95 % interval as a band and " : ""}its repetitions as thin lines. `
      + "Point at a curve to see its permutation. Failed runs are left out of the means.",
  };
}

// Effects.

/** The keys of an effect as text. */
const effectName = (effect) => effect.keys.map(plain).join(" × ");

function drawImportance(width) {
  const found = data.importance;
  if (!found) return { caption: "There is no estimate of the importance." };
  const { text, soft, accent } = theme();
  const totals = new Map(found.total.map((effect) => [effect.keys[0], effect]));
  const largest = (effect) => Math.max(effect.share ?? 0, totals.get(effect.keys[0])?.share ?? 0);
  const main = [...found.main].sort((a, b) => largest(b) - largest(a));
  const pairs = found.interactions.filter((effect) => effect.matters !== false && effect.share > 0.005)
    .sort((a, b) => b.share - a.share).slice(0, 5);
  const rows = [...main, ...pairs];
  const place = new Map(rows.map((effect, at) => [effect.keys.join("\n"), at]));
  const trace = (effects, name, shift, colour, symbol) => ({
    type: "scatter", mode: "markers", name,
    x: effects.map((effect) => percentage(effect.share)),
    y: effects.map((effect) => place.get(effect.keys.join("\n")) + shift),
    customdata: effects.map((effect) => [effectName(effect), rangeText(effect)]),
    hovertemplate: `%{customdata[0]}<br>${name}: %{x:.0f} %%{customdata[1]}<extra></extra>`,
    marker: { color: effects.map((effect) => (matters(effect) === false ? soft : colour)), size: 11, symbol, line: { width: symbol.endsWith("open") ? 2 : 0 } },
    error_x: {
      type: "data", symmetric: false, color: colour, thickness: 2, width: 0,
      array: effects.map((effect) => percentage(effect.high - effect.share)),
      arrayminus: effects.map((effect) => percentage(effect.share - effect.low)),
    },
  });
  const isNarrow = width < NARROW;
  const annotations = rows.map((effect, at) => ({
    xref: "paper", x: 0, xanchor: "left", y: at, yanchor: "bottom", yshift: 5, showarrow: false, align: "left",
    text: inLines(effect.keys.join(" × "), Math.floor(width / 9), 3)
      + (matters(effect) === false ? `${isNarrow ? "<br>" : " "}<span style="color:${soft}">(not shown beyond the noise)</span>` : ""),
    font: { color: text, size: 13 },
  }));
  const traces = [trace(rows, "by itself", 0, accent, "circle")];
  if (found.total.length) {
    const totalled = main.map((effect) => totals.get(effect.keys[0]));
    traces.push(trace(totalled, "with all its interactions", 0.22, text, "diamond-open"));
  }
  const unsure = found.method !== "analysis of variance" ? " A model of main effects estimated the shares, as the grid is incomplete." : "";
  return {
    traces,
    layout: layout(90 + (isNarrow ? 96 : 58) * rows.length, {
      annotations, legend: legend("", width), margin: { l: 12, r: 16, t: 40, b: 48 },
      xaxis: { title: { text: "share of the variance, %" }, range: [-2, 102] },
      yaxis: { range: [rows.length - 0.5, -0.75], visible: false },
    }),
    caption: `The share of each hyperparameter in the variance between permutations${intervals([...found.main, ...found.total])}. `
      + "Filters don't change this chart. "
      + rows.slice(0, 4).map((effect) => `${effect.keys.join(" × ")}: ${percent(effect.share)}`).join("; ") + "."
      + (found.noise === null ? "" : ` Seeds cause ${percent(found.noise)} of the variance of single runs.`) + unsure,
  };
}

/** The words of a caption that say whether there are intervals. */
const intervals = (shown) => (shown.some(({ low }) => low !== null) ? ", with 95 % intervals" : "");
const percentage = (value) => (value === null || Number.isNaN(value) ? null : 100 * value);
const rangeText = ({ low, high }) => (low === null ? "" : ` (${percent(low)} to ${percent(high)})`);

/** Whether an effect exceeds the noise; a key may do so by its interactions alone. */
function matters(effect) {
  if (effect.keys.length > 1) return effect.matters;
  return data.keys.find((key) => key.label === effect.keys[0])?.matters ?? null;
}

/** Where the choices of a key lie on its axis, and the axis: numbers by size, others side by side. */
function choiceAxis(key, width) {
  const words = key.parts.map((choice) => inLines(choice, Math.max(6, Math.floor(width / key.parts.length / 8)), 4));
  const places = key.parts.map((_, place) => place);
  const beside = { at: places, axis: { tickvals: places, ticktext: words, range: [-0.5, places.length - 0.5] } };
  if (!isNumeric(key.parts) || key.parts.length < 2) return beside;
  const at = key.parts.map(Number);
  const isLog = isLogarithmic(at);
  const [low, high] = extent(isLog ? at.map(Math.log10) : at);
  const margin = 0.12 * (high - low);
  const pixels = (value) => (width * ((isLog ? Math.log10(value) : value) - low)) / (1.24 * (high - low));
  const sorted = at.map((value, place) => [pixels(value), 4 * key.parts[place].length + 3]).sort((a, b) => a[0] - b[0]);
  // Where labels would lie on each other, as with 0.99 and 0.999, choices are side by side.
  if (sorted.some(([place, half], number) => number && place - half < sorted[number - 1][0] + sorted[number - 1][1])) return beside;
  return { at, axis: { type: isLog ? "log" : "linear", tickvals: at, ticktext: key.parts.map(plain), range: [low - margin, high + margin] } };
}

const lineCount = (text) => text.split("<br>").length;

function drawChoices(width) {
  const keys = data.keys.filter((key) => key.choiceScores.some(({ mean }) => mean !== null));
  if (!keys.length) return { caption: "No hyperparameter is varied, or no run has finished yet." };
  const { text, soft, accent } = theme();
  const across = Math.min(keys.length, Math.max(1, Math.min(4, Math.floor(width / 230))));
  const down = Math.ceil(keys.length / across);
  const wide = (width - 78) / across;
  const titles = keys.map((key) => `<b>${inLines(key.label, Math.floor(wide / 9), 4)}</b>${remark(key)}`);
  const axes = keys.map((key) => choiceAxis(key, wide));
  // Pixels of a row: title, plot, labels.
  const [above, plot] = [8 + 18 * Math.max(...titles.map(lineCount)), 160];
  const below = 12 + 18 * Math.max(...axes.flatMap(({ axis }) => axis.ticktext.map(lineCount)));
  const tall = down * (above + plot + below);
  const base = layout(tall + 10, { showlegend: false, margin: { l: 62, r: 16, t: 0, b: 10 } });
  const { xaxis, yaxis, ...result } = base;
  const annotations = [];
  const traces = keys.map((key, at) => {
    const [column, row] = [at % across, Math.floor(at / across)];
    const name = at ? String(at + 1) : "";
    const gap = 0.012;
    const columns = [column / across + (column ? gap : 0), (column + 1) / across - (column < across - 1 ? gap : 0)];
    const top = 1 - (row * (above + plot + below) + above) / tall;
    result[`xaxis${name}`] = { ...xaxis, ...axes[at].axis, tickangle: 0, domain: columns, anchor: `y${name}`, showgrid: false, fixedrange: true, automargin: false };
    result[`yaxis${name}`] = { ...yaxis, domain: [top - plot / tall, top], anchor: `x${name}`, matches: at ? "y" : undefined, showticklabels: column === 0, fixedrange: true, title: { ...yaxis.title, text: column === 0 ? plain(data.metric) : "" } };
    annotations.push({
      xref: `x${name} domain`, yref: `y${name} domain`, x: 0, y: 1, xanchor: "left", yanchor: "bottom", showarrow: false, align: "left",
      text: titles[at], font: { size: 13, color: text },
    });
    const colour = key.matters === false ? soft : accent;
    return {
      type: "scatter", mode: "lines+markers", x: axes[at].at, y: key.choiceScores.map(({ mean }) => mean),
      xaxis: `x${name}`, yaxis: `y${name}`, line: { color: colour, width: 2 }, marker: { size: 9, color: colour },
      error_y: {
        type: "data", symmetric: false, thickness: 1.5, width: 5, color: colour,
        array: key.choiceScores.map(({ mean, high }) => (high === null ? null : high - mean)),
        arrayminus: key.choiceScores.map(({ mean, low }) => (low === null ? null : mean - low)),
      },
      text: key.choices.map((choice) => inLines(choice, 60, 20)),
      customdata: key.choiceScores.map(({ low, high }) => (low === null ? "" : `<br>95 % interval ${score(low)} to ${score(high)}`)),
      hovertemplate: "%{text}: %{y:.4~g}%{customdata}<extra></extra>",
    };
  });
  return {
    traces, layout: { ...result, annotations },
    caption: `The ${data.meanMetric} of each choice, over all permutations with that choice${intervals(keys.flatMap((key) => key.choiceScores))}. All parts share one scale. `
      + "Filters don't change this chart.",
  };
}

function remark(key) {
  if (key.matters === false) return "<br>effect not shown";
  return key.edge ? `<br>the best is the ${key.edge} listed` : "";
}

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
  const places = means.flatMap((row, y) => row.map((value, x) => ({ value, x, y })));
  const ticks = (key, most) => ({ tickvals: key.parts.map((_, place) => place), ticktext: key.parts.map((choice) => inLines(choice, most, 4)) });
  const full = (key) => key.parts.map((choice) => inLines(choice, 60, 20));
  const [names, others] = [full(across), full(down)];
  return {
    traces: [{
      type: "heatmap", x: names.map((_, place) => place), y: others.map((_, place) => place), z: means, zmin: low, zmax: high,
      text: means.map((row) => row.map((value) => (value === null ? "" : score(value)))),
      customdata: cells.map((row, y) => row.map((values, x) => [values.length, names[x], others[y]])),
      hoverongaps: false, xgap: 2, ygap: 2, colorscale: scale.map((colour, place) => [place / (scale.length - 1), colour]),
      hovertemplate: `${plain(across.label)} = %{customdata[1]}<br>${plain(down.label)} = %{customdata[2]}<br>%{text}, the mean of %{customdata[0]} permutations<extra></extra>`,
      showscale: width >= NARROW,
      colorbar: { title: { text: plain(data.metric), side: "right" }, tickfont: { color: soft }, outlinewidth: 0, thickness: 14 },
    }, {
      type: "scatter", mode: "text", x: places.map(({ x }) => x), y: places.map(({ y }) => y), hoverinfo: "skip", showlegend: false,
      text: places.map(({ value, x, y }) => words(value, x, y)), textfont: { size: 12, color: places.map(({ value }) => ink(value)) },
    }],
    layout: layout(Math.min(900, 130 + 62 * down.parts.length), {
      xaxis: { ...ticks(across, Math.max(6, Math.floor((width - 180) / across.parts.length / 8))), range: [-0.5, names.length - 0.5], title: { text: inLines(across.label, Math.floor(width / 9), 3) }, showgrid: false },
      yaxis: { ...ticks(down, width < NARROW ? 10 : 24), range: [others.length - 0.5, -0.5], title: { text: inLines(down.label, 24, 3) }, showgrid: false },
    }),
    caption: `The ${data.meanMetric} of the permutations with each pair of choices of ${across.label} and ${down.label}. Gaps are pairs without a score; in those that say so, runs failed.`,
  };
}

// Parallel coordinates. Plotly's own need a graphics card, and can't tell which line the mouse points at.

const SHADES = 10; // colours of lines, one trace each
const MOST_TICKS = 12; // at an axis; a range has as many values as there are permutations
const MOST_DRAWN = 1000; // of the best permutations, which keeps a browser fast

/** The height of a permutation's line at each axis, from 0 to 1. */
function heights(permutation, [low, high]) {
  // Lines of the same choice lie slightly apart, the better the higher, so that none hides another.
  const shift = 0.5 * (0.5 - permutation.rank / (permutations.length + 1));
  const choices = data.keys.map((key, place) => (permutation.choices[place] + 0.5 + shift) / key.choices.length);
  return [...choices, high > low ? (permutation.mean - low) / (high - low) : 0.5];
}

/** The lines of permutations, curved so that they leave each axis at a right angle. */
function paths(shown, range, more) {
  const trace = { x: [], y: [], customdata: [], text: [], type: "scatter", mode: "lines", ...more };
  const parts = shown.length > 300 ? 4 : 12;
  for (const each of shown) {
    const [at, words] = [heights(each, range), `${description(each)}<br>${plain(data.metric)} ${score(each.mean)}`];
    for (let point = 0; point <= parts * (at.length - 1); point += 1) {
      const [start, part] = [Math.floor(point / parts), (point % parts) / parts];
      const end = Math.min(start + 1, at.length - 1);
      trace.x.push(point / parts);
      trace.y.push(at[start] + (at[end] - at[start]) * part * part * (3 - 2 * part));
      trace.customdata.push(each.rank);
      trace.text.push(words);
    }
    for (const values of [trace.x, trace.y, trace.customdata, trace.text]) values.push(null);
  }
  return trace;
}

/** The axes: lines with a name above and choices beside them. */
function parallelAxes([low, high]) {
  const { text, soft, ground } = theme();
  const names = [...data.keys.map((key) => inLines(key.label, 16, 3)), inLines(data.metric, 16, 3)];
  const ticks = data.keys.map((key) => key.choices.map((choice, at) => [inLines(choice, 14, 2), (at + 0.5) / key.choices.length])
    .filter((_, at) => at % Math.ceil(key.choices.length / MOST_TICKS) === 0));
  ticks.push([0, 0.25, 0.5, 0.75, 1].map((part) => [score(low + part * (high - low)), part]));
  const note = (x, y, more) => ({ x, y, showarrow: false, font: { color: text, size: 12 }, ...more });
  return {
    shapes: names.map((_, x) => ({ type: "line", x0: x, x1: x, y0: 0, y1: 1, line: { color: soft, width: 1.5 }, layer: "above" })),
    annotations: names.flatMap((name, x) => [
      note(x, 1.04, { text: `<b>${name}</b>`, yanchor: "bottom", xanchor: x === 0 ? "left" : x === names.length - 1 ? "right" : "center" }),
      ...ticks[x].map(([words, y]) => note(x, y, { text: words, xanchor: x === 0 ? "right" : "left", xshift: x === 0 ? -4 : 4, bgcolor: faint(ground, 0.8), borderpad: 1 })),
    ]),
  };
}

/** The best of the permutations shown that have a score. */
const scored = () => visible().filter((each) => each.mean !== null).slice(0, MOST_DRAWN);

const counted = (shown) => (shown.length < MOST_DRAWN ? shown.length : `the best ${MOST_DRAWN}`);

/** The highlighted line. */
function outstandingPath() {
  const rank = state.hovered ?? state.highlighted;
  const range = extent(scored().map((each) => each.mean));
  const one = scored().filter((each) => each.rank === rank);
  return [paths(one, range, { line: { color: theme().text, width: 3 }, hoverinfo: "skip" })];
}

function drawParallel() {
  const shown = scored();
  if (!shown.length || !data.keys.length) return { caption: "No permutation shown has a score yet." };
  const range = extent(shown.map((each) => each.mean));
  const goodness = (each) => {
    const part = range[1] > range[0] ? (each.mean - range[0]) / (range[1] - range[0]) : 1;
    return data.lessIsBetter ? 1 - part : part;
  };
  const scale = ORDERED[theme().dark ? "dark" : "light"];
  const shades = Array.from({ length: SHADES }, (_, shade) => {
    const own = shown.filter((each) => Math.min(Math.floor(goodness(each) * SHADES), SHADES - 1) === shade);
    return paths(own, range, { line: { color: blend(scale, shade / (SHADES - 1)), width: 1.6 }, opacity: 0.8, hovertemplate: "%{text}<extra></extra>" });
  });
  return {
    traces: [...shades, ...outstandingPath()],
    layout: layout(460, {
      showlegend: false, margin: { l: 100, r: 76, t: 76, b: 20 }, ...parallelAxes(range),
      xaxis: { range: [-0.02, data.keys.length + 0.02], visible: false, fixedrange: true },
      yaxis: { range: [-0.04, 1.04], visible: false, fixedrange: true },
    }),
    caption: `A line for each of ${counted(shown)} permutations, through its choices to its ${data.metric}, which gives its colour. `
      + "Point at a line to see its permutation. The strong line is the highlighted permutation.",
  };
}

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
      legend: legend("", width), margin: { l: 60, r: 16, t: 60, b: 48 },
      xaxis: { title: { text: plain(data.metric) } },
      yaxis: { title: { text: "permutation" }, tickvals: shown.map((_, at) => at), ticktext: shown.map((each) => plain(each.name) + lost(each)), range: [shown.length - 0.4, -0.6] },
    }),
    caption: `The ${data.metric} of every repetition of ${shown.length === 1 ? "the permutation" : `the best ${shown.length} permutations`}, the best at the top. Each seed has the same mark in all rows.${failures.length ? " A cross is a failed run, which counts as the worst score; a run without a mark isn't done." : ""}`,
  };
}

function drawPrice(width) {
  const shown = scored().filter((each) => each.seconds !== null);
  if (!shown.length) return { caption: "No permutation shown has finished yet." };
  const { best, soft } = theme();
  const groups = [["others", soft, shown.filter((each) => !each.contender)], ["could be the best", best, shown.filter((each) => each.contender)]];
  return {
    traces: groups.filter(([, , group]) => group.length).map(([name, colour, group]) => ({
      type: "scatter", mode: "markers", name, x: group.map((each) => each.seconds / timeUnit[1]), y: group.map((each) => each.mean),
      text: group.map(description), hovertemplate: `%{text}<br>${plain(data.metric)} %{y:.4~g}, %{x:.3~g} ${timeUnit[0]}<extra></extra>`,
      marker: { color: colour, size: 10, symbol: name === "others" ? "circle-open" : "circle", line: { width: 1.5 } },
    })),
    layout: layout(380, {
      legend: legend("", width), margin: { l: 62, r: 16, t: 40, b: 48 }, showlegend: data.decided,
      xaxis: { title: { text: `wall time of a run, ${timeUnit[0]}` }, rangemode: "tozero" }, yaxis: { title: { text: plain(data.metric) } },
    }),
    caption: `The ${data.metric} of ${counted(shown)} permutations, against the wall time of one run.`,
  };
}

const charts = {
  curves: drawCurves,
  importance: drawImportance,
  choices: drawChoices,
  heat: drawHeat,
  parallel: drawParallel,
  repetitions: drawRepetitions,
  price: drawPrice,
};
