// Parallel coordinates. Plotly's own need a graphics card, and can't tell which line the mouse points at.

const SHADES = 10; // colours of lines, one trace each
const MOST_TICKS = 12; // at an axis; a range has as many values as there are permutations

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
  const ticks = data.keys.map((key) => key.choices.map((choice, at) => [inLines(choice, 14, 6), (at + 0.5) / key.choices.length])
    .filter((_, at) => at % Math.ceil(key.choices.length / MOST_TICKS) === 0));
  ticks.push([0, 0.25, 0.5, 0.75, 1].map((part) => [score(low + part * (high - low)), part]));
  const note = (x, y, more) => ({ x, y, showarrow: false, font: { color: text, size: 12 }, ...more });
  return {
    shapes: names.map((_, x) => ({ type: "line", x0: x, x1: x, y0: 0, y1: 1, line: { color: soft, width: 1.5 }, layer: "above" })),
    annotations: names.flatMap((name, x) => [
      note(x, 1.04, { text: `<b>${name}</b>`, yanchor: "bottom", xanchor: x === 0 ? "left" : x === names.length - 1 ? "right" : "center" }),
      ...ticks[x].map(([words, y]) => note(x, y, { text: words, xanchor: x === 0 ? "right" : "left", xshift: x === 0 ? -10 : 10, bgcolor: faint(ground, 0.8), borderpad: 1 })),
    ]),
  };
}

/** The permutations with a line, whether they pass the filters or not. */
const lined = () => permutations.filter((each) => each.mean !== null).slice(0, MOST_DRAWN);

/** The highlighted line. */
function outstandingPath() {
  const rank = state.hovered ?? state.highlighted;
  const one = lined().filter((each) => each.rank === rank && passes(each));
  return [paths(one, scoreRange, { line: { color: theme().text, width: 3 }, hoverinfo: "skip" })];
}

function drawParallel() {
  if (!lined().length || !data.keys.length) return { caption: "No permutation has a score yet." };
  const shown = lined().filter(passes);
  const others = lined().filter((each) => !passes(each));
  const [low, high] = scoreRange;
  const goodness = (each) => {
    const part = high > low ? (each.mean - low) / (high - low) : 1;
    return data.lessIsBetter ? 1 - part : part;
  };
  const { rule, dark } = theme();
  const scale = ORDERED[dark ? "dark" : "light"];
  const shades = Array.from({ length: SHADES }, (_, shade) => {
    const own = shown.filter((each) => Math.min(Math.floor(goodness(each) * SHADES), SHADES - 1) === shade);
    return paths(own, scoreRange, { line: { color: blend(scale, shade / (SHADES - 1)), width: 1.6 }, opacity: 0.8, hovertemplate: "%{text}<extra></extra>" });
  });
  return {
    traces: [paths(others, scoreRange, { line: { color: rule, width: 1 }, hoverinfo: "skip" }), ...shades, ...outstandingPath()],
    layout: layout(460, {
      showlegend: false, margin: { l: 100, r: 76, t: 76, b: 20 }, ...parallelAxes(scoreRange),
      xaxis: { range: [-0.02, data.keys.length + 0.02], visible: false, fixedrange: true },
      yaxis: { range: [-0.04, 1.04], visible: false, fixedrange: true },
    }),
    caption: `A line for each of ${counted(lined())} permutations, through its choices to its ${data.metric}, which gives its colour. `
      + (others.length ? `Grey lines don't pass the filters: ${filterWords().join("; ")}. ` : "")
      + "Point at a line to see its permutation. The strong line is the highlighted permutation.",
  };
}
