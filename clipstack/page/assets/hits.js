// The grid of hits: rows of even height, each picture a button, moved through by arrow keys.

import { small } from "./api.js";
import { by, icon, make } from "./dom.js";
import { load, stop } from "./loading.js";

const list = by("hits");
let hits = [];
let shown = new Map();
let act = {};

/** Wire it; `actions` has open(number), more(hit) and less(hit). */
export function start(actions) {
  act = actions;
  list.addEventListener("keydown", move);
}

export const all = () => hits;

/** Show the hits of a new search; pictures that were there stay as they are. */
export function show(found, collection) {
  const before = shown;
  hits = [];
  shown = new Map();
  const items = found.map((hit) => item(hit, collection, before.get(collection + hit.id)));
  list.replaceChildren(...items);
  for (const [key, item] of before) if (!shown.has(key)) stop(item.querySelector("img"));
}

/** Show further hits below; returns how many were new. */
export function append(found, collection) {
  const fresh = found.filter((hit) => !shown.has(collection + hit.id));
  list.append(...fresh.map((hit) => item(hit, collection)));
  return fresh.length;
}

/** Bring a picture into view and give it the focus. */
export function focus(number) {
  const button = list.children[number]?.querySelector(".picture");
  button?.focus({ preventScroll: true });
  button?.scrollIntoView({ block: "nearest" });
}

const told = (hit) =>
  hit.stands_out == null
    ? hit.score.toFixed(Math.abs(hit.score) < 10 ? 3 : 1)
    : `${hit.score.toFixed(3)} · ${hit.stands_out > 0 ? "+" : ""}${hit.stands_out.toFixed(1)}σ`;

function item(hit, collection, old) {
  const number = hits.push(hit) - 1;
  const made = old ?? picture(hit, collection);
  made.dataset.number = String(number);
  made.querySelector(".score").textContent = told(hit);
  made.querySelector(".name").textContent = hit.group || hit.name;
  shown.set(collection + hit.id, made);
  return made;
}

function picture(hit, collection) {
  const image = make("img", {
    alt: hit.name,
    decoding: "async",
    draggable: false,
  });
  const made = make("li", { className: "hit" });
  const ratio = Math.min(2.6, Math.max(0.5, hit.width / hit.height || 1));
  made.style.setProperty("--ratio", ratio.toFixed(4));
  load(image, small(collection, hit.id), {
    ready: () => made.classList.add("ready"),
    gone: () => made.classList.add("gone"),
  });
  const open = make(
    "button",
    { type: "button", className: "picture" },
    image,
    make(
      "span",
      { className: "caption" },
      make("span", { className: "name", "aria-hidden": "true" }),
      make("span", { className: "score" }),
    ),
  );
  open.addEventListener("click", () => act.open(Number(made.dataset.number)));
  const button = (kind, label, work) => {
    const one = make(
      "button",
      { type: "button", className: kind, title: label, "aria-label": `${label}: ${hit.name}` },
      icon(kind),
    );
    one.addEventListener("click", () => work(hit));
    return one;
  };
  made.append(
    open,
    make(
      "div",
      { className: "turn" },
      button("plus", "More like this", act.more),
      button("minus", "Less like this", act.less),
    ),
  );
  return made;
}

function move(event) {
  const item = event.target.closest(".hit");
  if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
  const number = Number(item.dataset.number);
  const hit = hits[number];
  if (event.key === "+") return act.more(hit);
  if (event.key === "-") return act.less(hit);
  const to = {
    ArrowLeft: () => number - 1,
    ArrowRight: () => number + 1,
    ArrowUp: () => beside(item, -1),
    ArrowDown: () => beside(item, 1),
    Home: () => 0,
    End: () => hits.length - 1,
  }[event.key]?.();
  if (to === undefined) return undefined;
  event.preventDefault();
  if (to >= 0 && to < hits.length) focus(to);
  return undefined;
}

/** The picture above (-1) or below (1) `item`, or -1. */
function beside(item, way) {
  const from = item.getBoundingClientRect();
  const middle = from.left + from.width / 2;
  let row = null;
  let best = -1;
  let nearest = Infinity;
  for (let one = item; one; one = way < 0 ? one.previousElementSibling : one.nextElementSibling) {
    const box = one.getBoundingClientRect();
    if (Math.abs(box.top - from.top) < 2) continue;
    row ??= box.top;
    if (Math.abs(box.top - row) > 2) break;
    const away = Math.abs(box.left + box.width / 2 - middle);
    if (away < nearest) [nearest, best] = [away, Number(one.dataset.number)];
  }
  return best;
}
