// The reader's choices beside the filters, and the order in which parts of the page are drawn.

const charts = {
  together: drawTogether,
  curves: drawCurves,
  course: drawCourse,
  importance: drawImportance,
  choices: drawChoices,
  heat: drawHeat,
  parallel: drawParallel,
  repetitions: drawRepetitions,
  diagnostics: drawDiagnostic,
  price: drawPrice,
};

const byId = (id) => document.getElementById(id);

const state = {
  contendersOnly: false,
  highlighted: permutations.find((each) => each.curve)?.rank ?? null,
  hovered: null,
  axis: "steps",
  spent: "steps",
  colour: "0",
  bands: "highlighted",
  across: "0",
  down: "1",
  count: "15",
  diagnostic: "0",
};

function highlight(rank) {
  state.highlighted = rank;
  state.hovered = null;
  byId("highlight").value = String(rank);
  table.press(rank);
  refresh("curves", "parallel");
}

// Charts are drawn when they come near the screen or when the browser is idle, whichever is first.

const CONFIG = {
  displaylogo: false,
  displayModeBar: TOUCH ? false : "hover",
  // Named one by one, as Plotly's default has a button that sends the data to a server.
  modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
  plotlyServerURL: "",
};
const waiting = new Set(Object.keys(charts));
const near = new Set();
let printing = false;

function draw(name) {
  waiting.delete(name);
  const root = byId(name);
  const figure = root.closest("figure");
  root.hidden = false; // else it has no width
  const drawing = charts[name](printing ? 680 : root.clientWidth);
  const caption = figure.querySelector("figcaption");
  caption.textContent = drawing.caption;
  root.hidden = !drawing.traces;
  const tools = root.closest("section").querySelector("form");
  if (tools) tools.hidden = !drawing.traces;
  if (!drawing.traces) return;
  const layout = { ...drawing.layout, ...(printing && { width: 680 }) };
  root.setAttribute("role", "img");
  root.setAttribute("aria-label", drawing.caption);
  Plotly.react(root, drawing.traces, layout, CONFIG);
  if (["curves", "parallel"].includes(name)) followMouse(root);
  if (name === "parallel") brush.over(root);
}

/** Redraws charts, those near the screen at once. */
function refresh(...names) {
  for (const name of names) {
    waiting.add(name);
    if (near.has(name)) draw(name);
  }
  drawWhenIdle();
}

function drawWhenIdle() {
  if (!window.Plotly) return;
  const later = window.requestIdleCallback || ((call) => setTimeout(call, 50));
  const next = () => {
    const [name] = waiting;
    if (name) { draw(name); drawWhenIdle(); } else document.documentElement.dataset.drawn = "all";
  };
  later(next, { timeout: 1000 }); // ms; a busy machine may never be idle
}

/** Highlights the curve below the mouse, and the chosen curve when the mouse leaves. */
function followMouse(root) {
  if (root.dataset.followed) return;
  root.dataset.followed = "yes";
  let wanted = null;
  const show = (rank) => {
    wanted = rank;
    // Later, because redrawing within Plotly's event would trigger the next one.
    setTimeout(() => {
      if (wanted === state.hovered) return;
      state.hovered = wanted;
      bringOut(root);
    });
  };
  root.on("plotly_hover", (event) => show(event.points[0].customdata));
  root.addEventListener("mouseleave", () => show(null));
}

/** Starts drawing, once Plotly is loaded. */
function drawCharts() {
  watch();
  if (isServed) restorePlace();
  drawWhenIdle();
  follow();
}

function watch() {
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      near[isIntersecting ? "add" : "delete"](target.id);
      if (isIntersecting && waiting.has(target.id)) draw(target.id);
    }
  }, { rootMargin: "300px" });
  Object.keys(charts).forEach((name) => observer.observe(byId(name)));
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth !== width && !printing) refresh(...Object.keys(charts));
    width = window.innerWidth;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    comparison.show();
    refresh(...Object.keys(charts));
  });
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
}

/** Draws for paper, which is white and narrow, or for the screen again. */
function print(begins) {
  printing = begins;
  document.documentElement.toggleAttribute("data-print", begins);
  comparison.show();
  Object.keys(charts).forEach(draw);
}

// Controls.

function options(select, choices, chosen) {
  select.replaceChildren(...choices.map(([value, text, name]) => element("option", { value, "data-name": name }, text)));
  select.value = chosen;
}

function bind(id, names, changed = () => {}) {
  byId(id).addEventListener("change", () => {
    state[id] = byId(id).value;
    changed();
    refresh(...names);
  });
}

/** The keys, the most important first; the charts start with the first two. */
function mostImportant() {
  const total = data.importance?.total.length ? data.importance.total : data.importance?.main ?? [];
  const share = new Map(total.map((effect) => [effect.keys[0], effect.share ?? 0]));
  const order = data.keys.map((key, place) => [share.get(key.label) ?? 0, place]);
  return order.sort((a, b) => b[0] - a[0] || a[1] - b[1]).map(([, place]) => String(place));
}

function prepareControls() {
  byId("parallel").closest(".wide").style.minWidth = `${Math.max(44, 10 * (data.keys.length + 1))}rem`;
  const keys = data.keys.map((key, place) => [String(place), key.label]);
  const [first, second] = mostImportant();
  Object.assign(state, { colour: first ?? "contender", across: first, down: second });
  options(byId("colour"), [...keys, ["contender", "could be the best"]], state.colour);
  options(byId("across"), keys, state.across);
  options(byId("down"), keys, state.down);
  const curved = permutations.filter((each) => each.curve);
  byId("bands").closest("label").hidden = !curved.some(({ curve }) => finite(curve.low).length);
  const named = (each) => [String(each.rank), `${each.rank}: permutation ${each.name}`, `permutation ${each.name}`];
  options(byId("highlight"), curved.map(named), String(state.highlighted));
  byId("highlight").addEventListener("change", () => highlight(Number(byId("highlight").value)));
  for (const button of document.querySelectorAll("[name=axis]")) {
    button.disabled = !curved.some((each) => curveFactor(each, button.value) !== null);
    button.addEventListener("change", () => { state.axis = button.value; refresh("curves", "together"); });
  }
  for (const button of document.querySelectorAll("[name=spent]")) {
    button.addEventListener("change", () => { state.spent = button.value; refresh("course"); });
  }
  options(byId("diagnostic"), data.diagnostics.map((name, place) => [String(place), name]), state.diagnostic);
  bind("diagnostic", ["diagnostics"]);
  ["colour", "bands"].forEach((id) => bind(id, ["curves"]));
  // The same key across and down would show nothing, so the two swap.
  bind("across", ["heat"], () => swapped("across", "down"));
  bind("down", ["heat"], () => swapped("down", "across"));
  bind("count", ["repetitions"]);
  document.querySelectorAll("form").forEach((form) => form.addEventListener("submit", (event) => event.preventDefault()));
}

let pair = [];
function swapped(changed, other) {
  if (state[changed] === state[other]) {
    state[other] = pair[changed === "across" ? 0 : 1];
    byId(other).value = state[other];
  }
  pair = [state.across, state.down];
}

prepareFilters();
prepareControls();
pair = [state.across, state.down];
table.prepare();
table.press(state.highlighted);
comparison.prepare();
sayHowMany();
keepChoices();
document.documentElement.dataset.ready = performance.now().toFixed(0);
