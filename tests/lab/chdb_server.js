// A ClickHouse of the present for the lab: the engine of the npm package chdb, which has no server, behind as much of
// ClickHouse's HTTP as the sink, --store and curl ask of it. It knows no users.
// Usage: node chdb_server.js PORT FOLDER, with NODE_PATH where chdb is. It says "ready" when it listens.
'use strict';

const { spawnSync } = require('child_process');
const fs = require('fs');
const http = require('http');
const path = require('path');
const zlib = require('zlib');
const { Session } = require('chdb');

const [port, folder] = process.argv.slice(2);
const session = new Session(path.join(folder, 'chdb'));
const INSERT = /^INSERT INTO (`[^`]*`\.`[^`]*`) \(([^)]*)\) FORMAT RowBinary$/;
let inserts = 0;

function plain(body, how) {
  if (how === 'gzip') return zlib.gunzipSync(body);
  if (how !== 'zstd') return body;
  const done = spawnSync('zstd', ['-dc'], { input: body, maxBuffer: 1 << 30 });
  if (done.status !== 0) throw new Error('Code: 354. DB::Exception: ' + done.stderr);
  return done.stdout;
}

async function ask(statement) {
  return Buffer.from((await session.queryAsync(statement, { format: 'TabSeparated' })).bytes());
}

// A file and a SELECT in place of a body.
async function insert(table, columns, rows, settings) {
  if (rows.length === 0) return Buffer.alloc(0);
  const types = new Map((await ask(`DESCRIBE TABLE ${table} FORMAT TabSeparatedRaw`)).toString().trim().split('\n')
    .map((line) => line.split('\t').slice(0, 2)));
  const structure = columns.split(', ').map((name) => `${name} ${types.get(name.replace(/`/g, ''))}`).join(', ');
  const file = path.join(folder, `insert-${inserts++}`);
  fs.writeFileSync(file, rows);
  try {
    return await ask(`INSERT INTO ${table} (${columns}) SELECT * FROM file('${file}', 'RowBinary', '${structure.replace(/'/g, "\\'")}')`
      + (settings.length > 0 ? ' SETTINGS ' + settings.map(([name, value]) => `${name} = '${value}'`).join(', ') : ''));
  } finally {
    fs.unlinkSync(file);
  }
}

async function answer(request, body) {
  const parameters = [...new URL(request.url, 'http://localhost').searchParams];
  const query = parameters.filter(([name]) => name === 'query').map(([, value]) => value).join('');
  const settings = parameters.filter(([name]) => name !== 'query' && name !== 'database');
  const found = INSERT.exec(query);
  if (found) return insert(found[1], found[2], plain(body, request.headers['content-encoding']), settings);
  return ask(query || body.toString());
}

const server = http.createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', async () => {
    let status = 200;
    let text;
    const headers = {};
    try {
      text = await answer(request, Buffer.concat(parts));
    } catch (error) {
      const said = /Code: (\d+)\.[^]*/.exec(String(error.message)) || ['Code: 1001. ' + error.message, '1001'];
      status = ['60', '81'].includes(said[1]) ? 404 : 500;
      headers['X-ClickHouse-Exception-Code'] = said[1];
      text = Buffer.from(said[0]);
    }
    response.writeHead(status, { ...headers, 'Content-Length': text.length });
    response.end(text);
  });
});
server.listen(Number(port), '127.0.0.1', () => console.log('ready'));
