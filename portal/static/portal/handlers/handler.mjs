// A webhook handler to start from: it approves the pending orders of a product. Node.js 18 or newer.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const { CONNECT_API_URL, CONNECT_API_KEY, JWT_SECRET, HOST = '127.0.0.1', PORT = '9000' } = process.env;

// Returns the claims of a token that the webhook's secret has signed; throws otherwise.
function readToken(header = '') {
  const [head, claims, signature] = header.replace(/^Bearer /, '').split('.');
  const expected = createHmac('sha256', JWT_SECRET).update(`${head}.${claims}`).digest();
  const actual = Buffer.from(signature ?? '', 'base64url');
  if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) {
    throw new Error('The signature is wrong.');
  }
  const [{ alg }, content] = [head, claims].map((part) => JSON.parse(Buffer.from(part, 'base64url')));
  if (alg !== 'HS256' || !(content.exp > Date.now() / 1000)) throw new Error('The token has expired.');
  return content;
}

// Calls the API and returns its response.
async function call(method, path, body) {
  const response = await fetch(CONNECT_API_URL + path, {
    method,
    headers: { Authorization: CONNECT_API_KEY, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

async function approvePending(product) {
  const query = `and(eq(status,pending),eq(asset.product.id,${product}))&limit=1000`;
  for (const order of await call('GET', `/requests?${query}`)) {
    // An approval needs the required parameters that the vendor fills in.
    const params = order.asset.params
      .filter((param) => param.phase === 'fulfillment' && param.constraints.required && !param.value)
      .map((param) => ({ id: param.id, value: `${param.id}-${order.id}` }));
    if (params.length) await call('PUT', `/requests/${order.id}`, { asset: { params } });
    await call('POST', `/requests/${order.id}/approve`, {});
    console.log('approved', order.id);
  }
}

// Each approval is a queue change too, so requests overlap: one at a time reads and approves.
let last = Promise.resolve();
function inTurn(work) {
  const result = last.then(work);
  last = result.catch(() => {});
  return result;
}

const server = createServer(async (request, response) => {
  for await (const chunk of request) void chunk; // The token has all that is needed.
  let status = 200;
  try {
    const claims = readToken(request.headers.authentication);
    await inTurn(() => approvePending(claims.product_id)).catch((error) => {
      console.log(error.message);
      status = 500; // Connect repeats the request, five minutes later at the earliest.
    });
  } catch {
    status = 401;
  }
  response.writeHead(status).end();
});
server.listen(Number(PORT), HOST, () => console.log(`Listening at http://${HOST}:${PORT}/`));
