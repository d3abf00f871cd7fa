// The terms besides the words in the field, as chips: each with a sign, a weight and a way out.

import { by, icon, make } from "./dom.js";

const list = by("chips");
let terms = [];
let changed = () => {};

export function start(whenChanged) {
  changed = whenChanged;
}

/** The terms as the server is asked for them. */
export const asked = () => terms.map(({ kind, value, weight }) => ({ kind, value, weight }));

export const pictures = () => terms.filter((term) => term.kind === "picture");

/**
 * Add a term.
 *
 * kind: text, id, url or picture; value: as the server knows it; label: as people do;
 * image: the address of a small picture; blob: a query picture's own bytes, to send again.
 */
export function add(term) {
  const same = terms.find((one) => one.kind === term.kind && one.value === term.value);
  if (same) same.weight = term.weight;
  else terms.push(term);
  draw();
  changed();
}

export function clear() {
  for (const term of terms) forget(term);
  terms = [];
  draw();
}

/** Leave out rows of a collection that is not searched any more. */
export function dropIds() {
  terms = terms.filter((term) => term.kind !== "id");
  draw();
}

function remove(term) {
  const at = terms.indexOf(term);
  terms.splice(at, 1);
  forget(term);
  draw();
  const left = list.querySelectorAll(".remove");
  (left[Math.min(at, left.length - 1)] ?? by("words")).focus();
  changed();
}

const forget = (term) => {
  if (term.image?.startsWith("blob:")) URL.revokeObjectURL(term.image);
};

function draw() {
  list.hidden = !terms.length;
  list.replaceChildren(...terms.map(chip));
}

function chip(term) {
  const minus = term.weight < 0;
  const sign = make(
    "button",
    {
      type: "button",
      className: "sign",
      title: minus ? "Not like this; press for like this" : "Like this; press for not like this",
      "aria-label": `${term.label}: ${minus ? "subtracted" : "added"}; change it`,
    },
    icon(minus ? "minus" : "plus"),
  );
  sign.addEventListener("click", () => {
    const at = terms.indexOf(term);
    term.weight = -term.weight;
    draw();
    list.querySelectorAll(".sign")[at].focus();
    changed();
  });
  const weight = make("input", {
    type: "number",
    min: "0.1",
    max: "10",
    step: "0.1",
    value: String(Math.abs(term.weight)),
    title: "Weight",
    "aria-label": `Weight of ${term.label}`,
  });
  weight.addEventListener("change", () => {
    const given = Math.min(10, Math.max(0.1, Number(weight.value) || 1));
    weight.value = String(given);
    term.weight = Math.sign(term.weight) * given;
    changed();
  });
  const out = make(
    "button",
    { type: "button", className: "remove", "aria-label": `Remove ${term.label}` },
    icon("close"),
  );
  out.addEventListener("click", () => remove(term));
  const face = term.image
    ? [make("img", { src: term.image, alt: "" })]
    : [];
  return make(
    "li",
    { className: minus ? "chip minus" : "chip" },
    sign,
    ...face,
    make("span", { className: "label", title: term.label }, term.label),
    weight,
    out,
  );
}
