// The SDK's methods for resources other than queues: products and their parts, hubs,
// accounts, conversations, webhooks, and lists in the SDK's own query language.

import { Directory, Inventory } from '@cloudblueconnect/connect-javascript-sdk';
import {
  CONTACT, HUB, PLAIN, SUITE, as, distributor, handOver, ids, refused, vendor,
} from './common.mjs';

async function crud(resource, body, change) {
  const created = await resource.create(body);
  const read = await resource.get(created.id);
  const changed = await resource.update(created.id, change);
  const results = ids(await resource.search({ limit: 1000 }));
  const gone = await resource.delete(created.id);
  return { created, read, changed, results, gone: gone ?? null };
}

async function product() {
  const { created, read, changed, results } = await crud(
    vendor.products, { name: 'Nimbus Archive' }, { short_description: 'Stored copies.' },
  );
  const vault = await vendor.products.create({ name: 'Nimbus Vault' });
  const { id } = vault;
  const [actions, parameters] = [vendor.products.actions(id), vendor.products.parameters(id)];
  const action = {
    action: 'sign_in', name: 'Sign in', scope: 'asset', type: 'button', description: '',
  };
  const parameter = {
    name: 'site', title: 'Site', description: '', type: 'text', scope: 'asset', phase: 'ordering',
  };
  const configured = {
    name: 'endpoint', title: 'Endpoint', type: 'url', scope: 'product', phase: 'configuration',
  };
  const parts = {
    actions: await crud(actions, action, { title: 'Console' }),
    parameters: await crud(parameters, parameter, { hint: 'Which one.' }),
  };
  await parameters.create(configured);
  const values = vendor.products.configurations(id);
  const value = await values.create(
    { parameter: { id: 'endpoint' }, value: 'https://api.example.com' },
  );
  const versions = vendor.products.versions(id);
  const published = await versions.create({ changes_description: 'The first.', public: true });
  const lines = vendor.products.connections(id);
  const line = await lines.create({ hub: { id: HUB } });
  return {
    created, read, changed, results, parts, value, values: await values.search(),
    connection: {
      created: line, read: await lines.get(line.id),
      changed: await lines.update(line.id, { type: 'production' }),
      results: ids(await lines.search({ 'hub.id': HUB })),
      by_product: ids(await vendor.products.getConnections(id)),
    },
    versions: {
      published, read: await versions.get(1), results: await versions.search(),
      changed: await versions.update(1, { changes_description: 'First.' }),
      actions: await vendor.products.versions(SUITE).actions(1).search(),
    },
    items: ids(await distributor.products.getItems(PLAIN)),
    templates: ids(await distributor.products.getTemplates(PLAIN)),
    all_parameters: (await vendor.products.getParameters(SUITE)).length,
  };
}

async function inventory() {
  const stock = new Inventory(vendor);
  const [action] = await vendor.products.actions(SUITE).search({ scope: 'asset' });
  const [asset] = await new Directory(vendor).searchAssets({ 'product.id': SUITE, limit: 1 });
  const filled = await stock.getAssetParametersForFulfillmentByProduct(SUITE);
  const { link } = await stock.getProductActionLink(SUITE, action.id, asset.id);
  return {
    parameters: (await stock.getParametersByProduct(PLAIN)).map((row) => row.name),
    fulfillment: filled.map((row) => row.name),
    results: (await stock.searchProductParameters(SUITE, {
      scope: { $in: ['tier1', 'tier2'] }, 'constraints.required': true,
    })).map((row) => row.name),
    templates: ids(await stock.getProductTemplates(SUITE)),
    asset_templates: ids(await stock.getProductAssetTemplates(SUITE)),
    action: action.id, asset: asset.id, link,
    landed: (await fetch(link)).status,
  };
}

async function places() {
  const [mine, theirs] = [await vendor.accounts.search(), await distributor.accounts.search()];
  return {
    accounts: [mine, theirs], account: await vendor.accounts.get(mine[0].id),
    users: await vendor.accounts.users(mine[0].id).search({ status: 'active' }),
    user: await vendor.accounts.users(mine[0].id).get('UR-426-913-070'),
    hub: await crud(
      distributor.hubs,
      { name: 'Shop', description: '', instance_id: 'shop-1', instance_type: 'api' },
      { name: 'Store' },
    ),
    visible: ids(await vendor.hubs.search({ 'company.id': theirs[0].id })),
    hub_by_vendor: (await vendor.hubs.get(HUB)).name,
    hub_of_another: await refused(() => vendor.hubs.update(HUB, { name: 'Mine' })),
  };
}

async function newVendor() {
  // The SDK has no agreements: its client calls any path.
  const post = async (path, body) => {
    const headers = { 'Content-Type': 'application/json' };
    const response = await distributor.fetch(
      path, { method: 'POST', headers, body: JSON.stringify(body) },
    );
    return response.json();
  };
  const program = await post(
    '/agreements', { type: 'program', title: 'Partners', document_type: 'none', active: true },
  );
  const { id, activation } = await post(
    `/agreements/${program.id}/contracts`,
    { kind: 'production', partner: { name: 'Birch Labs' }, activation: { message: 'Welcome.' } },
  );
  return distributor.accounts.create(
    { name: 'Birch Labs', contract_id: id, code: activation.code },
  );
}

async function tierAccounts() {
  const body = { name: 'Willow Bakery', type: 'customer', contact_info: CONTACT, hub: { id: HUB } };
  const created = await distributor.tierAccounts.create({ ...body, external_id: 'willow-1' });
  const changed = await distributor.tierAccounts.update(created.id, { tax_id: '93-1' });
  const versions = await distributor.tierAccounts.versions(created.id).search();
  await distributor.tierAccounts.delete(created.id);
  return { created, changed, versions, after: await distributor.tierAccounts.get(created.id) };
}

async function conversations() {
  const [request] = await vendor.requests.search({ status: 'pending', 'asset.product.id': PLAIN });
  const [talk] = await vendor.conversations.getConversationsByObjectId(request.id);
  const message = await vendor.conversations.createMessage(talk.id, 'Working on it.');
  const messages = distributor.conversations.messages(talk.id);
  const reply = await messages.create({ text: 'Thank you.', type: 'message' });
  const edited = await messages.update(reply.id, { text: 'Thanks.' });
  const draft = await distributor.requests.search({ status: 'draft', type: 'purchase' });
  const begun = await distributor.conversations.create(
    { instance_id: draft[0].id, topic: 'Prices' },
  );
  return {
    request: request.id, talk, message, edited, begun, draft: draft[0].id,
    read: await messages.get(message.id),
    listed: ids(await messages.search({ $ordering: 'created' })),
    whole: await vendor.conversations.get(talk.id),
    results: ids(await distributor.conversations.search({ instance_id: request.id })),
  };
}

async function webhooks() {
  const body = {
    label: 'Made by the SDK', product_id: PLAIN, object_class: 'fulfillment_request',
    external_url: process.env.HANDLER_URL, jwt_secret: process.env.SECRET,
    http_method: 'POST', active: true, data: { tenant: 'lab-1' }, headers: { 'X-Env': 'lab' },
  };
  const created = await vendor.webhooks.create(body);
  // The SDK has no trigger: its client calls any path.
  const triggered = await vendor.fetch(
    `/notifications/webhooks/${created.id}/trigger`, { method: 'POST' },
  );
  let after = created;
  for (const end = Date.now() + 10000; !after.last_success && Date.now() < end;) {
    after = await vendor.webhooks.get(created.id);
  }
  const changed = await vendor.webhooks.update(created.id, { ...created, label: 'Changed' });
  const results = ids(await vendor.webhooks.search({ 'product.id': PLAIN, active: true }));
  const hidden = await refused(() => distributor.webhooks.get(created.id));
  await vendor.webhooks.delete(created.id);
  return {
    created, after, changed, results, hidden, triggered: [triggered.status, await triggered.text()],
    gone: await refused(() => vendor.webhooks.get(created.id)),
  };
}

// The rows themselves determine the expected results of each query.
async function queries() {
  const all = await vendor.requests.search({ limit: 1000, $ordering: ['-created', 'id'] });
  const [early, late] = [all[all.length - 6].created, all[5].created];
  const queries = {
    plain: { status: 'pending', 'asset.product.id': PLAIN },
    in: { status: { $in: ['pending', 'inquiring'] } },
    out: { status: { $out: ['approved', 'failed'] } },
    ne: { type: { $ne: 'purchase' } },
    or: { $or: [{ status: 'failed' }, { type: 'change' }] },
    and: { $and: [{ status: 'approved' }, { type: { $ne: 'purchase' } }] },
    or_of_field: { status: { $or: [{ $eq: 'failed' }, { $eq: 'pending' }] } },
    not: { status: { $not: { $eq: 'approved' } } },
    like: { 'asset.product.name': { $like: 'Secure Su' } },
    ilike: { 'asset.product.name': { $ilike: 'nimbus m' } },
    range: { created: { $range: { min: early, max: late } } },
    since: { created: { $ge: early, $lt: late } },
    spaces: { 'asset.product.name': 'Nimbus Backup' },
    empty: { reason: { $eq: 'empty()' }, planned_date: { $ne: 'null()' } },
  };
  const results = {};
  for (const [name, query] of Object.entries(queries)) {
    results[name] = ids(await vendor.requests.search({ ...query, limit: 1000 }));
  }
  const [one] = await vendor.requests.search(
    { $select: ['-asset.items', '-note'], limit: 1, offset: 2 },
  );
  return { all, early, late, results, third: all[2].id, one };
}

async function errors() {
  return {
    missing: await refused(() => vendor.requests.get('PR-0000-0000-0000-000')),
    invalid: await refused(() => distributor.requests.create({ type: 'purchase' })),
    // The SDK's own name of the operator is not part of the query language.
    gte: await refused(() => vendor.requests.search({ created: { $gte: '2026-01-01' } })),
    bad_query: await refused(() => vendor.requests.search({ color: 'red' })),
    not_yours: await refused(
      () => vendor.tierAccounts.create({ name: 'X', contact_info: CONTACT }),
    ),
    no_key: await refused(() => as('').requests.search()),
    method: await refused(() => vendor.requests.delete('PR-0000-0000-0000-000')),
  };
}

handOver({
  product: await product(),
  inventory: await inventory(),
  places: await places(),
  tier_accounts: await tierAccounts(),
  conversations: await conversations(),
  webhooks: await webhooks(),
  queries: await queries(),
  errors: await errors(),
  // Last, since lists show the new account.
  new_vendor: await newVendor(),
});
