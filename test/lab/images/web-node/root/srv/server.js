// A Node server that loses no request when its pod goes: what a drain contract takes. plain.js is the same without it.
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');

const seconds = (name, otherwise) => Number(process.env[name] ?? otherwise);
const shutdown = seconds('GRACEFUL_SHUTDOWN_SEC', 10); // t1
const preStop = seconds('GRACEFUL_PRESTOP_SEC', 5); // t2
const grace = seconds('GRACEFUL_TERMINATION_SEC', 30); // t3
let drainsUntil = 0;

const server = http.createServer(async (req, res) => {
  const url = new URL(req.url, 'http://localhost');
  if (url.pathname === '/readyz' || url.pathname === '/livez') return res.end('ok\n');
  await sleep(Number(url.searchParams.get('seconds') ?? 0) * 1000);
  if (performance.now() < drainsUntil) res.shouldKeepAlive = false;
  res.end('hello\n');
});
// Longer than clients keep a connection idle: whoever closes first should be the client. Node's default is 5 s.
server.keepAliveTimeout = 120_000;
server.listen(8080);

// The preStop hook has a port that the Service does not target. While the server drains, every answer ends its connection, and clients
// open the next one to another pod. If no SIGTERM follows within t3, another client has called, and the drain ends.
http.createServer(async (req, res) => {
  if (req.url !== '/drain') return res.writeHead(404).end();
  drainsUntil = performance.now() + grace * 1000;
  await sleep(preStop * 1000); // SIGTERM comes as soon as this returns
  res.end('drained\n');
}).listen(8081);

process.on('SIGTERM', () => {
  server.close(() => process.exit(0)); // answers what is in flight
  server.closeIdleConnections();
  setTimeout(() => process.exit(1), shutdown * 1000).unref();
});
