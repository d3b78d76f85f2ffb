// Colours, numbers and texts for all parts of the page.

const data = JSON.parse(document.getElementById("data").textContent);
const permutations = data.permutations;
permutations.forEach((each, place) => { each.rank = place + 1; });

/** The current colours of the style sheet, for charts, which can't read its variables. */
function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const names = ["ground", "raised", "text", "soft", "rule", "accent", "best", "bad"];
  return {
    ...Object.fromEntries(names.map((name) => [name, colour(name)])),
    dark: style.colorScheme === "dark",
  };
}

// Okabe and Ito's colours, which colour-blind readers can tell apart, without those too pale here.
const DISTINCT = {
  light: ["#0072b2", "#d55e00", "#009e73", "#a8558a", "#8a6d00", "#1b1f23", "#3a92c4", "#7f7f7f"],
  dark: ["#56b4e9", "#e69f00", "#2fc296", "#d98cb8", "#f0e442", "#e7e9ea", "#ff8a4c", "#9aa3ab"],
};
// Viridis without the end that is too close to the background.
const ORDERED = {
  light: ["#440154", "#414487", "#2a788e", "#22a884", "#6aae2c"],
  dark: ["#9a94f0", "#3a9dbb", "#2fb98f", "#8fd744", "#fde725"],
};

const VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];

/** A colour for each choice of a key: along a scale for numbers, else as distinct as possible. */
function palette(choices) {
  const mode = theme().dark ? "dark" : "light";
  const numeric = isNumeric(choices);
  if (choices.length <= 2 || (!numeric && choices.length <= DISTINCT[mode].length)) {
    return choices.map((_, place) => DISTINCT[mode][place]);
  }
  const order = numeric ? ranks(choices.map(Number)) : choices.map((_, place) => place);
  return order.map((place) => blend(ORDERED[mode], place / (choices.length - 1)));
}

function ranks(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return values.map((value) => sorted.indexOf(value));
}

/** The colour at a fraction of a scale. */
function blend(scale, part) {
  const at = part * (scale.length - 1);
  const start = Math.min(Math.floor(at), scale.length - 2);
  const channel = (colour, place) => parseInt(colour.slice(1 + 2 * place, 3 + 2 * place), 16);
  const mixed = [0, 1, 2].map((place) => {
    const [from, to] = [channel(scale[start], place), channel(scale[start + 1], place)];
    return Math.round(from + (to - from) * (at - start)).toString(16).padStart(2, "0");
  });
  return `#${mixed.join("")}`;
}

/** A translucent colour. */
function faint(colour, opacity) {
  return colour + Math.round(opacity * 255).toString(16).padStart(2, "0");
}

const finite = (values) => values.filter((value) => value !== null && value !== undefined);
const average = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const extent = (values) => [
  values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), -Infinity),
];

const scoreDecimals = (() => {
  const [low, high] = extent(finite(permutations.map((each) => each.mean)));
  const digits = high > low ? 2 - Math.floor(Math.log10(high - low)) : 2;
  return Math.min(Math.max(digits, 0), 6);
})();

/** A score as text; all have the same decimals, so that columns line up. */
function score(value) {
  if (value === null || value === undefined) return "–";
  const format = { minimumFractionDigits: scoreDecimals, maximumFractionDigits: scoreDecimals };
  return value.toLocaleString("en", format).replace("-", "−");
}

/** Any other number as text, with three significant digits. */
function number(value) {
  if (value === null || value === undefined) return "–";
  const format = Math.abs(value) >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 };
  return value.toLocaleString("en", format).replace("-", "−");
}

function percent(value) {
  if (value === null || value === undefined) return "–";
  return value > 0 && value < 0.01 ? "<\u00a01\u00a0%" : `${Math.round(100 * value)}\u00a0%`;
}

/** The unit of wall times on axes: its name and its seconds. */
const timeUnit = (() => {
  const [, longest] = extent(finite(permutations.map((each) => each.seconds)));
  if (longest < 180) return ["seconds", 1];
  return longest < 3 * 3600 ? ["minutes", 60] : ["hours", 3600];
})();

function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 9.95) return `${Number(seconds.toPrecision(2))} s`;
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const parts = units.map(([unit, size], place) => {
    const larger = place ? units[place - 1][1] : Infinity;
    return [Math.floor((Math.round(seconds) % larger) / size), unit];
  });
  return parts.filter(([count]) => count).slice(0, 2).map((part) => part.join(" ")).join(" ");
}

/** A text that Plotly, which reads some HTML, shows literally. */
function plain(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** The lines of a text, broken behind dots, underscores, commas and spaces if possible; the last ends with … if cut. */
function linesOf(text, width, most) {
  const lines = [""];
  const parts = String(text).split(/(?<=[._,\s])(?!\d)/).flatMap((word) => word.match(new RegExp(`.{1,${width}}`, "gs")) ?? []);
  for (const part of parts) {
    if (lines.at(-1) && (lines.at(-1) + part).trimEnd().length > width) lines.push("");
    lines[lines.length - 1] += part;
  }
  if (lines.length <= most) return lines.map((line) => line.trim());
  return [...lines.slice(0, most - 1), `${lines[most - 1].slice(0, width - 1)}…`].map((line) => line.trim());
}

/** A text in lines of some characters, for narrow places. */
const inLines = (text, width = 18, most = 4) => linesOf(text, width, most).map(plain).join("<br>");

/** Whether all choices of a key are numbers. */
const isNumeric = (choices) => choices.every((choice) => choice !== "" && Number.isFinite(Number(choice)));

/** Whether numbers lie more evenly on a logarithmic axis than on a linear one. */
function isLogarithmic(values) {
  if (values.some((value) => value <= 0)) return false;
  if (values.length < 3) return Math.max(...values) >= 10 * Math.min(...values);
  const unevenness = (each) => {
    const sorted = [...each].sort((a, b) => a - b);
    const [least, most] = extent(sorted.slice(1).map((value, place) => value - sorted[place]));
    return most / least;
  };
  return unevenness(values.map(Math.log)) < unevenness(values);
}

/** Black or white, whichever is the more readable on a colour. */
function inkOn(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return (luminance + 0.05) ** 2 > 1.05 * 0.05 ? "#000000" : "#ffffff";
}

/** The label of a permutation below the mouse: its name and choices. */
function description(permutation) {
  const choices = data.keys.map((key, place) => (
    `${plain(key.label)} = ${plain(key.choices[permutation.choices[place]])}`
  ));
  const head = `<b>Permutation ${plain(permutation.name)}</b>, rank ${permutation.rank}`;
  return [head, ...choices].join("<br>");
}

/** An element with attributes and content; texts are never read as HTML. */
function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...content);
  return made;
}
