// The page: what is asked for in, hits out; each new question ends the one before.

import * as api from "./api.js";
import { by, debounced, make } from "./dom.js";
import * as hits from "./hits.js";
import * as refine from "./refine.js";
import * as terms from "./terms.js";
import * as viewer from "./viewer.js";

// How long to wait for the next key, in milliseconds: as long as the last search took, within these.
const TYPING = [10, 60];
const SLIDING = 120;
const FILTERING = 600; // Half a date is none.
const words = by("words");
const more = by("more");
let running = null;
let shown = null; // The question whose hits are shown, and whether there are more.
let loading = null;
let took = 0;
let rows = new Map();

function question() {
  const text = words.value.trim();
  const main = text ? [{ kind: "text", value: text, weight: 1 }] : [];
  return { ...refine.asked(), terms: [...main, ...terms.asked()], offset: 0 };
}

async function search() {
  running?.abort();
  const asked = question();
  if (!asked.terms.length) return empty();
  running = new AbortController();
  const { signal } = running;
  document.body.classList.add("busy");
  try {
    const started = performance.now();
    const answer = await answered(asked, signal);
    if (signal.aborted || !answer) return undefined;
    took = performance.now() - started;
    shown = { asked, more: answer.more, offset: answer.hits.length };
    hits.show(answer.hits, answer.collection);
    refine.seen(answer, true);
    by("start").hidden = true;
    problem(null);
    say();
    scrollTo({ top: 0 });
  } catch (error) {
    if (signal.aborted) return undefined;
    shown = null;
    by("start").hidden = true;
    problem(error);
    say();
  } finally {
    if (!signal.aborted) document.body.classList.remove("busy");
  }
  return undefined;
}

/** The server's answer; query pictures it has forgotten are sent to it again. */
async function answered(asked, signal) {
  try {
    return await api.search(asked, signal);
  } catch (error) {
    if (error.status !== 410) throw error;
    for (const term of terms.pictures()) await api.send(term.blob);
    return api.search(asked, signal);
  }
}

function empty() {
  shown = null;
  document.body.classList.remove("busy");
  hits.show([], "");
  by("start").hidden = false;
  problem(null);
  say();
}

function say() {
  more.hidden = !shown?.more;
  const count = hits.all().length;
  const pictures = count === 1 ? "1 picture" : `${count.toLocaleString("en")} pictures`;
  by("status").textContent = !shown
    ? ""
    : count
      ? `${pictures}${shown.more ? ", more below" : ""}`
      : shown.asked.min_score === "auto"
        ? "Nothing here stands out for that."
        : "No picture fits.";
}

function problem(error) {
  const box = by("problem");
  refine.blameless();
  box.hidden = !error;
  box.replaceChildren();
  if (!error) return;
  box.append(make("p", {}, refine.blamed(error.message)));
  if (error.hint) box.append(make("p", { className: "hint" }, error.hint));
  if (error.status === 401) needToken();
}

/** The next page of hits, below those that are there; one at a time. */
function further() {
  if (!shown?.more) return Promise.resolve();
  loading ??= furtherNow().finally(() => (loading = null));
  return loading;
}

async function furtherNow() {
  const of = shown;
  const signal = running?.signal;
  try {
    const answer = await answered({ ...of.asked, offset: of.offset }, signal);
    if (shown !== of || !answer) return;
    const fresh = hits.append(answer.hits, answer.collection);
    of.offset += answer.hits.length;
    of.more = answer.more && fresh > 0;
    refine.seen(answer, false);
  } catch (error) {
    if (shown !== of || error.name === "AbortError") return;
    of.more = false;
    problem(error);
  }
  say();
  if (of.more && near(more)) requestAnimationFrame(() => further());
}

const near = (element) => element.getBoundingClientRect().top < innerHeight + 800;

const like = (weight) => (hit) => {
  const collection = refine.collection();
  const image = api.small(collection, hit.id);
  terms.add({ kind: "id", value: hit.id, weight, label: hit.name, image });
};

async function take(file) {
  if (!file) return;
  by("status").textContent = "Reading the picture";
  try {
    if (file.size > rows.limit) {
      const most = Math.round(rows.limit / 2 ** 20);
      throw new api.Refused(413, { error: `That picture is larger than ${most} MiB.` });
    }
    const { name, small } = await api.send(file);
    const image = URL.createObjectURL(small);
    terms.add({ kind: "picture", value: name, weight: 1, label: file.name || "a picture", image, blob: file });
  } catch (error) {
    say();
    problem(error);
  }
}

function drops() {
  const cover = by("drop");
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
    take(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const text = event.clipboardData.getData("text").trim();
    if (event.clipboardData.files.length) {
      event.preventDefault();
      take(event.clipboardData.files[0]);
    } else if (event.target === words && /^https?:\/\/\S+$/i.test(text)) {
      event.preventDefault();
      terms.add({ kind: "url", value: text, weight: 1, label: text });
    }
  });
  by("pick").addEventListener("click", () => by("file").click());
  by("file").addEventListener("change", (event) => {
    take(event.target.files[0]);
    event.target.value = "";
  });
}

function themes() {
  const button = by("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const tell = () => button.setAttribute("aria-label", isDark() ? "Light theme" : "Dark theme");
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("clipstack-theme", root.dataset.theme);
    } catch {
      // It lasts until the page is loaded again.
    }
    tell();
  });
  dark.addEventListener("change", tell);
  tell();
}

function collectionChanged() {
  terms.dropIds();
  hits.show([], "");
  greet();
  search();
}

function greet() {
  const count = rows.get(refine.collection());
  by("start-about").textContent = `${count.toLocaleString("en")} pictures in ${refine.collection()}`;
  document.title = `${refine.collection()} · clipstack`;
}

async function load() {
  const facts = await api.about();
  by("token-form").hidden = true;
  rows = new Map(facts.collections.map((one) => [one.name, one.rows]));
  rows.limit = facts.upload_bytes;
  refine.about(facts);
  greet();
  search();
}

function needToken() {
  by("token-form").hidden = false;
  by("problem").hidden = true;
  by("token").focus();
}

/** Exchange the token in the address, or the one somebody types, for a cookie. */
async function enter(token) {
  try {
    await api.enter(token);
    await load();
    words.focus();
  } catch (error) {
    needToken();
    by("problem").hidden = false;
    by("problem").replaceChildren(make("p", {}, error.message));
  }
}

async function begin() {
  const sliding = debounced(search, () => SLIDING);
  const filtering = debounced(search, () => FILTERING);
  themes();
  drops();
  terms.start(search);
  refine.start({
    changed: { now: search, slide: sliding, type: filtering },
    collectionChanged,
    add: terms.add,
    cleared: () => {
      terms.clear();
      words.value = "";
      search();
    },
  });
  hits.start({ open: viewer.open, more: like(1), less: like(-0.5) });
  viewer.start({
    hits: hits.all,
    collection: refine.collection,
    further,
    back: hits.focus,
    more: like(1),
    less: like(-0.5),
  });
  words.addEventListener("input", debounced(search, () => Math.min(Math.max(took, TYPING[0]), TYPING[1])));
  by("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  more.addEventListener("click", further);
  new IntersectionObserver((seen) => seen[0].isIntersecting && further(), {
    rootMargin: "800px",
  }).observe(more);
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, dialog");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      words.select();
    }
  });
  by("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    enter(by("token").value.trim());
  });
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", "/");
    await enter(token);
    return;
  }
  try {
    await load();
    words.focus();
  } catch (error) {
    problem(error);
  }
}

begin();
