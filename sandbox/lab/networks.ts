/** Where a client of a server at home is: beside it, in a network that its border routes to, or where no private address leads. */
export const networks = ['home', 'other', 'internet'] as const
export type Network = (typeof networks)[number]

/** Addresses of the clients, the border and the server itself. */
export const at = {
  ...{ home: '10.50.0.10', other: '10.60.0.10', internet: '203.0.113.50' },
  ...{ borderInside: '10.50.0.1', borderOutside: '203.0.113.1', machine: '10.50.0.100' },
} as const

/** The same in IPv6, where nothing is translated: every address leads to the border, which lets through what it was told to. */
export const at6 = {
  ...{ home: '2001:db8:50::10', other: '2001:db8:60::10', internet: '2001:db8:1::50' },
  ...{ machine: '2001:db8:50::100' },
} as const

/** A border as its owner has it: forwards for those inside, drops what comes from outside, but for what was translated on purpose. */
export const usualBorder = `
table inet own {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname { "switch", "to-other" } accept
    ct status dnat accept
  }
}`
