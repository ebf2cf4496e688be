/** The demo's S3 server: the same real one the tests use, started and stopped by its script. */
import { execFile } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { RepositoryConfig, S3Config } from '../../config.ts'
import { CoffreError } from '../../errors.ts'
import { Secret } from '../../model/secret.ts'
import type { Session } from '../session.ts'

const run = promisify(execFile)

export interface DemoS3 extends AsyncDisposable {
  readonly place: RepositoryConfig
}

/** Throws ERR_PROGRAM when the server does not start. */
export async function startDemoS3(session: Session): Promise<DemoS3> {
  const script = join(session.host.home, 'test/servers/s3-server')
  const env = { ...session.host.environment, COFFRE_S3_DIR: await mkdtemp(join(tmpdir(), 'coffre-demo-s3-')) }
  const facts = new Map<string, string>()
  try {
    const { stdout } = await run(script, ['start'], { env })
    for (const line of stdout.split('\n')) {
      const [name = '', value = ''] = line.split(/=(.*)/s)
      facts.set(name, value)
    }
  } catch (cause) {
    throw new CoffreError('ERR_PROGRAM', 'the S3 server did not start', {
      cause,
      hint: 'scripts/system-packages demo-s3 gets its packages',
    })
  }
  const inline = (name: string): { kind: 'inline'; secret: Secret } => ({
    kind: 'inline',
    secret: new Secret(facts.get(name) ?? ''),
  })
  const writer = { accessKey: inline('COFFRE_S3_ACCESS_KEY'), secretKey: inline('COFFRE_S3_SECRET_KEY') }
  const s3: S3Config = {
    provider: 'ceph',
    endpoint: facts.get('COFFRE_S3_ENDPOINT'),
    region: facts.get('COFFRE_S3_REGION'),
    bucket: 'demo',
    prefix: '',
    encryption: 'none',
    kmsKey: undefined,
    uploadBytesPerSecond: undefined,
    credentials: { writer, reader: undefined, pruner: undefined },
  }
  await session.host.createBucket(s3)
  return {
    place: { name: 'main', kind: 's3', retention: undefined, copyTo: [], s3 },
    [Symbol.asyncDispose]: async () => {
      await run(script, ['stop'], { env })
    },
  }
}
