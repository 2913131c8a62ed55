// SPDX-License-Identifier: Apache-2.0
//
// The node's HTTP API: one call, one answer, one kind of error.

const kPrefix = '/myaccount/api/v1';
const kTokenKey = 'sluice-token';
const kTimeoutMs = 60_000;

// status 0: no answer at all. errors: {field: [reason, …]} as the API tells them.
export class ApiError extends Error {
  constructor(status, message, errors = {}) {
    super(message);
    this.status = status;
    this.errors = errors ?? {};
  }
}

export function token() {
  return sessionStorage.getItem(kTokenKey);
}
export function keep_token(text) {
  if (text) sessionStorage.setItem(kTokenKey, text);
  else sessionStorage.removeItem(kTokenKey);
}

// Set by the page: asks for a token, resolves when there is a new one.
let ask_for_token = null;
export function on_unauthorized(ask) {
  ask_for_token = ask;
}

// Set by the page: hears the generation that an answer was made from.
let hear_generation = () => {};
export function on_answer(hear) {
  hear_generation = hear;
}

export function request(method, path, {headers = {}, body, signal} = {}) {
  const all = {Accept: 'application/json', ...headers};
  if (token()) all.Authorization = `Bearer ${token()}`;
  if (body !== undefined) all['Content-Type'] = 'application/json';
  return fetch(kPrefix + path, {
    method, headers: all, signal, cache: 'no-store', credentials: 'omit',
    body: body === undefined ? undefined : JSON.stringify(body),
  });
}

async function answer_of(method, path, options) {
  const timeout = AbortSignal.timeout(kTimeoutMs);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  try {
    const response = await request(method, path, {...options, signal});
    return {response, text: await response.text()};
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, timeout.aborted ? 'The node took too long to answer.'
      : 'The node does not answer. Is sluiced running?');
  }
}

// {data, message, generation, body}: generation is the one the answer was made from.
export async function call(method, path, options = {}) {
  const {response, text} = await answer_of(method, path, options);
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    throw new ApiError(response.status, `The node answered ${response.status} without JSON.`);
  }
  if (response.status === 401 && ask_for_token) {
    await ask_for_token(body.message);
    return call(method, path, options);
  }
  if (!response.ok) {
    throw new ApiError(response.status, body.message ?? `The node answered ${response.status}.`,
      body.errors);
  }
  const generation = Number((response.headers.get('ETag') ?? '').replaceAll('"', '')) || null;
  if (generation !== null) hear_generation(generation);
  return {data: body.data, message: body.message, body, generation};
}
