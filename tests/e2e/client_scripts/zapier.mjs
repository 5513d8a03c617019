// The calls of CloudBlue's Zapier app, 24.0.1, which is this SDK with Zapier's forms.

import {
  Directory, Fulfillment, Inventory, Listings, Subscriptions,
} from '@cloudblueconnect/connect-javascript-sdk';
import { randomUUID } from 'node:crypto';
import {
  CONTACT, HUB, PLAIN, SUITE, distributor, handOver, ids, refused, vendor,
} from './common.mjs';

const buying = new Fulfillment(distributor);

async function subscription() {
  const label = '[Zap-90211] Orders';
  const created = await vendor.webhooks.create({
    label, product_id: PLAIN, external_url: process.env.HANDLER_URL,
    object_class: 'fulfillment_request', jwt_secret: `JWT-${randomUUID()}`, active: true,
    description: label, http_method: 'POST', data: {},
    headers: { 'Content-Type': 'application/json' },
  });
  // The zap's trigger: an order.
  const ordered = await purchase('zap-1');
  let after = created;
  for (const end = Date.now() + 15000; !after.last_success && Date.now() < end;) {
    after = await vendor.webhooks.get(created.id);
  }
  await vendor.webhooks.delete(created.id);
  return { created, after, ordered, gone: await refused(() => vendor.webhooks.get(created.id)) };
}

const tier = (name) => (
  { name, external_id: `${name}-id`, external_uid: randomUUID(), contact_info: CONTACT }
);

// No product and no marketplace: connection and global item id determine them.
async function purchase(externalId) {
  const product = `${PLAIN}-0001`.slice(0, 15);
  const connection = await buying.getConnectionIdByProductAndHub(product, HUB);
  return buying.createRequest({
    type: 'purchase',
    asset: {
      external_id: externalId, external_uid: randomUUID(), connection: { id: connection },
      items: [{ id: `${PLAIN}-0001`, quantity: '3' }],
      tiers: { tier1: tier('Maple Resellers'), customer: tier('Maple Cafe') },
      params: [{ id: 'contact_email', value: 'it@example.com' }],
    },
  });
}

// An order of several products: existing subscriptions are changed, missing ones are bought.
async function order() {
  const bought = await purchase('zap-2');
  const [asset] = await new Directory(distributor).getAssetsByProductIdExternalId(PLAIN, 'zap-2');
  return { bought: bought.asset.id, asset: asset.id, mpn: asset.items[0].mpn };
}

async function tierAccount() {
  const directory = new Directory(distributor);
  const [account] = await directory.searchTierAccounts({ external_id: '100268', 'hub.id': HUB });
  const created = await directory.createTierAccountRequest({
    type: 'update',
    account: {
      name: account.name, external_id: account.external_id, external_uid: account.external_uid,
      contact_info: { ...CONTACT, city: 'Salem', address_line2: randomUUID() },
    },
  });
  return { account: account.id, created };
}

async function messages() {
  const [request] = await vendor.requests.search({ status: 'pending', limit: 1 });
  const [talk] = await vendor.conversations.getConversationsByObjectId(request.id);
  const sent = await vendor.conversations.createMessage(talk.id, 'From a zap.');
  const { messages: results } = await vendor.conversations.get(talk.id);
  return { sent: sent.id, results };
}

async function form() {
  const stock = new Inventory(vendor);
  const either = [
    { 'constraints.required': true },
    { 'constraints.required': false, 'constraints.hidden': false },
  ];
  const parameters = (phase, scope) => stock.searchProductParameters(SUITE, {
    phase: Array.isArray(phase) ? { $in: phase } : phase,
    scope: Array.isArray(scope) ? { $in: scope } : scope,
    $or: either,
  });
  const ordering = await parameters('ordering', 'asset');
  const tiers = await parameters(['ordering', 'fulfillment'], ['tier1', 'tier2']);
  const byId = await stock.searchProductParameters(SUITE, { id: { $in: ids(ordering) } });
  return {
    all: (await stock.getParametersByProduct(SUITE)),
    ordering: ids(ordering), tiers: ids(tiers), by_id: ids(byId),
  };
}

// Filters of its searches, with values; no rows match `…-0`, `n`, `u` and `1`.
const REQUESTS = {
  type: 'purchase', status: { $in: ['pending', 'approved'] }, id: 'PR-0', 'asset.id': 'AS-0',
  'asset.product.id': PLAIN, 'asset.product.name': 'Nimbus Backup',
  'asset.connection.type': 'test', 'asset.connection.hub.id': HUB,
  'asset.connection.hub.name': 'Northland Hub', 'asset.connection.provider.id': 'PA-318-442',
  'asset.connection.provider.name': 'Northland Distribution',
  'asset.connection.vendor.id': 'VA-610-138', 'asset.connection.vendor.name': 'Nimbus Inc',
  'asset.tiers.customer.id': 'TA-0', 'asset.tiers.tier1.id': 'TA-0', 'asset.tiers.tier2.id': 'TA-0',
  'asset.params.id': 'region', 'asset.params.value': 'eu',
};
const ASSETS = {
  status: 'active', id: 'AS-0', external_id: '1', external_uid: 'u', external_name: 'n',
  'product.id': PLAIN, 'product.title': 'Nimbus Backup', 'connection.id': 'CT-0',
  'contract.id': 'CRD-0', 'marketplace.id': 'MP-40117', 'marketplace.name': 'Northland',
  'connection.type': 'test', 'connection.hub.id': HUB, 'hub.name': 'Northland Hub',
  'connection.provider.id': 'PA-318-442', 'tiers.customer.id': 'TA-0',
  'tiers.customer.name': 'n', 'tiers.tier1.id': 'TA-0', 'tiers.tier2.id': 'TA-0',
  created: { $lt: '2026-11-24T00:00:00.000Z', $gt: '2020-01-01T00:00:00.000Z' },
  updated: { $gt: '2020-01-01T00:00:00.000Z' },
};
const CONVERSATIONS = {
  id: 'CO-000-000-001', instance_id: 'PR-0', created: { $ge: '2020-01-01T00:00:00.000Z' },
};
const CONFIGS = {
  id: 'TC-0', tier_level: 1, 'contract.id': 'CRD-0', 'connection.id': 'CT-0',
  'connection.type': 'test', 'marketplace.id': 'MP-40117', 'marketplace.name': 'Northland',
  'product.id': SUITE, 'product.name': 'Nimbus Secure Suite', 'account.id': 'TA-0',
  'account.company_name': 'n', status: 'active', created: { $le: '2026-11-24T00:00:00.000Z' },
  updated: { $ge: '2020-01-01T00:00:00.000Z' },
};
const CONFIG_REQUESTS = {
  type: 'setup', status: { $in: ['pending', 'approved'] }, id: 'TCR-0', configuration__id: 'TC-0',
  configuration__tier_level: 1, configuration__account__id: 'TA-0',
  configuration__product__id: SUITE, configuration__account__external_uid: 'u',
  assignee__id: 'UR-426-913-070', unassigned: true, 'params.id': 'partner_tenant',
  'params.value': 'pt-0120',
};
const ACCOUNT_REQUESTS = {
  status: 'pending', id: 'TAR-0', 'product.id': SUITE, 'product.name': 'Nimbus Secure Suite',
  'provider.id': 'PA-318-442', 'provider.name': 'n', 'vendor.id': 'VA-610-138',
  'vendor.name': 'n', 'account.id': 'TA-0', 'account.name': 'n', 'account.external_id': '1',
  'account.external_uid': 'u', 'account.environment': 'test',
  'account.scopes': 'customer', 'account.marketplace.id': 'MP-40117',
  'account.marketplace.name': 'Northland', 'account.hub.id': HUB,
  'account.hub.name': 'Northland Hub', order_by: '-id',
};
const OF_ASSET = {
  external_id: '1', external_uid: 'u', 'product.id': PLAIN, 'product.name': 'Nimbus Backup',
  'connection.id': 'CT-0', 'connection.provider.id': 'PA-318-442', 'connection.provider.name': 'n',
  'connection.vendor.id': 'VA-610-138', 'connection.vendor.name': 'n', 'connection.hub.id': HUB,
  'connection.hub.name': 'n', 'marketplace.id': 'MP-40117', 'marketplace.name': 'Northland',
  'tiers.customer.id': 'TA-0', 'tiers.tier1.id': 'TA-0', 'tiers.tier2.id': 'TA-0',
  'billing.period.uom': 'monthly', 'billing.next_date': { $ge: '2020-01-01T00:00:00.000Z' },
};
const BILLING = {
  id: 'BRP-0', type: 'vendor', 'period.uom': 'monthly', 'asset.id': 'AS-0',
  'events.created.at': { $le: '2099-11-24T00:00:00.000Z', $ge: '2020-01-01T00:00:00.000Z' },
  'events.updated.at': { $ge: '2020-01-01T00:00:00.000Z' },
  'period.from': { $ge: '2020-01-01T00:00:00.000Z' },
  'period.to': { $le: '2099-01-01T00:00:00.000Z' },
  ...Object.fromEntries(Object.entries(OF_ASSET).map(([name, value]) => [`asset.${name}`, value])),
};
const SUBSCRIPTIONS = {
  status: 'active', 'events.created.at': { $ge: '2020-01-01T00:00:00.000Z' },
  'events.updated.at': { $le: '2099-11-24T00:00:00.000Z' }, ...OF_ASSET,
};
const LISTINGS = {
  id: 'LSTR-0', marketplace__id: 'MP-40117', marketplace__name: 'Northland', product__id: PLAIN,
  product__name: 'Nimbus Backup', provider__id: 'PA-318-442', vendor__id: 'VA-610-138',
  vendor__name: 'Nimbus Inc', contract__id: 'CRD-41020-88713-20954', contract__name: 'n',
  state: 'completed', state__in: 'reviewing,deploying', type: 'new', type__in: 'new,remove',
  created: { $ge: '2020-01-01T00:00:00.000Z', $le: '2099-01-01T00:00:00.000Z' },
};

// Each filter alone: its value, and the number of rows or the error.
async function searches() {
  const [directory, queue] = [new Directory(vendor), new Fulfillment(vendor)];
  const [money, listings] = [new Subscriptions(vendor), new Listings(vendor)];
  const all = {
    requests: [REQUESTS, (q) => queue.searchRequests(q)],
    assets: [ASSETS, (q) => directory.searchAssets(q)],
    conversations: [CONVERSATIONS, (q) => vendor.conversations.search(q)],
    tier_configs: [CONFIGS, (q) => directory.searchTierConfigurations(q)],
    tier_config_requests: [CONFIG_REQUESTS, (q) => queue.searchTierConfigRequests(q)],
    tier_account_requests: [ACCOUNT_REQUESTS, (q) => directory.searchTierAccountRequests(q)],
    billing_requests: [BILLING, (q) => money.searchBillingRequests(q)],
    subscriptions: [SUBSCRIPTIONS, (q) => money.searchRecurringAssets(q)],
    listing_requests: [LISTINGS, (q) => listings.searchListingRequests(q)],
  };
  const results = {};
  for (const [name, [table, search]] of Object.entries(all)) {
    const counted = await Promise.all(Object.entries(table).map(async ([field, value]) => {
      try {
        return [field, [value, (await search({ [field]: value, limit: 100, offset: 0 })).length]];
      } catch (error) {
        return [field, [value, error.errors]];
      }
    }));
    results[name] = Object.fromEntries(counted);
  }
  return results;
}

async function choices() {
  const shown = ['listing', 'syndication', 'owner'];
  const products = await vendor.products.search({
    $or: shown.map((name) => ({ [`product.visibility.${name}`]: true })),
  });
  const every = await distributor.products.search();
  return {
    products: ids(products),
    visible: ids(every.filter(({ visibility }) => shown.some((name) => visibility[name]))),
    hubs: ids(await distributor.hubs.search()),
    account: (await vendor.accounts.search())[0].id,
    users: ids(await vendor.accounts.users('VA-610-138').search({ limit: 30, offset: 0 })),
  };
}

handOver({
  searches: await searches(),
  subscription: await subscription(),
  order: await order(),
  tier_account: await tierAccount(),
  messages: await messages(),
  form: await form(),
  choices: await choices(),
});
