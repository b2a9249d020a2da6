import type { Handler } from './context.ts'
import { embed, embeddings, v1Embeddings } from './embed.ts'
import * as manage from './manage.ts'
import { messages } from './messages.ts'
import * as metadata from './metadata.ts'
import * as native from './native.ts'
import { chatCompletions, completions } from './openai.ts'
import { pull } from './pull.ts'
import { responses } from './responses.ts'
import type { Route } from './routes.ts'

const row = (method: string, pattern: string, handler: Handler): Route => ({ method, pattern, handler })

/** Ollama 0.24's routes, in its order. */
export const ROUTES: Route[] = [
  row('HEAD', '/', metadata.root),
  row('GET', '/', metadata.root),
  row('HEAD', '/api/version', metadata.version),
  row('GET', '/api/version', metadata.version),
  row('GET', '/api/status', metadata.status),
  row('POST', '/api/pull', pull),
  row('POST', '/api/push', manage.push),
  row('HEAD', '/api/tags', metadata.tags),
  row('GET', '/api/tags', metadata.tags),
  row('POST', '/api/show', metadata.show),
  row('DELETE', '/api/delete', manage.remove),
  row('POST', '/api/me', manage.me),
  row('POST', '/api/signout', manage.signout),
  row('DELETE', '/api/user/keys/:key', manage.signout),
  row('POST', '/api/create', manage.create),
  row('POST', '/api/blobs/:digest', manage.blobPost),
  row('HEAD', '/api/blobs/:digest', manage.blobHead),
  row('POST', '/api/copy', manage.copy),
  row('GET', '/api/experimental/model-recommendations', manage.recommendations),
  row('POST', '/api/experimental/web_search', manage.webSearch),
  row('POST', '/api/experimental/web_fetch', manage.webFetch),
  row('GET', '/api/ps', metadata.ps),
  row('POST', '/api/generate', native.generateRoute),
  row('POST', '/api/chat', native.chat),
  row('POST', '/api/embed', embed),
  row('POST', '/api/embeddings', embeddings),
  row('POST', '/v1/chat/completions', chatCompletions),
  row('POST', '/v1/completions', completions),
  row('POST', '/v1/embeddings', v1Embeddings),
  row('GET', '/v1/models', metadata.modelList),
  row('GET', '/v1/models/:model', metadata.modelCard),
  row('POST', '/v1/responses', responses),
  row('POST', '/v1/images/generations', manage.imageGenerations),
  row('POST', '/v1/images/edits', manage.imageEdits),
  row('POST', '/v1/audio/transcriptions', manage.transcriptions),
  row('POST', '/v1/messages', messages),
]
