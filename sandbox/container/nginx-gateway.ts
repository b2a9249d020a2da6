import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { download, unpack } from '../box/apt.ts'
import { type Engine, madeOnce, mirror, suite } from './engine.ts'

/** The files of an nginx gateway with keys, in front of two servers, as people have it. */
export const nginxGateway = {
  'docker-compose.yml': `services:
  gateway:
    container_name: ollama_nginx_gateway
    build: ./nginx
    ports: ["8080:80"]
    volumes:
      - ./nginx/api_keys.conf:/etc/nginx/api_keys.conf:ro
      - ./nginx/upstream_ollama.conf:/etc/nginx/upstream_ollama.conf:ro
      - ./logs:/var/log/nginx
`,
  'nginx/Dockerfile': `FROM nginx:stable
COPY nginx.conf /etc/nginx/nginx.conf
COPY conf.d /etc/nginx/conf.d
`,
  'nginx/nginx.conf': `worker_processes auto;
events { worker_connections 1024; }
http {
    map $http_authorization $authorized {
        default 0;
        include /etc/nginx/api_keys.conf;
    }
    upstream ollama {
        include /etc/nginx/upstream_ollama.conf;
    }
    include /etc/nginx/conf.d/*.conf;
}
`,
  'nginx/conf.d/ollama_gateway.conf': `server {
    listen 80;
    access_log /dev/stdout;
    error_log /dev/stderr;
    location / {
        if ($authorized = 0) { return 401; }
        proxy_pass http://ollama;
        proxy_http_version 1.1;
        proxy_buffering off;
        proxy_read_timeout 600s;
    }
}
`,
  'nginx/upstream_ollama.conf': `# Backend Ollama Servers
# Replace with the actual IPs/hostnames and ports of your Ollama servers
server 192.168.1.101:11434; # GPU Server 1
server ollama-gpu2.internal:11434; # GPU Server 2
# Add more servers as needed
`,
  'nginx/api_keys.conf': `# Format: "Bearer <your_api_key>" 1;  (the '1' means authorized)

"Bearer your_generated_openssl_key_here"         1;
"Bearer another_uuid_generated_key_here"    1;
# Add one line per API key
`,
} as const

/** Lays the files out in a folder, and gives the engine the image that their Dockerfile begins with, made of Debian's packages. */
export async function laidOut(engine: Engine, folder: string): Promise<void> {
  for (const [name, text] of Object.entries(nginxGateway)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  mkdirSync(join(folder, 'logs'))
  const unpacked = await madeOnce('nginx', async (aside) => {
    const files = await download(`${aside}.apt`, ['nginx'], {
      name: 'trixie',
      sources: suite('trixie', mirror),
    })
    await unpack(
      files.filter((file) => /\/nginx(-common)?_/.test(file)),
      aside,
    )
    rmSync(`${aside}.apt`, { recursive: true, force: true })
  })
  const image = mkdtempSync(join(tmpdir(), 'nginx-'))
  cpSync(unpacked, join(image, 'root'), { recursive: true })
  writeFileSync(
    join(image, 'Dockerfile'),
    `FROM debian:13-slim\nCOPY root /\nCMD ["nginx", "-g", "daemon off; user root;"]\n`,
  )
  const built = await engine.docker('build', '-q', '-t', 'nginx:stable', image)
  rmSync(image, { recursive: true, force: true })
  if (built.code !== 0) throw new Error(`the image of nginx was not built: ${built.stderr}`)
}
