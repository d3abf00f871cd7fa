// Requests to the page's server.

/** An error response: `message`, perhaps `hint`, and the HTTP status; 0 without a response. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body.error ?? `the server answered ${status}`);
    this.status = status;
    this.reason = body.reason ?? "";
    this.hint = body.hint ?? "";
  }
}

const RETRY_DELAY = 300; // milliseconds

async function request(path, options = {}, retry = true) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (retry) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY));
      return request(path, options, false);
    }
    throw new ApiError(0, {
      error: "The page's server does not answer.",
      hint: "Is `clipstack page` still running?",
    });
  }
  if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => ({})));
  return response;
}

const jsonPost = (value) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(value),
});

export const about = async () => (await request("/about")).json();

export const logIn = (token) => request("/session", jsonPost({ token }));

/** The result of a search, or null if the server has dropped it. */
export async function search(query, signal) {
  const response = await request("/search", { ...jsonPost(query), signal });
  return response.status === 204 ? null : response.json();
}

/** Upload a query picture; returns its name for the server and a small picture of it. */
export async function upload(picture) {
  const response = await request("/query-pictures", {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: picture,
  });
  return { name: response.headers.get("X-Picture"), small: await response.blob() };
}

const path = (collection, id) => `/pictures/${encodeURIComponent(collection)}/${id}`;

export async function facts(collection, id) {
  const response = await request(path(collection, id));
  return (await response.json()).facts;
}

export const smallUrl = (collection, id) => `${path(collection, id)}/small`;

export const largeUrl = (collection, id) => `${path(collection, id)}/large`;
