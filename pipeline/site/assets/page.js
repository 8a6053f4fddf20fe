// The pages themselves: what is shown, and what a click changes.

// Redrawn where the width, the colours or the medium change.
const drawings = [];
const redraw = () => drawings.forEach((draw) => draw());
let width = window.innerWidth, waiting = 0;
window.addEventListener("resize", () => {
  if (window.innerWidth === width) return;
  width = window.innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(redraw, 120);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
function printing(on) {
  document.documentElement.classList.toggle("print", on);
  redraw();
}
window.addEventListener("beforeprint", () => printing(true));
window.addEventListener("afterprint", () => printing(false));

// A page knows nothing of what came after it. Old in hours that should have brought captures, it says so, also while it is open.
function tellAge(place, part) {
  setTimeout(() => tellAge(place, part), 600_000);
  const now = Date.now() / 1000, hours = Math.floor((now - part.drawn) / HOUR);
  if (!part.awaited || hours < 2 || (part.ends !== null && now >= part.ends)) return;
  const ago = hours < 48 ? `${hours} hours` : `${Math.floor(hours / 24)} days`;
  place.classList.add("stale");
  place.textContent = `, ${ago} ago, and captures should come every hour. If there is no newer page than this, ` +
    `something is in the way, or the source rests: ratchet status ${part.source} says what.`;
}

// The page of one source -----------------------------------------------------------------------

function sourcePage(part) {
  const $ = (id) => document.getElementById(id);
  let counter = part.counters[0], item = null, log = null, range = 0, sort = { column: "value", down: true }, filter = "", all = false, allItems = false;
  const box = $("charts");
  const legend = $("legend");

  const concerned = () => part.happenings.filter((h) => !item || h.i === item.i || h.i === undefined);

  function draw() {
    const shown = model(part, counter, item);
    const happened = concerned();
    const spiky = isSpiky(shown.rate);
    const min = range ? Math.max(part.min, part.max - range * 24 * HOUR) : part.min;
    $("log").checked = log === null ? spiky : log;
    charts(box, part, shown, happened, { min, max: part.max, log: $("log").checked, key: "page" });
    const kinds = Object.keys(SHAPES).filter((kind) => happened.some((h) => h.k === kind) ||
      (kind === "quarantined" && part.hours.runs.some((state, n) => n % 2 === 0 && state === 1)));
    legend.replaceChildren(shapesList(kinds));
    $("subject").replaceChildren(item ? outside(item.t) : `All of ${part.source}`);
    $("whole").hidden = !item;
    describe(shown, happened);
    fillDays(shown);
  }

  // The charts in words.
  function describe(shown, happened) {
    const at = shown.total.map((value, n) => (value === null ? -1 : n)).filter((n) => n >= 0);
    if (!at.length) { $("words").textContent = "No chart: this item is beyond those that the page has room for."; return; }
    const first = at[0], last = at[at.length - 1];
    let peak = null;
    shown.rate.forEach((rate, n) => { if (rate !== null && (peak === null || rate > shown.rate[peak])) peak = n; });
    const told = date(shown.x[first]) === date(shown.x[last]) ? time : date;  // of one day the times tell the two apart
    const counted = (at) => number.format(shown.total[at]);
    let words = `${counted(first)} ${shown.counter} on ${told(shown.x[first])}` +
      (first === last ? "." : `, ${counted(last)} on ${told(shown.x[last])}.`);
    if (peak !== null) words += ` Fastest: ${decimal.format(shown.rate[peak])} an hour before ${time(shown.x[peak])}.`;
    const count = (kind) => happened.filter((h) => h.k === kind).length;
    const crossed = count("crossed");
    if (crossed) words += ` ${crossed} crossing${crossed === 1 ? "" : "s"}.`;
    if ($("log").checked) words += " The scale of the rate is logarithmic.";
    $("words").textContent = words;
  }

  function fillDays(shown) {
    const body = $("days").tBodies[0];
    body.replaceChildren();
    if (!$("daily").open) return;
    const days = new Map();
    shown.x.forEach((t, at) => {
      if (shown.total[at] === null) return;
      const name = date(t), found = days.get(name) || { gained: null, count: 0 };
      found.total = shown.total[at];
      if (shown.gained[at] !== null) found.gained = (found.gained || 0) + shown.gained[at];
      found.count += 1;
      days.set(name, found);
    });
    for (const [name, found] of [...days].reverse().slice(0, 400)) {
      const gained = found.gained === null ? "not known" : signed(found.gained);
      body.append(make("tr", {}, make("td", {}, name), make("td", {}, number.format(found.total)), make("td", {}, gained),
        make("td", {}, number.format(found.count))));
    }
  }

  // The table of items.
  const cells = part.windows.length * 2;
  const standing = (found) => found.g[part.counters.indexOf(counter)];
  function sortValue(found) {
    const s = standing(found);
    if (sort.column === "title") return found.t.toLocaleLowerCase();
    if (sort.column === "published") return found.p === undefined ? null : found.p;
    if (sort.column === "value") return s[0];
    if (sort.column === "rank") return s[cells + 2];
    return s[1 + 2 * part.windows.indexOf(sort.column)];
  }

  function fillItems() {
    const wanted = filter.toLocaleLowerCase();
    const rows = part.items.filter((found) => !wanted || `${found.t} ${found.i}`.toLocaleLowerCase().includes(wanted));
    rows.sort((a, b) => {
      const [left, right] = [sortValue(a), sortValue(b)];
      if (left === right) return 0;
      if (left === null) return 1;  // what is not known stands last, however it is sorted
      if (right === null) return -1;
      return (left < right ? -1 : 1) * (sort.down ? -1 : 1);
    });
    const visible = allItems ? rows : rows.slice(0, 25);
    $("items").tBodies[0].replaceChildren(...visible.map(itemRow));
    $("count").textContent = visible.length === part.items.length ? `${number.format(visible.length)} items`
      : `${number.format(visible.length)} of ${number.format(rows.length)} items` +
        (rows.length < part.items.length ? ` that match, of ${number.format(part.items.length)}` : "");
    $("moreItems").hidden = visible.length === rows.length;
    for (const th of $("items").tHead.querySelectorAll("th")) {
      const column = th.dataset.column;
      if (column === sort.column) th.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    }
  }

  function itemRow(found) {
    const s = standing(found);
    const title = make("button", { class: "link", type: "button", title: found.t }, outside(found.t));
    title.addEventListener("click", () => choose(found));
    const first = make("td", {}, title);
    if (found.u && /^https?:\/\//i.test(found.u)) {
      first.append("\u00a0", make("a", { href: found.u, rel: "noopener noreferrer", target: "_blank", "aria-label": "open the item" }, "↗"));
    }
    if (s[0] !== null && s[cells + 1] === null) first.append(" ", make("small", {}, "not in the newest capture"));
    const row = make("tr", {}, first, make("td", {}, found.p === undefined ? "–" : date(found.p)), cell(s[0], s[0] === null ? "never observed" : "the last one observed", number.format));
    part.windows.forEach((_, n) => row.append(cell(s[1 + 2 * n], part.notes[s[2 + 2 * n]], signed)));
    const climbed = s[cells + 2];
    const rank = s[cells + 1] === null ? cell(null, "not in the newest capture") : make("td", {}, `${s[cells + 1]}.`);
    row.append(rank, climbed === null ? cell(null, "not ranked a week ago")
      : make("td", { title: "places in 7 days" }, climbed > 0 ? `▲ ${climbed}` : climbed < 0 ? `▼ ${-climbed}` : "="));
    if (item && item.i === found.i) row.className = "chosen";
    return row;
  }

  function cell(value, note, words) {
    if (value === null || value === undefined) return make("td", { class: "unknown", title: `Not known: ${note}` }, "–");
    return make("td", { title: note, class: value > 0 && words === signed ? "rise" : "" }, words(value));
  }

  function fillHappenings() {
    const found = concerned().slice().reverse();
    const rows = all ? found : found.slice(0, 25);
    $("happened").tBodies[0].replaceChildren(...rows.map((h) => {
      const title = h.i === undefined ? "the source" : part.titles.get(h.i) || h.i;
      const shape = shapesList([h.k]).firstChild;
      return make("tr", {}, make("td", {}, time(h.t)), make("td", { class: "text" }, ...shape.childNodes),
        make("td", { class: "text" }, outside(title)), make("td", { class: "text" }, outside(h.w)));
    }));
    $("happenedCount").textContent = found.length ? `${number.format(rows.length)} of ${number.format(found.length)}` : "Nothing yet.";
    $("more").hidden = all || found.length <= 25;
  }

  function choose(found) {
    item = found;
    all = false;
    draw();
    fillItems();
    fillHappenings();
    $("chart").scrollIntoView({ block: "start" });
  }

  for (const name of part.counters) $("counter").append(make("option", { value: name }, name));
  $("counter").addEventListener("change", (event) => { counter = event.target.value; log = null; draw(); fillItems(); });
  $("log").addEventListener("change", (event) => { log = event.target.checked; draw(); });
  $("whole").addEventListener("click", () => { item = null; draw(); fillItems(); fillHappenings(); });
  $("filter").addEventListener("input", (event) => { filter = event.target.value; fillItems(); });
  $("more").addEventListener("click", () => { all = true; fillHappenings(); });
  $("moreItems").addEventListener("click", () => { allItems = true; fillItems(); });
  $("daily").addEventListener("toggle", () => fillDays(model(part, counter, item)));
  for (const button of $("ranges").querySelectorAll("button")) {
    button.addEventListener("click", () => {
      range = Number(button.dataset.days);
      for (const other of $("ranges").querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
      draw();
    });
  }
  for (const th of $("items").tHead.querySelectorAll("th")) {
    th.querySelector("button").addEventListener("click", () => {
      const column = th.dataset.column;
      sort = { column, down: sort.column === column ? !sort.down : column !== "title" };
      fillItems();
    });
  }
  tellAge($("age"), part);
  drawings.push(draw);
  draw();
  fillItems();
  fillHappenings();
}

// The page over all sources ----------------------------------------------------------------------

function overview(parts) {
  parts.forEach(prepare);
  parts.forEach((part, n) => {
    tellAge(document.getElementById(`age-${n}`), part);
    const box = document.getElementById(`charts-${n}`);
    const draw = () => {
      const shown = model(part, part.counters[0], null);
      charts(box, part, shown, part.happenings,
        { min: part.min, max: part.max, log: isSpiky(shown.rate), key: part.source, height: 150 });
    };
    drawings.push(draw);
    draw();
  });
}

if (data.sources) overview(data.sources);
else sourcePage(prepare(data));
