// The page: runs a search when the query changes, and shows its hits.

import * as api from "./api.js";
import { byId, debounce, make } from "./dom.js";
import * as hits from "./hits.js";
import * as refine from "./refine.js";
import * as terms from "./terms.js";
import * as viewer from "./viewer.js";

// Delays after the last change, in milliseconds. While one types: as long as the last search took,
// within these limits.
const TYPING_DELAY = [10, 60];
const SLIDER_DELAY = 120;
const FILTER_DELAY = 600; // A date that is half typed is invalid.
const words = byId("words");
const moreButton = byId("more");
let controller = null; // aborts the running search
let current = null; // the query whose hits are shown, the next offset, and whether there are more
let loadingMore = null;
let lastDuration = 0;
let rowCounts = new Map(); // by collection
let maxUploadBytes = 0;

function currentQuery() {
  const text = words.value.trim();
  const textTerms = text ? [{ kind: "text", value: text, weight: 1 }] : [];
  return { ...refine.queryOptions(), terms: [...textTerms, ...terms.queryTerms()], offset: 0 };
}

async function search() {
  controller?.abort();
  const query = currentQuery();
  if (!query.terms.length) return showStart();
  controller = new AbortController();
  const { signal } = controller;
  document.body.classList.add("busy");
  try {
    const started = performance.now();
    const result = await fetchHits(query, signal);
    if (signal.aborted || !result) return undefined;
    lastDuration = performance.now() - started;
    current = { query, more: result.more, offset: result.hits.length };
    hits.show(result.hits, result.collection);
    refine.addScores(result, true);
    byId("start").hidden = true;
    showError(null);
    updateStatus();
    scrollTo({ top: 0 });
  } catch (error) {
    if (signal.aborted) return undefined;
    current = null;
    byId("start").hidden = true;
    showError(error);
    updateStatus();
  } finally {
    if (!signal.aborted) document.body.classList.remove("busy");
  }
  return undefined;
}

/** The result of a search; query pictures that the server has dropped are uploaded again. */
async function fetchHits(query, signal) {
  try {
    return await api.search(query, signal);
  } catch (error) {
    if (error.status !== 410) throw error;
    for (const term of terms.pictures()) await api.upload(term.blob);
    return api.search(query, signal);
  }
}

function showStart() {
  current = null;
  document.body.classList.remove("busy");
  hits.show([], "");
  byId("start").hidden = false;
  showError(null);
  updateStatus();
}

function updateStatus() {
  moreButton.hidden = !current?.more;
  byId("status").textContent = current ? statusText(hits.all().length) : "";
}

function statusText(count) {
  if (count) {
    const pictures = count === 1 ? "1 picture" : `${count.toLocaleString("en")} pictures`;
    return `${pictures}${current.more ? ", more below" : ""}`;
  }
  return current.query.min_score === "auto"
    ? "Nothing here stands out for that."
    : "No picture fits.";
}

function showError(error) {
  const box = byId("problem");
  refine.clearMarks();
  box.hidden = !error;
  box.replaceChildren();
  if (!error) return;
  box.append(make("p", {}, refine.markFields(error.message)));
  if (error.hint) box.append(make("p", { className: "hint" }, error.hint));
  if (error.status === 401) askForToken();
}

/** Load the next page of hits below the current ones; one page at a time. */
function loadMore() {
  if (!current?.more) return Promise.resolve();
  loadingMore ??= appendHits().finally(() => (loadingMore = null));
  return loadingMore;
}

async function appendHits() {
  const search = current;
  const signal = controller?.signal;
  try {
    const result = await fetchHits({ ...search.query, offset: search.offset }, signal);
    if (current !== search || !result) return;
    const newCount = hits.append(result.hits, result.collection);
    search.offset += result.hits.length;
    search.more = result.more && newCount > 0;
    refine.addScores(result, false);
  } catch (error) {
    if (current !== search || error.name === "AbortError") return;
    search.more = false;
    showError(error);
  }
  updateStatus();
  if (search.more && isNear(moreButton)) requestAnimationFrame(() => loadMore());
}

const isNear = (element) => element.getBoundingClientRect().top < innerHeight + 800;

const addHitAsTerm = (weight) => (hit) => {
  const image = api.smallUrl(refine.collection(), hit.id);
  terms.add({ kind: "id", value: hit.id, weight, label: hit.name, image });
};

async function addPicture(file) {
  if (!file) return;
  byId("status").textContent = "Reading the picture";
  try {
    if (file.size > maxUploadBytes) {
      const limit = Math.round(maxUploadBytes / 2 ** 20);
      throw new api.ApiError(413, { error: `That picture is larger than ${limit} MiB.` });
    }
    const { name, small } = await api.upload(file);
    const image = URL.createObjectURL(small);
    const label = file.name || "a picture";
    terms.add({ kind: "picture", value: name, weight: 1, label, image, blob: file });
  } catch (error) {
    updateStatus();
    showError(error);
  }
}

/** Add pictures that are dropped, pasted or picked, and image URLs that are pasted. */
function initPictures() {
  const cover = byId("drop");
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0;
  addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    cover.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (hasFiles(event) && --depth <= 0) cover.hidden = true;
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    cover.hidden = true;
    addPicture(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const text = event.clipboardData.getData("text").trim();
    if (event.clipboardData.files.length) {
      event.preventDefault();
      addPicture(event.clipboardData.files[0]);
    } else if (event.target === words && /^https?:\/\/\S+$/i.test(text)) {
      event.preventDefault();
      terms.add({ kind: "url", value: text, weight: 1, label: text });
    }
  });
  byId("pick").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", (event) => {
    addPicture(event.target.files[0]);
    event.target.value = "";
  });
}

function initTheme() {
  const button = byId("theme");
  const darkPreference = matchMedia("(prefers-color-scheme: dark)");
  const { dataset } = document.documentElement;
  const isDark = () => (dataset.theme ? dataset.theme === "dark" : darkPreference.matches);
  const label = () => button.setAttribute("aria-label", isDark() ? "Light theme" : "Dark theme");
  button.addEventListener("click", () => {
    dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("clipstack-theme", dataset.theme);
    } catch {
      // Without storage the theme lasts until the page is loaded again.
    }
    label();
  });
  darkPreference.addEventListener("change", label);
  label();
}

function onCollectionChange() {
  terms.dropIds();
  hits.show([], "");
  showCollection();
  search();
}

function showCollection() {
  const name = refine.collection();
  const count = rowCounts.get(name).toLocaleString("en");
  byId("start-about").textContent = `${count} pictures in ${name}`;
  document.title = `${name} · clipstack`;
}

async function load() {
  const about = await api.about();
  byId("token-form").hidden = true;
  rowCounts = new Map(about.collections.map(({ name, rows }) => [name, rows]));
  maxUploadBytes = about.upload_bytes;
  refine.setCollections(about);
  showCollection();
  search();
}

function askForToken() {
  byId("token-form").hidden = false;
  byId("problem").hidden = true;
  byId("token").focus();
}

/** Exchange the token for a cookie, and load the page. */
async function logIn(token) {
  try {
    await api.logIn(token);
    await load();
    words.focus();
  } catch (error) {
    askForToken();
    byId("problem").hidden = false;
    byId("problem").replaceChildren(make("p", {}, error.message));
  }
}

function initModules() {
  initTheme();
  initPictures();
  terms.init(search);
  refine.init({
    search,
    searchAfterSliding: debounce(search, () => SLIDER_DELAY),
    searchAfterTyping: debounce(search, () => FILTER_DELAY),
    onCollectionChange,
    addTerm: terms.add,
    onClear: () => {
      terms.clear();
      words.value = "";
      search();
    },
  });
  const [more, less] = [addHitAsTerm(1), addHitAsTerm(-0.5)];
  hits.init({ open: viewer.open, more, less });
  viewer.init({
    hits: hits.all,
    collection: refine.collection,
    loadMore,
    onClosed: hits.focus,
    more,
    less,
  });
}

function listen() {
  const [least, most] = TYPING_DELAY;
  words.addEventListener(
    "input",
    debounce(search, () => Math.min(Math.max(lastDuration, least), most)),
  );
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  moreButton.addEventListener("click", loadMore);
  new IntersectionObserver((entries) => entries[0].isIntersecting && loadMore(), {
    rootMargin: "800px",
  }).observe(moreButton);
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, dialog");
    if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      words.select();
    }
  });
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    logIn(byId("token").value.trim());
  });
}

async function start() {
  initModules();
  listen();
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", "/");
    await logIn(token);
    return;
  }
  try {
    await load();
    words.focus();
  } catch (error) {
    showError(error);
  }
}

start();
