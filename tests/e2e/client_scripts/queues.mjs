// Complete flows of the SDK's queues by its helpers, each action by its party.

import {
  Directory, Fulfillment, Inventory, Listings, Subscriptions,
} from '@cloudblueconnect/connect-javascript-sdk';
import {
  CONTACT, CONTRACT, HUB, METER, PLAIN, SUITE, distributor, handOver, ids, purchase, refused,
  vendor,
} from './common.mjs';

const [selling, buying] = [new Fulfillment(vendor), new Fulfillment(distributor)];
const [stock, sold] = [new Inventory(vendor), new Directory(vendor)];
const accounts = new Directory(distributor);

async function order(product, params, tiers) {
  const connection = await buying.getConnectionIdByProductAndHub(product, HUB);
  return buying.createRequest(purchase(product, connection, params, tiers));
}

async function filled(request) {
  const all = await stock.getAssetParametersForFulfillmentByProduct(request.asset.product.id);
  const params = all.filter((p) => p.constraints.required)
    .map(({ name }) => ({ id: name, value: `${name}-${request.id}` }));
  return selling.updateRequestParameters(request.id, params, 'Filled.');
}

async function template(product, scope, type) {
  const rows = await stock.getProductTemplates(product);
  return rows.find((row) => row.scope === scope && row.type === type).id;
}

// Without the capability, an inquiring request can't be changed.
async function letInquiriesBeChanged(product) {
  await vendor.products.update(product, { capabilities: { inquiring: { validation: true } } });
}

async function fulfillment() {
  await letInquiriesBeChanged(PLAIN);
  const created = await order(PLAIN);
  const { id } = created;
  const pending = await selling.searchRequests({
    status: 'pending', 'asset.product.id': { $in: [PLAIN] }, $ordering: '-created', limit: 1000,
  });
  const wrong = [{ id: 'contact_email', value_error: 'Nobody reads this.' }];
  const [asking, ready] = await Promise.all([
    template(PLAIN, 'asset', 'inquire'), template(PLAIN, 'asset', 'fulfillment'),
  ]);
  const inquired = await selling.inquireRequestWithTemplate(id, asking, wrong, 'Asked.');
  const right = [{ id: 'contact_email', value: 'it@example.com' }];
  await buying.updateRequestParameters(id, right);
  const pended = await buying.pendingRequest(id);
  const updated = await filled(created);
  const approved = await selling.approveRequestWithTemplate(id, ready);
  const again = await refused(() => selling.approveRequest(id, { template_id: ready }));
  return {
    created, results: ids(pending), inquired, pended, updated, approved, again,
    read: await selling.getRequest(id), asset: await vendor.assets.get(approved.asset.id),
  };
}

async function failure() {
  const { id } = await order(PLAIN);
  await selling.updateRequest(id, { note: 'Not today.' });
  const without = await refused(() => selling.failRequest(id));
  return { without, failed: await selling.failRequest(id, 'No capacity.') };
}

// Approved with a text instead of a template; inquired with neither.
async function later() {
  await letInquiriesBeChanged(METER);
  const created = await order(METER);
  await selling.inquireRequest(created.id, {}, [{ id: 'cost_center', value_error: 'Which one?' }]);
  await selling.updateRequestParameters(created.id, [{ id: 'cost_center', value: 'CC-1' }]);
  await selling.pendingRequest(created.id);
  await filled(created);
  const bought = await selling.approveRequest(created.id, { activation_tile: '# Counting.' });
  const { asset } = bought;
  const results = { purchase: bought };
  for (const type of ['suspend', 'resume', 'change', 'cancel']) {
    const items = type === 'change' ? { items: [{ id: asset.items[0].id, quantity: '7' }] } : {};
    const one = await buying.createRequest({ type, asset: { id: asset.id, ...items } });
    results[type] = await selling.approveRequest(one.id, { activation_tile: '# Done.' });
  }
  return results;
}

// Both levels have to be set up before the order continues.
async function orderOfTiers() {
  const created = await order(SUITE, [{ id: 'admin_email', value: 'a@example.com' }], {
    tier1: { name: 'Willow Resellers', contact_info: CONTACT },
    tier2: { name: 'Willow Masters', contact_info: CONTACT },
  });
  const { tier1, tier2 } = created.asset.tiers;
  const rows = await selling.searchTierConfigRequests({
    'configuration.product.id': SUITE, 'configuration.account.id': { $in: [tier1.id, tier2.id] },
  });
  const byLevel = (level) => rows.find((row) => row.configuration.tier_level === level).id;
  return [created, byLevel(1), byLevel(2)];
}

async function secondLevel(id) {
  const [wrong, right] = [{ value_error: 'Taken.' }, { value: 'W' }]
    .map((error) => [{ id: 'master_reference', ...error }]);
  await selling.inquireTierConfigRequest(id, wrong, 'Asked.');
  const inquired = await selling.getTierConfigRequest(id);
  await buying.updateTierConfigRequestParameters(id, right);
  await buying.pendingTierConfigRequest(id);
  const rendered = await selling.approveTierConfigRequestWithTemplate(
    id, await template(SUITE, 'tier2', 'fulfillment'),
  );
  return { inquired, rendered };
}

async function firstLevel(id) {
  const agreed = [{ id: 'partner_agreement', value: 'NSS-1' }];
  await buying.updateTierConfigRequest(id, { params: agreed });
  await buying.pendingTierConfigRequest(id);
  await selling.updateTierConfigRequestParameters(id, [{ id: 'partner_tenant', value: 'pt' }]);
  await selling.approveTierConfigRequest(
    id, { template: { id: await template(SUITE, 'tier1', 'fulfillment') } },
  );
  return selling.getTierConfigRequest(id);
}

async function tierConfigs() {
  const [created, first, second] = await orderOfTiers();
  const waiting = await selling.getTierConfigRequest(first);
  const steps = await secondLevel(second);
  const released = await selling.getTierConfigRequest(first);
  const approved = await firstLevel(first);
  const config = approved.configuration.id;
  const update = await buying.createUpdateTierConfigRequest(
    config, [{ id: 'partner_agreement', value: 'NSS-2' }],
  );
  await selling.failTierConfigRequest(update.id, 'Not ours.');
  const account = waiting.configuration.account.id;
  return {
    ...steps, order: created, waiting, released, approved, update,
    failed: await selling.getTierConfigRequest(update.id),
    config: await vendor.tierConfigs.get(config),
    configs: ids(await sold.searchTierConfigurations({ 'account.id': account })),
    order_after: await selling.getRequest(created.id),
  };
}

async function tierSetup() {
  const created = await buying.createTierConfigRequest({
    type: 'setup',
    configuration: {
      product: { id: SUITE }, tier_level: 1,
      account: { name: 'Elm Street Resellers', contact_info: CONTACT },
    },
    params: [{ id: 'partner_agreement', value: 'NSS-1-0200' }],
  });
  await selling.failTierConfigRequest(created.id, 'No agreement.');
  return { created, failed: await selling.getTierConfigRequest(created.id) };
}

async function tierAccounts() {
  const customer = 'TA-0418-2290-3310';
  const before = await accounts.getTierAccount(customer);
  const ask = (tax_id) => accounts.createTierAccountRequest(
    { type: 'update', account: { id: customer, tax_id } },
  );
  const first = await ask('93-5550146');
  const second = await ask('93-5550147');
  const pending = await sold.searchTierAccountRequests(
    { status: 'pending', 'account.id': customer },
  );
  return {
    before, first, pending: ids(pending), read: await sold.getTierAccountRequest(first.id),
    accepted: await sold.acceptTierAccountRequest(first.id),
    ignored: await sold.ignoreTierAccountRequest(second.id, 'Not kept.'),
    version: await accounts.getTierAccountVersion(customer, first.account.version),
    versions: await distributor.tierAccounts.versions(customer).search(),
    unchanged: await refused(() => ask('93-5550147')),
    results: ids(await accounts.searchTierAccounts({ external_id: before.external_id })),
  };
}

async function listing() {
  const [vends, provides] = [new Listings(vendor), new Listings(distributor)];
  const product = await vendor.products.create({ name: 'Nimbus Vault', external_id: 'vault' });
  await vendor.products.versions(product.id).create({ changes_description: 'The first.' });
  const created = await vends.createListingRequest(
    { type: 'new', product_id: product.id, contract_id: CONTRACT, note: 'Please.' },
  );
  const { id } = created;
  await vends.submitListingRequest(id);
  await provides.refineListingRequest(id);
  const refined = await vends.getListingRequest(id);
  await vends.submitListingRequest(id);
  await provides.deployListingRequest(id);
  const deploying = ids(await provides.searchListingRequests({ state: 'deploying' }));
  await provides.completeListingRequest(id);
  const removal = await vends.createListingRequest(
    { type: 'remove', listing_id: created.listing.id },
  );
  await vends.submitListingRequest(removal.id);
  await provides.cancelListingRequest(removal.id);
  const change = { type: 'update', listing_id: created.listing.id };
  const draft = await vends.createListingRequest(change);
  await vendor.listingRequests.delete(draft.id);
  return {
    created, refined, deploying, completed: await vends.getListingRequest(id),
    canceled: await vends.getListingRequest(removal.id),
    gone: await refused(() => vends.getListingRequest(draft.id)),
  };
}

async function billing() {
  const [vends, provides] = [new Subscriptions(vendor), new Subscriptions(distributor)];
  const assets = await provides.searchRecurringAssets({ 'product.id': PLAIN, status: 'active' });
  // Not one that was created a moment ago: a job of the platform adds its billing.
  const asset = assets.find((each) => each.billing);
  const body = (type) => ({
    type, asset: { id: asset.id }, items: [{ id: asset.items[0].id }],
    period: {
      from: '2026-10-01T00:00:00Z', to: '2026-11-01T00:00:00.000Z', delta: 1, uom: 'monthly',
    },
  });
  const provided = await provides.createBillingRequest(body('provider'));
  const vended = await vends.createBillingRequest(body('vendor'));
  return {
    asset, provided, vended,
    recurring: await vends.getRecurringAsset(asset.id),
    read: await provides.getBillingRequest(vended.id),
    hidden: await refused(() => vends.getBillingRequest(provided.id)),
    seen_by_vendor: ids(await vends.searchBillingRequests({ 'asset.id': asset.id, limit: 1000 })),
    attributes: await provides.updateBillingRequestAttributes(
      provided.id, { provider: { invoice: 'NL-1' } },
    ),
    after: await provides.getBillingRequest(provided.id),
  };
}

// Attachments are forms, which the SDK doesn't send.
async function attach(id, text) {
  const { CONNECT_URL, PROVIDER_KEY } = process.env;
  const body = new FormData();
  body.append('file', new Blob([text], { type: 'text/plain' }), 'error.log');
  const response = await fetch(`${CONNECT_URL}/helpdesk/cases/${id}/attachments`, {
    method: 'POST', body, headers: { Authorization: `ApiKey ${PROVIDER_KEY}` },
  });
  return response.json();
}

async function helpdesk() {
  const { cases } = distributor;
  const created = await cases.create({
    subject: 'Sign-in fails', description: 'Since this morning.', type: 'technical', priority: 2,
    product: { id: PLAIN }, receiver: { account: { id: 'VA-610-138' } },
  });
  const { id } = created;
  const question = await vendor.cases.inquire(id);
  const answered = await cases.pend(id);
  const updated = await cases.update(id, { priority: 3 });
  const files = cases.attachments(id);
  const attached = await attach(id, 'an error');
  const listed = ids(await files.search());
  const read = await files.get(attached.id);
  await files.delete(attached.id);
  const resolved = await vendor.cases.resolve(id);
  const closed = await cases.close(id, 5, 'Thank you.');
  return {
    created, question, answered, updated, attached, listed, read, resolved, closed,
    results: ids(await cases.search({ state: 'closed', $ordering: '-events.closed.at' })),
    again: await refused(() => cases.pend(id)),
    seen: await vendor.cases.get(id),
  };
}

handOver({
  fulfillment: await fulfillment(),
  failure: await failure(),
  later: await later(),
  tier_configs: await tierConfigs(),
  tier_setup: await tierSetup(),
  tier_accounts: await tierAccounts(),
  listing: await listing(),
  billing: await billing(),
  helpdesk: await helpdesk(),
});
