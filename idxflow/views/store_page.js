"use strict";
const SVG = "http://www.w3.org/2000/svg", COLOURS = 8, DASHES = ["", "6 3", "2 3", "8 3 2 3"];
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const table = document.querySelector("table.runs"), body = table.tBodies[0];
const rowOf = new Map(Array.from(body.rows, (row) => [row.dataset.run, row]));
const runOf = new Map(data.runs.map((run) => [run.id, run]));
const textOf = new Map(Array.from(rowOf, ([id, row]) => [id, `${id} ${row.textContent}`.toLowerCase()]));
let chosen = [], shown = data.runs;

const make = (name, attributes = {}, ...children) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};
const html = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};
const percent = (share, digits = 2) => `${(100 * share).toFixed(digits)} %`;

/* What divides a range evenly: at most `most` round numbers. */
const ticksOf = (low, high, most) => {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step) ticks.push(tick);
  return {ticks, digits: Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)))};
};

/* A frame with its grid. Returns: the drawing, and what places a value. */
const frameOf = (width, height, x, y, nameX, nameY) => {
  const left = 58, right = 14, top = 10, bottom = 26;
  const svg = make("svg", {viewBox: `0 0 ${width} ${height}`, role: "img"});
  const placeX = (value) => left + (width - left - right) * (value - x.low) / (x.high - x.low);
  const placeY = (value) => top + (height - top - bottom) * (y.high - value) / (y.high - y.low);
  for (const tick of y.ticks) {
    const at = placeY(tick);
    svg.append(make("line", {class: "grid", x1: left, x2: width - right, y1: at, y2: at}));
    svg.append(make("text", {x: left - 6, y: at + 4, "text-anchor": "end"}, nameY(tick)));
  }
  x.ticks.forEach((tick, place) => {
    const anchor = x.ticks.length > 1 && place === x.ticks.length - 1 && placeX(tick) > width - 60 ? "end" : "middle";
    svg.append(make("text", {x: placeX(tick), y: height - 8, "text-anchor": anchor}, nameX(tick)));
  });
  return {svg, placeX, placeY};
};

const dayOf = (seconds, span) => {
  const moment = new Date(1000 * seconds), two = (number) => String(number).padStart(2, "0");
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return span > 3 * 86400 ? day : `${day.slice(5)} ${two(moment.getHours())}:${two(moment.getMinutes())}`;
};

const drawTime = () => {
  const charts = byId("charts"), sets = new Map();
  for (const run of shown) {
    if (run.test === null) continue;
    if (!sets.has(run.set)) sets.set(run.set, []);
    sets.get(run.set).push(run);
  }
  charts.replaceChildren();
  for (const [name, runs] of Array.from(sets).sort((one, two) => two[1].length - one[1].length)) {
    const figure = html("figure", {"data-set": name}, html("h3", {}, name));
    charts.append(figure);
  }
  for (const figure of charts.children) {
    const runs = sets.get(figure.dataset.set), width = Math.max(300, figure.clientWidth), height = 210;
    const lowOf = (run) => run.interval ? run.interval[0] : run.test, highOf = (run) => run.interval ? run.interval[1] : run.test;
    const lows = runs.map(lowOf).sort((one, two) => one - two);
    /* The worst twentieth stands at the lower edge: one failure would flatten all else. */
    const low = lows.length > 20 ? lows[Math.floor(lows.length / 20)] : lows[0];
    const high = Math.max(...runs.map(highOf)), air = Math.max(0.002, 0.06 * (high - low));
    const times = runs.map((run) => run.when), first = Math.min(...times), last = Math.max(...times);
    const pad = Math.max(60, 0.02 * (last - first)), span = last - first;
    const y = {low: Math.max(0, low - air), high: Math.min(1, high + air)};
    const x = {low: first - pad, high: last + pad, ticks: span ? [0, 1, 2, 3].map((part) => first + part * span / 3) : [first]};
    if (width < 500 && span) x.ticks = [first, last];
    x.ticks = x.ticks.filter((tick, place, all) => !place || dayOf(tick, span) !== dayOf(all[place - 1], span));
    const {ticks, digits} = ticksOf(100 * y.low, 100 * y.high, 6);
    y.ticks = ticks.map((tick) => tick / 100);
    const {svg, placeX, placeY} = frameOf(width, height, x, y, (tick) => dayOf(tick, span), (tick) => percent(tick, digits));
    svg.setAttribute("aria-label", `Test accuracy of ${runs.length} runs of ${figure.dataset.set}`);
    if (runs.length > 100) svg.setAttribute("class", "many");
    const best = runs.reduce((one, two) => two.test > one.test ? two : one);
    const radius = runs.length > 300 ? 2 : runs.length > 60 ? 3 : 4;
    const bars = make("g"), points = make("g"), rings = make("g");
    for (const run of runs) {
      const at = placeX(run.when), clip = (share) => placeY(Math.max(y.low, share));
      if (run.interval) bars.append(make("line", {class: "interval", x1: at, x2: at, y1: clip(run.interval[0]), y2: clip(run.interval[1])}));
      const words = `${run.id.slice(0, 8)}: ${percent(run.test)}, ${run.what}`;
      const point = make("circle", {class: run === best ? "point best" : "point", cx: at, cy: clip(run.test), r: run === best ? radius + 1 : radius, "data-run": run.id}, make("title", {}, words));
      points.append(point);
      if (chosen.includes(run.id)) rings.append(make("circle", {class: "ring", cx: at, cy: clip(run.test), r: radius + 3}));
    }
    svg.append(bars, points, rings);
    figure.append(svg);
  }
  byId("time").hidden = !sets.size;
};

const drawCurves = () => {
  const name = byId("figure").value, place = byId("curve"), list = byId("chosen");
  const isShare = name.endsWith("accuracy"), tell = (value) => isShare ? percent(value) : value.toFixed(4);
  const found = chosen.map((id, at) => ({run: runOf.get(id), at, curve: data.curves[runOf.get(id).curve]}));
  const drawn = found.filter((each) => each.curve[name]);
  place.replaceChildren();
  if (drawn.length) {
    const pointsOf = (curve) => curve[name].map((value, at) => [curve.epochs ? curve.epochs[at] : at + 1, value / 10000]);
    const all = drawn.flatMap((each) => pointsOf(each.curve)), values = all.map((each) => each[1]).sort((one, two) => one - two);
    /* What is far outside, as the first epoch of most, is cut: the end is where curves differ. */
    const cut = Math.floor(values.length / 25);
    let low = isShare ? values[cut] : values[0], high = isShare ? values[values.length - 1] : values[values.length - 1 - cut];
    const air = 0.05 * (high - low) || 0.01;
    low = Math.max(0, low - air);
    high = isShare ? Math.min(1, high + air) : high + air;
    const most = Math.max(...all.map((each) => each[0])), width = Math.max(300, place.clientWidth), height = Math.min(380, Math.max(240, width * 0.42));
    const scale = ticksOf(isShare ? 100 * low : low, isShare ? 100 * high : high, 8);
    const y = {low, high, ticks: scale.ticks.map((tick) => isShare ? tick / 100 : tick)};
    const x = {low: most > 1 ? 1 : 0.5, high: most > 1 ? most : 1.5, ticks: most > 1 ? ticksOf(1, most, width < 500 ? 4 : 8).ticks.filter(Number.isInteger) : [1]};
    const {svg, placeX, placeY} = frameOf(width, height, x, y, (tick) => String(tick), (tick) => isShare ? percent(tick, scale.digits) : tick.toFixed(scale.digits));
    const words = byId("figure").selectedOptions[0].text, told = words[0].toUpperCase() + words.slice(1);
    svg.setAttribute("aria-label", `${told} by epoch, of ${drawn.length} runs`);
    const clip = (value) => placeY(Math.min(high, Math.max(low, value)));
    for (const {run, at, curve} of drawn) {
      const points = pointsOf(curve), colour = `var(--c${at % COLOURS})`;
      const path = points.map(([epoch, value]) => `${placeX(epoch).toFixed(1)},${clip(value).toFixed(1)}`).join(" ");
      svg.append(make("polyline", {class: "line", points: path, style: `stroke: ${colour}; stroke-dasharray: ${DASHES[at % DASHES.length]}`}, make("title", {}, `${run.id.slice(0, 8)} ${run.what}`)));
      const kept = points.find(([epoch]) => epoch === curve.kept);
      if (kept) svg.append(make("circle", {class: "keep", cx: placeX(kept[0]), cy: clip(kept[1]), r: 4, style: `fill: ${colour}`}));
    }
    place.append(svg, html("figcaption", {}, `${told} by epoch; a dot is the epoch that the model is from. Values far outside are at the edge.`));
  }
  list.replaceChildren(...found.map(({run, at, curve}) => {
    const values = curve[name], where = curve.epochs ? curve.epochs.indexOf(curve.kept) : curve.kept - 1;
    const swatch = make("svg", {class: "swatch", viewBox: "0 0 26 10"}, make("line", {x1: 0, x2: 26, y1: 5, y2: 5, style: `stroke: var(--c${at % COLOURS}); stroke-width: 3; stroke-dasharray: ${DASHES[at % DASHES.length]}`}));
    const remove = html("button", {type: "button", "aria-label": `Leave out ${run.id}`}, "×");
    remove.addEventListener("click", () => choose(run.id, false));
    return html("li", {}, swatch, html("code", {}, run.id.slice(0, 8)), html("span", {class: "what"}, `${run.set} ${run.what}`),
      html("span", {class: "value"}, values ? tell(values[where] / 10000) : "no held-out rows"), remove);
  }));
  byId("advice").textContent = chosen.length >= COLOURS ? `${COLOURS} runs are as many as can be told apart.` : "Choose runs by their boxes below, or by a point above.";
};

const choose = (id, on) => {
  const run = runOf.get(id);
  if (!run || run.curve === null) return;
  chosen = chosen.filter((each) => each !== id);
  if (on && chosen.length < COLOURS) chosen.push(id);
  showChosen();
  drawTime();
};

const showChosen = () => {
  for (const [each, row] of rowOf) {
    const box = row.querySelector("input");
    if (box) {
      box.checked = chosen.includes(each);
      box.disabled = !box.checked && chosen.length >= COLOURS;
    }
  }
  drawCurves();
};

/* What a word of the search asks of a row. */
const testOf = (word) => {
  const compared = word.match(/^(test|train|loss)(>=|<=|>|<)(\d+(?:\.\d+)?)(%?)$/);
  if (!compared) return (id) => textOf.get(id).includes(word);
  const [, name, sign, text, percent] = compared, at = {test: 5, loss: 7, train: 8}[name];
  const bound = name !== "loss" && (percent || Number(text) > 1) ? Number(text) / 100 : Number(text);
  const holds = {">": (value) => value > bound, "<": (value) => value < bound, ">=": (value) => value >= bound, "<=": (value) => value <= bound}[sign];
  return (id) => {
    const key = rowOf.get(id).cells[at].dataset.key;
    return key !== "" && holds(Number(key));
  };
};

const filter = () => {
  const tests = byId("words").value.toLowerCase().split(/\s+/).filter(Boolean).map(testOf);
  const set = byId("set").value, state = byId("state").value;
  shown = data.runs.filter((run) => {
    const row = rowOf.get(run.id), fits = (!set || run.set === set) && (!state || row.cells[10].textContent === state) && tests.every((test) => test(run.id));
    row.hidden = !fits;
    return fits;
  });
  byId("count").textContent = `${shown.length.toLocaleString("en")} of ${data.runs.length.toLocaleString("en")}`;
  byId("none").hidden = shown.length > 0;
  drawTime();
};

const sortBy = (head) => {
  const number = head.dataset.sorts === "number", before = head.getAttribute("aria-sort");
  /* Figures are wanted from the highest on, but for a loss and a time. */
  const down = before ? before === "ascending" : number && !/Loss|Time/.test(head.textContent);
  const at = head.cellIndex, keyOf = (row) => number ? row.cells[at].dataset.key : row.cells[at].textContent.trim();
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const keyed = Array.from(body.rows, (row) => [keyOf(row), row]);
  keyed.sort(([a], [b]) => {
    if (a === "" || b === "") return Number(a === "") - Number(b === "");
    const order = number ? Number(a) - Number(b) : a.localeCompare(b, "en", {numeric: true});
    return down ? -order : order;
  });
  body.append(...keyed.map(([, row]) => row));
};

for (const head of table.querySelectorAll("th[data-sorts]")) {
  const button = html("button", {type: "button"}, ...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => sortBy(head));
}
for (const element of document.querySelectorAll(".drawn")) element.hidden = false;
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
for (const id of ["words", "set", "state"]) byId(id).addEventListener("input", filter);
byId("figure").addEventListener("input", drawCurves);
body.addEventListener("change", (event) => choose(event.target.closest("tr").dataset.run, event.target.checked));
byId("charts").addEventListener("click", (event) => {
  const id = event.target.dataset && event.target.dataset.run;
  if (id) choose(id, !chosen.includes(id));
});
let waiting = 0;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => { drawTime(); drawCurves(); }, 100);
});
const curves = new Set();
for (const run of data.runs) {
  const alike = !chosen.length || run.set === runOf.get(chosen[0]).set;
  if (run.curve !== null && alike && !curves.has(run.curve) && chosen.length < 4) {
    curves.add(run.curve);
    chosen.push(run.id);
  }
}
byId("curves").hidden = !chosen.length;
if (chosen.length) showChosen();
filter();
