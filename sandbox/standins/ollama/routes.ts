import type { Handler } from './context.ts'

/** A row of the route table: method, pattern with at most one `:part`, handler. */
export interface Route {
  method: string
  pattern: string
  handler: Handler
}

interface Match {
  route?: Route
  param: string
  /** Methods that the path has, in the order of Ollama's route table. */
  allowed: string[]
}

/** The parameter of a path that fits a pattern; undefined when it does not. */
const paramOf = (pattern: string, path: string): string | undefined => {
  const colon = pattern.indexOf(':')
  if (colon < 0) return pattern === path ? '' : undefined
  const rest = path.startsWith(pattern.slice(0, colon)) ? path.slice(colon) : ''
  return rest !== '' && !rest.includes('/') ? rest : undefined
}

export const matchRoute = (routes: Route[], method: string, path: string): Match => {
  const fits = routes.flatMap((route) => {
    const param = paramOf(route.pattern, path)
    return param === undefined ? [] : [{ route, param }]
  })
  const order = ['HEAD', 'GET', 'POST', 'DELETE']
  const allowed = order.filter((name) => fits.some(({ route }) => route.method === name))
  const found = fits.find(({ route }) => route.method === method)
  return { ...(found ? { route: found.route } : {}), param: found?.param ?? '', allowed }
}

/** Go's path.Clean with the slash at the end kept, as its mux cleans a path before anything else. */
export const cleanPath = (path: string): string => {
  const out: string[] = []
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') out.pop()
    else out.push(part)
  }
  const clean = `/${out.join('/')}`
  return path.endsWith('/') && clean !== '/' ? `${clean}/` : clean
}
