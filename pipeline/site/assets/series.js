// The numbers of the page and the words for them.

const data = JSON.parse(document.getElementById("data").textContent);
const HOUR = 3600, LEFT = 62, RIGHT = 28;
const number = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const decimal = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const when = new Intl.DateTimeFormat("en-GB", { timeZone: data.timezone, weekday: "short", day: "numeric", month: "short",
  year: "numeric", hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { timeZone: data.timezone, day: "numeric", month: "short", year: "numeric" });
const time = (t) => when.format(new Date(t * 1000));
const dayAndMonth = new Intl.DateTimeFormat("en-GB", { timeZone: data.timezone, day: "numeric", month: "short" });
const monthAndYear = new Intl.DateTimeFormat("en-GB", { timeZone: data.timezone, month: "short", year: "numeric" });
const clock = new Intl.DateTimeFormat("en-GB", { timeZone: data.timezone, hour: "2-digit", minute: "2-digit" });
const date = (t) => day.format(new Date(t * 1000));
const signed = (n) => (n > 0 ? "+" : n < 0 ? "\u2212" : "") + number.format(Math.abs(n));
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function make(tag, attributes, ...children) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "class") found.className = value;
    else found.setAttribute(name, value);
  }
  found.append(...children);
  return found;
}

// Text from a platform can run in either direction, and must not turn what stands around it.
const outside = (text) => make("bdi", { dir: "auto" }, text);

// Series -------------------------------------------------------------------------------------

function summed(differences) {
  let sum = 0;
  return differences.map((step) => (sum += step));
}

// One value for each place of the axis, null where nothing was observed.
function values(series, length) {
  const found = new Array(length).fill(null);
  if (!series) return found;
  let place = series.f, value = 0, next = 0;
  const changes = series.c || [];
  for (let at = series.f; at < length; at++) {
    if (series.d) value += series.d[at - series.f];
    while (next < changes.length && place + changes[next] === at) {
      place += changes[next];
      value += changes[next + 1];
      next += 2;
    }
    found[at] = value;
  }
  const absent = series.n || [];
  for (let n = 0; n < absent.length; n += 2) found.fill(null, absent[n], absent[n] + absent[n + 1]);
  return found;
}

// What a chart shows of one counter of the catalogue or of one item: times, values, and each step's gain and span.
function model(part, counter, item) {
  const x = part.x, breaks = new Set(part.breaks);
  const place = part.counters.indexOf(counter);
  const total = item ? values(item.s && item.s[place], x.length) : part.catalogue[counter].total;
  const gained = [], from = [];
  let before = null, first = true;
  for (let at = 0; at < x.length; at++) {
    gained.push(null);
    from.push(null);
    if (total[at] === null) continue;
    if (!item) {
      gained[at] = part.catalogue[counter].gained[at];
      from[at] = at ? x[at - 1] : null;
    } else if (before !== null) {
      gained[at] = total[at] - total[before];
      from[at] = x[before];
    } else if (first && item.z && item.p <= x[at] && at > 0) {
      gained[at] = total[at];
      from[at] = item.p;
    }
    first = false;
    before = at;
  }
  const whole = x.map((_, at) => at > 0 && !breaks.has(at) && total[at - 1] !== null);
  const rate = x.map((t, at) => (gained[at] === null || t <= from[at] ? null : (gained[at] * HOUR) / (t - from[at])));
  return { x, total, gained, from, rate, whole, counter, item };
}
