// Shapes: what happened never speaks by colour alone ------------------------------------------

const SHAPES = {
  "crossed": { colour: "--accent", path: (r) => [[0, -r], [r, r], [-r, r]] },
  "published": { colour: "--good", round: true },
  "title changed": { colour: "--mark", path: (r) => [[0, -r], [r, 0], [0, r], [-r, 0]] },
  "gone": { colour: "--warn", hollow: true, path: (r) => [[-r, -r], [r, -r], [0, r]] },
  "returned": { colour: "--good", hollow: true, path: (r) => [[0, -r], [r, r], [-r, r]] },
  "corrected": { colour: "--warn", path: (r) => [[-r, -r], [r, -r], [r, r], [-r, r]] },
  "marked": { colour: "--mark", path: (r) => [[-r, -r * 1.2], [r, -r * 0.5], [-r, r * 0.2], [-r, r * 1.2], [-r, -r * 1.2]] },
  "quarantined": { colour: "--warn", cross: true },
};

function outline(shape, r) {
  if (shape.round) return `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`;
  if (shape.cross) return `M${-r},${-r}L${r},${r}M${-r},${r}L${r},${-r}`;
  return "M" + shape.path(r).map((point) => point.join(",")).join("L") + "Z";
}

function stamp(ctx, kind, x, y, r) {
  const shape = SHAPES[kind];
  ctx.save();
  ctx.translate(x, y);
  const path = new Path2D(outline(shape, r));
  ctx.lineWidth = r / 2.5;
  ctx.strokeStyle = ctx.fillStyle = colour(shape.colour);
  if (!shape.hollow && !shape.cross) ctx.fill(path);
  ctx.stroke(path);
  ctx.restore();
}

function shapesList(kinds) {
  const list = make("ul", { class: "shapes" });
  for (const kind of kinds) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "-6 -6 12 12");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const shape = SHAPES[kind];
    path.setAttribute("d", outline(shape, 4.5));
    path.setAttribute("stroke-width", "1.8");
    path.style.stroke = `var(${shape.colour})`;
    path.style.fill = shape.hollow || shape.cross ? "none" : `var(${shape.colour})`;
    svg.append(path);
    list.append(make("li", {}, svg, kind));
  }
  return list;
}

// Charts ---------------------------------------------------------------------------------------

// The steps between two ticks: counts are whole numbers.
const WHOLE = Array.from({ length: 15 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat();

// A spike dwarfs the rest where the highest rate is far above nearly all others.
function isSpiky(rates) {
  const known = rates.filter((rate) => rate > 0).sort((a, b) => a - b);
  return known.length > 20 && known[known.length - 1] > 15 * known[Math.floor(known.length * 0.9)];
}

// Three charts over one time axis: the count, its rate, and what was observed and what happened.
function charts(box, part, shown, happened, options) {
  const width = Math.max(260, box.clientWidth);
  const narrow = width < 520;
  const plots = [];
  const ratio = () => uPlot.pxRatio;
  const seen = shown.total.map((value, at) => (value === null ? -1 : at)).filter((at) => at >= 0);
  let following = false;
  box.replaceChildren();

  const axisFont = "12px system-ui, sans-serif";
  const axis = (extra) => ({ stroke: colour("--soft"), font: axisFont, grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false }, ...extra });
  // Ticks of months are named by them, ticks of days by the day; within a day the hour stands over its date.
  const moments = (self, splits, index, space, step) => splits.map((t, n) => {
    const moment = new Date(t * 1000);
    if (step >= 27 * 24 * HOUR) return monthAndYear.format(moment);
    if (step >= 24 * HOUR) return dayAndMonth.format(moment);
    const date = dayAndMonth.format(moment);
    const before = n ? dayAndMonth.format(new Date(splits[n - 1] * 1000)) : "";
    return clock.format(moment) + (date === before ? "" : `\n${date}`);
  });
  const zoned = (t) => uPlot.tzDate(new Date(t * 1000), data.timezone);

  function follow(self, key) {
    if (key !== "x" || following) return;
    following = true;
    for (const plot of plots) if (plot !== self) plot.setScale("x", { min: self.scales.x.min, max: self.scales.x.max });
    following = false;
  }

  function nearest(self) {
    if (self.cursor.left === undefined || self.cursor.left < 0 || !seen.length) return null;
    const t = self.posToVal(self.cursor.left, "x");
    let low = 0, high = seen.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (shown.x[seen[middle]] <= t) low = middle; else high = middle;
    }
    return Math.abs(shown.x[seen[low]] - t) <= Math.abs(shown.x[seen[high]] - t) ? seen[low] : seen[high];
  }

  const tip = make("div", { class: "tip", role: "status" });
  tip.hidden = true;

  function tell(self) {
    const at = nearest(self);
    if (self.cursor.event === undefined || self.cursor.event === null) return;
    if (at === null) { tip.hidden = true; return; }
    const lines = [make("b", {}, time(shown.x[at])), make("span", {}, `${number.format(shown.total[at])} ${shown.counter}`)];
    if (shown.gained[at] !== null) {
      const span = (shown.x[at] - shown.from[at]) / HOUR;
      lines.push(make("div", {}, `${signed(shown.gained[at])} in ${decimal.format(span)} h: ${decimal.format(shown.rate[at])} an hour`));
      if (!shown.whole[at]) lines.push(make("div", {}, "Hours between were not observed."));
    }
    const reach = 8 * (self.scales.x.max - self.scales.x.min) / self.bbox.width * ratio();
    const near = happened.filter((h) => Math.abs(h.t - self.posToVal(self.cursor.left, "x")) <= reach);
    for (const h of near.slice(0, 4)) lines.push(make("div", {}, `${h.k}: `, outside(named(part, h) + h.w)));
    if (near.length > 4) lines.push(make("div", {}, `and ${near.length - 4} more`));
    tip.replaceChildren(...lines);
    tip.hidden = false;
    const left = self.root.offsetLeft + LEFT + self.cursor.left;
    tip.style.top = `${self.root.offsetTop + 8}px`;
    tip.style.left = `${left + tip.offsetWidth + 24 > box.clientWidth ? Math.max(0, left - tip.offsetWidth - 14) : left + 14}px`;
  }

  function add(caption, height, series, columns, scales, axes, draw) {
    const figure = make("figure", { class: "chart" });
    if (caption) figure.append(make("figcaption", {}, caption));
    box.append(figure);
    const plot = new uPlot({
      width, height, tzDate: zoned, legend: { show: false }, padding: [8, RIGHT, 0, 0],
      cursor: { sync: { key: options.key, scales: ["x", null] }, y: false, drag: { x: true, y: false },
        points: { show: false }, bind: {} },
      scales: { x: { time: true, range: [options.min, options.max] }, ...scales },
      axes, series: [{}, ...series],
      hooks: { draw: [draw], setScale: [follow], setCursor: [tell] },
    }, columns, figure);
    plot.over.addEventListener("dblclick", () => plot.setScale("x", { min: options.min, max: options.max }));
    plot.over.addEventListener("mouseleave", () => { tip.hidden = true; });
    plots.push(plot);
    return plot;
  }

  // Where hours are missing the line is broken; only a dotted one leads across.
  const x = [], y = [];
  shown.x.forEach((t, at) => {
    if (at && !shown.whole[at] && shown.total[at] !== null) { x.push((t + shown.x[at - 1]) / 2); y.push(null); }
    x.push(t);
    y.push(shown.total[at]);
  });
  const alone = (self, n) => {
    const found = [];
    const column = self.data[n];
    for (let at = 0; at < column.length; at++) {
      if (column[at] !== null && (column[at - 1] ?? null) === null && (column[at + 1] ?? null) === null) found.push(at);
    }
    return found;
  };
  const log = options.log ? { distr: 4, asinh: 1 } : {};
  const padded = (self, low, high) => {
    if (low === null || low === undefined) return [0, 1];
    const room = Math.max(1, (high - low) * 0.08);
    return [Math.max(0, low - room), high + room];
  };
  const hidden = { show: false };
  const bare = axis({ scale: "x", values: (self, splits) => splits.map(() => ""), size: 6 });
  // In full where the short form would name two ticks alike.
  const ticks = (self, splits) => {
    const shown = splits.map((n) => (n === null || n < self.scales.y.min ? null : n));
    const told = new Set(shown.map((n) => short.format(n)));
    const words = told.size < new Set(shown).size ? number : short;
    return shown.map((n) => (n === null ? "" : words.format(n)));
  };
  const left = axis({ size: LEFT, values: ticks, space: 34, incrs: WHOLE });

  // `beside`: as far as a sign may reach over the sides, so that one of the first or last moment is whole.
  function inPlot(self, paint, beside = 0) {
    const ctx = self.ctx;
    ctx.save();
    ctx.beginPath();
    ctx.rect(self.bbox.left - beside, self.bbox.top - 6 * ratio(), self.bbox.width + 2 * beside, self.bbox.height + 12 * ratio());
    ctx.clip();
    paint(ctx);
    ctx.restore();
  }

  function markLines(self, ctx) {
    ctx.strokeStyle = colour("--mark");
    ctx.setLineDash([3 * ratio(), 3 * ratio()]);
    ctx.lineWidth = ratio();
    for (const h of happened) {
      if (h.k !== "marked") continue;
      const at = self.valToPos(h.t, "x", true);
      ctx.beginPath();
      ctx.moveTo(at, self.bbox.top);
      ctx.lineTo(at, self.bbox.top + self.bbox.height);
      ctx.stroke();
    }
    ctx.setLineDash([]);
  }

  // Of thinned days only the last capture is drawn: what crossed earlier that day stands there.
  function valueAt(t) {
    const at = seen.find((place) => shown.x[place] >= t);
    return at === undefined ? null : shown.total[at];
  }

  function drawCount(self) {
    inPlot(self, (ctx) => {
      markLines(self, ctx);
      for (const h of happened) {
        if (h.k !== "crossed" || h.c !== shown.counter) continue;
        const value = shown.item ? h.v : valueAt(h.t);
        if (value === null) continue;
        stamp(ctx, "crossed", self.valToPos(h.t, "x", true), self.valToPos(value, "y", true), (narrow ? 3.5 : 4.5) * ratio());
      }
    }, 6 * ratio());
  }

  function drawRate(self) {
    inPlot(self, (ctx) => {
      const ground = self.valToPos(Math.max(0, self.scales.y.min), "y", true);
      for (const whole of [false, true]) {
        ctx.fillStyle = colour("--accent-soft");
        ctx.strokeStyle = colour("--accent");
        ctx.lineWidth = (whole ? 1.6 : 1.2) * ratio();
        ctx.setLineDash(whole ? [] : [1.5 * ratio(), 2 * ratio()]);
        ctx.beginPath();
        const fill = new Path2D();
        for (let at = 0; at < shown.x.length; at++) {
          if (shown.rate[at] === null || shown.whole[at] !== whole) continue;
          const begin = self.valToPos(shown.from[at], "x", true), end = self.valToPos(shown.x[at], "x", true);
          if (end < self.bbox.left || begin > self.bbox.left + self.bbox.width) continue;
          const top = self.valToPos(shown.rate[at], "y", true);
          fill.rect(begin, top, Math.max(1, end - begin), ground - top);
          // Hours that follow each other make one outline; what spans a gap stands for itself.
          if (whole && shown.whole[at - 1]) ctx.lineTo(begin, top);
          else ctx.moveTo(begin, top);
          ctx.lineTo(Math.max(begin + 1, end), top);
        }
        if (whole) ctx.fill(fill);
        else { ctx.globalAlpha = 0.55; ctx.fill(fill); ctx.globalAlpha = 1; }
        ctx.stroke();
      }
      ctx.setLineDash([]);
      markLines(self, ctx);
    });
  }

  function drawLanes(self) {
    const r = ratio(), top = self.bbox.top, ctx = self.ctx;
    const strip = top + self.bbox.height - 9 * r;
    inPlot(self, () => {
      let t = part.hours.first;
      for (let n = 0; n < part.hours.runs.length; n += 2) {
        const state = part.hours.runs[n], end = t + part.hours.runs[n + 1] * HOUR;
        const a = self.valToPos(t, "x", true), b = self.valToPos(end, "x", true);
        if (b >= self.bbox.left && a <= self.bbox.left + self.bbox.width) {
          if (state === 0) {
            ctx.fillStyle = colour("--accent");
            ctx.fillRect(a, strip - 5 * r, Math.max(r * 0.7, b - a), 10 * r);
          } else {
            ctx.fillStyle = colour("--line");
            ctx.fillRect(a, strip - r * 0.75, b - a, 1.5 * r);
          }
        }
        t = end;
      }
    });
    inPlot(self, () => {
      let t = part.hours.first;
      for (let n = 0; n < part.hours.runs.length; n += 2) {
        const hours = part.hours.runs[n + 1];
        if (part.hours.runs[n] === 1) stamp(ctx, "quarantined", self.valToPos(Math.min(t + hours * HOUR / 2, part.max), "x", true), strip, 4.5 * r);
        t += hours * HOUR;
      }
      for (const h of happened) if (h.k !== "quarantined") stamp(ctx, h.k, self.valToPos(h.t, "x", true), top + 11 * r, (narrow ? 3.5 : 4.5) * r);
    }, 6 * r);
  }

  add(`${shown.counter}, as counted`, options.height || (narrow ? 190 : 240), [
    { stroke: colour("--faint"), width: 1.2, dash: [2, 4], spanGaps: true, points: hidden },
    { stroke: colour("--accent"), width: 2, spanGaps: false,
      points: { show: true, size: 4.5, fill: colour("--accent"), stroke: colour("--accent"), filter: alone } },
  ], [x, y, y], { y: { range: padded } }, [bare, left], drawCount);
  add(`${shown.counter} an hour${options.log ? ", on a log scale" : "; the area is what was gained"}`, options.height ? 110 : narrow ? 140 : 170,
    [{ points: hidden, paths: () => null }], [shown.x, shown.rate],
    { y: { ...log, range: (self, low, high) => (high === null || high === undefined ? [0, 1] : [Math.min(0, low), Math.max(1, high * 1.08)]) } },
    [bare, left], drawRate);
  add("", 86, [{ points: hidden, paths: () => null }], [shown.x, shown.x.map(() => null)], { y: { range: [0, 1] } },
    [axis({ scale: "x", size: 38, space: narrow ? 66 : 84, values: moments }), axis({ size: LEFT, values: () => [], splits: () => [], grid: hidden })], drawLanes);
  box.append(tip);
  return { plots, zoom: (min, max) => plots[0].setScale("x", { min, max }) };
}

function named(part, h) {
  if (h.i === undefined || !part.titles) return "";
  const title = part.titles.get(h.i) || h.i;
  return h.k === "published" ? "" : `${title}: `;
}

function prepare(part) {
  part.x = summed(part.x);
  part.titles = new Map((part.items || []).map((item) => [item.i, item.t]));
  part.happenings = part.happenings || [];
  const last = part.x[part.x.length - 1];
  part.min = Math.min(part.hours.first, part.x[0]);
  const told = part.hours.runs.reduce((sum, hours, at) => sum + (at % 2 ? hours : 0), 0);
  const known = Math.min(part.hours.first + told * HOUR, part.drawn);  // what was refused or missed since, too
  part.max = Math.max(last, known, part.min + HOUR / 4);
  return part;
}
