// Methods of the SDK that Connect's document does not have, each called once.

import { distributor, handOver } from './common.mjs';
import { methods, resources } from './methods.mjs';

const routes = [];
distributor.addBeforeRequestHook((url, options) => {
  const [path] = url.replace(process.env.CONNECT_URL, '').replaceAll('XX-000', '{}').split('?');
  routes.push([options.method ?? 'GET', path]);
  return { url, options };
});

for (const name of JSON.parse(process.env.METHODS)) {
  const [Class, method] = name.split('.');
  const resource = resources[Class](distributor);
  const args = ['create', 'search'].includes(method) ? [{ name: 'X' }] : ['XX-000', { name: 'X' }];
  try {
    await resource[method](...args);
  } catch (error) {
    if (!error.status) throw error;
  }
}

handOver({ methods: [...methods], routes });
