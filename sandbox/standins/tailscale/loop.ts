import { spawn, spawnSync } from 'node:child_process'
import { constants } from 'node:os'
import type { Box } from '../box.ts'

/** The device through which the Mac's packets to itself go. */
const device = 'utun9'
const table = '100'

/** `gettimeofday` of the kernel by processor, since Perl alone has no clock finer than a second. */
const clocks: Partial<Record<string, number>> = { x64: 96, arm64: 169 }

/** Reads packets from the tunnel and writes each back after so many seconds, in order, as Tailscale's process does. */
const relay = `
use Fcntl;
my ($device, $delay, $clock) = ($ARGV[0], $ARGV[1] + 0, $ARGV[2] + 0);
sub now { my $at = "\\0" x 16; syscall($clock, $at, 0); my ($s, $us) = unpack('l!l!', $at); $s + $us / 1e6 }
sysopen(my $tun, '/dev/net/tun', O_RDWR | O_NONBLOCK) or die "$!\\n";
# TUNSETIFF with IFF_TUN | IFF_NO_PI; it fails where another relay reads the device already.
ioctl($tun, 0x400454ca, my $wanted = pack('Z16 s x22', $device, 0x1001)) or die "$!\\n";
exit 0 if $ARGV[3];
vec(my $readable = '', fileno($tun), 1) = 1;
my @held;
while (1) {
  my $wait = @held ? $held[0][0] - now() : undef;
  select(my $ready = $readable, undef, undef, $wait) if !defined $wait || $wait > 0;
  push @held, [now() + $delay, my $packet = $_] while sysread($tun, $_, 65536);
  syswrite($tun, (shift @held)->[1]) while @held && $held[0][0] <= now();
}
`

/**
 * Sends what this Mac says to its own tailnet address through a process, handshakes included. Needs Perl, /dev/net/tun and
 * a network namespace; where one of them is missing, packets go the short way. `ip` runs a command that may fail.
 */
export function startLoop({ mac }: Box, ip: (words: string[]) => boolean): void {
  const { ipv4 } = mac.tailscale
  const clock = clocks[process.arch]
  const { loopMs } = mac.network
  if (loopMs === undefined || clock === undefined) return
  ip(['tuntap', 'add', 'dev', device, 'mode', 'tun', 'user', `${process.getuid?.() ?? 0}`])
  const words = ['-e', relay, device, `${loopMs / 1000}`, `${clock}`]
  // Perl ends with the error's number: busy is a tunnel that an earlier relay reads.
  const { status } = spawnSync('perl', [...words, 'trial'], { stdio: 'ignore' })
  if (status === 0) spawn('perl', words, { detached: true, stdio: 'ignore' }).unref()
  // Nothing may be sent into a tunnel that nobody reads.
  else if (status !== constants.errno.EBUSY) return
  ip(['link', 'set', 'dev', device, 'addrgenmode', 'none', 'mtu', '1280', 'up'])
  ip(['route', 'replace', `${ipv4}/32`, 'dev', device, 'src', ipv4, 'table', table])
  // What comes out of the tunnel finds the address as usual; only what is sent here goes into it.
  ip(['rule', 'add', 'pref', '200', 'lookup', 'local'])
  ip(['rule', 'add', 'pref', '100', 'iif', 'lo', 'to', `${ipv4}/32`, 'lookup', table])
  ip(['rule', 'del', 'pref', '0'])
}
