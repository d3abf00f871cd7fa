// The grid of hits: rows of even height, each picture a button, with arrow keys to move.

import { smallUrl } from "./api.js";
import { byId, icon, make } from "./dom.js";
import { load, stop } from "./loading.js";

const list = byId("hits");
let hits = [];
let items = new Map(); // by collection and id
let actions = {};

/** Initialise the grid; `handlers` has open(number), more(hit) and less(hit). */
export function init(handlers) {
  actions = handlers;
  list.addEventListener("keydown", onKeyDown);
}

export const all = () => hits;

/** Show the hits of a new search; items that were shown before are reused. */
export function show(newHits, collection) {
  const previous = items;
  hits = [];
  items = new Map();
  const elements = newHits.map((hit) => item(hit, collection, previous.get(collection + hit.id)));
  list.replaceChildren(...elements);
  for (const [key, item] of previous) if (!items.has(key)) stop(item.querySelector("img"));
}

/** Show further hits below; returns how many were not shown yet. */
export function append(furtherHits, collection) {
  const newHits = furtherHits.filter((hit) => !items.has(collection + hit.id));
  list.append(...newHits.map((hit) => item(hit, collection)));
  return newHits.length;
}

/** Scroll a picture into view and focus it. */
export function focus(number) {
  const button = list.children[number]?.querySelector(".picture");
  button?.focus({ preventScroll: true });
  button?.scrollIntoView({ block: "nearest" });
}

const scoreText = (hit) =>
  hit.stands_out == null
    ? hit.score.toFixed(Math.abs(hit.score) < 10 ? 3 : 1)
    : `${hit.score.toFixed(3)} · ${hit.stands_out > 0 ? "+" : ""}${hit.stands_out.toFixed(1)}σ`;

function item(hit, collection, reusable) {
  const number = hits.push(hit) - 1;
  const element = reusable ?? createItem(hit, collection);
  element.dataset.number = String(number);
  element.querySelector(".score").textContent = scoreText(hit);
  element.querySelector(".name").textContent = hit.group || hit.name;
  items.set(collection + hit.id, element);
  return element;
}

function createItem(hit, collection) {
  const image = make("img", {
    alt: hit.name,
    decoding: "async",
    draggable: false,
  });
  const element = make("li", { className: "hit" });
  const ratio = Math.min(2.6, Math.max(0.5, hit.width / hit.height || 1));
  element.style.setProperty("--ratio", ratio.toFixed(4));
  load(image, smallUrl(collection, hit.id), {
    ready: () => element.classList.add("ready"),
    gone: () => element.classList.add("gone"),
  });
  const picture = make(
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
  picture.addEventListener("click", () => actions.open(Number(element.dataset.number)));
  const createButton = (kind, label, action) => {
    const button = make(
      "button",
      { type: "button", className: kind, title: label, "aria-label": `${label}: ${hit.name}` },
      icon(kind),
    );
    button.addEventListener("click", () => action(hit));
    return button;
  };
  element.append(
    picture,
    make(
      "div",
      { className: "turn" },
      createButton("plus", "More like this", actions.more),
      createButton("minus", "Less like this", actions.less),
    ),
  );
  return element;
}

function onKeyDown(event) {
  const item = event.target.closest(".hit");
  if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
  const number = Number(item.dataset.number);
  const hit = hits[number];
  if (event.key === "+") return actions.more(hit);
  if (event.key === "-") return actions.less(hit);
  const target = {
    ArrowLeft: () => number - 1,
    ArrowRight: () => number + 1,
    ArrowUp: () => numberInNextRow(item, -1),
    ArrowDown: () => numberInNextRow(item, 1),
    Home: () => 0,
    End: () => hits.length - 1,
  }[event.key]?.();
  if (target === undefined) return undefined;
  event.preventDefault();
  if (target >= 0 && target < hits.length) focus(target);
  return undefined;
}

/** The picture above (direction -1) or below (1) `item`, or -1. */
function numberInNextRow(item, direction) {
  const from = item.getBoundingClientRect();
  const middle = from.left + from.width / 2;
  let rowTop = null;
  let nearest = -1;
  let nearestDistance = Infinity;
  const next = direction < 0 ? "previousElementSibling" : "nextElementSibling";
  for (let other = item; other; other = other[next]) {
    const box = other.getBoundingClientRect();
    if (Math.abs(box.top - from.top) < 2) continue;
    rowTop ??= box.top;
    if (Math.abs(box.top - rowTop) > 2) break;
    const distance = Math.abs(box.left + box.width / 2 - middle);
    if (distance < nearestDistance) {
      [nearestDistance, nearest] = [distance, Number(other.dataset.number)];
    }
  }
  return nearest;
}
