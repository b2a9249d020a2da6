/**
 * The body as text. It comes as bytes, and at each look HAProxy makes a text of them, letter by letter; `rtrim` takes nothing away that
 * matters and gives a text, which is kept for all looks. It is let go before the request waits for a slot, since it may be long.
 */
export const bodyText = {
  is: 'var(req.text)',
  kept: (condition: string): string[] => [`http-request set-var(req.text) req.body,rtrim(-) if ${condition}`],
  letGo: 'http-request unset-var(req.text)',
}
