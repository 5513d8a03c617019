// A Connect webhook handler: approves pending orders of a product, and validates drafts.

import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectClient, Fulfillment } from '@cloudblueconnect/connect-javascript-sdk';
import jwt from 'jsonwebtoken';

// CONNECT_API_URL and PRODUCT_ID are optional: with both, what is already pending is processed at
// the start, too.
const { CONNECT_API_KEY, JWT_SECRET, CONNECT_API_URL, PRODUCT_ID, PORT = '9000' } = process.env;
const PATIENCE = 3_000; // Milliseconds until a call is answered, although its work goes on.
const LONGEST_PAUSE = 60_000; // Between two runs while they fail.
const API_TIMEOUT = 30_000;
const MAX_BODY = 10 * 1024 * 1024;
const PAGE = 100;

async function approvePending(client, product) {
  const queue = new Fulfillment(client);
  const templates = await client.products.getTemplates(product);
  const template = templates.find((t) => t.scope === 'asset' && t.type === 'fulfillment');
  let refused;
  for (const id of await readPending(queue, product)) {
    try {
      await approve(queue, id, template);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refused = error; // The other orders don't have to wait for this one.
    }
  }
  if (refused) throw refused;
}

// Reads all pages first: approving while paging through them would skip some.
async function readPending(queue, product) {
  const ids = [];
  let page;
  do {
    page = await queue.searchRequests({
      status: 'pending', 'asset.product.id': product, $ordering: ['created', 'id'],
      limit: PAGE, offset: ids.length,
    });
    ids.push(...page.map((request) => request.id));
  } while (page.length === PAGE);
  return ids;
}

async function approve(queue, id, template) {
  const { status, asset } = await queue.getRequest(id);
  if (status !== 'pending') return; // Somebody has processed it since the list was read.
  // Only empty parameters get a value, and it is the same in a second run.
  const params = asset.params
    .filter((p) => p.phase === 'fulfillment' && p.constraints.required && !p.value)
    .map((p) => ({ id: p.id, value: `${p.id}-${id}` }));
  try {
    if (params.length) await queue.updateRequestParameters(id, params);
    await queue.approveRequestWithTemplate(id, template.id);
    console.log('approved', id);
  } catch (error) {
    if (!isRefusal(error) || (await queue.getRequest(id)).status === 'pending') throw error;
  }
}

// Tells a request that the API refuses from an API that fails, or has too many requests.
function isRefusal({ status }) {
  return status >= 400 && status < 500 && status !== 429;
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
    this.apiUrl = apiUrl;
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
      let retryAfter = 0;
      const client = connect(this.apiUrl, (seconds) => { retryAfter = seconds; });
      try {
        await approvePending(client, this.product);
        [failures, this.fails] = [0, false];
        this.calls.splice(0, calls).forEach((resolve) => resolve(true));
      } catch (error) {
        console.log(String(error));
        [failures, this.fails] = [failures + 1, true];
        await this.pause(failures, retryAfter * 1000);
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

// Returns a client with a timeout; `onResponse` is told the seconds that a response asks to wait.
function connect(apiUrl, onResponse) {
  const client = new ConnectClient(apiUrl, CONNECT_API_KEY);
  client.addBeforeRequestHook((url, options) => (
    { url, options: { ...options, timeout: API_TIMEOUT } }
  ));
  client.addAfterResponseHook((response) => {
    onResponse(Number.parseInt(response.headers.get('retry-after'), 10) || 0);
    return response;
  });
  return client;
}

const workers = new Map();
function worker(product) {
  if (!workers.has(product)) workers.set(product, new Worker(product));
  return workers.get(product);
}

// Sets or clears the errors of an order of Nimbus Secure Suite, and returns it.
function validate(order) {
  const params = Object.fromEntries((order.asset.params ?? []).map((p) => [p.id, p]));
  const { customer_domain: domain, data_region: region, edition, siem_url: siem } = params;
  const advanced = edition?.value === 'advanced';
  const free = ['gmail.com', 'outlook.com', 'yahoo.com'].includes(domain?.value);
  if (domain) domain.value_error = free ? 'Take a domain of your own.' : '';
  if (region) {
    region.value_error = region.value === 'uk' && !advanced ? 'Advanced edition only.' : '';
  }
  if (siem) {
    siem.value_error = advanced && !siem.value ? 'Where do alerts go?' : '';
    siem.constraints = { ...siem.constraints, required: advanced };
  }
  return order;
}

// Returns the claims of a request's token; throws an error if it is not valid.
function readToken(headers) {
  // Connect's documentation names both headers. If both are there, one of them has to count.
  const [scheme, token] = (headers.authentication ?? headers.authorization ?? '').split(' ');
  if (scheme !== 'Bearer') throw new Error('There is no token.');
  const claims = jwt.verify(token, JWT_SECRET, { algorithms: ['HS256'] });
  if (!Number.isInteger(claims.exp) || !claims.api_url || !claims.product_id) {
    throw new Error('A claim is missing.');
  }
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
  const order = readOrder(body);
  if (order) return [200, validate(order)]; // A validator receives the order, returns it with edits.
  // A queue change: trust the claims of the token, which are signed, and not the body.
  const { product_id: product, api_url: apiUrl } = claims;
  if (PRODUCT_ID && product !== PRODUCT_ID) return [403];
  const succeeds = await worker(product).process(CONNECT_API_URL ?? apiUrl);
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

server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`Listening at http://127.0.0.1:${server.address().port}/`);
  // A process that was killed may have left work.
  if (CONNECT_API_URL && PRODUCT_ID) worker(PRODUCT_ID).process(CONNECT_API_URL);
});
