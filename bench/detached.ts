import { spawn } from 'node:child_process'

/** Seconds of a command with everything that it left running: those are ended, and their CPU counts. */
export interface DetachedCost {
  readonly wall_s: number
  readonly cpu_s: number
}

/** prctl, by which a process becomes the parent of what its descendants leave behind. */
const PRCTL: Readonly<Partial<Record<NodeJS.Architecture, number>>> = { x64: 157, arm64: 167 }

/** The wall time ends with the command itself; what still runs then gets SIGTERM. */
const REAPER = `
  use Time::HiRes 'time'; use POSIX ();
  my ($prctl, @command) = @ARGV;
  syscall($prctl, 36, 1, 0, 0, 0) == 0 or die "no subreaper: $!";
  my $begun = time;
  my $code = system(@command) >> 8;
  my $wall = time - $begun;
  open my $list, '<', "/proc/$$/task/$$/children" or die $!;
  kill 'TERM', split ' ', <$list>;
  1 while wait != -1;
  my (undef, undef, $user, $system) = times;
  print STDERR "\\n$wall $user $system\\n";
  exit $code;`

/** Throws when the command fails. */
export async function measureDetached(
  command: readonly string[],
  options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
): Promise<DetachedCost> {
  const args = ['-e', REAPER, String(PRCTL[process.arch] ?? 0), ...command]
  const child = spawn('perl', args, {
    ...options,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const errors: Buffer[] = []
  child.stderr.on('data', (data: Buffer) => errors.push(data))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const text = Buffer.concat(errors).toString().trimEnd()
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${text.slice(-2000)}`)
  const [wall = 0, user = 0, system = 0] = text.split('\n').at(-1)?.split(' ').map(Number) ?? []
  return { wall_s: wall, cpu_s: user + system }
}
