/**
 * Definitions and large objects, by pg_restore. It wants to seek in an archive to build indexes side by side, or to take a part
 * of it: where it runs here it gets nameless files; behind a command prefix a shell there makes them in memory; where that
 * cannot be, everything goes by standard input, one thing after the other, and that is said.
 */
import { randomBytes } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { CoffreError } from '../errors.ts'
import type { Artifact } from '../model/manifest.ts'
import { startClient, writeTo, type ClientProcess, type StartOptions } from '../postgres/client-tools.ts'
import type { ServerAccess } from '../postgres/conninfo.ts'
import { restoreArguments } from '../postgres/definitions.ts'
import { canStage, stagedBy } from '../postgres/staged-file.ts'
import { openUnlinkedFile } from '../postgres/unlinked-file.ts'
import type { LoadTarget } from './load.ts'

type Section = 'pre-data' | 'data' | 'post-data'

/** The definitions, readable as often as needed. */
export interface SchemaArchive extends AsyncDisposable {
  readonly artifact: Artifact
  /** Nameless files; undefined behind a prefix. */
  readonly file: FileHandle | undefined
  readonly useList: FileHandle | undefined
  /** Whether a shell behind the prefix makes the files. */
  readonly staged: boolean
}

/** A container's /dev/shm is 64 MiB by default, and PostgreSQL needs some of it: definitions sealed to more go by standard input. */
const mostStagedBytes = 4 * 1024 * 1024

export async function openSchemaArchive(target: LoadTarget): Promise<SchemaArchive> {
  const { access, opened, selection } = target
  const [artifact] = opened.artifacts('schema')
  if (artifact === undefined) throw new CoffreError('ERR_FORMAT', 'the backup has no definitions')
  if (access.prefix.length > 0) return await openBehindPrefix(target, artifact)
  await using opening = new AsyncDisposableStack()
  const file = opening.use(await openUnlinkedFile())
  for await (const bytes of opened.plain(artifact)) await file.writeFile(bytes)
  const useList = selection === undefined ? undefined : opening.use(await openUnlinkedFile())
  await useList?.writeFile(selection?.useList ?? '')
  const open = opening.move()
  return { artifact, file, useList, staged: false, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

async function openBehindPrefix(target: LoadTarget, artifact: Artifact): Promise<SchemaArchive> {
  const { context, access, selection, jobs } = target
  const small = artifact.bytes <= mostStagedBytes
  const staged = (small || selection !== undefined) && (await canStage(access, clientOptions(target)))
  const why = small
    ? 'there is no shell, or no /dev/shm, to give pg_restore a file'
    : 'the definitions are large'
  if (!staged && selection !== undefined) {
    throw new CoffreError(
      'ERR_DESTINATION',
      `a part cannot be restored through this command prefix: ${why}`,
      {
        hint: 'use --to URL; or restore all of it through the prefix, under a new name',
      },
    )
  }
  if (!staged && jobs > 1) {
    const message = `indexes are built one after the other through this command prefix: ${why}`
    context.emit({ type: 'note', message })
  }
  return { artifact, file: undefined, useList: undefined, staged, [Symbol.asyncDispose]: async () => {} }
}

/** Indexes and constraints are built in parallel where pg_restore can seek in the archive. */
export async function loadDefinitions(
  target: LoadTarget,
  { artifact, file, useList, staged }: SchemaArchive,
  section: 'pre-data' | 'post-data',
): Promise<void> {
  if (file === undefined && !staged) {
    await feedRestore(target, artifact, section)
    return
  }
  const { access, tablespaces, selection } = target
  const args = restoreArguments(accessFor(target, section), {
    section,
    jobs: section === 'post-data' ? target.jobs : 1,
    archive: '/dev/fd/4',
    tablespaces,
    useList: selection && '/dev/fd/5',
  })
  if (staged) {
    const end = `; ${randomBytes(16).toString('hex')}`
    const client = await startClient(access, 'pg_restore', args, {
      ...clientOptions(target),
      wrap: stagedBy(end),
    })
    await feed(target, client, artifact, `${selection?.useList ?? ''}${end}\n`)
    return
  }
  const client = await startClient(access, 'pg_restore', args, {
    ...clientOptions(target),
    file,
    secondFile: useList,
  })
  client.stdin.end()
  client.stdout.resume()
  await client.done
}

/** Before, there are no event triggers but those of an extension, which may need them to install itself. */
function accessFor({ access, silentAccess }: LoadTarget, section: Section): ServerAccess {
  return section === 'post-data' ? silentAccess : access
}

/** All of them, or none where only a part is restored: nobody knows which rows they belong to. */
export async function loadLargeObjects(target: LoadTarget): Promise<void> {
  if (target.selection !== undefined) return
  for (const artifact of target.opened.artifacts('large-objects')) await feedRestore(target, artifact, 'data')
}

async function feedRestore(target: LoadTarget, artifact: Artifact, section: Section): Promise<void> {
  const { access, tablespaces } = target
  const args = restoreArguments(accessFor(target, section), {
    section,
    jobs: 1,
    archive: undefined,
    tablespaces,
  })
  await feed(target, await startClient(access, 'pg_restore', args, clientOptions(target)), artifact, '')
}

async function feed(
  { opened }: LoadTarget,
  client: ClientProcess,
  artifact: Artifact,
  before: string,
): Promise<void> {
  client.stdout.resume()
  try {
    let reads = before === '' || (await writeTo(client, Buffer.from(before)))
    for await (const bytes of opened.plain(artifact)) {
      // pg_restore may end before it has read everything; its status then says whether that was right.
      reads &&= await writeTo(client, bytes)
      if (!reads) break
    }
  } catch (error) {
    client.kill()
    throw error
  }
  client.stdin.end()
  await client.done
}

function clientOptions({ context: { environment, signal } }: LoadTarget): StartOptions {
  return { environment, signal }
}
