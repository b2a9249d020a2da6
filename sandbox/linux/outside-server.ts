import { createReadStream, readFileSync, statSync } from 'node:fs'
import https from 'node:https'
import { join, normalize } from 'node:path'

/** Answers under the outside's names with the files of a folder, each name its own: what a machine without a network is given to fetch. */
const folder = process.argv[2] ?? '.'
/** ms; apt may take its time between two packages on a busy machine. */
const keepAliveTimeout = 600_000
const options = {
  keepAliveTimeout,
  key: readFileSync(join(folder, 'server.key')),
  cert: readFileSync(join(folder, 'server.crt')),
}

https
  .createServer(options, (request, response) => {
    const host = (request.headers.host ?? '').replace(/:\d+$/, '')
    const file = join(folder, host, normalize(decodeURIComponent(new URL(request.url ?? '/', 'https://x').pathname)))
    const facts = statSync(file, { throwIfNoEntry: false })
    if (!facts?.isFile()) return response.writeHead(404).end()
    response.writeHead(200, { 'content-length': facts.size })
    return createReadStream(file).pipe(response)
  })
  .listen(443, '127.0.0.1')
