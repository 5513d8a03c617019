// First tests of the handler: orders are approved, and forged requests are refused.
//
// `node --test` runs them. The program `connect-sim` has to be on your PATH: it starts a sandbox.

import assert from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const SECRET = 'JWT-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10';
const folder = mkdtempSync(join(tmpdir(), 'connect-sim-'));
const processes = [];
let sandbox; // Its address and keys.
let handlerUrl;

before(async () => {
  const portFile = join(folder, 'port');
  const started = await start('connect-sim', [
    'sandbox', '--data-dir', folder, '--port', '0', '--port-file', portFile, '--exit-with-parent',
  ], { SIM_ENV_FILE: '/dev/null', SIM_QUIET: 'true', DATABASE_URL: '' });
  started.stdout.resume();
  while (!existsSync(portFile)) {
    assert.equal(started.exitCode, null, 'The sandbox has ended.');
    await sleep(50);
  }
  sandbox = JSON.parse(readFileSync(join(folder, 'sandbox.json')));
  const handler = await start(process.execPath, ['handler.mjs'], {
    CONNECT_API_URL: `${sandbox.url}/public/v1`,
    CONNECT_API_KEY: `ApiKey ${sandbox.vendor_api_key}`,
    JWT_SECRET: SECRET,
    PORT: '0', // Any free port, which the first line names.
  });
  const [line] = await once(handler.stdout, 'data');
  [handlerUrl] = /http:\S+/.exec(line);
});

after(async () => {
  for (const each of processes) {
    if (each.kill()) await once(each, 'exit');
  }
  rmSync(folder, { recursive: true });
});

async function start(command, parameters, variables) {
  const env = { ...process.env, ...variables };
  const started = spawn(command, parameters, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  await once(started, 'spawn');
  processes.push(started);
  return started;
}

async function call(key, path, body) {
  const response = await fetch(sandbox.url + path, {
    method: 'POST',
    headers: {
      Authorization: `ApiKey ${key}`,
      'Content-Type': 'application/json',
      'X-Sandbox-Actor': 'test', // The calls of a test are not the handler's.
    },
    body: JSON.stringify(body),
  });
  const content = await response.text();
  assert.ok(response.ok, content);
  return JSON.parse(content);
}

// Creates a product with a webhook that calls the handler, and an order of it.
async function order(secret) {
  const product = await call(sandbox.vendor_api_key, '/sandbox/products', {});
  const webhook = await call(sandbox.vendor_api_key, '/public/v1/notifications/webhooks', {
    label: 'Test', product_id: product.id, object_class: 'fulfillment_request',
    external_url: handlerUrl, jwt_secret: secret,
  });
  const { id } = await call(sandbox.provider_api_key, '/sandbox/queue/samples', {
    queue: 'fulfillment', type: 'purchase', product: product.id,
  });
  return { webhook: webhook.id, status: { object: id, is: 'approved' } };
}

// Waits until a condition is true, and skips simulated time meanwhile.
const expect = (until, options = {}) => call(
  sandbox.vendor_api_key, '/sandbox/wait', { until, skip: true, timeout: 10, ...options },
);

test('an order is approved', async () => {
  const { webhook, status } = await order(SECRET);
  await expect({ all: [{ status }, { delivered: { webhook, attempts_at_most: 1 } }] });
});

test('a forged request is refused', async () => {
  const { webhook, status } = await order('JWT-of-somebody-else-0123456789');
  await expect({ failed: { webhook } });
  await expect({ never: { status } }, { within: '1d' });
});
