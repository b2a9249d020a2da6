/** macOS signal numbers, names and texts: 30 and 31 are USR1 and USR2, which Linux numbers 10 and 12. Source: sys/signal.h, strsignal(3). */
const table: [number, string, string][] = [
  [1, 'HUP', 'Hangup'],
  [2, 'INT', 'Interrupt'],
  [3, 'QUIT', 'Quit'],
  [4, 'ILL', 'Illegal instruction'],
  [5, 'TRAP', 'Trace/BPT trap'],
  [6, 'ABRT', 'Abort trap'],
  [7, 'EMT', 'EMT trap'],
  [8, 'FPE', 'Floating point exception'],
  [9, 'KILL', 'Killed'],
  [10, 'BUS', 'Bus error'],
  [11, 'SEGV', 'Segmentation fault'],
  [12, 'SYS', 'Bad system call'],
  [13, 'PIPE', 'Broken pipe'],
  [14, 'ALRM', 'Alarm clock'],
  [15, 'TERM', 'Terminated'],
  [16, 'URG', 'Urgent I/O condition'],
  [17, 'STOP', 'Suspended (signal)'],
  [18, 'TSTP', 'Suspended'],
  [19, 'CONT', 'Continued'],
  [20, 'CHLD', 'Child exited'],
  [21, 'TTIN', 'Stopped (tty input)'],
  [22, 'TTOU', 'Stopped (tty output)'],
  [23, 'IO', 'I/O possible'],
  [24, 'XCPU', 'Cputime limit exceeded'],
  [25, 'XFSZ', 'Filesize limit exceeded'],
  [26, 'VTALRM', 'Virtual timer expired'],
  [27, 'PROF', 'Profiling timer expired'],
  [28, 'WINCH', 'Window size changes'],
  [29, 'INFO', 'Information request'],
  [30, 'USR1', 'User defined signal 1'],
  [31, 'USR2', 'User defined signal 2'],
]

/** A signal: its macOS number, the name that Node sends it by on this machine, and launchd's text for it. */
export interface Signal {
  number: number
  name: NodeJS.Signals
  text: string
}

function signal([number, name, text]: [number, string, string]): Signal {
  return { number, name: `SIG${name}` as NodeJS.Signals, text }
}

/** The signal meant by a word of `launchctl kill`: a name with or without SIG, a leading dash, or a macOS number. */
export function signalOf(word: string): Signal | undefined {
  const bare = word.replace(/^-/, '').toUpperCase().replace(/^SIG/, '')
  const row = table.find(([number, name]) => name === bare || String(number) === bare)
  return row && signal(row)
}
