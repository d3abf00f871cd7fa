// Small pictures, loaded as they come near the window and a few at a time: a browser has six
// connections to a server, and a search must not wait for one.

const AT_ONCE = 4;
const AGAIN = 500;
const jobs = new WeakMap();
const waiting = new Set();
const running = new Set();
const watcher = new IntersectionObserver(
  (seen) => {
    for (const { isIntersecting, target } of seen) {
      if (isIntersecting) waiting.add(target);
      else waiting.delete(target); // It was scrolled past.
    }
    next();
  },
  { rootMargin: "600px" },
);

/** Load the picture at `address` into `image` in time; `ready` or `gone` is called then. */
export function load(image, address, { ready, gone }) {
  jobs.set(image, { address, ready, gone, again: true });
  watcher.observe(image);
}

/** Stop loading what is not shown any more. */
export function stop(image) {
  watcher.unobserve(image);
  waiting.delete(image);
  if (running.delete(image)) image.removeAttribute("src");
  jobs.delete(image);
}

function next() {
  for (const image of waiting) {
    if (running.size >= AT_ONCE) return;
    waiting.delete(image);
    watcher.unobserve(image);
    begin(image);
  }
}

function begin(image) {
  const job = jobs.get(image);
  const done = (work) => () => {
    if (!running.delete(image)) return;
    work();
    next();
  };
  running.add(image);
  image.onload = done(job.ready);
  image.onerror = done(() => {
    if (!job.again) return job.gone();
    // A browser drops what it loads when any network of the machine comes or goes.
    job.again = false;
    setTimeout(() => jobs.get(image) === job && watcher.observe(image), AGAIN);
    return undefined;
  });
  image.src = job.address;
}
