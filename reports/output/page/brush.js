// Selects ranges on the axes of the parallel coordinates: by dragging along an axis, or by the keys of the
// sliders at its two ends. The ranges are those of the filters.

const CLICK = 4; // pixels; a shorter way is no drag

const brush = {
  root: document.getElementById("brush"),
  place: null, // turns an axis's number and a fraction of its height into pixels

  /** Lays an axis over each one that the chart has drawn. */
  over(chart) {
    const { xaxis, yaxis } = chart._fullLayout;
    this.place = (at, fraction) => [xaxis._offset + xaxis.d2p(at), yaxis._offset + yaxis.d2p(fraction)];
    if (!this.root.childElementCount) this.root.append(...filters.map((filter, at) => this.axis(filter, at)));
    this.update();
  },

  axis(filter, at) {
    const strip = element("div", { class: "strip" });
    const sliders = [0, 1].map((end) => this.slider(filter, at, end));
    strip.addEventListener("pointerdown", (event) => this.drag(filter, strip, event));
    const axis = element("div", { class: "axis", role: "group", "aria-label": axisName(at) }, strip, ...sliders);
    axis.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      filter.select(0, 1);
      filtered();
    });
    return axis;
  },

  /** The slider at the lower or upper end of an axis's range. */
  slider(filter, at, end) {
    const slider = element("div", {
      class: "slider", role: "slider", tabindex: 0, "aria-orientation": "vertical", "aria-valuemin": 0, "aria-valuemax": filter.slots,
      "aria-label": `${axisName(at)}, ${end ? "upper" : "lower"} end`,
    });
    slider.addEventListener("keydown", (event) => {
      const ends = rangeOf(filter);
      const [low, high] = end ? [ends[0] + 1 / filter.slots, 1] : [0, ends[1] - 1 / filter.slots];
      const wanted = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 4, PageDown: -4, Home: -Infinity, End: Infinity }[event.key];
      if (!wanted) return;
      event.preventDefault();
      ends[end] = Math.min(Math.max(ends[end] + wanted / filter.slots, low), high);
      filter.select(...ends.map((each) => Math.round(each * filter.slots) / filter.slots));
      filtered();
    });
    return slider;
  },

  /** Follows the pointer along an axis; where it only clicks, the axis's range is cleared. */
  drag(filter, strip, event) {
    const box = strip.getBoundingClientRect();
    const fraction = ({ clientY }) => Math.min(Math.max((box.bottom - clientY) / box.height, 0), 1);
    const [start, startY] = [fraction(event), event.clientY];
    event.preventDefault();
    strip.setPointerCapture(event.pointerId);
    const select = (moved) => {
      const isClick = Math.abs(moved.clientY - startY) < CLICK;
      filter.select(...(isClick ? [0, 1] : [start, fraction(moved)].sort((a, b) => a - b)));
      this.update();
    };
    const end = (moved) => {
      strip.removeEventListener("pointermove", select);
      strip.removeEventListener("pointerup", end);
      strip.removeEventListener("pointercancel", end);
      select(moved);
      filtered();
    };
    strip.addEventListener("pointermove", select);
    strip.addEventListener("pointerup", end);
    strip.addEventListener("pointercancel", end);
  },

  /** Shows the filters' ranges on the axes, once they are laid. */
  update() {
    [...this.root.children].forEach((axis, at) => {
      const [filter, [strip, ...sliders]] = [filters[at], axis.children];
      const [[left, bottom], [, top]] = [this.place(at, 0), this.place(at, 1)];
      axis.style.cssText = `left: ${left}px; top: ${top}px; height: ${bottom - top}px`;
      strip.replaceChildren(...filter.spans().map(([low, high]) => (
        element("div", { class: "span", style: `bottom: ${100 * low}%; height: ${100 * (high - low)}%` })
      )));
      sliders.forEach((slider, end) => {
        const fraction = rangeOf(filter)[end];
        slider.style.bottom = `${100 * fraction}%`;
        slider.setAttribute("aria-valuenow", Math.round(fraction * filter.slots));
        slider.setAttribute("aria-valuetext", filter.text(fraction, end));
      });
    });
  },
};

const axisName = (at) => data.keys[at]?.label ?? data.metric;

/** The least and the greatest fraction of what a filter lets pass. */
function rangeOf(filter) {
  const spans = filter.spans();
  return spans.length ? extent(spans.flat()) : [0, 1];
}
