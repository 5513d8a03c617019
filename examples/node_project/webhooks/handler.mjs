// A webhook handler: orders create and delete environments in our cloud, drafts are validated.

import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { read } from './tokens.mjs';

const FREE_MAIL = ['gmail.com', 'outlook.com', 'yahoo.com'];

export function createHandler({ apiKey, secret, cloud }) {
  // Requests overlap, because each approval is a queue change too: process the queue once at a time.
  let previous = Promise.resolve();
  const oneAtATime = (work) => {
    const result = previous.then(work);
    previous = result.catch(() => {});
    return result;
  };

  return createServer(async (request, response) => {
    const body = await text(request);
    let claims;
    try {
      claims = read(request.headers, secret);
    } catch {
      return response.writeHead(401).end();
    }
    try {
      const order = JSON.parse(body || '{}');
      const api = connect(claims.api_url, apiKey);
      // A validator receives the order, and returns it with edits.
      const content = order.asset
        ? validate(order)
        : await oneAtATime(() => processPending(api, claims.product_id, cloud));
      response.writeHead(200, { 'Content-Type': 'application/json' });
      return response.end(JSON.stringify(content ?? {}));
    } catch {
      return response.writeHead(500).end(); // Connect repeats it, five minutes later at the earliest.
    }
  });
}

function connect(apiUrl, apiKey) {
  return async (method, path, body) => {
    const response = await fetch(apiUrl + path, {
      method,
      headers: { Authorization: apiKey, 'Content-Type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    const content = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${content}`);
    return content ? JSON.parse(content) : undefined;
  };
}

async function processPending(api, product, cloud) {
  const query = `and(eq(status,pending),eq(asset.product.id,${product}))&ordering(created)&limit=1000`;
  for (const order of await api('GET', `/requests?${query}`)) {
    await (order.type === 'purchase' ? purchase : update)(api, order, cloud);
  }
}

async function purchase(api, order, cloud) {
  const path = `/requests/${order.id}`;
  const domain = order.asset.params.find((param) => param.id === 'domain').value;
  if (!domain) {
    const question = { id: 'domain', value_error: 'Which domain is yours?' };
    await api('PUT', path, { asset: { params: [question] } });
    await api('POST', `${path}/inquire`, {});
    return;
  }
  const environment = await cloud.create(order.asset.id, domain);
  // Connect keeps its error when the value changes; that of the domain ends with the answer.
  const activation = { id: 'activation_id', value: environment, value_error: '' };
  await api('PUT', path, { asset: { params: [activation] } });
  await api('POST', `${path}/approve`, { activation_tile: `Your environment is ${environment}.` });
}

async function update(api, order, cloud) {
  if (order.type === 'cancel') await cloud.delete(order.asset.id);
  await api('POST', `/requests/${order.id}/approve`, {});
}

// Sets or clears the errors of an order, and returns it.
function validate(order) {
  const domain = order.asset.params.find((param) => param.id === 'domain');
  domain.value_error = FREE_MAIL.includes(domain.value) ? 'Take a domain of your own.' : '';
  return order;
}
