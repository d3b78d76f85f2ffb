// The ranked table: one row for each permutation, sortable by any column.

const ROWS = 200; // rows shown at first, so that the page of a large sweep opens quickly
const [axisLow, axisHigh] = extent(finite(permutations.flatMap((each) => (
  [each.low, each.high, ...each.runs.map((run) => run.value)]
))));

/** The columns: title, value to sort by, content of a cell; `best` is the direction from good to bad. */
function columns() {
  const some = (value) => permutations.some((each) => value(each) !== null);
  const keys = data.keys.map((key, place) => ({
    title: key.label,
    value: (each) => orderOf(key)[each.choices[place]],
    cell: (each) => key.choices[each.choices[place]],
    numeric: false,
  }));
  const confirmed = (each) => each.confirmed && each.confirmed[0];
  const all = [
    { title: "rank", value: (each) => each.rank, cell: rankCell, numeric: true },
    { title: "permutation", value: nameOrder, cell: nameCell },
    { title: data.metric, value: (each) => each.mean, cell: scoreCell, best: data.lessIsBetter ? 1 : -1 },
    { title: "95 % interval", value: (each) => each.low, cell: intervalCell, best: -1 },
    { title: "interval and repetitions", cell: barCell, kind: "bar" },
    ...keys,
    { title: "each repetition", cell: valuesCell, kind: "values" },
    { title: "probability of being best", value: (each) => each.probability, cell: (each) => percent(each.probability), best: -1, optional: true },
    { title: "at most behind", value: (each) => each.behind, cell: (each) => score(each.behind), best: 1, optional: true },
    { title: "on fresh seeds", value: confirmed, cell: confirmedCell, best: -1, optional: true },
    { title: "interquartile mean", value: (each) => each.interquartileMean, cell: (each) => score(each.interquartileMean), best: -1, optional: true },
    { title: "mean during training", value: (each) => each.area, cell: (each) => score(each.area), best: -1, optional: true },
    { title: `steps until ${number(data.threshold)}`, value: (each) => each.steps, cell: (each) => number(each.steps), best: 1, optional: true },
    { title: "wall time", value: (each) => each.seconds, cell: (each) => span(each.seconds), best: 1, optional: true },
    { title: "return when pruned", value: (each) => (each.pruned ? each.pruned[0] : null), cell: prunedCell, best: data.lessIsBetter ? 1 : -1, optional: true },
    { title: "failed runs", value: (each) => each.failed || null, cell: lostCell, best: 1, optional: true },
  ];
  return all.filter((column) => !column.optional || some(column.value));
}

/** The rank of each choice for sorting: numbers by size, others as listed. */
function orderOf(key) {
  const numbers = key.choices.map(Number);
  return numbers.every(Number.isFinite) ? ranks(numbers) : key.choices.map((_, place) => place);
}

function nameOrder(permutation) {
  const named = Number(permutation.name);
  return Number.isFinite(named) ? named : permutation.name;
}

function rankCell(permutation) {
  if (!permutation.contender) return String(permutation.rank);
  return element("span", {}, `${permutation.rank} `,
    element("span", { class: "mark", "aria-hidden": "true" }, "●"),
    element("span", { class: "hidden" }, "could be the best"));
}

function nameCell(permutation) {
  const button = element("button", {
    type: "button", "data-rank": permutation.rank, "aria-pressed": "false",
    title: "Highlight its learning curve",
  }, permutation.name);
  button.addEventListener("click", () => highlight(permutation.rank));
  const box = element("input", { type: "checkbox", "data-compare": permutation.name, "aria-label": `Compare permutation ${permutation.name}` });
  box.addEventListener("change", () => comparison.toggle(permutation.name, box.checked));
  return element("span", { class: "named" }, box, button);
}

function scoreCell(permutation) {
  return element("b", {}, score(permutation.mean));
}

function intervalCell(permutation) {
  if (permutation.low === null) return "–";
  const text = `${score(permutation.low)} to ${score(permutation.high)}`;
  if (!permutation.doubtful) return text;
  return element("span", {}, `${text} `, element("abbr", {
    class: "bad", title: "The repetitions disagree too much for the interval to be trusted",
  }, "?"));
}

function confirmedCell(permutation) {
  if (!permutation.confirmed) return "–";
  const [mean, low, high] = permutation.confirmed;
  return low === null ? score(mean) : `${score(mean)} (${score(low)} to ${score(high)})`;
}

function prunedCell(permutation) {
  if (!permutation.pruned) return "";
  const [mean, steps] = permutation.pruned;
  return `${score(mean)} at ${number(steps)}`;
}

function lostCell(permutation) {
  const text = permutation.failed ? `${permutation.failed} of ${permutation.runs.length}` : "0";
  return element("span", permutation.failed ? { class: "bad" } : {}, text);
}

function valuesCell(permutation) {
  const texts = permutation.runs.map((run) => {
    if (run.value !== null) return score(run.value);
    return run.error ? element("a", { class: "bad", href: "#failed", title: run.error }, run.state) : run.state;
  });
  return element("span", {}, ...texts.flatMap((text, place) => (place ? [", ", text] : [text])));
}

/** A key as content that may break behind its dots and underscores. */
const breakable = (label) => label.split(/(?<=[._])/).flatMap((part, at) => (at ? [element("wbr"), part] : [part]));

const shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** Draws the interval as a line and each repetition as a ring. */
function barCell(permutation) {
  const svg = drawn("svg", { viewBox: "0 0 176 27", "aria-hidden": "true" });
  const at = (value) => 6 + (164 * (value - axisLow)) / (axisHigh - axisLow || 1);
  const colour = permutation.contender ? "var(--best)" : "var(--soft)";
  if (permutation.low !== null) {
    const ends = { x1: at(permutation.low), x2: at(permutation.high), y1: 13.5, y2: 13.5 };
    svg.append(drawn("line", { ...ends, stroke: colour, "stroke-width": 5, "stroke-opacity": 0.4 }));
  }
  for (const run of permutation.runs.filter((each) => each.value !== null)) {
    svg.append(drawn("circle", { cx: at(run.value), cy: 13.5, r: 3.1, fill: "none", stroke: colour, "stroke-width": 1.2 }));
  }
  if (permutation.mean !== null) {
    const x = at(permutation.mean);
    svg.append(drawn("line", { x1: x, x2: x, y1: 5, y2: 22, stroke: "var(--text)", "stroke-width": 2 }));
  }
  return svg;
}

function drawn(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** The permutations shown as CSV, with the columns' names of `report.py --format=csv`. */
function csvOf(shown) {
  const titles = ["rank", "permutation", "score", "low", "high", "probability", "failed",
    ...data.keys.map((key) => key.label), ...Array.from({ length: data.repetitions }, (_, place) => `repetition_${place}`)];
  const rows = shown.map((each) => [each.rank, each.name, each.mean, each.low, each.high, each.probability, each.failed,
    ...data.keys.map((key, place) => key.choices[each.choices[place]]),
    ...Array.from({ length: data.repetitions }, (_, place) => each.runs[place]?.value)]);
  const cell = (value) => (/[",\r\n]/.test(value ?? "") ? `"${value.replaceAll('"', '""')}"` : value ?? "");
  return [titles, ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

const table = {
  root: document.getElementById("table"),
  more: document.getElementById("more"),
  columns: columns(),
  sorted: { place: 0, direction: 1 },
  most: ROWS,
  rows: new Map(),

  prepare() {
    this.root.tHead.append(element("tr", {}, ...this.columns.map((each, place) => this.header(each, place))));
    document.getElementById("csv").addEventListener("click", () => download(`${data.runId}.csv`, csvOf(this.found())));
    this.more.addEventListener("click", () => { this.most = Infinity; this.show(); });
    this.show();
  },

  header(column, place) {
    const classes = { scope: "col", class: this.isNumeric(column) ? "number" : column.kind };
    const title = breakable(column.title);
    if (!column.value) return element("th", classes, ...title);
    const button = element("button", { type: "button" }, ...title);
    button.addEventListener("click", () => this.sort(place));
    return element("th", { ...classes, "aria-sort": place ? "none" : "ascending" }, button);
  },

  isNumeric: (column) => column.numeric || column.best !== undefined,

  /** Sorts by a column, the good end first; a second call reverses the order. */
  sort(place) {
    const again = this.sorted.place === place;
    this.sortBy(place, again ? -this.sorted.direction : this.columns[place].best || 1);
  },

  sortBy(place, direction) {
    this.sorted = { place, direction };
    [...this.root.tHead.rows[0].cells].forEach((cell, at) => {
      if (!this.columns[at].value) return;
      const order = direction > 0 ? "ascending" : "descending";
      cell.setAttribute("aria-sort", at === place ? order : "none");
    });
    this.show();
  },

  /** The permutations that pass the filters, in the table's order. */
  found() {
    const { place, direction } = this.sorted;
    const value = this.columns[place].value;
    const compared = (a, b) => {
      const [first, second] = [value(a), value(b)];
      // Unknown values are last in both directions.
      if (first === null || second === null) return (first === null) - (second === null);
      return direction * (first > second ? 1 : first < second ? -1 : 0) || a.rank - b.rank;
    };
    return visible().sort(compared);
  },

  show() {
    const found = this.found();
    const rows = found.slice(0, this.most).map((each) => this.row(each));
    this.root.tBodies[0].replaceChildren(...rows);
    this.line(found.slice(0, this.most), rows);
    this.more.hidden = found.length <= this.most;
    this.more.textContent = `Show all ${found.length} permutations`;
  },

  /** Draws a line below those that could be the best, if they are above all others. */
  line(shown, rows) {
    const count = shown.filter((each) => each.contender).length;
    const separates = count > 0 && count < rows.length && shown.slice(0, count).every((each) => each.contender);
    rows.forEach((row, place) => row.classList.toggle("last", separates && place === count - 1));
    document.getElementById("marks").textContent = data.decided
      ? `● could be the best: the data can't tell it from the leader.${separates ? " The line is below them." : ""}`
      : "There are too few repetitions to tell permutations apart, so there is no line.";
  },

  row(permutation) {
    if (!this.rows.has(permutation.rank)) {
      const cells = this.columns.map((column) => element(
        "td", { class: this.isNumeric(column) ? "number" : column.kind }, column.cell(permutation),
      ));
      const row = element("tr", { class: permutation.contender ? "contender" : null }, ...cells);
      this.rows.set(permutation.rank, row);
    }
    return this.rows.get(permutation.rank);
  },

  press(rank) {
    for (const row of this.rows.values()) {
      const button = row.querySelector("button");
      button.setAttribute("aria-pressed", String(Number(button.dataset.rank) === rank));
    }
  },
};
