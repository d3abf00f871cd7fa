// The panel of filters and other options of a search.

import { byId, make } from "./dom.js";

const form = byId("refine-form");
const panel = byId("refine");
const opener = byId("refine-open");
const slider = byId("cut-value");
const wide = matchMedia("(min-width: 60rem)");
const filters = [...form.querySelectorAll("[data-filter]")];
let scores = null;
let lower = false;

/**
 * Initialise; `page` has addTerm(term), onCollectionChange(), onClear() and functions that search:
 * search() at once, searchAfterSliding() and searchAfterTyping() after a pause.
 */
export function init(page) {
  opener.addEventListener("click", () => show(panel.hidden));
  byId("refine-close").addEventListener("click", () => show(false));
  let saved = null;
  try {
    saved = localStorage.getItem("clipstack-refine");
  } catch {
    // Without storage the panel is open in a wide window.
  }
  if (wide.matches && saved !== "closed") show(true, false);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    page.search();
  });
  form.addEventListener("input", (event) => {
    const field = event.target;
    if (field.id === "also" || field.id === "unlike") return;
    if (field.id === "collection") return page.onCollectionChange();
    if (field === slider) form.elements.cut.value = "score";
    if (field.name === "cut" && field.value === "score") updateSlider();
    byId("template-row").hidden = form.prompt.value !== "own";
    updateLabels();
    const isOwnPrompt = field.id === "prompt" && field.value === "own";
    if (isOwnPrompt && !form.template.value.includes("{}")) return; // It is still to be typed.
    if (field === slider) page.searchAfterSliding();
    else if (field.matches("select, [type=radio]")) page.search();
    else page.searchAfterTyping();
  });
  for (const [id, weight] of [["also", 1], ["unlike", -1]]) {
    byId(id).addEventListener("keydown", (event) => {
      const value = event.target.value.trim();
      if (event.key !== "Enter" || event.isComposing || !value) return;
      event.preventDefault();
      event.target.value = "";
      const kind = /^https?:\/\/\S+$/i.test(value) ? "url" : "text";
      page.addTerm({ kind, value, weight, label: value });
    });
  }
  byId("clear").addEventListener("click", () => {
    const collection = form.collection.value;
    form.reset();
    form.collection.value = collection;
    byId("template-row").hidden = true;
    updateLabels();
    page.onClear();
  });
}

function show(open, save = true) {
  panel.hidden = !open;
  opener.setAttribute("aria-expanded", String(open));
  document.body.classList.toggle("refining", open);
  if (!save) return;
  try {
    localStorage.setItem("clipstack-refine", open ? "open" : "closed");
  } catch {
    // Without storage the choice lasts until the page is loaded again.
  }
  if (open && !wide.matches) byId("collection").focus();
  else if (!open) opener.focus();
}

export function setCollections(about) {
  form.collection.replaceChildren(
    ...about.collections
      .filter(({ usable }) => usable)
      .map(({ name, rows }) =>
        make("option", { value: name }, `${name} · ${rows.toLocaleString("en")}`),
      ),
  );
  form.collection.value = about.collection;
  byId("target").textContent = `on the target ${about.target}`;
}

/** Mark the fields that an error names as options; returns the error without the dashes. */
export function markFields(message) {
  for (const [, option] of message.matchAll(/--([a-z][a-z-]*)/g)) {
    const field = form.elements[option.replaceAll("-", "_")];
    if (!field?.setAttribute) continue;
    field.setAttribute("aria-invalid", "true");
    const details = field.closest("details");
    if (details) details.open = true;
  }
  return message.replace(/--(?=[a-z])/g, "");
}

export function clearMarks() {
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
  }
}

export const collection = () => form.collection.value;

const filterValue = (field) => (field.type === "number" ? Number(field.value) || 0 : field.value);

/** The panel's options, as members of the query. */
export function queryOptions() {
  const variety = form.variety.value;
  const template = form.template.value.includes("{}") ? form.template.value : "none";
  const cut = form.elements.cut.value;
  return {
    collection: form.collection.value,
    filters: Object.fromEntries(filters.map((field) => [field.name, filterValue(field)])),
    min_score: cut === "auto" ? "auto" : cut === "score" ? Number(slider.value) : null,
    prompt: form.prompt.value === "own" ? template : form.prompt.value,
    sort: form.sort.value,
    diverse: variety === "diverse",
    group_by: variety === "diverse" ? "" : variety,
    limit: Math.min(500, Math.max(1, Number(form.limit.value) || 60)),
  };
}

/** Widen the slider to the scores of a result; `isNew` drops the scores of earlier results. */
export function addScores(result, isNew) {
  lower = result.better === "lower";
  if (form.elements.cut.value !== "off") return updateLabels();
  const newScores = result.hits.map((hit) => hit.score);
  if (isNew) scores = null;
  if (newScores.length) {
    const all = scores ? [...newScores, ...scores] : newScores;
    scores = [Math.min(...all), Math.max(...all)];
    updateSlider();
  }
  return updateLabels();
}

function updateSlider() {
  if (!scores) return;
  const [least, most] = scores;
  const value = Number(slider.value);
  const isCut = form.elements.cut.value === "score";
  slider.min = String(Math.min(least, isCut ? value : least));
  slider.max = String(Math.max(most, isCut ? value : most));
  slider.step = String(Math.max((most - least) / 200, 1e-5));
  if (!isCut) slider.value = lower ? slider.max : slider.min;
}

function updateLabels() {
  const cut = form.elements.cut.value;
  const value = Number(slider.value);
  const bound = `${lower ? "≤" : "≥"} ${value.toFixed(Math.abs(value) < 10 ? 3 : 0)}`;
  byId("cut-shown").textContent = cut === "score" ? bound : cut;
  const set = filters.filter((field) => field.value);
  const options = [
    cut !== "off",
    form.sort.value !== "score",
    form.variety.value,
    form.prompt.value !== "none",
  ];
  const count = set.length + options.filter(Boolean).length;
  byId("refine-count").hidden = !count;
  byId("refine-count").textContent = String(count);
  opener.setAttribute("aria-label", count ? `Filters, ${count} set` : "Filters");
}
