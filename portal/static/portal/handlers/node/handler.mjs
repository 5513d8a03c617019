// A Connect webhook handler: approves pending orders of a product, and validates drafts.
//
// It needs Node.js 18 or newer, and no package. Change `approve` and `validate` to what yours does.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

// CONNECT_API_URL and PRODUCT_ID are optional: with both, what is already pending is processed at
// the start, too. In a container HOST=0.0.0.0, so that other containers can call it.
const {
  CONNECT_API_KEY, JWT_SECRET, CONNECT_API_URL, PRODUCT_ID, HOST = '127.0.0.1', PORT = '9000',
} = process.env;
if (!CONNECT_API_KEY || !JWT_SECRET) {
  console.error('Set CONNECT_API_KEY and JWT_SECRET.');
  process.exit(1);
}
const PATIENCE = 3_000; // Milliseconds until a call is answered, although its work goes on.
const LONGEST_PAUSE = 60_000; // Between two runs while they fail.
const API_TIMEOUT = 30_000;
const PAGE = 100;
const MAX_BODY = 10 * 1024 * 1024;
const FREE_MAIL = ['gmail.com', 'outlook.com', 'yahoo.com'];

async function approvePending(api, product) {
  // Read all pages first: approving while paging through them would skip some.
  const orders = await readPending(api, product);
  const template = orders.length ? await findTemplate(api, product) : undefined;
  let refused;
  for (const id of orders) {
    try {
      await approve(api, id, template);
    } catch (error) {
      if (!error.isRefusal) throw error;
      refused = error; // The other orders don't have to wait for this one.
    }
  }
  if (refused) throw refused;
}

// Your work goes here. The order's `type` says which: a purchase, a change and so on.
async function approve(api, id, template) {
  const path = `/requests/${id}`;
  const { status, asset } = await api.call('GET', path);
  if (status !== 'pending') return; // Somebody has processed it since the list was read.
  // Only empty parameters get a value, and it is the same in a second run. Connect keeps an error
  // when the value changes: an empty value_error clears it.
  const params = asset.params
    .filter((param) => param.phase === 'fulfillment' && param.constraints.required && !param.value)
    .map((param) => ({ id: param.id, value: `${param.id}-${id}`, value_error: '' }));
  try {
    if (params.length) await api.call('PUT', path, { asset: { params } });
    await api.call('POST', `${path}/approve`, template ? { template_id: template } : {});
    console.log('approved', id);
  } catch (error) {
    if (!error.isRefusal || (await api.call('GET', path)).status === 'pending') throw error;
  }
}

// Sets or clears the errors of a draft, and returns it. The rules are for the demo products.
function validate(order) {
  const params = Object.fromEntries((order.asset.params ?? []).map((param) => [param.id, param]));
  const { data_region: region, edition, siem_url: siem } = params;
  const advanced = edition?.value === 'advanced';
  for (const domain of [params.domain, params.customer_domain]) {
    if (domain) {
      domain.value_error = FREE_MAIL.includes(domain.value) ? 'Take a domain of your own.' : '';
    }
  }
  if (region) {
    region.value_error = region.value === 'uk' && !advanced ? 'Advanced edition only.' : '';
  }
  if (siem) {
    siem.value_error = advanced && !siem.value ? 'Where do alerts go?' : '';
    siem.constraints = { ...siem.constraints, required: advanced };
  }
  return order;
}

// Returns the ids of all pending orders of a product, the oldest first.
async function readPending(api, product) {
  const query = `and(eq(status,pending),eq(asset.product.id,${product}))&ordering(created,id)`;
  const ids = [];
  let page;
  do {
    page = await api.call('GET', `/requests?${query}&limit=${PAGE}&offset=${ids.length}`);
    ids.push(...page.map((order) => order.id));
  } while (page.length === PAGE);
  return ids;
}

async function findTemplate(api, product) {
  const query = 'and(eq(scope,asset),eq(type,fulfillment))&limit=1';
  return (await api.call('GET', `/products/${product}/templates?${query}`))[0]?.id;
}

// The API refuses or fails, or there is no response (status 0).
class ApiError extends Error {
  constructor(message, status = 0, retryAfter = '') {
    super(message);
    this.retryAfter = Number.parseInt(retryAfter, 10) || 0; // Seconds.
    // Not an API that fails, or that gets too many requests.
    this.isRefusal = status >= 400 && status < 500 && status !== 429;
  }
}

class Api {
  constructor(url) {
    this.url = url;
  }

  // Calls the API, and returns its response; throws an ApiError.
  async call(method, path, body) {
    let response;
    let content;
    try {
      response = await fetch(this.url + path, {
        method,
        headers: { Authorization: CONNECT_API_KEY, 'Content-Type': 'application/json' },
        body: body && JSON.stringify(body),
        redirect: 'manual',
        signal: AbortSignal.timeout(API_TIMEOUT),
      });
      content = await response.text();
      if (response.ok) return JSON.parse(content);
    } catch (error) {
      throw new ApiError(`${method} ${path}: ${error.cause ?? error}`);
    }
    const { status, headers } = response;
    const message = `${method} ${path}: ${status} ${content.slice(0, 1000)}`;
    throw new ApiError(message, status, headers.get('retry-after') ?? '');
  }
}

// Processes the orders of a product: one run at a time, and again until a run succeeds.
//
// Calls overlap, because each approval is a queue change too. A call that arrives during a run
// needs another one, since that run may have read the orders already; several calls share it.
class Worker {
  constructor(product) {
    Object.assign(this, { product, fails: false, works: false, calls: [], onCall: () => {} });
  }

  // Asks for a run; resolves to whether it has succeeded, or takes longer without a failure.
  async process(apiUrl) {
    this.api = new Api(apiUrl);
    const finished = new Promise((resolve) => { this.calls.push(resolve); });
    this.onCall();
    if (!this.works) this.work();
    const cancel = new AbortController();
    const late = sleep(PATIENCE, null, cancel).then(() => !this.fails, () => {});
    return Promise.race([finished, late]).finally(() => cancel.abort());
  }

  async work() {
    this.works = true;
    for (let failures = 0; this.calls.length;) {
      const calls = this.calls.length;
      try {
        await approvePending(this.api, this.product);
        [failures, this.fails] = [0, false];
        this.calls.splice(0, calls).forEach((resolve) => resolve(true));
      } catch (error) {
        console.log(String(error));
        [failures, this.fails] = [failures + 1, true];
        await this.pause(failures, (error.retryAfter ?? 0) * 1000);
      }
    }
    this.works = false;
  }

  // Waits longer after each failure. A new call ends the pause, but not in the first second.
  async pause(failures, atLeast) {
    const longest = Math.min(250 * 2 ** failures, LONGEST_PAUSE);
    const shortest = Math.max(atLeast, Math.min(longest, 1000));
    const called = new Promise((resolve) => { this.onCall = resolve; });
    await sleep(shortest);
    const cancel = new AbortController();
    const ended = sleep(Math.max(longest - shortest, 0), null, cancel).catch(() => {});
    await Promise.race([called, ended]).finally(() => cancel.abort());
  }
}

const workers = new Map();
function worker(product) {
  if (!workers.has(product)) workers.set(product, new Worker(product));
  return workers.get(product);
}

// Returns the claims of a request's token; throws an error if it is not valid.
function readToken(headers) {
  // Connect's documentation names both headers. If both are there, one of them has to count.
  const header = headers.authentication ?? headers.authorization ?? '';
  const [, head, content, signature] = /^Bearer +([^.]+)\.([^.]+)\.([^.]+)$/.exec(header.trim()) ?? [];
  if (!signature) throw new Error('There is no token.');
  const expected = createHmac('sha256', JWT_SECRET).update(`${head}.${content}`).digest('base64url');
  const [actual, wanted] = [signature, expected].map((text) => Buffer.from(text));
  if (actual.length !== wanted.length || !timingSafeEqual(actual, wanted)) {
    throw new Error('The signature is wrong.');
  }
  const [{ alg }, claims] = [head, content].map((part) => JSON.parse(Buffer.from(part, 'base64url')));
  if (alg !== 'HS256' || !Number.isInteger(claims.exp) || claims.exp <= Date.now() / 1000) {
    throw new Error('The token has expired.');
  }
  if (!claims.api_url || !claims.product_id) throw new Error('A claim is missing.');
  return claims;
}

async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= MAX_BODY) chunks.push(chunk); // The rest is read and dropped.
  }
  return size <= MAX_BODY ? Buffer.concat(chunks).toString() : null;
}

// Returns the order in the body of a validator's request; nothing for a queue change.
function readOrder(body) {
  try {
    const content = JSON.parse(body);
    return content?.asset instanceof Object ? content : undefined;
  } catch {
    return undefined;
  }
}

async function handle(request) {
  const body = await readBody(request);
  if (body === null) return [413];
  let claims;
  try {
    claims = readToken(request.headers);
  } catch {
    return [401];
  }
  const { product_id: product, api_url: apiUrl } = claims;
  if (PRODUCT_ID && product !== PRODUCT_ID) return [403];
  const order = readOrder(body);
  if (order) return [200, validate(order)]; // A validator receives the order, returns it with edits.
  // A queue change: trust the claims of the token, which are signed, and not the body.
  const succeeds = await worker(encodeURIComponent(product)).process(CONNECT_API_URL || apiUrl);
  // After 500 Connect retries, five minutes later at the earliest; the worker retries, too.
  return [succeeds ? 200 : 500];
}

const server = createServer(async (request, response) => {
  const [status, content] = await handle(request).catch((error) => {
    console.log(String(error));
    return [500];
  });
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(content ?? {}));
});
server.keepAliveTimeout = 60_000;

server.listen(Number(PORT), HOST, () => {
  console.log(`Listening at http://${HOST}:${server.address().port}/`);
  // A process that was killed may have left work.
  if (CONNECT_API_URL && PRODUCT_ID) worker(PRODUCT_ID).process(CONNECT_API_URL);
});
