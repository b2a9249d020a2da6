/** What the sentences name of this server. */
export interface Shared {
  /** its address on the tailnet */
  address: string
  port: number
  /** a command of ours as a person types it, from `keys add NAME` */
  typed(command: string): string
}

/** One way for a friend to get here, or what they may do then: steps in the order in which they are done. */
export interface Way {
  title: string
  steps: string[]
  /** text to paste, and where */
  paste?: { where: string; text: string }
}

const console = 'login.tailscale.com/admin'

/** For those whom the owner shares machines with: this port of this machine. */
const grant = ({ address, port }: Shared): string =>
  JSON.stringify({ src: ['autogroup:shared'], dst: [address], ip: [`tcp:${port}`] })

const share: Way = {
  title: 'Share this one machine: for a friend',
  steps: [
    `Open ${console}/machines, find this Mac, choose Share in the … menu of its line, and copy the invite link. Tailscale asks for an Owner, Admin or IT admin of the tailnet.`,
    'Send the link as you would a password: whoever opens it can accept it. One that nobody used ends after 30 days.',
    'Your friend installs Tailscale (tailscale.com/download), logs in with an account of their own, opens the link and accepts.',
    'They reach this Mac and nothing else of yours, and this Mac cannot connect to them.',
    'They use its whole name, such as studio.tail1234.ts.net, or its address that begins with 100; the short name is not known to them.',
    'Only that person sees it, on devices that are theirs: others of their tailnet do not, and devices with a tag do not.',
  ],
}

const invite: Way = {
  title: 'Invite them into your tailnet: for family, or a team',
  steps: [
    `Open ${console}/users, choose Invite external users, leave the role at Member, and send the email or the link. It is for one person, and ends after 30 days if nobody used it.`,
    'They become a user of your tailnet: they count in your Tailscale plan, and reach what your rules let members reach, which may be more than this Mac.',
  ],
}

const rules = (server: Shared): Way => ({
  title: 'What Tailscale then lets them do',
  steps: [
    `${console}/acls has the rules. Grants are rules in Tailscale that say who reaches what.`,
    'A tailnet begins with one that lets everybody reach everything, which includes whoever you share a machine with; without any rule nobody reaches anything.',
    'The grant below, put among "grants", lets them reach the port of this server. Rules add up: it narrows nothing as long as another one with "src": ["*"] stands beside it.',
  ],
  paste: { where: 'among "grants"', text: grant(server) },
})

const here = ({ typed }: Shared): Way => ({
  title: 'What this server then lets them do',
  steps: [
    'With access: tailnet in settings.yaml whoever reaches the port may ask. With access: keys, or either, they need a key, or with either a rule for their login under people.',
    `\`${typed('keys add NAME')}\` makes a key, for some models or some time only if you like: \`${typed('keys --help')}\`.`,
    `To take it back: \`${typed('keys revoke NAME --cut')}\` here, and in the admin console end the share (Machines) or remove the user (Users).`,
  ],
})

/** The friend's way onto the tailnet and to this server (tailscale.com/kb/1084/sharing, kb/1271/invite-links, kb/1396/targets). */
export const sharing = (server: Shared): Way[] => [share, invite, rules(server), here(server)]

/** The same for who has just made a key. */
export const sharingInShort = `Their device must be on it first: in ${console} share this Mac (machines, …, Share) or invite them (users). More: docs/share.md`
