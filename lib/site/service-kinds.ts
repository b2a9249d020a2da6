import { parse } from 'yaml'
import { z } from 'zod'
import { Stop } from '../host/command.ts'
import type { Look } from '../host/host.ts'
import { type Group, groups } from './endpoints.ts'

/** The listeners on which services are reached: those that speak https by name. */
export const serviceListeners = ['tailnet', 'lan', 'public'] as const
export type ServiceListener = (typeof serviceListeners)[number]

const path = z.string().regex(/^\/[!-~]*$/)
const header = z.string().regex(/^[a-z][a-z0-9_-]*$/)
const row = z.string().regex(/^(GET|HEAD|POST|PUT|PATCH|DELETE) \/[\w/.{}-]*$/)
const status = z.union([z.int(), z.string().regex(/^\d{3}-\d{3}$/)])

const common = {
  /** in a few words, for people */
  what: z.string(),
  listeners: z.array(z.enum(serviceListeners)).min(1),
  /** what is asked of the service itself, every 2 s */
  health: z.strictObject({ path, status }),
  /** headers of its answers, by their beginnings, that nobody outside needs */
  drop: z.array(header).default([]),
}

/** A page for people: its own methods, and its own login or that of what is in front of it. */
const page = z.strictObject({
  is: z.literal('page'),
  ...common,
  methods: z.array(z.string().regex(/^[A-Z]+$/)).min(1),
  /** beginnings of paths that may be upgraded, from the page's own origin */
  websockets: z.array(path).default([]),
  /** bytes that a request may bring, such as 100MB */
  upload: z
    .string()
    .regex(/^\d{1,4}MB$/)
    .transform((text) => Number.parseInt(text, 10) * 1024 ** 2),
  /** where a browser is sent to sign in */
  login: path,
  /** where a provider of logins sends the browser back */
  callback: path.optional(),
  /** the header of its answers that says who is signed in */
  who: header.optional(),
  /** what `rop test` asks, what must come, and where a WebSocket opens without a login */
  proof: z.strictObject({ path, status, socket: path.optional() }),
})

/** What programs ask, by exact rows, with a key of the gateway's. */
const api = z.strictObject({
  is: z.literal('api'),
  ...common,
  /** where the service takes its own key, and what stands before it there */
  key: z.strictObject({ header, before: z.string().regex(/^[\w ]*$/) }),
  /** a header in which its clients offer their key beside the usual ones */
  offered: header.optional(),
  /** rows by the group that a key must have; `{name}` is one segment of a path */
  rows: z.partialRecord(
    z.enum(Object.keys(groups) as Group[]),
    z.strictObject({ inference: z.array(row).default([]), metadata: z.array(row).default([]) }),
  ),
  /** the row that `rop test` asks */
  proof: row,
  /** what must not get through: `rop test --hostile` asks each, `METHOD TARGET` */
  closed: z.array(z.string().regex(/^[A-Z]+ \/[!-~]*$/)).min(1),
})

const kind = z.discriminatedUnion('is', [page, api])

export type PageKind = z.infer<typeof page>
export type ApiKind = z.infer<typeof api>
export type Kind = z.infer<typeof kind>

/** The kinds of services by name. */
export type Kinds = Readonly<Record<string, Kind>>

/** A kind from its file's text; throws where the file is no recipe. */
export const parseKind = (text: string): Kind => kind.parse(parse(text))

/** Reads the recipes of a folder, a file `KIND.yaml` each. Throws `Stop` (exit 2) at one that is none, since what it left out would be open. */
export async function readKinds(look: Pick<Look, 'list' | 'read'>, folder: string): Promise<Kinds> {
  const files = (await look.list(folder)).filter((name) => name.endsWith('.yaml'))
  const pairs = await Promise.all(
    files.map(async (file) => {
      const text = (await look.read(`${folder}/${file}`)) ?? ''
      try {
        return [file.replace(/\.yaml$/, ''), parseKind(text)] as const
      } catch {
        throw new Stop(
          2,
          `${folder}/${file} is no recipe of a service; nothing was changed. Put back the one that came.`,
        )
      }
    }),
  )
  return Object.fromEntries(pairs.sort())
}
