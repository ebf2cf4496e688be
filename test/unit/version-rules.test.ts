/** Which versions of servers and client programs go together: each rule, and the way out that it names. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertCanDump, assertCanRestore, dumpLimit } from '../../src/postgres/version-rules.ts'
import { coded } from '../contract/contract-materials.ts'

const hint = (expected: RegExp) => (error: Error & { hint?: string }) => {
  assert.match(error.hint ?? '', expected)
  return true
}

describe('a backup', () => {
  const dump = (server: string, program: string, more = {}) => ({
    server,
    pgDump: program,
    pgDumpall: program,
    prefixed: false,
    ...more,
  })

  test('is made by programs of the server’s version or newer, whatever their minor versions', () => {
    for (const [server, program] of [
      ['14.0', '14.24'],
      ['15.20 (Debian 15.20-0+deb12u1)', '15.18'],
      ['18.6', '18.1'],
      ['17.1', '18.6'],
      ['19beta1', '19devel'],
    ] as const) {
      assertCanDump(dump(server, program))
      assert.equal(dumpLimit(dump(server, program)), undefined)
    }
  })

  test('of a server newer than pg_dump or pg_dumpall is refused, and the package is named, or the prefix', () => {
    const older = dump('18.6 (Debian 18.6-3)', '15.18')
    assert.throws(
      () => assertCanDump(older),
      coded('ERR_PROGRAM', /pg_dump is 15\.18, older than the server, 18\.6:/),
    )
    assert.throws(
      () => assertCanDump(older),
      hint(/postgresql-client-18 .*\/usr\/lib\/postgresql\/18\/bin.*docker, exec/),
    )
    assert.throws(() => assertCanDump({ ...older, prefixed: true }), hint(/prefix .* PostgreSQL 18/))
    assert.throws(
      () => assertCanDump(dump('18.6', '18.6', { pgDumpall: '17.1' })),
      coded('ERR_PROGRAM', /pg_dumpall/),
    )
  })

  test('of a server before 14 is refused', () => {
    assert.throws(() => assertCanDump(dump('13.23', '18.6')), coded('ERR_SOURCE', /14 and newer/))
  })

  test('of a server before 17 by a pg_dump of 17 or newer restores on 17 and newer only, which is said', () => {
    assert.match(dumpLimit(dump('15.20', '18.6'))?.message ?? '', /restores on PostgreSQL 17 and newer only/)
    assert.match(dumpLimit(dump('15.20', '18.6'))?.hint ?? '', /version 15 to 16/)
    assert.equal(dumpLimit(dump('15.20', '16.1')), undefined)
  })
})

describe('a restore', () => {
  const restore = (source: string, archive: string, pgRestore: string, server: string) => ({
    source,
    archive,
    pgRestore,
    server,
    prefixed: false,
  })

  test('runs with a pg_restore as new as the pg_dump, on a server as new as the source', () => {
    assertCanRestore(restore('14.1', '14.1', '14.24', '14.24'))
    assertCanRestore(restore('14.1', '14.1', '16.1', '15.24'))
    assertCanRestore(restore('14.1', '14.1', '18.1', '17.2'))
    assertCanRestore(restore('18.6', '18.6', '18.1', '18.6'))
    assertCanRestore(restore('15.2', '18.6', '18.1', '17.1'))
    // pg_restore may be older than the server it restores to.
    assertCanRestore(restore('15.2', '15.2', '15.2', '18.1'))
  })

  test('on a server older than the source is refused', () => {
    const back = restore('18.6', '18.6', '18.6', '17.12')
    assert.throws(
      () => assertCanRestore(back),
      coded('ERR_DESTINATION', /18\.6; this server is older: 17\.12/),
    )
    assert.throws(() => assertCanRestore(back), hint(/PostgreSQL 18 or newer/))
  })

  test('with a pg_restore older than the pg_dump is refused, and the version to get is one that also fits the server', () => {
    assert.throws(
      () => assertCanRestore(restore('15.1', '16.1', '15.2', '15.2')),
      coded('ERR_PROGRAM', /older than the pg_dump/),
    )
    assert.throws(() => assertCanRestore(restore('15.1', '16.1', '15.2', '15.2')), hint(/client-16 /))
    assert.throws(() => assertCanRestore(restore('17.1', '17.1', '15.2', '18.2')), hint(/client-18 /))
  })

  test('with a pg_restore of 17 or newer on an older server is refused: it sets what that does not know', () => {
    const newer = restore('14.1', '14.1', '18.6', '16.2')
    assert.throws(() => assertCanRestore(newer), coded('ERR_PROGRAM', /from 17 on .* this one is 16\.2/))
    assert.throws(() => assertCanRestore(newer), hint(/client-16 /))
  })

  test('on a server before 17 of what a newer pg_dump made is refused: no pg_restore can', () => {
    assert.throws(
      () => assertCanRestore(restore('15.2', '18.6', '18.6', '15.2')),
      coded('ERR_DESTINATION', /pg_dump 18\.6/),
    )
  })
})
