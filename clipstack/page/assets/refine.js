// The panel of filters and other options: what is chosen there, for the server.

import { by, make } from "./dom.js";

const form = by("refine-form");
const panel = by("refine");
const opener = by("refine-open");
const slider = by("cut-value");
const wide = matchMedia("(min-width: 60rem)");
const FILTERS = ["since", "until", "camera", "format", "under", "tags", "near", "expr"];
let scores = null;
let lower = false;

/** Wire it; `changed` has now(), slide() and type(): another search is due, after which pause. */
export function start({ changed, collectionChanged, add, cleared }) {
  opener.addEventListener("click", () => show(panel.hidden));
  by("refine-close").addEventListener("click", () => show(false));
  let kept = null;
  try {
    kept = localStorage.getItem("clipstack-refine");
  } catch {
    // Nothing is kept: it starts as wide as the window.
  }
  if (wide.matches && kept !== "closed") show(true, false);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    changed.now();
  });
  form.addEventListener("input", (event) => {
    const from = event.target;
    if (from.id === "also" || from.id === "unlike") return;
    if (from.id === "collection") return collectionChanged();
    if (from === slider) form.elements.cut.value = "score";
    if (from.name === "cut" && from.value === "score") bound();
    by("template-row").hidden = form.prompt.value !== "own";
    told();
    if (from.id === "prompt" && from.value === "own" && !form.template.value.includes("{}")) return;
    if (from === slider) changed.slide();
    else if (from.matches("select, [type=radio]")) changed.now();
    else changed.type();
  });
  for (const [id, weight] of [["also", 1], ["unlike", -1]]) {
    by(id).addEventListener("keydown", (event) => {
      const value = event.target.value.trim();
      if (event.key !== "Enter" || event.isComposing || !value) return;
      event.preventDefault();
      event.target.value = "";
      const kind = /^https?:\/\/\S+$/i.test(value) ? "url" : "text";
      add({ kind, value, weight, label: value });
    });
  }
  by("clear").addEventListener("click", () => {
    const collection = form.collection.value;
    form.reset();
    form.collection.value = collection;
    by("template-row").hidden = true;
    told();
    cleared();
  });
}

function show(open, keep = true) {
  panel.hidden = !open;
  opener.setAttribute("aria-expanded", String(open));
  document.body.classList.toggle("refining", open);
  if (!keep) return;
  try {
    localStorage.setItem("clipstack-refine", open ? "open" : "closed");
  } catch {
    // Then it starts as it does elsewhere.
  }
  if (open && !wide.matches) by("collection").focus();
  else if (!open) opener.focus();
}

export function about(facts) {
  form.collection.replaceChildren(
    ...facts.collections
      .filter((one) => one.usable)
      .map((one) =>
        make("option", { value: one.name }, `${one.name} · ${one.rows.toLocaleString("en")}`),
      ),
  );
  form.collection.value = facts.collection;
  by("target").textContent = `on the target ${facts.target}`;
  form.format.append(...facts.formats.map((name) => make("option", { value: name }, name)));
}

const NAMES = { "min-width": "min_width", "min-height": "min_height", tag: "tags", filter: "expr" };

/** An error about an option of the command, in the page's words; its field is marked. */
export function blamed(message) {
  for (const [, option] of message.matchAll(/--([a-z][a-z-]*)/g)) {
    const field = form.elements[NAMES[option] ?? option];
    if (!field?.setAttribute) continue;
    field.setAttribute("aria-invalid", "true");
    const around = field.closest("details");
    if (around) around.open = true;
  }
  return message.replace(/--(?=[a-z])/g, "");
}

export function blameless() {
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
}

export const collection = () => form.collection.value;

/** What the panel says, as members of the question. */
export function asked() {
  const filters = { min_width: Number(form.min_width.value) || 0 };
  filters.min_height = Number(form.min_height.value) || 0;
  for (const name of FILTERS) filters[name] = form.elements[name].value;
  const variety = form.variety.value;
  const own = form.template.value.includes("{}") ? form.template.value : "none";
  const cut = form.elements.cut.value;
  return {
    collection: form.collection.value,
    filters,
    min_score: cut === "auto" ? "auto" : cut === "score" ? Number(slider.value) : null,
    prompt: form.prompt.value === "own" ? own : form.prompt.value,
    sort: form.sort.value,
    diverse: variety === "diverse",
    group_by: variety === "diverse" ? "" : variety,
    limit: Math.min(500, Math.max(1, Number(form.limit.value) || 60)),
  };
}

/** The scores of the hits so far, which the slider then covers. */
export function seen(answer, fresh) {
  lower = answer.better === "lower";
  if (form.elements.cut.value !== "off") return told();
  const found = answer.hits.map((hit) => hit.score);
  if (fresh) scores = null;
  if (found.length) {
    const all = scores ? [...found, ...scores] : found;
    scores = [Math.min(...all), Math.max(...all)];
    bound();
  }
  return told();
}

function bound() {
  if (!scores) return;
  const [least, most] = scores;
  const given = Number(slider.value);
  const cutting = form.elements.cut.value === "score";
  slider.min = String(Math.min(least, cutting ? given : least));
  slider.max = String(Math.max(most, cutting ? given : most));
  slider.step = String(Math.max((most - least) / 200, 1e-5));
  if (!cutting) slider.value = lower ? slider.max : slider.min;
}

function told() {
  const cut = form.elements.cut.value;
  const value = Number(slider.value);
  by("cut-shown").textContent =
    cut === "score" ? `${lower ? "≤" : "≥"} ${value.toFixed(Math.abs(value) < 10 ? 3 : 0)}` : cut;
  const set = [...FILTERS, "min_width", "min_height"].filter((name) => form.elements[name].value);
  const more = [cut !== "off", form.sort.value !== "score", form.variety.value, form.prompt.value !== "none"];
  const count = set.length + more.filter(Boolean).length;
  by("refine-count").hidden = !count;
  by("refine-count").textContent = String(count);
  opener.setAttribute("aria-label", count ? `Filters, ${count} set` : "Filters");
}
