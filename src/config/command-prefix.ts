/**
 * What a source's command prefix (`run`) must not be. Everything goes through it as bytes, without a shell: a
 * terminal or a remote shell in between would corrupt the data or reread the words.
 */

interface PrefixFault {
  readonly message: string
  readonly hint: string
}

const remoteShells = new Set(['ssh', 'autossh', 'sshpass', 'rsh', 'mosh'])

/** Container programs with `exec -i -t`, and their `exec` options that take the next word as their value. */
const containerPrograms: Readonly<Record<string, ReadonlySet<string>>> = {
  docker: new Set([
    '-e',
    '--env',
    '--env-file',
    '-u',
    '--user',
    '-w',
    '--workdir',
    '--detach-keys',
    '--index',
  ]),
  podman: new Set([
    '-e',
    '--env',
    '--env-file',
    '-u',
    '--user',
    '-w',
    '--workdir',
    '--detach-keys',
    '--preserve-fds',
  ]),
  nerdctl: new Set(['-e', '--env', '--env-file', '-u', '--user', '-w', '--workdir']),
  kubectl: new Set([
    '-c',
    '--container',
    '-n',
    '--namespace',
    '-f',
    '--filename',
    '--context',
    '--kubeconfig',
  ]),
  oc: new Set(['-c', '--container', '-n', '--namespace', '-f', '--filename', '--context', '--kubeconfig']),
}

/** Undefined when nothing is known against the words. */
export function commandPrefixFault(words: readonly string[]): PrefixFault | undefined {
  if (words.some((word) => /^(-e|--env=)?PGPASSWORD=/.test(word))) {
    return {
      message: 'a password in the words of a command can be seen by every user of the machine',
      hint: 'use peer or trust authentication, or a password file, where the client programs run',
    }
  }
  const exec = words.indexOf('exec')
  const ownWords = exec === -1 ? words : words.slice(0, exec)
  if (ownWords.some((word) => remoteShells.has(baseName(word)))) {
    return {
      message: 'ssh passes the words through a shell on the other machine, which reads them anew',
      hint: 'run coffre on that machine, or give a url through an ssh tunnel (ssh -L)',
    }
  }
  const program = ownWords.map(baseName).find((word) => Object.hasOwn(containerPrograms, word))
  return program === undefined || exec === -1
    ? undefined
    : containerFault(program, words.slice(exec + 1), ownWords)
}

function containerFault(
  program: string,
  words: readonly string[],
  before: readonly string[],
): PrefixFault | undefined {
  const options = execOptions(words, containerPrograms[program] ?? new Set())
  if (options.some((option) => /^-[diq]*t(?!=false)|^--tty(=true)?$/.test(option))) {
    return {
      message: `a terminal (-t) between coffre and ${program} corrupts binary output`,
      hint: `leave out -t and keep -i: run: [${program}, exec, -i, …]`,
    }
  }
  // `docker compose exec` passes standard input on by itself.
  if (
    before.includes('compose') ||
    options.some((option) => /^-[dqt]*i(?!=false)|^--(interactive|stdin)(=true)?$/.test(option))
  ) {
    return undefined
  }
  return {
    message: `${program} exec without -i does not pass standard input on`,
    hint: `add -i: run: [${program}, exec, -i, …]`,
  }
}

/** The options of `exec` itself: those before the first word that is neither an option nor an option's value. */
function execOptions(words: readonly string[], withValue: ReadonlySet<string>): readonly string[] {
  const options: string[] = []
  let value = false
  let named = false
  for (const word of words) {
    if (word === '--') break
    if (value) value = false
    else if (word.startsWith('-')) {
      options.push(word)
      value = withValue.has(word) || (/^-[diqt]+[euwcnf]$/.test(word) && withValue.has(`-${word.at(-1)}`))
    } else if (named || !words.includes('--')) break
    // kubectl takes options after the pod's name, up to `--`.
    else named = true
  }
  return options
}

function baseName(word: string): string {
  return word.slice(word.lastIndexOf('/') + 1)
}
