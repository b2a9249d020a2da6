/** What things are called here. */
export interface Words {
  /** the machine, in the midst of a sentence */
  here: string
  /** when jobs start by themselves */
  start: string
  /** that moment, after "from" */
  startOn: string
  /** why there may be less room on the disk than a person believes; '' where nothing misleads */
  room: string
}

/** What a person is told of Tailscale here. */
export interface TailscaleWords {
  /** what its installation asks for */
  asks: string[]
  /** what helps in a state of it; commands in backticks */
  remedies: Record<'NeedsLogin' | 'Stopped' | 'unreachable' | 'InUseOtherUser', string>
  /** how one connects, in the midst of a sentence */
  connect: string
  /** how one has it begin anew, in the midst of a sentence */
  offAndOn: string
}
