// The large view of one hit, with its facts and buttons for its neighbours.

import { facts, largeUrl, smallUrl } from "./api.js";
import { byId, copyText, make } from "./dom.js";

const dialog = byId("viewer");
const image = byId("viewer-picture");
const fault = byId("viewer-fault");
let hits = () => [];
let collection = () => "";
let loadMore = async () => {};
let onClosed = () => {};
let current = -1; // number of the hit shown

/** Initialise; `page` has hits(), collection(), loadMore(), onClosed(number), more() and less(). */
export function init(page) {
  ({ hits, collection, loadMore, onClosed } = page);
  byId("previous").addEventListener("click", () => show(current - 1));
  byId("next").addEventListener("click", () => show(current + 1));
  byId("viewer-close").addEventListener("click", () => dialog.close());
  byId("copy").addEventListener("click", copyPath);
  for (const [id, action] of [["viewer-more", page.more], ["viewer-less", page.less]]) {
    byId(id).addEventListener("click", () => {
      const hit = hits()[current];
      dialog.close();
      action(hit);
    });
  }
  dialog.addEventListener("keydown", onKeyDown);
  dialog.addEventListener("click", (event) => {
    if (event.target === byId("stage")) dialog.close();
  });
  dialog.addEventListener("close", onClose);
  addEventListener("popstate", () => dialog.open && dialog.close());
  initSwipes(byId("stage"));
  image.addEventListener("error", () => {
    if (!image.hasAttribute("src")) return;
    image.hidden = true;
    fault.hidden = false;
    fault.textContent = "This picture is gone, or is not the one that was imported.";
  });
}

export function open(number) {
  current = -1;
  dialog.showModal();
  history.pushState({ viewer: true }, "");
  show(number);
  byId("next").focus();
}

function onClose() {
  image.removeAttribute("src");
  if (history.state?.viewer) history.back();
  onClosed(current);
}

async function show(number) {
  const { length } = hits();
  if (number < 0 || number >= length || number === current) return;
  current = number;
  const hit = hits()[number];
  const name = collection();
  image.hidden = false;
  fault.hidden = true;
  image.alt = hit.name;
  image.style.setProperty("--small", `url("${smallUrl(name, hit.id)}")`);
  image.width = hit.width;
  image.height = hit.height;
  image.src = largeUrl(name, hit.id);
  byId("viewer-name").textContent = hit.name;
  byId("viewer-place").textContent = `${number + 1} of ${length}, score ${hit.score.toFixed(3)}`;
  byId("previous").disabled = number === 0;
  byId("next").disabled = number === length - 1;
  byId("copy").textContent = "Copy path";
  byId("viewer-facts").replaceChildren();
  if (number >= length - 4) {
    loadMore().then(() => (byId("next").disabled = current >= hits().length - 1));
  }
  try {
    const pairs = await facts(name, hit.id);
    if (hits()[current] !== hit) return;
    byId("viewer-facts").replaceChildren(
      ...pairs.flatMap(([label, value]) => [make("dt", {}, label), make("dd", {}, value)]),
    );
  } catch (error) {
    if (hits()[current] === hit) {
      byId("viewer-facts").replaceChildren(make("dt", {}, error.message));
    }
  }
  const neighbour = hits()[current + 1];
  if (neighbour) new Image().src = largeUrl(name, neighbour.id);
}

function onKeyDown(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = {
    ArrowLeft: current - 1,
    ArrowRight: current + 1,
    Home: 0,
    End: hits().length - 1,
  }[event.key];
  if (target === undefined) return;
  event.preventDefault();
  show(target);
}

async function copyPath() {
  const button = byId("copy");
  try {
    await copyText(hits()[current].path);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied: select it below";
  }
}

function initSwipes(stage) {
  let startX = null;
  stage.addEventListener("touchstart", (event) => {
    startX = event.touches.length === 1 ? event.touches[0].clientX : null;
  }, { passive: true });
  stage.addEventListener("touchend", (event) => {
    if (startX === null) return;
    const distance = event.changedTouches[0].clientX - startX;
    if (Math.abs(distance) > 50) show(distance < 0 ? current + 1 : current - 1);
  }, { passive: true });
}
