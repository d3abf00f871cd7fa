// Loads small pictures when they come near the window, a few at a time: a browser has six
// connections to a server, and a search must not wait for one.

const MAX_AT_ONCE = 4;
const RETRY_DELAY = 500; // milliseconds
const jobs = new WeakMap();
const waiting = new Set();
const running = new Set();
const observer = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) waiting.add(target);
      else waiting.delete(target); // It was scrolled past.
    }
    startNext();
  },
  { rootMargin: "600px" },
);

/** Load `url` into `image` when it comes near the window; then `ready` or `gone` is called. */
export function load(image, url, { ready, gone }) {
  jobs.set(image, { url, ready, gone, retry: true });
  observer.observe(image);
}

/** Stop loading an image that is not shown any more. */
export function stop(image) {
  observer.unobserve(image);
  waiting.delete(image);
  if (running.delete(image)) image.removeAttribute("src");
  jobs.delete(image);
}

function startNext() {
  for (const image of waiting) {
    if (running.size >= MAX_AT_ONCE) return;
    waiting.delete(image);
    observer.unobserve(image);
    start(image);
  }
}

function start(image) {
  const job = jobs.get(image);
  const finish = (callback) => () => {
    if (!running.delete(image)) return;
    callback();
    startNext();
  };
  running.add(image);
  image.onload = finish(job.ready);
  image.onerror = finish(() => {
    if (!job.retry) return job.gone();
    // Browsers abort downloads when any network of the machine appears or disappears.
    job.retry = false;
    setTimeout(() => jobs.get(image) === job && observer.observe(image), RETRY_DELAY);
    return undefined;
  });
  image.src = job.url;
}
