// The token of a webhook's request: a JWT with an HS256 signature, without a package.

import { createHmac, timingSafeEqual } from 'node:crypto';

const decode = (part) => JSON.parse(Buffer.from(part, 'base64url'));

// Returns the claims of a request's token; throws an error if it is not valid.
export function read(headers, secret) {
  const token = (headers.authentication ?? '').replace('Bearer ', '');
  const [header, payload, signature] = token.split('.');
  const expected = createHmac('sha256', secret).update(`${header}.${payload}`).digest();
  const given = Buffer.from(signature ?? '', 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new Error('The signature is wrong.');
  }
  const claims = decode(payload);
  if (decode(header).alg !== 'HS256' || !(claims.exp > Date.now() / 1000)) {
    throw new Error('The token has expired, or has another algorithm.');
  }
  return claims;
}
