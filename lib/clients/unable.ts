/** What does not work with a server of this kind, and why. */
export interface Unable {
  what: string
  why: string
}

const plainHttp: Unable[] = [
  {
    what: 'Many apps on iPhone and iPad, some on a Mac',
    why: 'Apple lets an app speak plain http to local networks only, unless its maker asked for more, and an address of Tailscale is not local to it. This server speaks plain http (Tailscale encrypts it on the way), so such an app fails at once, often without a reason. A browser and a terminal work.',
  },
  {
    what: 'Web pages that came by https',
    why: 'A browser does not let them call an http address.',
  },
]

const always: Unable[] = [
  {
    what: 'Web pages and browser extensions',
    why: 'A browser says which page a request comes from (Origin), and this server refuses those that its owner has not named (origins in settings.yaml). Some desktop apps are web pages inside.',
  },
  {
    what: 'Services that ask from their maker’s servers',
    why: 'Those servers are not on the tailnet, so they do not reach this address, whatever is entered.',
  },
]

/** What will not work at this address, the most usual first (facts: Apple's App Transport Security exempts .local and private networks, not 100.64.0.0/10). */
export const unable = (base: string): Unable[] => [...(base.startsWith('http:') ? plainHttp : []), ...always]
