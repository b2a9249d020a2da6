import { probesFile } from '../../people/own-probes.ts'
import { exempt } from '../../people/records.ts'
import { asksNobody, type Settings } from '../../site/settings.ts'

/** Whether requests are written down somewhere, and so their User-Agent read already. */
const logged = ({ observer, log }: Settings): boolean => observer === 'on' || log !== 'off'

/** Whether test.ts or status.ts asks. */
export const ownProbe = (settings: Settings): string =>
  `{ ${logged(settings) ? 'var(txn.agent)' : 'req.fhdr(user-agent)'} -m beg -f {{keys}}/${probesFile} }`

/** What test.ts asks without a key has a name, too, so that whoever looks on from outside can tell it apart. */
export const unkeyed = (settings: Settings): string[] =>
  asksNobody(settings)
    ? [`http-request set-var(txn.who) str(${exempt}) if inference !{ var(txn.who) -m found } ${ownProbe(settings)}`]
    : []
