// First tests of the handler: orders are approved, and forged requests are refused.
//
// `connect-sim exec -- node --test` runs them with a sandbox of their own.

import assert from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';

const {
  CONNECT_SIM_URL, CONNECT_SIM_VENDOR_KEY, JWT_SECRET, PRODUCT_ID, WEBHOOK_ID,
} = process.env;
let handler;

before(async () => {
  // Its variables are those of the test: it listens at PORT, which the webhook calls.
  handler = spawn(process.execPath, ['handler.mjs'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(handler.stdout, 'data');
});

after(() => handler.kill());

async function call(method, path, body) {
  const response = await fetch(CONNECT_SIM_URL + path, {
    method,
    headers: {
      Authorization: `ApiKey ${CONNECT_SIM_VENDOR_KEY}`,
      'Content-Type': 'application/json',
      'X-Sandbox-Actor': 'test', // The calls of a test are not the handler's.
    },
    body: JSON.stringify(body),
  });
  const content = await response.text();
  assert.ok(response.ok, content);
  return JSON.parse(content);
}

// Orders the product, and returns the condition that the order is approved.
async function order() {
  const sample = { queue: 'fulfillment', type: 'purchase', product: PRODUCT_ID };
  const { id } = await call('POST', '/sandbox/queue/samples', sample);
  return { status: { object: id, is: 'approved' } };
}

// Waits until a condition is true, and skips simulated time meanwhile.
const expect = (until, options = {}) =>
  call('POST', '/sandbox/wait', { until, skip: true, timeout: 10, ...options });

// Changes the secret by which the sandbox signs its requests.
const sign = (secret) =>
  call('PUT', `/public/v1/notifications/webhooks/${WEBHOOK_ID}`, { jwt_secret: secret });

test('an order is approved', async () => {
  const isApproved = await order();
  const delivered = { webhook: WEBHOOK_ID, attempts_at_most: 1 };
  // Idle: the handler, called again when it has approved, would find the next test's order.
  await expect({ all: [isApproved, { delivered }, { idle: true }] });
});

test('a forged request is refused', async () => {
  await sign('JWT-of-somebody-else-0123456789');
  const isApproved = await order();
  await expect({ failed: { webhook: WEBHOOK_ID } });
  await expect({ never: isApproved }, { within: '1d' });
  await sign(JWT_SECRET);
});
