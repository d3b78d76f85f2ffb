// Scores against something else: what a run costs, and what describes it beside its return.

/** A chart with a mark for each permutation that has a score and a value, or null if none has. */
function scoresAgainst(value, title, word) {
  const shown = scored().filter((each) => value(each) !== null);
  if (!shown.length) return null;
  const { best, soft } = theme();
  const groups = [["others", soft, shown.filter((each) => !each.contender)], ["could be the best", best, shown.filter((each) => each.contender)]];
  return {
    shown,
    traces: groups.filter(([, , group]) => group.length).map(([name, colour, group]) => ({
      type: "scatter", mode: "markers", name, x: group.map(value), y: group.map((each) => each.mean),
      text: group.map(description), hovertemplate: `%{text}<br>${plain(data.metric)} %{y:.4~g}, ${plain(word)}<extra></extra>`,
      marker: { color: colour, size: 10, symbol: name === "others" ? "circle-open" : "circle", line: { width: 1.5 } },
    })),
    layout: layout(380, {
      legend: LEGEND, margin: { l: 62, r: 16, t: 40, b: 48 }, showlegend: data.decided,
      xaxis: { title: { text: plain(title) } }, yaxis: { title: { text: plain(data.metric) } },
    }),
  };
}

function drawPrice() {
  const [unit, seconds] = timeUnit;
  const value = (each) => (each.seconds === null ? null : each.seconds / seconds);
  const chart = scoresAgainst(value, `wall time of a run, ${unit}`, `%{x:.3~g} ${unit}`);
  if (!chart) return { caption: "No permutation shown has finished yet." };
  chart.layout.xaxis.rangemode = "tozero";
  return { ...chart, caption: `The ${data.metric} of ${counted(chart.shown)} permutations, against the wall time of one run.` };
}

function drawDiagnostic() {
  const place = Number(state.diagnostic);
  const name = data.diagnostics[place];
  const chart = name && scoresAgainst((each) => each.diagnostics[place], name, `${name}: %{x:.3~g}`);
  if (!chart) return { caption: "No run of the permutations shown has ended with diagnostics, such as the length of its episodes." };
  return { ...chart, caption: `The ${data.metric} of ${counted(chart.shown)} permutations, against ${name}: the mean over their runs in the last update.` };
}
