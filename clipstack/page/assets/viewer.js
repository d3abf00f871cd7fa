// The large view: one hit, what the index knows of it, and moves to its neighbours.

import { facts, large, small } from "./api.js";
import { by, copy, make } from "./dom.js";

const dialog = by("viewer");
const image = by("viewer-picture");
const fault = by("viewer-fault");
let hits = () => [];
let collection = () => "";
let furtherHits = async () => {};
let back = () => {};
let at = -1;

/** Wire it; `page` has hits(), collection(), further(), back(number), more(hit) and less(hit). */
export function start(page) {
  ({ hits, collection, back } = page);
  furtherHits = page.further;
  by("previous").addEventListener("click", () => to(at - 1));
  by("next").addEventListener("click", () => to(at + 1));
  by("viewer-close").addEventListener("click", () => dialog.close());
  by("copy").addEventListener("click", copyPath);
  for (const [id, work] of [["viewer-more", page.more], ["viewer-less", page.less]]) {
    by(id).addEventListener("click", () => {
      const hit = hits()[at];
      dialog.close();
      work(hit);
    });
  }
  dialog.addEventListener("keydown", key);
  dialog.addEventListener("click", (event) => {
    if (event.target === by("stage")) dialog.close();
  });
  dialog.addEventListener("close", closed);
  addEventListener("popstate", () => dialog.open && dialog.close());
  swipes(by("stage"));
  image.addEventListener("error", () => {
    if (!image.hasAttribute("src")) return;
    image.hidden = true;
    fault.hidden = false;
    fault.textContent = "This picture is gone, or is not the one that was imported.";
  });
}

export function open(number) {
  at = -1;
  dialog.showModal();
  history.pushState({ viewer: true }, "");
  to(number);
  by("next").focus();
}

function closed() {
  image.removeAttribute("src");
  if (history.state?.viewer) history.back();
  back(at);
}

async function to(number) {
  const found = hits();
  if (number < 0 || number >= found.length || number === at) return;
  at = number;
  const hit = found[at];
  const where = collection();
  image.hidden = false;
  fault.hidden = true;
  image.alt = hit.name;
  image.style.setProperty("--small", `url("${small(where, hit.id)}")`);
  image.width = hit.width;
  image.height = hit.height;
  image.src = large(where, hit.id);
  by("viewer-name").textContent = hit.name;
  by("viewer-place").textContent = `${at + 1} of ${found.length}, score ${hit.score.toFixed(3)}`;
  by("previous").disabled = at === 0;
  by("next").disabled = at === found.length - 1;
  by("copy").textContent = "Copy path";
  by("viewer-facts").replaceChildren();
  if (at >= found.length - 4) furtherHits().then(() => (by("next").disabled = at >= hits().length - 1));
  try {
    const known = await facts(where, hit.id);
    if (hits()[at] !== hit) return;
    by("viewer-facts").replaceChildren(
      ...known.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]),
    );
  } catch (error) {
    if (hits()[at] === hit) by("viewer-facts").replaceChildren(make("dt", {}, error.message));
  }
  const neighbour = hits()[at + 1];
  if (neighbour) new Image().src = large(where, neighbour.id);
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: hits().length - 1 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  to(step);
}

async function copyPath() {
  const button = by("copy");
  try {
    await copy(hits()[at].path);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied: select it below";
  }
}

function swipes(stage) {
  let from = null;
  stage.addEventListener("touchstart", (event) => {
    from = event.touches.length === 1 ? event.touches[0].clientX : null;
  }, { passive: true });
  stage.addEventListener("touchend", (event) => {
    if (from === null) return;
    const moved = event.changedTouches[0].clientX - from;
    if (Math.abs(moved) > 50) to(moved < 0 ? at + 1 : at - 1);
  }, { passive: true });
}
