// Keeps the reader's choices when a served page reloads, and follows a sweep while it runs.

const MEMORY = `ppo-grid ${data.runId}`; // in the tab's storage
const QUIET = 3000; // milliseconds since the reader's last touch, after which a reload disturbs nobody
let lastTouch = -QUIET;
const initial = new Map();

/** The controls with a choice; of radio buttons, the one that is chosen. */
const controls = () => [...document.querySelectorAll("form select, form input")]
  .filter((each) => each.type !== "radio" || each.checked);

const keyOf = (control) => control.dataset.key ?? (control.id || control.name);

/** A control's choice, by a name that stays the same when ranks and orders change. */
function choiceOf(control) {
  if (control.type === "checkbox") return String(control.checked);
  if (control.type === "radio" || control.type === "number") return control.value;
  return optionName(control.selectedOptions[0]);
}

const optionName = (option) => option?.dataset.name ?? option?.text ?? "";

const nameOfDetails = (details) => details.dataset.filter ?? details.id;

/** Notes what the controls show before the reader changes anything, so that only changes are kept. */
function noteInitial() {
  controls().forEach((each) => initial.set(keyOf(each), choiceOf(each)));
}

function remember() {
  const changed = controls().filter((each) => choiceOf(each) !== initial.get(keyOf(each)));
  const { place, direction } = table.sorted;
  sessionStorage.setItem(MEMORY, JSON.stringify({
    choices: changed.map((each) => [keyOf(each), choiceOf(each)]),
    sorted: { title: table.columns[place].title, direction },
    all: table.most === Infinity,
    compared: comparison.names,
    open: [...document.querySelectorAll("details[open]")].map(nameOfDetails),
    scroll: window.scrollY,
  }));
}

function choose(key, choice) {
  const radio = document.querySelector(`form input[type=radio][name="${CSS.escape(key)}"][value="${CSS.escape(choice)}"]`);
  const control = radio ?? controls().find((each) => keyOf(each) === key);
  if (!control) return;
  if (radio) radio.checked = true;
  else if (control.type === "checkbox") control.checked = choice === "true";
  else if (control.type === "number") control.value = choice;
  else {
    const option = [...control.options].find((each) => optionName(each) === choice);
    if (!option) return;
    control.value = option.value;
  }
  control.dispatchEvent(new Event("change"));
}

/** Restores what `remember` kept, except the place of the window, which needs the charts. */
function restore() {
  const kept = JSON.parse(sessionStorage.getItem(MEMORY) ?? "null");
  if (!kept) return;
  kept.choices.forEach(([key, choice]) => choose(key, choice));
  if (kept.all) table.most = Infinity;
  const place = table.columns.findIndex((each) => each.title === kept.sorted.title);
  if (place > 0 || kept.sorted.direction < 0) table.sortBy(Math.max(place, 0), kept.sorted.direction);
  comparison.choose(kept.compared);
  document.querySelectorAll("details").forEach((each) => { each.open = kept.open.includes(nameOfDetails(each)); });
}

/** Scrolls to where the reader was, once all charts above have their heights. */
function restorePlace() {
  const kept = JSON.parse(sessionStorage.getItem(MEMORY) ?? "null");
  if (!kept?.scroll) return;
  Object.keys(charts).forEach(draw);
  window.scrollTo({ top: kept.scroll, behavior: "instant" });
}

const isServed = location.protocol.startsWith("http");

/** Keeps the reader's choices for the next load; a page in a file starts afresh. */
function keepChoices() {
  noteInitial();
  if (!isServed) return;
  history.scrollRestoration = "manual";
  restore();
  window.addEventListener("pagehide", remember);
}

/** Reloads the page when the sweep has something new; says so if the server has stopped. */
function follow() {
  const { refresh: seconds, version } = document.documentElement.dataset;
  if (!isServed || !seconds) return;
  ["pointerdown", "keydown"].forEach((name) => window.addEventListener(name, () => { lastTouch = performance.now(); }));
  const since = new Date().toLocaleTimeString();
  const say = (text, isBad) => {
    const said = document.getElementById("live");
    said.classList.toggle("bad", isBad);
    if (said.textContent !== text) said.textContent = text;
  };
  const runs = `The sweep is running. This page updates itself every ${seconds} s.`;
  const look = async () => {
    const answer = await fetch("/version", { cache: "no-store" }).catch(() => null);
    if (!answer) say(`The server has stopped, so this page shows the sweep as of ${since}. It updates once report.py --watch runs again.`, true);
    else if (!answer.ok) say(`The sweep can't be read now, so this page shows it as of ${since}.`, true);
    else {
      say(runs, false);
      if (await answer.text() !== version && performance.now() - lastTouch > QUIET) location.reload();
    }
  };
  say(runs, false);
  setInterval(look, 1000 * Number(seconds));
}
