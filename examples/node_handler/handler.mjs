// A Connect webhook handler: approves what is pending when it is woken, and validates orders.

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

// Says what is wrong with an order of Nimbus Secure Suite, and no longer what was.
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

// Calls overlap (each approval is a queue change too), but the queue is worked on once at a time.
let turn = Promise.resolve();
function oneAtATime(work) {
  const mine = turn.then(work);
  turn = mine.catch(() => {});
  return mine;
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
    // A validator is sent the order, and answers with edits. Of a wake-up only the token counts:
    // what that says is signed, what the body says is not.
    const answer = order.asset ? validate(order) : await oneAtATime(() => approvePending(claims));
    response.writeHead(200).end(JSON.stringify(answer ?? {}));
  } catch (error) {
    console.log(String(error));
    response.writeHead(500).end(); // Connect calls again, five minutes later at the earliest.
  }
});

server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`Listening at http://127.0.0.1:${server.address().port}/`);
});
