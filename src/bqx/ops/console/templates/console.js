"use strict";
const root = document.documentElement;
const stored = () => { try { return localStorage.getItem("bqx-theme") || ""; } catch { return ""; } };
const wear = (name) => { if (name) root.dataset.theme = name; else delete root.dataset.theme; };
wear(stored());

document.addEventListener("DOMContentLoaded", () => {
  const button = document.querySelector("#theme");
  const say = () => { button.textContent = "theme: " + (stored() || "system"); };
  button.addEventListener("click", () => {
    const next = { "": "light", light: "dark", dark: "" }[stored()];
    try { localStorage.setItem("bqx-theme", next); } catch { /* a page of this visit only */ }
    wear(next); say();
    document.dispatchEvent(new Event("theme"));
  });
  say();
  search(); heat();
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape" && typing) { event.target.blur(); return; }
  if (typing) return;
  const links = document.querySelectorAll("nav a");
  if (/^[1-9]$/.test(event.key) && links[event.key - 1]) links[event.key - 1].click();
  else if (event.key === "/") { const box = document.querySelector("input[type=search]"); if (box) { event.preventDefault(); box.focus(); } }
  else if (event.key === "?") document.querySelector("#keys").showModal();
});

function search() {
  const box = document.querySelector("input[type=search]");
  if (!box) return;
  const rows = [...document.querySelectorAll("tbody[data-search] tr")].map((row) => [row, row.textContent.toLowerCase()]);
  const shown = document.querySelector("#shown");
  const narrow = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const [row, text] of rows) { const fits = words.every((word) => text.includes(word)); row.hidden = !fits; count += fits; }
    shown.textContent = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} columns`;
  };
  box.addEventListener("input", narrow);
  narrow();
}

function heat() {
  const canvas = document.querySelector("#heat");
  if (!canvas) return;
  const { datasets, months, pairs, cells } = JSON.parse(document.querySelector("#heat-data").textContent);
  const CELL = Math.max(3, Math.ceil(48 / Math.max(pairs.length, 1))), HIGH = 14, GAP = 4, LEFT = 158, TOP = 22;
  const block = CELL * pairs.length + GAP, wide = LEFT + block * months.length, high = TOP + HIGH * datasets.length + 2;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = wide * ratio; canvas.height = high * ratio;
  canvas.style.width = wide + "px"; canvas.style.height = high + "px";
  const at = new Map(cells.map((cell) => [(cell[0] * months.length + cell[1]) * pairs.length + cell[2], cell]));
  const pen = canvas.getContext("2d"), said = document.querySelector("#said");
  let cursor = null;
  const mix = (a, b, t) => "rgb(" + a.map((v, k) => Math.round(v + (b[k] - v) * t)).join(",") + ")";
  const parse = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
  const x = (cell) => LEFT + block * cell[1] + CELL * cell[2], y = (cell) => TOP + HIGH * cell[0];
  const draw = () => {
    const style = getComputedStyle(root), role = (name) => style.getPropertyValue(name).trim();
    const low = parse(role("--heat-low")), top = parse(role("--heat-high"));
    const shades = Array.from({ length: 21 }, (_, k) => mix(low, top, k / 20));
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, wide, high);
    pen.font = "11px system-ui, sans-serif"; pen.textBaseline = "middle"; pen.fillStyle = role("--ink"); pen.textAlign = "right";
    datasets.forEach((name, k) => pen.fillText(name, LEFT - 8, TOP + HIGH * (k + 0.5)));
    pen.textAlign = "left";
    months.forEach((name, k) => pen.fillText(name, LEFT + block * k, 10));
    for (const cell of cells) { pen.fillStyle = shades[Math.round(cell[4] / 50)]; pen.fillRect(x(cell), y(cell), CELL > 4 ? CELL - 1 : CELL, HIGH - 1); }
    if (cursor) { pen.strokeStyle = role("--bad"); pen.lineWidth = 2; pen.strokeRect(x(cursor) - 1, y(cursor) - 1, CELL + 2, HIGH + 1); }
  };
  const tell = () => {
    const cell = at.get((cursor[0] * months.length + cursor[1]) * pairs.length + cursor[2]);
    const name = `${datasets[cursor[0]]}_${pairs[cursor[2]]}_${months[cursor[1]]}`;
    said.textContent = cell ? `${name}: ${cell[3].toLocaleString("en")} rows, ${(cell[4] / 10).toFixed(1)} % not NULL` : `${name}: not built`;
  };
  const move = (next) => { cursor = next; draw(); tell(); };
  canvas.addEventListener("keydown", (event) => {
    const [d, m, p] = cursor || [0, 0, 0], last = pairs.length - 1;
    const to = { ArrowUp: [Math.max(d - 1, 0), m, p], ArrowDown: [Math.min(d + 1, datasets.length - 1), m, p],
      ArrowLeft: p > 0 ? [d, m, p - 1] : m > 0 ? [d, m - 1, last] : [d, m, p],
      ArrowRight: p < last ? [d, m, p + 1] : m < months.length - 1 ? [d, m + 1, 0] : [d, m, p],
      PageUp: [d, Math.max(m - 1, 0), p], PageDown: [d, Math.min(m + 1, months.length - 1), p], Home: [d, 0, 0], End: [d, months.length - 1, last] }[event.key];
    if (to) { event.preventDefault(); move(cursor ? to : [0, 0, 0]); }
    else if (event.key === "Enter" && cursor) location.href = `/catalogue/${datasets[cursor[0]]}?pair=${pairs[cursor[2]]}&month=${months[cursor[1]]}`;
  });
  const under = (event) => {
    const across = event.offsetX - LEFT, m = Math.floor(across / block), p = Math.floor((across - m * block) / CELL), d = Math.floor((event.offsetY - TOP) / HIGH);
    return across >= 0 && d >= 0 && d < datasets.length && m < months.length && p < pairs.length ? [d, m, p] : null;
  };
  canvas.addEventListener("mousemove", (event) => { const found = under(event); if (found) move(found); });
  canvas.addEventListener("click", (event) => { const found = under(event); if (found) location.href = `/catalogue/${datasets[found[0]]}?pair=${pairs[found[2]]}&month=${months[found[1]]}`; });
  document.addEventListener("theme", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  canvas.dataset.drawn = cells.length;
}
