import { ready } from './lib/ready.ts'

ready()
const { runScript } = await import('./lib/commands/cli.ts')
const { keys } = await import('./lib/commands/keys.ts')

await runScript(
  {
    usage: `Usage: npx tsx keys.ts add NAME [limits] | list | show NAME | rotate NAME [--grace 24h] | revoke NAME [--cut]
                      limits NAME [limits] | import FILE | export | bans | unban ADDRESS
API keys for the gateway. A key is shown once, when it is made; only its hash is kept. Changes hold at the next request.

  --models 'qwen3*,…'  only these models; lists and bodies are then judged by the gateway
  --groups A,B         only these groups or presets of the endpoint table (all that settings.yaml opens)
  --per-minute N       requests to a model a minute
  --burst N            requests to a model in any 10 seconds
  --concurrent N       requests to a model at once
  --waiting N          requests to a model under way while every slot is taken
  --per-day 2h,200MB   seconds of generation and bytes of answers from midnight to midnight
  --first-byte 5m      how long an answer may take to begin; --silence 60s: to go on; --whole 10m: to end
  --queue 30s          how long a request may wait for a slot (HAProxy 3.4 or newer)
  --per-second 200KB   bytes of answers a second (HAProxy 3.0 or newer)
  --expires 30d        when it ends: a time from now, or a day such as 2027-01-31
  --admin              may also download, delete, create, copy and upload models (add)
  --note TEXT          a word for yourself
  --qr                 the base URL and the key as a QR code
  --grace TIME         how long the old key counts beside the new one (rotate)
  --cut                ends the answers that run with the key (revoke)
  --json               one JSON document on stdout
A limit is taken away by the word none: keys.ts limits NAME --per-minute none`,
    options: {
      models: { type: 'string' },
      groups: { type: 'string' },
      'per-minute': { type: 'string' },
      burst: { type: 'string' },
      concurrent: { type: 'string' },
      waiting: { type: 'string' },
      'per-day': { type: 'string' },
      'first-byte': { type: 'string' },
      silence: { type: 'string' },
      whole: { type: 'string' },
      queue: { type: 'string' },
      'per-second': { type: 'string' },
      expires: { type: 'string' },
      admin: { type: 'boolean' },
      note: { type: 'string' },
      qr: { type: 'boolean' },
      grace: { type: 'string' },
      cut: { type: 'boolean' },
      json: { type: 'boolean' },
    },
    positionals: true,
    // As with status.ts: what changes nothing leaves no log, and an export is a document.
    log: ['list', 'show', 'export', 'bans'].includes(process.argv[2] ?? 'list') ? undefined : 'keys',
    run: keys,
  },
  process.argv.slice(2),
)
