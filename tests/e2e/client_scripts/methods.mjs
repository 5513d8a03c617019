// Every method of the JavaScript SDK that calls the API, found in its classes, and the results
// of its calls.

import { createRequire } from 'node:module';
import { ConnectClient } from '@cloudblueconnect/connect-javascript-sdk';

const require = createRequire(import.meta.url);
const LIB = '@cloudblueconnect/connect-javascript-sdk/lib/connect';
const { GenericResource } = require(`${LIB}/api`);
const helpers = Object.values(require(`${LIB}/ops`));

export const methods = new Set();
// By `Class.method`; helpers are counted in addition to the resource that they call.
export const called = {};

// The resources of a client, and nested ones by the method that returns them: `products.actions`.
export const resources = {};

const client = new ConnectClient('', '');
const prototypes = new Set();

function functions(prototype) {
  const methods = Object.entries(Object.getOwnPropertyDescriptors(prototype));
  return methods.filter(([name, { value }]) => typeof value === 'function'
    && !['constructor', 'fetch'].includes(name));
}

function calls(prototype) {
  return functions(prototype).filter(([, { value }]) => value.constructor.name === 'AsyncFunction');
}

function know(Class) {
  for (let each = Class.prototype; each !== Object.prototype; each = Object.getPrototypeOf(each)) {
    prototypes.add(each);
    calls(each).forEach(([name]) => methods.add(`${Class.name}.${name}`));
  }
}

function knowResource(resource, make) {
  know(resource.constructor);
  resources[resource.constructor.name] = make;
  for (const [name, { value }] of functions(Object.getPrototypeOf(resource))) {
    if (value.constructor.name !== 'AsyncFunction') {
      knowResource(resource[name]('XX-000'), (one) => make(one)[name]('XX-000'));
    }
  }
}

function watch(prototype) {
  for (const [name, { value }] of calls(prototype)) {
    prototype[name] = async function recorded(...values) {
      const calls = called[`${this.constructor.name}.${name}`] ??= { worked: 0, refused: [] };
      try {
        const response = await value.apply(this, values);
        calls.worked += 1;
        return response;
      } catch (error) {
        calls.refused.push([error.constructor.name, error.status, error.errorCode]);
        throw error;
      }
    };
  }
}

for (const name of Object.getOwnPropertyNames(ConnectClient.prototype)) {
  if (client[name] instanceof GenericResource) knowResource(client[name], (one) => one[name]);
}
helpers.forEach(know);
prototypes.forEach(watch);
