// The server of a first tutorial.
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');

http.createServer(async (req, res) => {
  const url = new URL(req.url, 'http://localhost');
  await sleep(Number(url.searchParams.get('seconds') ?? 0) * 1000);
  res.end('hello\n');
}).listen(8080);
