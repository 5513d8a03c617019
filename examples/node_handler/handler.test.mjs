// `connect-sim exec -- node --test` runs this with a sandbox of its own.
import assert from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

const { CONNECT_SIM_URL, CONNECT_API_KEY: Authorization, PRODUCT_ID: product } = process.env;
const headers = { Authorization, 'Content-Type': 'application/json', 'X-Sandbox-Actor': 'test' };
const post = (path, body) => fetch(CONNECT_SIM_URL + path, { method: 'POST', headers, body: JSON.stringify(body) });

test('an order is approved', async (t) => {
  const handler = spawn(process.execPath, ['handler.mjs'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => handler.kill());
  await once(handler.stdout, 'data'); // It listens at PORT, which the webhook of the product calls.
  const created = await post('/sandbox/queue/samples', { queue: 'fulfillment', product });
  const { id: object } = await created.json();
  const answer = await post('/sandbox/wait', { until: { status: { object, is: 'approved' } }, skip: true });
  assert.equal(answer.status, 200, await answer.text());
});
