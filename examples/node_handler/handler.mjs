// A Connect webhook handler: checks the token, approves what is pending, answers 200.

import { createServer } from 'node:http';
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

// Calls overlap (each approval is a queue change too), but the queue is worked on once at a time.
let turn = Promise.resolve();

const server = createServer(async (request, response) => {
  request.resume(); // What the token says is signed, what the body says is not.
  const token = (request.headers.authentication ?? '').replace('Bearer ', '');
  let claims;
  try {
    claims = jwt.verify(token, JWT_SECRET, { algorithms: ['HS256'] });
  } catch {
    return response.writeHead(401).end();
  }
  const mine = turn.then(() => approvePending(claims));
  turn = mine.catch((error) => console.log(String(error)));
  // After a 500 Connect calls again, five minutes later at the earliest.
  await mine.then(() => response.writeHead(200).end(), () => response.writeHead(500).end());
});

server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`Listening at http://127.0.0.1:${server.address().port}/`);
});
