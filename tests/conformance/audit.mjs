// Runs the graphql-http server audits against a URL and prints one JSON line an audit.
// node audit.mjs URL, with the request headers as a JSON object on standard input: a token is no argument of a process.
import { readFileSync } from 'node:fs';
import { serverAudits } from 'graphql-http';

const url = process.argv[2];
const headers = JSON.parse(readFileSync(0, 'utf-8') || '{}');
const fetchFn = (input, init = {}) => fetch(input, { ...init, headers: { ...headers, ...init.headers } });

for (const audit of serverAudits({ url, fetchFn })) {
  const result = await audit.fn();
  console.log(JSON.stringify({ id: audit.id, name: audit.name, status: result.status, reason: result.reason }));
}
