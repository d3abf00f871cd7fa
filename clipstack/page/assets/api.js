// What the server is asked, and its answers or errors.

/** An error as the server tells it: `message`, perhaps `hint`, and the HTTP status. */
export class Refused extends Error {
  constructor(status, told) {
    super(told.error ?? `the server answered ${status}`);
    this.status = status;
    this.reason = told.reason ?? "";
    this.hint = told.hint ?? "";
  }
}

const AGAIN = 300;

async function ask(path, options = {}, again = true) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (again) {
      await new Promise((done) => setTimeout(done, AGAIN));
      return ask(path, options, false);
    }
    throw new Refused(0, {
      error: "The page's server does not answer.",
      hint: "Is `clipstack page` still running?",
    });
  }
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  return response;
}

const json = (value) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(value),
});

export const about = async () => (await ask("/about")).json();

export const enter = (token) => ask("/session", json({ token }));

export async function search(question, signal) {
  const response = await ask("/search", { ...json(question), signal });
  return response.status === 204 ? null : response.json();
}

/** Send a picture to search by; returns its name for the server and a small picture of it. */
export async function send(picture) {
  const response = await ask("/query-pictures", {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: picture,
  });
  return { name: response.headers.get("X-Picture"), small: await response.blob() };
}

const path = (collection, id) => `/pictures/${encodeURIComponent(collection)}/${id}`;

export const facts = async (collection, id) => (await (await ask(path(collection, id))).json()).facts;

export const small = (collection, id) => `${path(collection, id)}/small`;

export const large = (collection, id) => `${path(collection, id)}/large`;
