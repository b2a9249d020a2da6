import { probesFile } from '../../people/own-probes.ts'

/** Whether test.ts or status.ts asks. To be used behind what seldom holds: it looks for a header. */
export const ownProbe = `{ req.fhdr(user-agent) -m beg -f {{keys}}/${probesFile} }`
