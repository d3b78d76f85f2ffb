// The course of a sweep: its best mean score after each run that ended, and what was lost on the way.

/** The place of a time, a pair of ended runs and of their steps, on the axis that the reader chose. */
const spentAt = ([runs, steps]) => (state.spent === "runs" ? runs : steps);

/** A step line of the leader's score, up to the last run that ended. */
function leaderTrace({ moments }, end) {
  const { text } = theme();
  const last = moments.at(-1);
  const points = [...moments, { ...last, time: end }];
  return {
    type: "scatter", mode: "lines", name: "the best so far", line: { shape: "hv", width: 2.5, color: text },
    x: points.map(({ time }) => spentAt(time)), y: points.map((each) => each.score),
    text: points.map((each) => `Permutation ${plain(each.name)} led`),
    hovertemplate: `%{text}: ${plain(data.metric)} %{y:.4~g}<extra></extra>`,
  };
}

/** Permutations at the times when their last runs ended. */
function endedTrace(shown) {
  const { best, soft } = theme();
  return {
    type: "scatter", mode: "markers", name: data.history.isSearch ? "trial" : "permutation",
    x: shown.map((each) => spentAt(each.ended)), y: shown.map((each) => each.mean),
    text: shown.map(description), hovertemplate: `%{text}<br>${plain(data.metric)} %{y:.4~g}<extra></extra>`,
    marker: { symbol: "circle-open", size: 8, color: shown.map((each) => (each.contender ? best : soft)), line: { width: 1.5 } },
  };
}

/** Runs that were lost, as marks at the bottom of the chart. */
function lostTraces({ lost }, bottom) {
  const { bad, soft } = theme();
  const kinds = [
    ["pruned", "triangle-down", soft, lost.filter((each) => each.state === "pruned")],
    ["failed", "x-thin", bad, lost.filter((each) => each.state !== "pruned")],
  ];
  return kinds.filter(([, , , runs]) => runs.length).map(([name, symbol, color, runs]) => ({
    type: "scatter", mode: "markers", name, x: runs.map(({ time }) => spentAt(time)), y: runs.map(() => bottom),
    text: runs.map((each) => `Permutation ${plain(each.name)}, repetition ${each.repetition}: ${each.state}`), hovertemplate: "%{text}<extra></extra>",
    marker: { symbol, size: 8, color, line: { width: 2, color } },
  }));
}

const cutText = ({ kind, at, leftBehind }) => (
  kind === "rung" ? `${leftBehind} pruned after ${at} updates` : `${leftBehind} left out after ${at} repetitions`
);

/** Numbers above the lines of cuts; where lines are close, one label has the numbers of several. */
function cutLabels(cuts, pixels) {
  const groups = [];
  cuts.forEach(({ time }, at) => {
    const last = groups.at(-1);
    if (last && (spentAt(time) - last.x) * pixels < 16 * last.numbers.length) last.numbers.push(at + 1);
    else groups.push({ x: spentAt(time), numbers: [at + 1] });
  });
  return groups.map(({ x, numbers }) => ({
    x, yref: "paper", y: 1, xanchor: "left", yanchor: "bottom", xshift: -4, showarrow: false, text: numbers.join(", "), font: { color: theme().text, size: 12 },
  }));
}

function drawCourse(width) {
  const found = data.history;
  if (!found.moments.length) return { caption: "No run has ended with a score yet." };
  const { soft } = theme();
  const shown = visible().filter((each) => each.ended && each.mean !== null);
  const times = [...found.moments, ...found.lost].map(({ time }) => time).concat(shown.map((each) => each.ended));
  const end = times.reduce((latest, time) => (time[0] > latest[0] ? time : latest));
  const [low, high] = extent([...found.moments.map((each) => each.score), ...shown.map((each) => each.mean)]);
  const [bottom, margin] = [low - 0.08 * (high - low || 1), 0.06 * (high - low || 1)];
  const names = { steps: "environment steps", runs: "runs that ended" };
  const many = found.runs > found.moments.length ? ` The line is drawn at ${found.moments.length} of ${found.runs} runs that ended.` : "";
  return {
    traces: [endedTrace(shown), leaderTrace(found, end), ...lostTraces(found, bottom)],
    layout: layout(width < NARROW ? 380 : 420, {
      legend: { ...LEGEND, y: 1.08 }, margin: { l: 62, r: 16, t: 80, b: 48 },
      shapes: found.cuts.map(({ time }) => ({ type: "line", x0: spentAt(time), x1: spentAt(time), yref: "paper", y0: 0, y1: 1, line: { color: soft, dash: "dot", width: 1.5 } })),
      annotations: cutLabels(found.cuts, (width - 78) / spentAt(end)),
      xaxis: { title: { text: names[state.spent] }, range: [0, 1.02 * spentAt(end)] },
      yaxis: { title: { text: plain(data.metric) }, range: [bottom - margin, high + margin] },
    }),
    caption: `The ${data.meanMetric} of the permutation that led after each run that ended, as a line. It falls where more repetitions show that the leader was lucky. `
      + `A ring is a ${found.isSearch ? "trial" : "permutation"} at the end of its last run; filters hide rings, but the line is that of the whole sweep.`
      + (found.cuts.length ? ` Dotted lines: ${found.cuts.map((cut, at) => `${at + 1}: ${cutText(cut)}`).join("; ")}.` : "") + many,
  };
}
