/** Words that a newcomer does not know, each with what its explanation says: it stands in the paragraph of the first use, or before. */
export const glossary: { word: RegExp; explained: RegExp }[] = [
  { word: /\btailnet\b/i, explained: /private network/ },
  { word: /\bMagicDNS\b/, explained: /names that Tailscale gives to machines/ },
  { word: /\bgrants?\b(?! and| leave)/, explained: /rules in Tailscale/ },
  { word: /\bloopback\b/i, explained: /addresses that only/ },
  { word: /\ballowlist\w*\b/i, explained: /list of what is let in/ },
  { word: /\bgateway\b/i, explained: /HAProxy as this project sets it up/ },
  { word: /\brows?\b/i, explained: /method (with|and) (a )?path/ },
  { word: /\bgroups?\b/i, explained: /opened\s+together/ },
  { word: /\bslots?\b/i, explained: /place for a request/ },
  { word: /\bmaps?\b/i, explained: /list that HAProxy looks things up in/ },
  { word: /\bworkers?\b/i, explained: /process of HAProxy that answers/ },
  { word: /\bfingerprints?\b/i, explained: /sum over a configuration/ },
  { word: /\bjudge[sd]?\b/i, explained: /read(s|ing)?\b[^.]*\bto\s+the\s+end/ },
  { word: /\bobserver\b/i, explained: /observer\*[^.]*\bjob\b/ },
  { word: /\bstand-ins?\b/i, explained: /in the place of|stands? in for|behaves like/ },
]
