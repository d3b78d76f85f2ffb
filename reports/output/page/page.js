// The reader's choices, and the order in which parts of the page are drawn.

const byId = (id) => document.getElementById(id);

const state = {
  filters: data.keys.map(() => new Set()), // for each key, the choices shown; an empty set for all
  contendersOnly: false,
  highlighted: permutations.find((each) => each.curve)?.rank ?? null,
  hovered: null,
  axis: "steps",
  colour: "0",
  bands: "highlighted",
  across: "0",
  down: "1",
  count: "15",
};

/** The permutations that pass the filters, best first. */
function visible() {
  return permutations.filter((each) => (
    (!state.contendersOnly || each.contender)
    && state.filters.every((chosen, place) => !chosen.size || chosen.has(each.choices[place]))
  ));
}

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
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => refresh(...Object.keys(charts)));
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
}

/** Draws for paper, which is white and narrow, or for the screen again. */
function print(begins) {
  printing = begins;
  document.documentElement.toggleAttribute("data-print", begins);
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

function prepareFilters() {
  const filters = data.keys.map(filterOf);
  if (data.decided) {
    const box = element("input", { type: "checkbox", id: "contenders" });
    box.addEventListener("change", () => { state.contendersOnly = box.checked; filtered(); });
    filters.push(element("label", { class: "check" }, box, "only those that could be the best"));
  }
  byId("filters").append(...filters);
}

/** A key's filter: a box for each choice, in a list that opens; without a tick it shows all. */
function filterOf(key, place) {
  const chosen = state.filters[place];
  const summary = element("summary", {});
  const say = () => {
    const names = key.choices.filter((_, at) => chosen.has(at)).map((choice) => shortened(choice, 24));
    summary.textContent = `${key.label}: ${names.length > 3 ? `${names.length} of ${key.choices.length}` : names.join(" or ") || "all"}`;
  };
  const boxes = key.choices.map((choice, at) => {
    const box = element("input", { type: "checkbox", "data-key": `${key.label}=${choice}` });
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(at);
      else chosen.delete(at);
      say();
      filtered();
    });
    return element("label", { class: "check" }, box, choice);
  });
  say();
  return element("details", { class: "filter", "data-filter": key.label }, summary,
    element("div", { role: "group", "aria-label": `Choices of ${key.label}` }, ...boxes));
}

function filtered() {
  table.show();
  sayHowMany();
  refresh("curves", "heat", "parallel", "repetitions", "price");
}

function sayHowMany() {
  const [count, all] = [visible().length, permutations.length];
  byId("shown").textContent = count === all
    ? `Showing all ${all} permutations. Filters also apply to the charts below, except those of importance and of the mean of each choice.`
    : `Showing ${count} of ${all} permutations, also in the charts below, except those of importance and of the mean of each choice.`;
}

/** The keys, the most important first; the charts start with the first two. */
function mostImportant() {
  const total = data.importance?.total.length ? data.importance.total : data.importance?.main ?? [];
  const share = new Map(total.map((effect) => [effect.keys[0], effect.share ?? 0]));
  const order = data.keys.map((key, place) => [share.get(key.label) ?? 0, place]);
  return order.sort((a, b) => b[0] - a[0] || a[1] - b[1]).map(([, place]) => String(place));
}

function prepareControls() {
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
    button.addEventListener("change", () => { state.axis = button.value; refresh("curves"); });
  }
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
sayHowMany();
keepChoices();
document.documentElement.dataset.ready = performance.now().toFixed(0);
