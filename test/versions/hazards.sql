-- A small database of what changed between PostgreSQL 14 and 18, for the tests of restores into newer servers.
--
--   psql -X -d DATABASE -v level=16 -f hazards.sql
--
-- `level` is a major version: what only later ones can do is left out, so that the same database can be made on a newer
-- server too, without coffre, for comparison. Needs a superuser; makes two roles of the whole server where they are missing.
-- Promises the same content on every run.

\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
SELECT :level >= 15 AS from_15, :level >= 16 AS from_16, :level >= 17 AS from_17, :level >= 18 AS from_18 \gset

-- Several tests may come to the same server at once.
BEGIN;
SELECT pg_advisory_xact_lock(20231);
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'coffre_versions_owner') THEN
    CREATE ROLE coffre_versions_group NOINHERIT;
    CREATE ROLE coffre_versions_owner LOGIN IN ROLE coffre_versions_group;
  END IF;
END $$;
COMMIT;

CREATE SCHEMA hazards AUTHORIZATION coffre_versions_owner;
SET search_path = hazards, pg_catalog;

-- Large objects: their metadata moved from the definitions to the data section in pg_dump 17.
SELECT lo_from_bytea(700000 + n, decode(repeat(md5(n::text), 40 * n), 'hex')) FROM generate_series(1, 5) n;
SELECT lo_from_bytea(700006, '');
ALTER LARGE OBJECT 700002 OWNER TO coffre_versions_owner;
GRANT SELECT, UPDATE ON LARGE OBJECT 700003 TO coffre_versions_group WITH GRANT OPTION;
COMMENT ON LARGE OBJECT 700004 IS 'it''s \ "large"';

-- Not null in every way: constraints with names of their own from 18 on.
CREATE DOMAIN positive AS int NOT NULL CHECK (VALUE > 0);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE parent (id int PRIMARY KEY, "a ""name""" text NOT NULL, v positive, m mood DEFAULT 'ok');
CREATE TABLE child (extra text NOT NULL) INHERITS (parent);
ALTER TABLE child ALTER COLUMN id SET NOT NULL;
INSERT INTO parent SELECT n, 'p' || n, n, 'sad' FROM generate_series(1, 100) n;
INSERT INTO child SELECT n, 'c' || n, n, 'happy', 'x' FROM generate_series(101, 150) n;
CREATE TABLE renamed (before int NOT NULL);
ALTER TABLE renamed RENAME COLUMN before TO after;
ALTER TABLE renamed RENAME TO now_renamed;

CREATE TABLE made (
  id bigint GENERATED ALWAYS AS IDENTITY (START WITH 1000 INCREMENT BY 7),
  net numeric(12, 2),
  gross numeric GENERATED ALWAYS AS (net * 1.2) STORED,
  spans int4multirange,
  moment timestamptz, duration interval, amount double precision, bits bit varying,
  packed text COMPRESSION pglz, lighter text COMPRESSION lz4, doc jsonb, raw bytea, list mood[]
);
INSERT INTO made (net, spans, moment, duration, amount, bits, packed, lighter, doc, raw, list)
  SELECT n, '{[1,3), [5,9)}', '2020-02-29 12:00+00'::timestamptz + n * '1 day 1 us'::interval, n * '-1 mon 2 days -3 s'::interval,
    n / 3.0::float8, B'101', repeat('ab', n * 100), repeat('ba', n * 100), jsonb_build_object('n', n, 'µ', E'\u00e9\\'), decode(md5(n::text), 'hex'), '{sad,NULL,happy}'
  FROM generate_series(1, 50) n;
INSERT INTO made DEFAULT VALUES;
CREATE STATISTICS doubled ON (net * 2), net FROM made;

CREATE TABLE parted (k int NOT NULL, region text) PARTITION BY HASH (k);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parted SELECT n, 'r' || n FROM generate_series(1, 200) n;

-- Texts that servers word for themselves.
CREATE VIEW seen AS SELECT p.id, p.m, count(*) OVER (PARTITION BY p.m) FROM parent p WHERE p.id = ANY (ARRAY[1, 2, 3]);
CREATE MATERIALIZED VIEW kept AS SELECT m, count(*) AS n FROM parent GROUP BY m;
CREATE UNIQUE INDEX ON kept (m);
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT n * 2; END;
CREATE PROCEDURE told(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := n + 1; END $$;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER stamped BEFORE INSERT ON parent FOR EACH ROW WHEN (NEW.id > 0) EXECUTE FUNCTION stamp();
CREATE POLICY own ON parent TO coffre_versions_group USING (id > 10);
ALTER TABLE parent OWNER TO coffre_versions_owner;
GRANT SELECT ON seen TO coffre_versions_group;
ALTER DEFAULT PRIVILEGES FOR ROLE coffre_versions_owner IN SCHEMA hazards GRANT SELECT ON TABLES TO coffre_versions_group;
CREATE PUBLICATION of_parent FOR TABLE parent;

\if :from_15
CREATE TABLE at_most_one (a int, UNIQUE NULLS NOT DISTINCT (a));
INSERT INTO at_most_one VALUES (NULL), (1);
CREATE VIEW as_invoker WITH (security_invoker = true) AS SELECT * FROM made;
CREATE PUBLICATION filtered FOR TABLE made (id, net) WHERE (net > 10);
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA hazards;
CREATE UNLOGGED SEQUENCE forgettable;
SELECT nextval('forgettable');
\endif

\if :from_16
CREATE TABLE stored_so (t text STORAGE EXTERNAL);
INSERT INTO stored_so SELECT repeat('x', 5000);
CREATE VIEW as_json AS SELECT json_object('a': id) AS j, doc IS JSON OBJECT AS o FROM made;
CREATE TABLE underscored (n int DEFAULT 1_000_000, CHECK (n > 0x1F));
\endif

\if :from_17
CREATE TABLE numbered (id int GENERATED BY DEFAULT AS IDENTITY, at date) PARTITION BY RANGE (at);
CREATE TABLE numbered_all PARTITION OF numbered DEFAULT;
INSERT INTO numbered (at) SELECT '2020-01-01'::date + n FROM generate_series(1, 20) n;
CREATE VIEW from_json AS SELECT j.* FROM made, JSON_TABLE (made.doc, '$' COLUMNS (n int PATH '$.n')) j;
CREATE COLLATION plain (PROVIDER = builtin, LOCALE = 'C.UTF-8');
CREATE TABLE collated (t text COLLATE plain);
INSERT INTO collated VALUES ('ÿ'), ('z');
GRANT MAINTAIN ON parent TO coffre_versions_group;
-- As the manual has it (Database Login Event Trigger Example): whoever logs in leaves a row.
CREATE TABLE logins (who text, at timestamptz);
CREATE FUNCTION log_in() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO hazards.logins VALUES (session_user, now()); END $$;
CREATE EVENT TRIGGER logged_in ON login EXECUTE FUNCTION log_in();
\endif

\if :from_18
CREATE TABLE virtual (a int, "dou ""ble" int GENERATED ALWAYS AS (a * 2) VIRTUAL, b text, half numeric GENERATED ALWAYS AS (a / 2.0) STORED);
INSERT INTO virtual (a, b) SELECT n, 'v' || n FROM generate_series(1, 300) n;
CREATE TABLE only_virtual (c int GENERATED ALWAYS AS (42));
INSERT INTO only_virtual SELECT FROM generate_series(1, 3);
CREATE TABLE strict (
  a int CONSTRAINT "a is there" NOT NULL,
  b int CONSTRAINT b_here NOT NULL NO INHERIT,
  CONSTRAINT unchecked CHECK (a > 1000) NOT ENFORCED);
INSERT INTO strict VALUES (1, 1);
CREATE TABLE later (a int);
INSERT INTO later VALUES (NULL), (1);
ALTER TABLE later ADD CONSTRAINT later_not_null NOT NULL a NOT VALID;
CREATE TABLE booked (room int4range, during daterange, PRIMARY KEY (room, during WITHOUT OVERLAPS));
INSERT INTO booked VALUES ('[1,2)', '[2020-01-01,2020-01-05)'), ('[1,2)', '[2020-01-05,2020-01-07)');
CREATE TABLE guest (room int4range, during daterange, FOREIGN KEY (room, PERIOD during) REFERENCES booked (room, PERIOD during));
INSERT INTO guest VALUES ('[1,2)', '[2020-01-02,2020-01-06)');
CREATE TABLE sevens (id uuid DEFAULT uuidv7());
INSERT INTO sevens VALUES ('018f4a5e-7b3c-7000-8000-000000000000');
\endif
