/**
 * What lanes carry, against a real server: bytes wait for whoever takes them, in both directions, and what was not whole
 * when it arrived is not loaded.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { CoffreError } from '../../src/errors.ts'
import { chunkBytes } from '../../src/model/manifest.ts'
import { partBytes } from '../../src/openpgp/packet-writer.ts'
import { frameBytes } from '../../src/pipeline/compression.ts'
import { piecesInFlight, type LoadRowsTask } from '../../src/pipeline/lane-tasks.ts'
import { blockFooter, blockHeader } from '../../src/pipeline/row-blocks.ts'
import { ArtifactSealer } from '../../src/pipeline/seal.ts'
import { copyOutStatement, rowsPreamble } from '../../src/postgres/row-statements.ts'
import { bytesOf, chunked, coded } from '../contract/contract-materials.ts'
import { large, LaneBench, largeBytes, largeRows } from '../support/lane-bench.ts'
import { openSession, testAccess } from '../support/session.ts'
import { flip } from './openpgp-sealing.ts'

let bench: LaneBench
before(async () => {
  bench = await LaneBench.make()
})
after(() => bench[Symbol.asyncDispose]())

/** Waits until a number has not changed for a while. */
async function atRest(read: () => number): Promise<number> {
  for (let before = read(); ; before = read()) {
    await sleep(250)
    if (before > 0 && before === read()) return before
  }
}

/** About so many bytes that do not compress, in lines of 1000 characters. */
function linesOf(sizeBytes: number): Buffer {
  const text = bytesOf(sizeBytes, 9).toString('base64')
  return Buffer.from(text.slice(0, text.length - (text.length % 1000)).replace(/.{1000}/g, '$&\n'))
}

/** An artifact of one block, made here. */
function sealHere(data: Buffer): { bytes: Buffer; load: LoadRowsTask } {
  const key = { sessionKey: randomBytes(32), envelope: randomBytes(94) }
  const sealer = new ArtifactSealer(key, { algorithm: 'zstd', level: 1 })
  const plain = [Buffer.from(rowsPreamble), blockHeader(large), data, blockFooter]
  const pieces = [...sealer.begin(), ...plain.flatMap((part) => sealer.append(part))]
  const { pieces: last, sealed } = sealer.finish()
  return {
    bytes: Buffer.concat([...pieces, ...last]),
    load: bench.loadRows(sealed, key.sessionKey, data.length),
  }
}

test('a slow consumer holds the lane back, and PostgreSQL behind it', async () => {
  await bench.withLanes(1, [
    async (run) => {
      let readBytes = 0
      const { output, result } = run(bench.sealRows(), { onProgress: (bytes) => (readBytes = bytes) })
      const pieces: Buffer[] = []
      // Rows are sealed at half their size. What may be under way, and two frames: one being filled, one in psql's pipe.
      const roomBytes = 2 * (piecesInFlight + 1) * partBytes + 2 * frameBytes
      for await (const piece of output) {
        pieces.push(Buffer.from(piece))
        if (pieces.length > 1 && pieces.length !== 10) continue
        const restsAt = await atRest(() => readBytes)
        const most = 2 * pieces.length * partBytes + roomBytes
        assert.ok(restsAt < most, `${restsAt} bytes read with ${pieces.length} pieces taken`)
        assert.ok(most < largeBytes, 'the table is large enough to tell')
      }
      const { facts, blocks, plainBytes } = await result
      const [block] = blocks
      assert.deepEqual([blocks.length, block?.bytes, block?.rows], [1, largeBytes, largeRows])
      assert.ok(plainBytes > largeBytes)
      const artifact = Buffer.concat(pieces)
      assert.equal(facts.bytes, artifact.length)
      assert.equal(facts.sha256, createHash('sha256').update(artifact).digest('hex'))
    },
  ])
})

test('a server that waits holds the download back', async () => {
  const data = linesOf(36_000_000)
  const { bytes, load } = sealHere(data)
  assert.ok(bytes.length > 4 * chunkBytes)
  const lock = await openSession(testAccess(bench.target.name))
  await lock.execute('BEGIN; LOCK TABLE public.large')
  let pulledBytes = 0
  async function* input(): AsyncGenerator<Buffer> {
    for await (const piece of chunked(bytes, [65_536])) {
      pulledBytes += piece.length
      yield piece
    }
  }
  await bench.withLanes(1, [
    async (run) => {
      const { result } = run(load, { input: input() })
      const restsAt = await atRest(() => pulledBytes)
      // Whole chunks are checked before they are used: one is in use and the next is gathered.
      assert.ok(restsAt < 2 * chunkBytes + (piecesInFlight + 2) * 65_536, `${restsAt} bytes pulled`)
      await lock.close()
      await result
    },
  ])
  assert.equal(pulledBytes, bytes.length)
  const characters = data.length - data.length / 1001
  assert.equal(
    await bench.target.sql('SELECT count(*), sum(length(a)) FROM large; TRUNCATE large'),
    `${data.length / 1001}|${characters}`,
  )
})

test('what a lane sealed another one loads, and both count the same rows', async () => {
  await bench.withLanes(2, [
    async (run) => {
      const task = bench.sealRows()
      const { output, result } = run(task, {})
      const pieces: Buffer[] = []
      for await (const piece of output) pieces.push(Buffer.from(piece))
      const sealed = await result
      const { rows, digest } = sealed.blocks[0] ?? assert.fail('no block')
      const { result: loaded } = run(bench.loadRows(sealed, task.seal.sessionKey, largeBytes), {
        input: chunked(Buffer.concat(pieces), [100_003]),
      })
      assert.equal(await loaded, null)
      for (const database of [bench.source, bench.target]) {
        const { result: digests } = run(bench.digest(copyOutStatement(large, undefined), database), {})
        assert.deepEqual(await digests, [{ rows, digest }])
      }
    },
  ])
  assert.equal(await bench.target.sql('SELECT count(*) FROM large; TRUNCATE large'), String(largeRows))
})

/** Rows that were loaded before the fault must be gone again. */
const damages: readonly (readonly [
  what: string,
  spoil: (bytes: Buffer) => AsyncIterable<Buffer>,
  code: string,
])[] = [
  ['cut short', (bytes) => chunked(bytes.subarray(0, -1), [65_536]), 'ERR_DIGEST'],
  ['cut behind its first chunk', (bytes) => chunked(bytes.subarray(0, chunkBytes), [65_536]), 'ERR_DIGEST'],
  ['altered near its end', (bytes) => chunked(flip(bytes, bytes.length - 9, 3), [65_536]), 'ERR_DIGEST'],
  ['lost on its way', lostOnItsWay, 'ERR_STORE'],
]

async function* lostOnItsWay(bytes: Buffer): AsyncGenerator<Buffer> {
  yield* chunked(bytes.subarray(0, chunkBytes + 1000), [65_536])
  throw new CoffreError('ERR_STORE', 'the network is gone')
}

test('an artifact that is not whole is not loaded, and the reason is told', async (t) => {
  const { bytes, load } = sealHere(linesOf(9_000_000))
  assert.ok(bytes.length > chunkBytes + 100_000)
  for (const [what, spoil, code] of damages) {
    await t.test(what, async () => {
      const loading = bench.withLanes(1, [
        async (run) => void (await run(load, { input: spoil(bytes) }).result),
      ])
      await assert.rejects(loading, coded(code))
      assert.equal(await bench.target.sql('SELECT count(*) FROM large'), '0')
    })
  }
})

test('a block the server refuses fails the load, and what was loaded before it is gone', async () => {
  const { bytes, load } = sealHere(Buffer.from('one\ntwo\tcolumns\n'))
  const loading = bench.withLanes(1, [
    async (run) => void (await run(load, { input: chunked(bytes) }).result),
  ])
  await assert.rejects(loading, coded('ERR_POSTGRES', /22P04: extra data after last expected column/))
  assert.equal(await bench.target.sql('SELECT count(*) FROM large'), '0')
})
