import { familyOf } from '../lib/gateway/base-urls.ts'

/** What a refusal's rule says below a path, with the words of its files put in as HAProxy does, and `req_1` as the request's id. */
export function spoken(rule: string, files: Record<string, string>, path: string): string {
  const [, text = ''] = /lf-string '([^']*)'/.exec(rule) ?? []
  return text
    .replaceAll(/%\[var\(txn\.path\),map_beg\(\S*?families\.map,v1\),map_str\(\S*?([\w.]+)\)\]/g, (_, name: string) => {
      const content = Object.entries(files).find(([file]) => file === name || file.endsWith(`/${name}`))?.[1] ?? ''
      const family = familyOf(path)
      const line = content.split('\n').find((one) => one.startsWith(`${family} `))
      return line?.slice(family.length + 1) ?? `no ${family} in ${name}`
    })
    .replaceAll('%[var(txn.id)]', 'req_1')
}
