// The terms besides the search field, as chips with a sign, a weight and a remove button.

import { byId, icon, make } from "./dom.js";

const list = byId("chips");
let terms = [];
let onChange = () => {};

export function init(handler) {
  onChange = handler;
}

/** The terms as the server reads them. */
export const queryTerms = () => terms.map(({ kind, value, weight }) => ({ kind, value, weight }));

export const pictures = () => terms.filter((term) => term.kind === "picture");

/**
 * Add a term.
 *
 * kind: text, id, url or picture; value: for the server; label: for people; image: the URL of a
 * small picture; blob: the bytes of a query picture, to upload again.
 */
export function add(term) {
  const same = terms.find((other) => other.kind === term.kind && other.value === term.value);
  if (same) same.weight = term.weight;
  else terms.push(term);
  draw();
  onChange();
}

export function clear() {
  for (const term of terms) revokeImage(term);
  terms = [];
  draw();
}

/** Remove the terms that are rows, as they belong to another collection. */
export function dropIds() {
  terms = terms.filter((term) => term.kind !== "id");
  draw();
}

function remove(term) {
  const index = terms.indexOf(term);
  terms.splice(index, 1);
  revokeImage(term);
  draw();
  const buttons = list.querySelectorAll(".remove");
  (buttons[Math.min(index, buttons.length - 1)] ?? byId("words")).focus();
  onChange();
}

const revokeImage = (term) => {
  if (term.image?.startsWith("blob:")) URL.revokeObjectURL(term.image);
};

function draw() {
  list.hidden = !terms.length;
  list.replaceChildren(...terms.map(chip));
}

function chip(term) {
  const isNegative = term.weight < 0;
  const thumbnail = term.image ? [make("img", { src: term.image, alt: "" })] : [];
  return make(
    "li",
    { className: isNegative ? "chip minus" : "chip" },
    signButton(term, isNegative),
    ...thumbnail,
    make("span", { className: "label", title: term.label }, term.label),
    weightField(term),
    removeButton(term),
  );
}

function signButton(term, isNegative) {
  const button = make(
    "button",
    {
      type: "button",
      className: "sign",
      title: isNegative
        ? "Not like this; press for like this"
        : "Like this; press for not like this",
      "aria-label": `${term.label}: ${isNegative ? "subtracted" : "added"}; change it`,
    },
    icon(isNegative ? "minus" : "plus"),
  );
  button.addEventListener("click", () => {
    const index = terms.indexOf(term);
    term.weight = -term.weight;
    draw();
    list.querySelectorAll(".sign")[index].focus();
    onChange();
  });
  return button;
}

function weightField(term) {
  const field = make("input", {
    type: "number",
    min: "0.1",
    max: "10",
    step: "0.1",
    value: String(Math.abs(term.weight)),
    title: "Weight",
    "aria-label": `Weight of ${term.label}`,
  });
  field.addEventListener("change", () => {
    const weight = Math.min(10, Math.max(0.1, Number(field.value) || 1));
    field.value = String(weight);
    term.weight = Math.sign(term.weight) * weight;
    onChange();
  });
  return field;
}

function removeButton(term) {
  const button = make(
    "button",
    { type: "button", className: "remove", "aria-label": `Remove ${term.label}` },
    icon("close"),
  );
  button.addEventListener("click", () => remove(term));
  return button;
}
