// SPDX-License-Identifier: Apache-2.0
//
// /openapi.json is valid OpenAPI 3.1, and the answers of a real daemon, given and refused, are what it
// says: a session through every operation.

import {Validator} from '@seriousme/openapi-schema-validator';
import Ajv2020 from 'ajv/dist/2020.js';
import assert from 'node:assert/strict';
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {after, before, test} from 'node:test';

import {Daemon, kPrefix} from '../web/daemon.mjs';

const bin = process.env.SLUICE_BIN;
let daemon, openapi;
const ajv = new Ajv2020({strict: false, allErrors: true});
const used = new Set();

before(async () => {
  mkdirSync(join(bin, 'results'), {recursive: true});
  daemon = await Daemon.start({bin, log: join(bin, 'results', 'openapi-sluiced.log')});
  openapi = await (await fetch(`${daemon.url}/openapi.json`)).json();
  ajv.addSchema({...openapi, $id: 'openapi'});
});
after(async () => daemon?.stop());

// The operation that a path without query belongs to, and how it is pointed at.
function operation_of(method, path) {
  const names = Object.keys(openapi.paths);
  const fits = (name) => new RegExp(`^${name.replaceAll('{id}', '[0-9]+')}$`).test(path);
  const name = names.find((one) => one === path) ?? names.find(fits);
  const operation = openapi.paths[name]?.[method.toLowerCase()];
  assert.ok(operation, `${method} ${path} is not documented`);
  return operation;
}

function resolved(object) {
  return object.$ref === undefined ? object :
    object.$ref.slice(2).split('/').reduce((at, key) => at[key], openapi);
}

function check(schema, value, what) {
  const relative = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/'));
  const validate = ajv.compile(relative);
  assert.ok(validate(value), `${what}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value)}`);
}

// Sends, expects the status, and holds request and answer against the document.
async function ask(method, target, status, body, headers = {}) {
  const [path] = target.split('?');
  const operation = operation_of(method, path);
  const response = await fetch(daemon.url + (operation_is_beside(path) ? '' : kPrefix) + target, {
    method, headers: {'Content-Type': 'application/json', ...headers},
    body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
  });
  const what = `${method} ${target} -> ${response.status}`;
  const type = response.headers.get('content-type').split(';')[0];
  const text = type === 'text/event-stream' ? (await response.body.cancel(), '') : await response.text();
  assert.equal(response.status, status, `${what}: ${text}`);
  const described = operation.responses[status];
  assert.ok(described, `${what}: this status is not documented`);
  const content = resolved(described).content;
  assert.ok(content[type], `${what}: ${type} is not documented`);
  if (status === 200) {
    used.add(operation.operationId);
    const input = operation.requestBody && resolved(operation.requestBody).content['application/json'];
    if (input && typeof body === 'object') check(input.schema, body, `${what}, request`);
  }
  if (type !== 'application/json') return text;
  const json = JSON.parse(text);
  check(content[type].schema, json, what);
  return json.data;
}
const operation_is_beside = (path) => !path.endsWith('/');

const rules = [
  {rule_type: 'Inbound', protocol_name: 'Custom_TCP', port_range: '80, 443', network: 'any'},
  {rule_type: 'Inbound', protocol_name: 'ICMP', network: '10.0.0.0/8', icmp_type: 8},
  {rule_type: 'Inbound', protocol_name: 'UDP', port_range: '53', network: 'manual', network_cidr: '10.1.0.0',
    network_size: 300},
  {rule_type: 'Outbound', protocol_name: 'All', network: 'any'},
];

test('it is valid OpenAPI 3.1', async () => {
  const result = await new Validator().validate(structuredClone(openapi));
  assert.ok(result.valid, JSON.stringify(result.errors, null, 1));
});

test('groups', async () => {
  const {id} = await ask('POST', '/security_group/', 200, {name: 'web', description: 'x', rules});
  await ask('GET', '/security_group/', 200);
  await ask('GET', `/security_group/${id}/`, 200);
  await ask('PUT', `/security_group/${id}/`, 200, {name: 'web', rules: rules.slice(1)});
  await ask('PUT', `/security_group/${id}/mark-default/`, 200);
  await ask('PUT', '/security_group/1/mark-default/', 200);
  await ask('POST', '/security_group/', 409, {name: 'web', rules});
  await ask('POST', '/security_group/', 400, {rules: [{}]});
  await ask('POST', '/security_group/', 400, '{"name":');
  await ask('POST', '/security_group/', 415, '<xml/>', {'Content-Type': 'text/xml'});
  await ask('GET', '/security_group/99/', 404);
  await ask('PUT', `/security_group/${id}/`, 412, {name: 'web', rules}, {'If-Match': '"1"'});
  await ask('DELETE', '/security_group/1/', 409);
});

test('VPCs', async () => {
  const {vpc_id} = await ask('POST', '/vpc/', 200, {vpc_name: 'inner', ipv4_cidr: '10.9.0.0/16'});
  await ask('GET', '/vpc/list/', 200);
  await ask('GET', `/vpc/${vpc_id}/`, 200);
  await ask('PUT', `/vpc/${vpc_id}/`, 200, {vpc_name: 'inner', ipv4_cidr: '10.8.0.0/16'});
  await ask('POST', '/vpc/', 400, {vpc_name: '', ipv4_cidr: 'x'});
  await ask('DELETE', `/vpc/${vpc_id}/`, 200);
  await ask('GET', `/vpc/${vpc_id}/`, 404);
});

test('load balancers and what is attached to them', async () => {
  const {id} = await ask('POST', '/appliances/load-balancers/', 200,
    {lb_name: 'front', lb_reserve_ip: '203.0.113.10', status: 'Running', backends: []});
  await ask('POST', '/appliances/load-balancers/', 409, {lb_name: 'other', lb_reserve_ip: '203.0.113.10'});
  await ask('PUT', `/appliances/load-balancers/${id}/`, 200,
    {lb_name: 'front', lb_reserve_ip: '203.0.113.10', lb_mode: 'HTTP'});
  await ask('GET', '/appliances/?page_no=1&per_page=5', 200);
  await ask('GET', '/appliances/?page_no=x', 400);
  await ask('GET', `/appliances/${id}/`, 200);
  await ask('GET', `/nodes/${id}/`, 200);
  const [group] = (await ask('GET', '/security_group/', 200)).filter(({name}) => name === 'web');
  const target = `/security_group/${id}/attach/`;
  await ask('POST', target, 200, {security_group_ids: [group.id], dry_run: true});
  const made = await ask('POST', target, 200, {security_group_ids: [group.id], confirm_within: 60});
  await ask('GET', '/changes/', 200);
  await ask('POST', `/security_group/${id}/detach/`, 409, {security_group_ids: [group.id]});
  await ask('POST', `/changes/${made.change_id}/confirm/`, 200);
  const tried = await ask('POST', target, 200, {security_group_ids: [2], confirm_within: 60});
  await ask('POST', `/changes/${tried.change_id}/rollback/`, 200);
  await ask('POST', `/changes/${tried.change_id}/rollback/`, 404);
  await ask('POST', target, 200, {security_group_ids: [2], expires_in: 600});
  await ask('GET', target, 200);
  await ask('GET', `${target}?available=1`, 200);
  await ask('GET', `/security_group/${id}/detach/`, 200);
  await ask('GET', `/appliances/${id}/security_group/`, 200);
  await ask('POST', target, 400, {security_group_ids: [2], flows: 'kept', expires_in: -1});
  await ask('POST', `/security_group/${id}/detach/`, 200, {security_group_ids: [2], flows: 'drain:5'});
  await ask('PUT', `/appliances/${id}/status/`, 200, {status: 'Upgrading'});
  await ask('GET', `/appliances/${id}/security_group/`, 409);
  await ask('PUT', `/appliances/${id}/status/`, 400, {status: 'Asleep'});
  await ask('PUT', `/appliances/${id}/status/`, 200, {status: 'Running'});
});

test('what the node does', async () => {
  await ask('GET', '/table/', 200);
  await ask('GET', '/counters/', 200);
  await ask('GET', '/counters/?lb=nobody', 400);
  await ask('GET', '/drops/', 200);
  await ask('GET', '/drops/?reason=none_of_these', 400);
  await ask('GET', '/drops/stream/', 200);
  await ask('GET', '/events/', 200);
  await ask('GET', '/flows/?limit=10', 200);
  await ask('GET', '/flows/?limit=x', 400);
  const question = {lb: 'front', direction: 'Inbound', protocol: 'TCP', remote: '192.0.2.1'};
  await ask('POST', '/explain/', 200, {...question, local_port: 80});
  await ask('POST', '/explain/', 200, {...question, local_port: 81});
  await ask('POST', '/explain/', 400, {lb: 'front', direction: 'sideways'});
  await ask('GET', '/healthz', 200);
  await ask('GET', '/readyz', 200);
  await ask('GET', '/metrics', 200);
  await ask('GET', '/openapi.json', 200);
});

test('documents, the audit, the node', async () => {
  const document = await ask('GET', '/export/', 200);
  await ask('POST', '/apply/', 200, {...document, dry_run: true});
  await ask('POST', '/apply/', 200, {security_groups: [{name: 'extra', rules}, ...document.security_groups]});
  await ask('POST', '/apply/', 400, {security_groups: [{name: 'bad name'}]});
  await ask('GET', '/audit/?limit=50', 200);
  await ask('GET', '/audit/?limit=x', 400);
  await ask('GET', '/backup/', 200);
  await ask('GET', '/system_rules/', 200);
  await ask('GET', '/reload/', 200);
});

test('and it all ends', async () => {
  for (const {id} of await ask('GET', '/appliances/', 200)) await ask('DELETE', `/appliances/${id}/`, 200);
  for (const {id, name} of await ask('GET', '/security_group/', 200))
    if (name === 'web') await ask('DELETE', `/security_group/${id}/`, 200);
});

test('every operation was met', () => {
  const all = Object.values(openapi.paths).flatMap((path) =>
    Object.values(path).map(({operationId}) => operationId).filter(Boolean));
  assert.deepEqual(all.filter((id) => !used.has(id)), []);
});
