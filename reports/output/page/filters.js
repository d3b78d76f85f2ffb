// Filters: the permutations that the table and the charts show. Each filter has controls in the form above
// the table, and an axis in the parallel coordinates, on which the reader selects a range.
//
// A filter has: `passes(permutation)`; `words()`, "" if it lets all pass; `root`, its controls; `slots`, the
// number of its axis's steps; `spans()`, what is selected as pairs of fractions of the axis;
// `select(low, high)`, which takes such fractions; `text(fraction, end)`, the value at an end of a selection.

/** The slot of an axis at a fraction; `end` is 0 for the lower end of a range and 1 for the upper one. */
function slotAt(fraction, end, slots) {
  const slot = end ? Math.ceil(fraction * slots - 1e-9) - 1 : Math.floor(fraction * slots + 1e-9);
  return Math.min(Math.max(slot, 0), slots - 1);
}

/** A limit as text. */
const brief = (limit) => String(Number(limit.toPrecision(6))).replace("-", "−");

/** A list of controls that opens below a filter's name and what it lets pass. */
function filterRoot(label, summary, controls) {
  return element("details", { class: "filter", "data-filter": label }, summary,
    element("div", { role: "group", "aria-label": `Filter of ${label}` }, ...controls));
}

function say(summary, label, range) {
  summary.textContent = `${label}: ${range}`;
  summary.classList.toggle("active", range !== "all");
}

/** A key's filter: a box for each choice; without a tick it lets all pass. */
function choiceFilter(key, place) {
  const [chosen, slots, summary] = [new Set(), key.choices.length, element("summary", {})];
  const names = (most) => key.choices.filter((_, at) => chosen.has(at)).map((choice) => shortened(choice, most)).join(" or ");
  const update = () => say(summary, key.label, chosen.size > 3 ? `${chosen.size} of ${slots}` : names(24) || "all");
  const boxes = key.choices.map((choice, at) => {
    const box = element("input", { type: "checkbox", "data-key": `${key.label}=${choice}` });
    box.addEventListener("change", () => {
      chosen[box.checked ? "add" : "delete"](at);
      update();
      filtered();
    });
    return box;
  });
  update();
  return {
    passes: (each) => !chosen.size || chosen.has(each.choices[place]),
    words: () => (chosen.size ? `${key.label} ${names(60)}` : ""),
    root: filterRoot(key.label, summary, boxes.map((box, at) => element("label", { class: "check" }, box, key.choices[at]))),
    slots,
    spans: () => [...chosen].map((at) => [at / slots, (at + 1) / slots]),
    select(low, high) {
      const [first, last] = [slotAt(low, 0, slots), slotAt(high, 1, slots)];
      const all = first === 0 && last === slots - 1;
      chosen.clear();
      boxes.forEach((box, at) => {
        box.checked = !all && first <= at && at <= Math.max(first, last);
        if (box.checked) chosen.add(at);
      });
      update();
    },
    text: (fraction, end) => key.choices[slotAt(fraction, end, slots)],
  };
}

/**
 * A filter of numbers: fields for the least and the greatest one; an empty field sets no limit.
 * `number(permutation)` is null where there is none; `axis` says where numbers lie.
 */
function numberFilter(label, number, axis) {
  const [limits, summary] = [[null, null], element("summary", {})];
  const words = () => {
    const [low, high] = limits.map((limit) => limit !== null && brief(limit));
    if (low && high) return `${low} to ${high}`;
    return (low && `at least ${low}`) || (high && `at most ${high}`) || "all";
  };
  const update = () => say(summary, label, words());
  const fields = ["from", "to"].map((name, end) => {
    const field = element("input", { type: "number", step: "any", "data-key": `${label} ${name}` });
    field.addEventListener("change", () => {
      limits[end] = field.value === "" ? null : Number(field.value);
      update();
      filtered();
    });
    return field;
  });
  const passes = (value) => value !== null && value >= (limits[0] ?? -Infinity) && value <= (limits[1] ?? Infinity);
  update();
  return {
    passes: (each) => words() === "all" || passes(number(each)),
    words: () => (words() === "all" ? "" : `${label} ${words()}`),
    root: filterRoot(label, summary, fields.map((field, end) => element("label", { class: "limit" }, ["from", "to"][end], field))),
    slots: axis.slots,
    spans: () => (words() === "all" ? [] : [limits.map((limit, end) => (limit === null ? end : axis.fraction(limit, end)))]),
    select(low, high) {
      [low, high].forEach((fraction, end) => {
        limits[end] = fraction === end ? null : axis.number(fraction, end);
        fields[end].value = limits[end] ?? "";
      });
      update();
    },
    text: (fraction, end) => brief(axis.number(fraction, end)),
  };
}

/** The axis of a key with values from a range: each value has a slot. */
function valueAxis(values) {
  const slots = values.length;
  return {
    slots,
    fraction: (limit, end) => values.filter((value) => (end ? value <= limit : value < limit)).length / slots,
    number: (fraction, end) => values[slotAt(fraction, end, slots)],
  };
}

/** The least and the greatest of the scores that have a line. */
const scoreRange = extent(finite(permutations.map((each) => each.mean)).slice(0, MOST_DRAWN));

/** The axis of the scores, from the least to the greatest. */
function scoreAxis() {
  const [low, high] = scoreRange;
  return {
    slots: 20,
    fraction: (limit) => Math.min(Math.max((limit - low) / (high - low), 0), 1),
    number: (fraction) => Number((low + fraction * (high - low)).toFixed(scoreDecimals)),
  };
}

/** Whether a key's values come from a range, so that there are many. */
const isRange = (key) => key.parts.length < key.choices.length;

/** The filters in the order of the axes: one for each key, and one for the score unless all are equal. */
const filters = (() => {
  const ofKeys = data.keys.map((key, place) => {
    if (!isRange(key)) return choiceFilter(key, place);
    const values = key.choices.map(Number);
    return numberFilter(key.label, (each) => values[each.choices[place]], valueAxis(values));
  });
  const [low, high] = scoreRange;
  return low < high ? [...ofKeys, numberFilter(data.metric, (each) => each.mean, scoreAxis())] : ofKeys;
})();

/** Whether a permutation passes all filters. */
const passes = (each) => (!state.contendersOnly || each.contender) && filters.every((filter) => filter.passes(each));

/** The permutations that pass the filters, best first. */
const visible = () => permutations.filter(passes);

/** What the filters let pass, in words; none if that is all. */
const filterWords = () => [
  ...filters.map((filter) => filter.words()).filter(Boolean),
  ...(state.contendersOnly ? ["those that could be the best"] : []),
];

function prepareFilters() {
  const form = byId("filters");
  form.append(...filters.map((filter) => filter.root));
  if (data.decided) {
    const box = element("input", { type: "checkbox", id: "contenders" });
    box.addEventListener("change", () => { state.contendersOnly = box.checked; filtered(); });
    form.append(element("label", { class: "check" }, box, "only those that could be the best"));
  }
  document.querySelectorAll("button.clear").forEach((button) => button.addEventListener("click", clearFilters));
}

function clearFilters() {
  filters.forEach((filter) => filter.select(0, 1));
  state.contendersOnly = false;
  if (data.decided) byId("contenders").checked = false;
  filtered();
}

/** Shows what the filters let pass, everywhere. */
function filtered() {
  table.show();
  sayHowMany();
  brush.update();
  refresh("curves", "course", "importance", "choices", "heat", "parallel", "repetitions", "diagnostics", "price");
}

function sayHowMany() {
  const [count, all, words] = [visible().length, permutations.length, filterWords()];
  byId("shown").textContent = words.length
    ? `Showing ${count} of ${all} permutations, also in the charts below: ${words.join("; ")}.`
    : `Showing all ${all} permutations. Filters also apply to the charts below.`;
  document.querySelectorAll("button.clear").forEach((button) => { button.hidden = !words.length; });
}
