// A Connect webhook handler: approves pending orders of a product, and validates drafts.

import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { ConnectClient, Fulfillment } from '@cloudblueconnect/connect-javascript-sdk';
import jwt from 'jsonwebtoken';

const { CONNECT_API_KEY, JWT_SECRET, PORT = '9000' } = process.env;

async function approvePending({ api_url: apiUrl, product_id: product }) {
  const client = new ConnectClient(apiUrl, CONNECT_API_KEY);
  const queue = new Fulfillment(client);
  const templates = await client.products.getTemplates(product);
  const template = templates.find((t) => t.scope === 'asset' && t.type === 'fulfillment');
  const pending = await queue.searchRequests({
    status: 'pending', 'asset.product.id': product, $ordering: 'created', limit: 1000,
  });
  for (const { id, asset } of pending) {
    const params = asset.params
      .filter((p) => p.phase === 'fulfillment' && p.constraints.required && !p.value)
      .map((p) => ({ id: p.id, value: `${p.id}-${id}` }));
    await queue.updateRequestParameters(id, params);
    await queue.approveRequestWithTemplate(id, template.id);
    console.log('approved', id);
  }
}

// Sets or clears the errors of an order of Nimbus Secure Suite, and returns it.
function validate(order) {
  const params = Object.fromEntries(order.asset.params.map((p) => [p.id, p]));
  const { customer_domain: domain, data_region: region, edition, siem_url: siem } = params;
  const advanced = edition.value === 'advanced';
  const free = ['gmail.com', 'outlook.com', 'yahoo.com'].includes(domain.value);
  domain.value_error = free ? 'Take a domain of your own.' : '';
  region.value_error = region.value === 'uk' && !advanced ? 'Advanced edition only.' : '';
  siem.value_error = advanced && !siem.value ? 'Where do alerts go?' : '';
  siem.constraints.required = advanced;
  return order;
}

// Requests overlap, because each approval is a queue change too: process the queue once at a time.
let previous = Promise.resolve();
function oneAtATime(work) {
  const result = previous.then(work);
  previous = result.catch(() => {});
  return result;
}

const server = createServer(async (request, response) => {
  const token = (request.headers.authentication ?? '').replace('Bearer ', '');
  let claims;
  try {
    claims = jwt.verify(token, JWT_SECRET, { algorithms: ['HS256'] });
  } catch {
    request.resume();
    return response.writeHead(401).end();
  }
  try {
    const order = JSON.parse(await text(request) || '{}');
    // A validator receives the order, and returns it with edits. For a queue change, trust the
    // claims of the token, which are signed, and not the body.
    const content = order.asset ? validate(order) : await oneAtATime(() => approvePending(claims));
    response.writeHead(200).end(JSON.stringify(content ?? {}));
  } catch (error) {
    console.log(String(error));
    response.writeHead(500).end(); // Connect retries, five minutes later at the earliest.
  }
});

server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`Listening at http://127.0.0.1:${server.address().port}/`);
});
