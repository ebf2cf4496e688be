-- The demo database: co-owned buildings, their owners, bookkeeping, meetings, tickets and meters.
--
-- Run it by psql as a superuser in an empty UTF-8 database, PostgreSQL 14 or later, no extension needed:
--
--   psql -X -d demo -v scale=1 -f building-management.sql
--
-- scale=1 makes about 300 MB of plain pg_dump, three quarters of it in public.iot_readings; sizes follow the
-- scale, and 0.05 does for tests. With `-v roles=on` it also makes the roles coffre_demo_accountant and
-- coffre_demo_reader, which are the cluster's, outlive the database, and own and may read a few things in it.
--
-- It promises the same rows on every run (nothing is drawn at random, no clock is read), and all or nothing:
-- one transaction. It holds on purpose what backups get wrong: odd names, odd values, an empty table, a table
-- without columns, large objects, an unlogged table, inheritance, a partitioned table, sequences in every
-- state, settings of the database itself. The parts lie beside it, so it is read with -f, not from standard input.

\set ON_ERROR_STOP on
\set QUIET on
\encoding UTF8
\if :{?scale} \else \set scale 1 \endif
\if :{?roles} \else \set roles off \endif

SELECT current_setting('server_encoding') = 'UTF8' AS utf8 \gset
\if :utf8 \else
  \warn 'the demo database needs the encoding UTF8'
  SELECT 1 / 0 AS "the encoding of this database is not UTF8";
\endif

SET client_min_messages = warning;
SET synchronous_commit = off;
SET maintenance_work_mem = '256MB';
SET work_mem = '64MB';
SET max_parallel_workers_per_gather = 2;
SET jit = off;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET lc_monetary = 'C';
SET search_path = pg_catalog;

SELECT greatest(1, round(20 * :scale))::int AS organizations,
       greatest(2, round(600 * :scale))::int AS buildings,
       greatest(4, round(12000 * :scale))::int AS units,
       greatest(3, round(9000 * :scale))::int AS owners,
       greatest(2, round(300 * :scale))::int AS suppliers,
       greatest(3, round(1500 * :scale))::int AS users,
       greatest(5, round(18000 * :scale))::int AS expenses,
       greatest(2, round(2400 * :scale))::int AS calls,
       greatest(8, round(42000 * :scale))::int AS contributions,
       greatest(6, round(34000 * :scale))::int AS payments,
       greatest(6, round(40000 * :scale))::int AS entries,
       greatest(2, round(1800 * :scale))::int AS meetings,
       greatest(4, round(9000 * :scale))::int AS resolutions,
       greatest(8, round(60000 * :scale))::int AS votes,
       greatest(4, round(9000 * :scale))::int AS documents,
       greatest(4, round(9000 * :scale))::int AS tickets,
       greatest(8, round(26000 * :scale))::int AS messages,
       greatest(8, round(36000 * :scale))::int AS notifications,
       greatest(12, round(62000 * :scale))::int AS audits,
       greatest(3, round(3000 * :scale))::int AS devices,
       greatest(50, round(980000 * :scale))::int AS readings
\gset n_

BEGIN;
\ir building-management/tables.sql
\ir building-management/rows.sql
\ir building-management/rules.sql
COMMIT;

-- Hint bits and statistics now, so that the first reader does not pay for them.
VACUUM (ANALYZE);
