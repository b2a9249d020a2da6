/** Where everything of ours lives in a home folder; one list for install, checks and uninstall. */
export interface Places {
  settings: string
  /** what the owner keeps elsewhere in an nginx gateway's form, only read here: its folder, keys and nodes; absent where nothing is */
  given?: { folder: string; keys: string; nodes: string }
  /** names, hashes and limits of the API keys */
  keys: string
  settingsFolder: string
  proxy: string
  config: string
  lastGood: string
  maps: string
  /** what HAProxy reads of the API keys; outside `maps`, since it outlives a configuration */
  keyMaps: string
  /** a PEM file for each name of `tls` (the chain, then the key), for their owner alone */
  certs: string
  run: string
  adminSocket: string
  masterSocket: string
  /** whether HAProxy binds the tailnet's IPv6 address; read by it before its configuration */
  ipv6: string
  /** where HAProxy's own exporter answers */
  metricsSocket: string
  /** where the gateway says whether it can take the address that two gateways have in turn */
  healthSocket: string
  /** where the observer answers HAProxy: with lists of models, and with the page of /connect */
  listsSocket: string
  agents: string
  support: string
  runtime: string
  current: string
  /** the path of the Node that runs the copy */
  node: string
  state: string
  receipt: string
  lock: string
  backups: string
  /** the settings as they were last brought into effect */
  applied: string
  /** settings and keys as they were before a restore or an upgrade */
  copies: string
  /** what the observer says of itself */
  observer: string
  /** who used what, a file for each day */
  usage: string
  /** every request as HAProxy writes it down for the observer */
  access: string
  /** what people read of it */
  requestLog: string
  logs: string
}
