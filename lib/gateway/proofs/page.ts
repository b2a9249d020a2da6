import type { RawAnswer } from '../../host/host.ts'
import { type Check, type Finding, missed, ok, unexplained } from '../../steps/step.ts'
import { told } from './limited.ts'
import { probe } from './refused.ts'
import type { Target } from './target.ts'

const wanted: [header: string, begins: string][] = [
  ['content-type', 'text/html'],
  ['content-security-policy', "default-src 'none'"],
  ['cache-control', 'no-store'],
]

/** That the page comes, and allows nothing from elsewhere. */
export const connectPage = (target: Target): Check[] => [
  {
    id: 'connect.page',
    title: 'GET /connect shows the page, which takes nothing from elsewhere',
    needs: ['haproxy.service', 'observer.service'],
    async check(look) {
      let answer: RawAnswer | undefined
      // An observer that has just begun may not listen yet.
      await look.until('the page is there', 5000, async () => {
        answer = await probe(look, target, 'GET', '/connect')
        return answer.status === 200
      })
      return answer?.status === 200 ? lockedDown(answer) : missed(answer ? told(answer) : 'none', unexplained)
    },
  },
]

function lockedDown({ headers }: RawAnswer): Finding {
  const lacking = wanted.find(([header, begins]) => !headers[header]?.startsWith(begins))
  return lacking ? missed(`its ${lacking[0]} is ${headers[lacking[0]]}`, unexplained) : ok('it does')
}
