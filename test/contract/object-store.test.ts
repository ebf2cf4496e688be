/** Runs the object store contract on every store there is: memory, a folder, a real S3 server. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DirectoryStore } from '../../src/storage/directory.ts'
import { openS3Store } from '../../src/storage/s3.ts'
import { MemoryStore } from './memory-store.ts'
import { describeObjectStore } from './object-store.contract.ts'
import { makeS3TestBucket } from './s3-test-bucket.ts'

describeObjectStore('memory', async () => ({
  store: new MemoryStore(),
  leftovers: async () => [],
  close: async () => {},
}))

describeObjectStore('directory', async () => {
  const root = await mkdtemp(join(tmpdir(), 'coffre-contract-'))
  return {
    store: new DirectoryStore({ root }),
    leftovers: () => readdir(join(root, '.partial')),
    close: () => rm(root, { recursive: true }),
  }
})

describeObjectStore('S3', async () => {
  const bucket = await makeS3TestBucket()
  return {
    store: await openS3Store({ ...bucket.settings, prefix: 'some/prefix' }),
    leftovers: () => bucket.openUploads(),
    close: () => bucket.close(),
  }
})
