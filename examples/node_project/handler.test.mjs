import assert from 'node:assert';
import { after, before, beforeEach, test } from 'node:test';
import * as sandbox from './sandbox.mjs';
import { createHandler } from './webhooks/handler.mjs';

const secret = 'JWT-5b0c2f64-7d1e-4a0f-9e55-0c6a1d6a7f10';
const environments = new Map();
// Takes the place of what your handler calls when it provisions something.
const cloud = {
  isDown: false,
  async create(owner, domain) {
    if (this.isDown) throw new Error('The cloud is down.');
    environments.set(owner, domain);
    return `env-${owner}`;
  },
  async delete(owner) {
    environments.delete(owner);
  },
};
const handler = createHandler({ apiKey: sandbox.vendorKey, secret, cloud });
let url;
let product;
let webhook;

before(async () => {
  await new Promise((listening) => handler.listen(0, '127.0.0.1', listening));
  url = `http://127.0.0.1:${handler.address().port}/`;
});

after(() => handler.close());

beforeEach(async () => {
  await sandbox.reset();
  environments.clear();
  product = await sandbox.createProduct();
  webhook = await sandbox.createWebhook(product, url, secret);
});

test('a purchase creates an environment', async () => {
  const order = await sandbox.purchase(product, 'acme.example');
  await sandbox.expect({
    all: [
      sandbox.hasStatus(order, 'approved'),
      { delivered: { webhook: webhook.id, attempts_at_most: 1 } },
    ],
  });
  const { asset } = await sandbox.read(order);
  const activation = asset.params.find((param) => param.id === 'activation_id');
  assert.equal(activation.value, `env-${asset.id}`);
  assert.equal(environments.get(asset.id), 'acme.example');
});

test('the customer is asked for the domain', async () => {
  const order = await sandbox.purchase(product);
  await sandbox.expect(sandbox.hasStatus(order, 'inquiring'));
  await sandbox.call(sandbox.distributorKey, 'POST', `/public/v1/requests/${order.id}/pend`, {
    asset: { params: [{ id: 'domain', value: 'acme.example' }] },
  });
  await sandbox.expect(sandbox.hasStatus(order, 'approved'));
});

test('a subscription is suspended, resumed and cancelled', async () => {
  const order = await sandbox.purchase(product, 'acme.example');
  await sandbox.expect(sandbox.hasStatus(order, 'approved'));
  for (const type of ['suspend', 'resume', 'cancel']) {
    await sandbox.expect(sandbox.hasStatus(await sandbox.change(type, order), 'approved'));
  }
  assert.equal(environments.size, 0);
});

test('an order is approved after an outage of the cloud', async () => {
  cloud.isDown = true;
  const order = await sandbox.purchase(product, 'acme.example');
  // The second time five minutes later.
  await sandbox.expect({ called: { webhook: webhook.id, at_least: 2 } });
  cloud.isDown = false;
  await sandbox.expect(sandbox.hasStatus(order, 'approved'), { within: '1d' });
});

test('a forged request has no effect', async () => {
  const other = await sandbox.createProduct();
  const forged = await sandbox.createWebhook(other, url, 'JWT-of-somebody-else');
  const order = await sandbox.purchase(other, 'acme.example');
  await sandbox.expect({ failed: { webhook: forged.id } });
  await sandbox.expect({ never: sandbox.hasStatus(order, 'approved') }, { within: '1h' });
});

test('a draft is validated', async () => {
  await sandbox.createWebhook(product, url, secret, 'validator');
  const draft = await sandbox.purchase(product, 'gmail.com', { status: 'draft' });
  const validate = async (domain) => {
    const body = { asset: { params: [{ id: 'domain', value: domain }] } };
    const path = `/public/v1/requests/${draft.id}/validate`;
    const { asset } = await sandbox.call(sandbox.distributorKey, 'POST', path, body);
    return asset.params.find((param) => param.id === 'domain').value_error;
  };
  assert.equal(await validate('gmail.com'), 'Take a domain of your own.');
  assert.equal(await validate('acme.example'), '');
});
