// Shared by the JavaScript scripts: clients of both parties, bodies, and the output of results.

import { APIError, ConnectClient, HttpError } from '@cloudblueconnect/connect-javascript-sdk';
import { called } from './methods.mjs';

const { CONNECT_URL, VENDOR_KEY, PROVIDER_KEY } = process.env;
export const as = (key) => new ConnectClient(CONNECT_URL, key);
export const vendor = as(`ApiKey ${VENDOR_KEY}`);
export const distributor = as(`ApiKey ${PROVIDER_KEY}`);

export const PLAIN = 'PRD-814-505-018';
export const SUITE = 'PRD-362-917-440';
export const METER = 'PRD-590-284-731';
export const HUB = 'HB-7710-3391';
export const CONTRACT = 'CRD-41020-88713-20954';
export const CONTACT = {
  address_line1: '1 Harbour Road', city: 'Portland', state: 'OR', postal_code: '97201',
  country: 'US',
  contact: {
    first_name: 'Ada', last_name: 'Ray', email: 'ada@example.com',
    phone_number: { country_code: '+1', area_code: '555', phone_number: '0100', extension: '' },
  },
};

export const ids = (rows) => rows.map((row) => row.id);

export function purchase(product, connection, params = [], tiers = {}) {
  return {
    type: 'purchase',
    asset: {
      connection: { id: connection },
      items: [{ id: `${product}-0001`, quantity: 5 }],
      params,
      tiers: {
        customer: { name: 'Harbour Cafe', contact_info: CONTACT },
        tier1: { name: 'Portland Resellers', contact_info: CONTACT },
        ...tiers,
      },
    },
  };
}

// Returns the SDK's error of a call that must be refused.
export async function refused(call) {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    const { status, errorCode, errors, json } = error;
    return { api_error: error instanceof APIError, status, error_code: errorCode, errors, json };
  }
  throw new Error(`The call was not refused: ${call}`);
}

export function handOver(report) {
  process.stdout.write(JSON.stringify({ ...report, called }));
}
