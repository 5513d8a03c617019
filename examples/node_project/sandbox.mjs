// The sandbox's HTTP endpoints, as far as the tests need them.

import { AssertionError } from 'node:assert';
import { readFileSync } from 'node:fs';

const {
  CONNECT_SIM_URL, CONNECT_SIM_VENDOR_KEY, CONNECT_SIM_PROVIDER_KEY, SIM_DATA_DIR = 'var',
} = process.env;
const state = CONNECT_SIM_VENDOR_KEY && CONNECT_SIM_PROVIDER_KEY
  ? { vendor_api_key: CONNECT_SIM_VENDOR_KEY, provider_api_key: CONNECT_SIM_PROVIDER_KEY }
  : JSON.parse(readFileSync(`${SIM_DATA_DIR}/sandbox.json`));
const root = (CONNECT_SIM_URL || state.url).replace(/\/$/, '');
export const vendorKey = `ApiKey ${state.vendor_api_key}`;
export const distributorKey = `ApiKey ${state.provider_api_key}`;
let cursor;

async function send(key, method, path, body) {
  const response = await fetch(root + path, {
    method,
    headers: {
      Authorization: key,
      'Content-Type': 'application/json',
      'X-Sandbox-Actor': 'test', // The calls of a test are not the handler's.
    },
    body: body && JSON.stringify(body),
  });
  const content = await response.text();
  return { status: response.status, ok: response.ok, content: content && JSON.parse(content) };
}

export async function call(key, method, path, body) {
  const { ok, status, content } = await send(key, method, path, body);
  if (!ok) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(content)}`);
  return content;
}

// Goes back to the demo data. Expectations count what happens from now on.
export async function reset() {
  await call(vendorKey, 'POST', '/sandbox/reset', {});
  ({ cursor } = await call(vendorKey, 'GET', '/sandbox/cursor'));
}

// A product of its own, with the parameters `domain` and `activation_id`.
export const createProduct = () => call(vendorKey, 'POST', '/sandbox/products', {});

export const createWebhook = (product, url, secret, type) =>
  call(vendorKey, 'POST', '/public/v1/notifications/webhooks', {
    label: 'Test', product_id: product.id, object_class: 'fulfillment_request',
    external_url: url, jwt_secret: secret, ...(type && { type }),
  });

// Orders the product as its distributor.
export const purchase = (product, domain, more = {}) =>
  call(distributorKey, 'POST', '/public/v1/requests', {
    type: 'purchase',
    marketplace: { id: product.marketplace },
    asset: {
      connection: { id: product.connection },
      items: [{ id: product.items[0].id, quantity: 5 }],
      params: domain ? [{ id: 'domain', value: domain }] : [],
      // A customer and a reseller of the demo data.
      tiers: { customer: { id: 'TA-0418-2290-3310' }, tier1: { id: 'TA-6120-4478-0112' } },
    },
    ...more,
  });

export const change = (type, order) =>
  call(distributorKey, 'POST', '/public/v1/requests', { type, asset: { id: order.asset.id } });

export const read = (order) => call(vendorKey, 'GET', `/public/v1/requests/${order.id}`);

// Waits until a condition is true, and skips simulated time meanwhile.
export async function expect(until, options = {}) {
  const since = until.never ? {} : { since: cursor };
  const body = { until, skip: true, ...since, ...options };
  const { status, content } = await send(vendorKey, 'POST', '/sandbox/wait', body);
  if (status === 408) throw new AssertionError({ message: await report(until, content) });
  if (status !== 200) throw new Error(JSON.stringify(content));
  return content;
}

export const hasStatus = (order, is) => ({ status: { object: order.id, is } });

async function report(until, { errors, near_misses: misses }) {
  const nearest = misses.map(({ object, webhook, differs }) => `  ${object ?? webhook}: ${differs
    .map(({ field, expected, actual }) => `${field}: expected ${expected}, was ${actual}`)
    .join('; ')}`);
  const { calls } = await call(vendorKey, 'GET', `/sandbox/api-calls?since=${cursor}`);
  const refused = calls.filter((each) => each.actor === 'handler' && each.status >= 400).at(-1);
  return [
    `Expected ${JSON.stringify(until)}.`, ...errors,
    'Nearest to it:', ...nearest,
    "The handler's last API error:",
    refused
      ? `  ${refused.method} ${refused.path} ${refused.status} ${refused.response_body}`
      : '  none',
  ].join('\n');
}
