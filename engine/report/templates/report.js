"use strict";
const root = document.documentElement;
const words = JSON.parse(document.getElementById("words").textContent);
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
const format = new Intl.NumberFormat(root.lang);

// Theme: what the system says until somebody presses the button.
const dark = matchMedia("(prefers-color-scheme: dark)");
const button = document.getElementById("theme");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
const say = () => button.setAttribute("aria-pressed", String(isDark()));
button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; say(); });
dark.addEventListener("change", say);
say();

// Search: every word must be in a row, whatever its case and accents.
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
const tables = [...document.querySelectorAll("table[id]")].map((table) => ({
  table,
  kind: table.dataset.kind,
  own: document.querySelector(`input[data-filters="${table.id}"]`),
  count: document.querySelector(`[data-counts="${table.id}"]`),
  rows: [...table.tBodies[0].rows].map((row) => ({ row, text: plain(row.textContent) })),
}));
const form = document.getElementById("search"), query = document.getElementById("query");
const kind = document.getElementById("kind"), found = document.getElementById("found");

function filter() {
  const asked = plain(query.value).split(/\s+/).filter(Boolean);
  const hits = { reps: 0, deals: 0, moves: 0 };
  for (const { table, kind: mine, own, count, rows } of tables) {
    const wanted = own ? plain(own.value).split(/\s+/).filter(Boolean) : [];
    if (mine && (!kind.value || kind.value === mine)) wanted.push(...asked);
    let shown = 0;
    for (const { row, text } of rows) {
      const fits = wanted.every((word) => text.includes(word));
      row.hidden = !fits;
      shown += fits;
    }
    table.classList.toggle("searching", wanted.length > 0);
    if (count) count.textContent = wanted.length ? fill(words.rows, { shown: format.format(shown), total: format.format(rows.length) }) : "";
    if (mine && (!kind.value || kind.value === mine)) hits[mine] += shown;
  }
  for (const name of Object.keys(hits)) hits[name] = format.format(hits[name]);
  found.textContent = asked.length ? fill(words.found, hits) : "";
}

let timer = 0;
for (const input of [query, ...tables.map((each) => each.own).filter(Boolean)]) {
  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 120); });
}
kind.addEventListener("change", filter);
form.addEventListener("submit", (event) => { event.preventDefault(); filter(); });
form.addEventListener("reset", () => setTimeout(filter));

for (const more of document.querySelectorAll("button[data-more]")) {
  more.addEventListener("click", () => {
    const all = document.getElementById(more.dataset.more).classList.toggle("all");
    more.setAttribute("aria-expanded", String(all));
    more.textContent = all ? more.dataset.fewer : more.dataset.all;
  });
}

// Figures: Plotly is unpacked from the page itself; colours of text and grid come from the style sheet.
async function unpacked(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent.trim()), (sign) => sign.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

async function draw() {
  const figures = Object.entries(JSON.parse(document.getElementById("figures").textContent));
  if (figures.length) {
    if (typeof DecompressionStream === "undefined") {
      for (const note of document.querySelectorAll(".too-old")) note.hidden = false;
      return;
    }
    const script = document.createElement("script");
    script.textContent = await unpacked("plotly");
    document.head.append(script);
  }
  for (const [id, figure] of figures) {
    await Plotly.newPlot(id, figure.data, figure.layout, { responsive: true, displayModeBar: false });
    await new Promise((resolve) => setTimeout(resolve));
  }
  const sized = (change) => figures.forEach(([id]) => Plotly.relayout(id, change));
  addEventListener("beforeprint", () => sized({ autosize: false, width: 660 }));
  addEventListener("afterprint", () => sized({ autosize: true, width: null }));
  root.dataset.drawn = figures.length;
}
draw();
