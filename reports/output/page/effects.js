// Effects of hyperparameters: charts of their importance, and of the mean of each choice. Without filters they
// show the numbers of the sweep's answer, else those of the permutations shown, without intervals.

/** The keys of an effect as text. */
const effectName = (effect) => effect.keys.map(plain).join(" × ");

/** The choices of a key that occur among permutations, by their places. */
const choicesAmong = (shown, place) => [...new Set(shown.map((each) => each.choices[place]))];

/** Each combination of choices once, as a list may name a choice twice. */
const distinct = (shown) => [...new Map(shown.map((each) => [each.choices.join(), each])).values()];

/**
 * The importance in some permutations, by analysis of variance as in `reports/statistics/importance.py`:
 * shares in the variance between permutations, from which the noise is subtracted. Returns the reason as a
 * text where there is none.
 */
function importanceOf(shown) {
  const cells = distinct(shown).map(({ choices, runs }) => ({ choices, values: runs.map((run) => run.value ?? run.counted ?? null) }));
  const places = data.keys.map((_, place) => place).filter((place) => choicesAmong(cells, place).length > 1);
  if (!places.length) return "Among the permutations shown, no hyperparameter has several choices.";
  if (places.length === 1) return `Among the permutations shown, only ${data.keys[places[0]].label} has several choices.`;
  if (cells.length < places.reduce((size, place) => size * choicesAmong(cells, place).length, 1)) {
    return "The permutations shown aren't all combinations of their choices, so their hyperparameters' shares can't be told apart.";
  }
  if (cells.some(({ values }) => values.length < data.repetitions || values.includes(null))) {
    return "Some runs of the permutations shown have no score, so their hyperparameters' shares aren't computed.";
  }
  const found = decomposed(cells, places);
  const effects = (all, more) => all.map(([own, share]) => (
    { keys: own.map((place) => data.keys[place].label), share, low: null, high: null, matters: null, ...more }
  ));
  return { method: "analysis of variance", main: effects(found.main), total: effects(found.total), interactions: effects(found.pairs), noise: found.noise };
}

/** The shares of a complete grid's effects, each with the places of its keys; null where all is noise. */
function decomposed(cells, places) {
  const [count, repetitions] = [cells.length, cells[0].values.length];
  const means = cells.map(({ values }) => average(values));
  const grand = average(means);
  const seeds = cells[0].values.map((_, at) => average(cells.map(({ values }) => values[at])) - grand);
  const freedom = (count - 1) * (repetitions - 1);
  const residual = cells.reduce((sum, { values }, cell) => (
    sum + values.reduce((own, value, at) => own + (value - means[cell] - seeds[at]) ** 2, 0)
  ), 0);
  const noise = freedom ? residual / freedom : 0;
  const size = (place) => choicesAmong(cells, place).length;
  /** The average over the cells that have the same choices at some places, for each cell. */
  const averages = (same) => {
    const names = cells.map(({ choices }) => same.map((place) => choices[place]).join());
    const groups = new Map(names.map((name) => [name, []]));
    names.forEach((name, cell) => groups.get(name).push(means[cell]));
    groups.forEach((group, name) => groups.set(name, average(group)));
    return names.map((name) => groups.get(name));
  };
  /** The variance of an effect, with the degrees of freedom by which noise adds to it. */
  const variance = (effect, degrees) => (effect.reduce((sum, value) => sum + value ** 2, 0) - (degrees * noise) / repetitions) / count;
  const signal = variance(means.map((mean) => mean - grand), count - 1);
  const share = (own, effect, degrees) => [own, signal > 0 ? Math.min(Math.max(variance(effect, degrees) / signal, 0), 1) : null];
  const single = new Map(places.map((place) => [place, averages([place])]));
  return {
    main: places.map((place) => share([place], single.get(place).map((mean) => mean - grand), size(place) - 1)),
    total: places.map((place) => {
      const others = averages(places.filter((each) => each !== place));
      return share([place], means.map((mean, cell) => mean - others[cell]), count - count / size(place));
    }),
    pairs: places.flatMap((one, at) => places.slice(at + 1).map((other) => {
      const [ones, others] = [single.get(one), single.get(other)];
      const effect = averages([one, other]).map((mean, cell) => mean - ones[cell] - others[cell] + grand);
      return share([one, other], effect, (size(one) - 1) * (size(other) - 1));
    })),
    noise: freedom && signal + noise > 0 ? noise / (noise + Math.max(signal, 0)) : null,
  };
}

/** The keys with several choices among the permutations shown, with the plain means of those choices. */
function keysShown() {
  const shown = distinct(visible()).filter((each) => each.mean !== null);
  return data.keys.map((key, place) => ({
    ...key,
    choiceScores: key.parts.map((_, at) => {
      const own = shown.filter((each) => partsOf(each)[place] === at).map((each) => each.mean);
      return { mean: own.length ? average(own) : null, low: null, high: null };
    }),
  })).filter((key) => key.choiceScores.filter(({ mean }) => mean !== null).length > 1);
}

/** A remark on charts that follow the filters. */
function partly() {
  const left = data.keys.filter((_, place) => choicesAmong(visible(), place).length === 1).map((key) => key.label);
  return `Without filters, this chart also shows 95 % intervals. ${left.length ? `One choice is left of ${left.join(" and ")}. ` : ""}`;
}

function drawImportance(width) {
  const isFiltered = filterWords().length > 0;
  const found = isFiltered ? importanceOf(visible()) : data.importance;
  if (!found) return { caption: "There is no estimate of the importance." };
  if (typeof found === "string") return { caption: `${found} Without filters, this chart shows the importance in all permutations.` };
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
      array: effects.map(({ share, high }) => (high === null ? null : percentage(high - share))),
      arrayminus: effects.map(({ share, low }) => (low === null ? null : percentage(share - low))),
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
      annotations, legend: LEGEND, margin: { l: 12, r: 16, t: 40, b: 48 },
      xaxis: { title: { text: "share of the variance, %" }, range: [-2, 102] },
      yaxis: { range: [rows.length - 0.5, -0.75], visible: false },
    }),
    caption: `The share of each hyperparameter in the variance between ${isFiltered ? `the ${visible().length} permutations shown` : "permutations"}${intervals([...found.main, ...found.total])}. `
      + (isFiltered ? partly() : "")
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
  if (effect.keys.length > 1 || filterWords().length) return effect.matters;
  return data.keys.find((key) => key.label === effect.keys[0])?.matters ?? null;
}

/** Where the choices of a key lie on its axis, and the axis: numbers by size, others side by side. */
function choiceAxis(key, width) {
  const room = width / key.parts.length;
  const words = byTurns(key.parts.map((choice) => inLines(choice, Math.max(6, Math.floor(room / CHARACTER)), 8)), room);
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
  const isFiltered = filterWords().length > 0;
  const keys = (isFiltered ? keysShown() : data.keys).filter((key) => key.choiceScores.some(({ mean }) => mean !== null));
  if (!keys.length && isFiltered) return { caption: "Among the permutations shown, no hyperparameter has several choices with a score." };
  if (!keys.length) return { caption: "No hyperparameter is varied, or no run has finished yet." };
  const { text, soft, accent } = theme();
  const across = Math.min(keys.length, Math.max(1, Math.min(4, Math.floor(width / 230))));
  const down = Math.ceil(keys.length / across);
  const wide = (width - 78) / across;
  const titles = keys.map((key) => `<b>${inLines(key.label, Math.floor(wide / 9), 4)}</b>${isFiltered ? "" : remark(key)}`);
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
    const colour = key.matters === false && !isFiltered ? soft : accent;
    return {
      type: "scatter", mode: "lines+markers", x: axes[at].at, y: key.choiceScores.map(({ mean }) => mean),
      xaxis: `x${name}`, yaxis: `y${name}`, line: { color: colour, width: 2 }, marker: { size: 9, color: colour },
      error_y: {
        type: "data", symmetric: false, thickness: 1.5, width: 5, color: colour,
        array: key.choiceScores.map(({ mean, high }) => (high === null ? null : high - mean)),
        arrayminus: key.choiceScores.map(({ mean, low }) => (low === null ? null : mean - low)),
      },
      text: key.parts.map((choice) => inLines(choice, 60, 20)),
      customdata: key.choiceScores.map(({ low, high }) => (low === null ? "" : `<br>95 % interval ${score(low)} to ${score(high)}`)),
      hovertemplate: "%{text}: %{y:.4~g}%{customdata}<extra></extra>",
    };
  });
  return {
    traces, layout: { ...result, annotations },
    caption: `The ${data.meanMetric} of each choice, over all permutations ${isFiltered ? "shown " : ""}with that choice${intervals(keys.flatMap((key) => key.choiceScores))}. All parts share one scale. `
      + (isFiltered ? partly() : ""),
  };
}

function remark(key) {
  if (key.matters === false) return "<br>effect not shown";
  return key.edge ? `<br>the best is the ${key.edge} listed` : "";
}
