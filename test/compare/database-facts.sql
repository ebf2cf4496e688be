-- Everything that makes a database what it is, as facts: one JSON array a line, the same for equal databases.
--
--   psql -X -q -A -t -d CONNINFO [-v snapshot=ID] -f database-facts.sql
--
-- It only reads, in one read-only transaction, on the exported snapshot where one is given. It shares nothing with
-- coffre: what the server says is the whole of it. Needs a superuser: row security makes it fail otherwise, and large
-- objects are refused.
--
-- Left out on purpose: the database's name, system objects, the order of columns, the rows of materialized views (a
-- restore refreshes them) and of foreign tables, and whether the server's own triggers behind foreign keys are
-- switched off (no dump says so), operators that others name and nobody made, whether a subscription is enabled (restored ones
-- never are). Rows spread over partitions by hash are told of the root.
-- Two things to know: sequences are not under a snapshot, they stand where they stand; and a few definitions the
-- server words otherwise once restored (an IN list of varchar, an unnamed column in BEGIN ATOMIC), which then differ.

\set ON_ERROR_STOP on
\encoding UTF8
SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;
SET search_path = ''; SET row_security = off; SET quote_all_identifiers = off; SET jit = off;
SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET timezone = 'UTC'; SET extra_float_digits = 3;
SET bytea_output = 'hex'; SET lc_monetary = 'C'; SET xmloption = 'content'; SET standard_conforming_strings = on;
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
\if :{?snapshot}
SET TRANSACTION SNAPSHOT :'snapshot';
\endif

-- Pieces of the queries below. `users`: a schema that is neither the system's nor temporary. `own_type`: a type that
-- somebody made, not the row type of a table nor the array type that comes with every type.
\set users '(n.nspname !~ ''^pg_'' AND n.nspname <> ''information_schema'')'
\set is_composite 'EXISTS (SELECT FROM pg_class WHERE oid = t.typrelid AND relkind = ''c'')'
\set is_array 'EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)'
\set own_type '((t.typrelid = 0 OR ' :is_composite ') AND NOT ' :is_array ')'
\set this_database '(SELECT oid FROM pg_database WHERE datname = current_database())'
\set privilege 'x.grantee::regrole::text, x.privilege_type, x.is_grantable, x.grantor::regrole::text'

-- The database itself.
SELECT json_build_array('database',
  to_jsonb(d) - ARRAY['oid', 'datname', 'datdba', 'dattablespace', 'datfrozenxid', 'datminmxid', 'datacl', 'datlastsysoid']
  || jsonb_build_object('owner', d.datdba::regrole::text, 'comment', shobj_description(d.oid, 'pg_database'),
    'encoding', pg_encoding_to_char(d.encoding), 'tablespace', t.spcname))
FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.oid = :this_database;
SELECT json_build_array('database privilege', :privilege)::text
FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x WHERE d.oid = :this_database ORDER BY 1;
SELECT json_build_array('database setting', s.setrole::regrole::text, setting)::text
FROM pg_db_role_setting s, unnest(s.setconfig) setting WHERE s.setdatabase = :this_database ORDER BY 1;
SELECT json_build_array('database label', l.provider, l.label)::text
FROM pg_shseclabel l WHERE l.classoid = 'pg_database'::regclass AND l.objoid = :this_database ORDER BY 1;

-- Owners and privileges of whatever has them. No list of privileges means the default one, so that is told.
-- Of system objects only those whose privileges were changed since the cluster was made.
WITH things (class, id, owner, acl, usual, schema) AS (
  SELECT 'pg_class'::regclass, c.oid, relowner, relacl,
    acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner), relnamespace
    FROM pg_class c WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL SELECT 'pg_proc', oid, proowner, proacl, acldefault('f', proowner), pronamespace FROM pg_proc
  UNION ALL SELECT 'pg_type', oid, typowner, typacl, acldefault('T', typowner), typnamespace FROM pg_type t
    WHERE typtype IN ('b', 'd', 'e', 'r', 'c') AND :own_type
  UNION ALL SELECT 'pg_operator', oid, oprowner, NULL, NULL, oprnamespace FROM pg_operator WHERE oprcode <> 0
  UNION ALL SELECT 'pg_opclass', oid, opcowner, NULL, NULL, opcnamespace FROM pg_opclass
  UNION ALL SELECT 'pg_opfamily', oid, opfowner, NULL, NULL, opfnamespace FROM pg_opfamily
  UNION ALL SELECT 'pg_collation', oid, collowner, NULL, NULL, collnamespace FROM pg_collation
  UNION ALL SELECT 'pg_conversion', oid, conowner, NULL, NULL, connamespace FROM pg_conversion
  UNION ALL SELECT 'pg_statistic_ext', oid, stxowner, NULL, NULL, stxnamespace FROM pg_statistic_ext
  UNION ALL SELECT 'pg_ts_dict', oid, dictowner, NULL, NULL, dictnamespace FROM pg_ts_dict
  UNION ALL SELECT 'pg_ts_config', oid, cfgowner, NULL, NULL, cfgnamespace FROM pg_ts_config
  UNION ALL SELECT 'pg_namespace', oid, nspowner, nspacl, acldefault('n', nspowner), oid FROM pg_namespace
  UNION ALL SELECT 'pg_language', oid, lanowner, lanacl, acldefault('l', lanowner), 0 FROM pg_language
  UNION ALL SELECT 'pg_foreign_data_wrapper', oid, fdwowner, fdwacl, acldefault('F', fdwowner), 0 FROM pg_foreign_data_wrapper
  UNION ALL SELECT 'pg_foreign_server', oid, srvowner, srvacl, acldefault('S', srvowner), 0 FROM pg_foreign_server
  UNION ALL SELECT 'pg_largeobject', oid, lomowner, lomacl, acldefault('L', lomowner), 0 FROM pg_largeobject_metadata
  UNION ALL SELECT 'pg_event_trigger', oid, evtowner, NULL, NULL, 0 FROM pg_event_trigger
  UNION ALL SELECT 'pg_publication', oid, pubowner, NULL, NULL, 0 FROM pg_publication
  UNION ALL SELECT 'pg_subscription', oid, subowner, NULL, NULL, 0 FROM pg_subscription WHERE subdbid = :this_database
), told AS MATERIALIZED (
  SELECT t.class, t.id, t.owner, coalesce(t.acl, t.usual) AS acl, coalesce(p.initprivs, t.usual) AS initial, n.nspname,
    CASE WHEN n.oid IS NULL THEN t.id >= 16384 ELSE :users END AS users
  FROM things t LEFT JOIN pg_namespace n ON n.oid = t.schema
    LEFT JOIN pg_init_privs p ON p.classoid = t.class AND p.objoid = t.id AND p.objsubid = 0)
SELECT json_build_array('owner', i.type, i.identity, t.owner::regrole::text)::text
FROM told t, pg_identify_object(t.class, t.id, 0) i WHERE t.users
UNION ALL SELECT json_build_array('privilege', i.type, i.identity, :privilege)::text
FROM told t, aclexplode(t.acl) x, pg_identify_object(t.class, t.id, 0) i
WHERE t.users OR t.nspname = 'pg_catalog' AND NOT (t.acl @> t.initial AND t.acl <@ t.initial)
ORDER BY 1;
SELECT json_build_array('privilege', 'column', i.identity, :privilege)::text
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
  aclexplode(a.attacl) x, pg_identify_object('pg_class'::regclass, a.attrelid, a.attnum) i
WHERE :users AND NOT a.attisdropped ORDER BY 1;
SELECT json_build_array('default privilege', d.defaclrole::regrole::text, n.nspname, d.defaclobjtype, :privilege)::text
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) x ORDER BY 1;

-- Comments and security labels on anything that is not the system's.
WITH notes (kind, class, id, part, note) AS (
  SELECT 'comment', classoid, objoid, objsubid, description FROM pg_description
  UNION ALL SELECT 'label of ' || provider, classoid, objoid, objsubid, label FROM pg_seclabel)
SELECT json_build_array(d.kind, i.type, i.identity, d.note)::text FROM notes d, pg_identify_object(d.class, d.id, d.part) i
WHERE (d.id >= 16384 OR d.class IN ('pg_extension'::regclass, 'pg_namespace'::regclass))
  -- A dropped subscription leaves its comment behind, on nothing.
  AND i.identity IS NOT NULL AND coalesce(i.schema, '') !~ '^pg_(toast|temp)' ORDER BY 1;

-- Relations, columns, constraints, indexes.
SELECT json_build_array('relation', n.nspname, c.relname, json_build_object(
  'kind', c.relkind, 'persistence', c.relpersistence, 'populated', c.relispopulated,
  'options', (SELECT array_agg(o ORDER BY o) FROM unnest(c.reloptions) o),
  'toast options', (SELECT array_agg(o ORDER BY o) FROM pg_class t, unnest(t.reloptions) o WHERE t.oid = c.reltoastrelid),
  'access method', (SELECT amname FROM pg_am WHERE oid = c.relam),
  'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace),
  'of type', nullif(c.reloftype, 0)::regtype::text, 'replica identity', c.relreplident,
  'row security', c.relrowsecurity, 'row security forced', c.relforcerowsecurity,
  'partition key', pg_get_partkeydef(c.oid), 'bound', pg_get_expr(c.relpartbound, c.oid),
  'parents', (SELECT array_agg(inhparent::regclass::text ORDER BY inhseqno) FROM pg_inherits
    WHERE inhrelid = c.oid AND NOT inhdetachpending),
  'view', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
  'foreign', (SELECT json_build_array(s.srvname, (SELECT array_agg(o ORDER BY o) FROM unnest(f.ftoptions) o))
    FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid)))::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE :users AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1;
SELECT json_build_array('column', n.nspname, c.relname, a.attname, json_build_object(
  'type', format_type(a.atttypid, a.atttypmod), 'not null', a.attnotnull, 'default', pg_get_expr(d.adbin, d.adrelid),
  'generated', a.attgenerated, 'identity', a.attidentity, 'collation', nullif(a.attcollation, 0)::regcollation::text,
  'storage', a.attstorage, 'compression', a.attcompression, 'statistics', coalesce(a.attstattarget, -1),
  -- Servers of late 2026 keep a mark of their own among these, which is no option anybody set.
  'options', (SELECT array_agg(o ORDER BY o) FROM unnest(a.attoptions) o WHERE o !~ '^pg_attver='),
  'foreign options', (SELECT array_agg(o ORDER BY o) FROM unnest(a.attfdwoptions) o),
  -- Where the order is part of what it is.
  'place', CASE WHEN c.relkind IN ('c', 'v', 'm') THEN row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum) END))::text
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE :users AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1;
-- The copies that a foreign key from or to a partitioned table has per partition are left out: the server names them.
SELECT json_build_array('constraint', n.nspname, coalesce(nullif(c.conrelid, 0)::regclass::text, c.contypid::regtype::text),
  c.conname, json_build_object('definition', pg_get_constraintdef(c.oid), 'validated', c.convalidated))::text
FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
WHERE :users AND NOT (c.contype = 'f' AND c.conparentid <> 0) ORDER BY 1;
SELECT json_build_array('index', n.nspname, c.relname, json_build_object(
  'definition', pg_get_indexdef(c.oid), 'valid', i.indisvalid, 'ready', i.indisready, 'immediate', i.indimmediate,
  'clustered', i.indisclustered, 'replica identity', i.indisreplident,
  'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace),
  'parent', (SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = c.oid),
  'statistics', (SELECT json_agg(json_build_array(attnum, attstattarget) ORDER BY attnum)
    FROM pg_attribute WHERE attrelid = c.oid AND coalesce(attstattarget, -1) >= 0)))::text
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE :users ORDER BY 1;

-- Programs: functions, aggregates, triggers, rules, policies.
SELECT json_build_array('function', p.oid::regprocedure::text, pg_get_functiondef(p.oid))::text
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE :users AND p.prokind <> 'a' ORDER BY 1;
SELECT json_build_array('aggregate', p.oid::regprocedure::text, pg_get_function_arguments(p.oid), p.proparallel,
  to_jsonb(a) - 'aggfnoid' || jsonb_build_object('aggtranstype', a.aggtranstype::regtype::text,
    'aggmtranstype', a.aggmtranstype::regtype::text, 'aggsortop', a.aggsortop::regoperator::text))::text
FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE :users ORDER BY 1;
SELECT json_build_array('trigger', t.tgrelid::regclass::text, t.tgname, pg_get_triggerdef(t.oid), t.tgenabled)::text
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE :users AND NOT t.tgisinternal ORDER BY 1;
SELECT json_build_array('rule', r.ev_class::regclass::text, r.rulename, pg_get_ruledef(r.oid), r.ev_enabled)::text
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE :users AND r.rulename <> '_RETURN' ORDER BY 1;
SELECT json_build_array('policy', p.polrelid::regclass::text, p.polname, p.polcmd, p.polpermissive,
  (SELECT array_agg(r::regrole::text ORDER BY r::regrole::text) FROM unnest(p.polroles) r),
  pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))::text
FROM pg_policy p ORDER BY 1;
SELECT json_build_array('event trigger', evtname, evtevent, evtfoid::regprocedure::text, evtenabled, evttags)::text
FROM pg_event_trigger ORDER BY 1;

-- Types. The attributes of composite types are columns, the checks of domains are constraints: see above.
SELECT json_build_array('type', t.oid::regtype::text, json_build_object(
  'kind', t.typtype, 'category', t.typcategory, 'preferred', t.typispreferred, 'delimiter', t.typdelim,
  'base', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END, 'not null', t.typnotnull,
  'default', t.typdefault, 'collation', nullif(t.typcollation, 0)::regcollation::text, 'storage', t.typstorage,
  'alignment', t.typalign, 'bytes', t.typlen, 'input', t.typinput, 'output', t.typoutput, 'receive', t.typreceive,
  'send', t.typsend, 'analyze', t.typanalyze,
  'labels', (SELECT json_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid),
  'range', (SELECT json_build_array(r.rngsubtype::regtype, r.rngmultitypid::regtype, r.rngcollation::regcollation::text,
      r.rngcanonical, r.rngsubdiff, o.opcname)
    FROM pg_range r JOIN pg_opclass o ON o.oid = r.rngsubopc WHERE r.rngtypid = t.oid)))::text
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE :users AND :own_type ORDER BY 1;

-- What else a schema can hold.
SELECT json_build_array('sequence', s.seqrelid::regclass::text, s.seqtypid::regtype,
  to_jsonb(s) - ARRAY['seqrelid', 'seqtypid'], c.relpersistence,
  (SELECT json_build_array(d.deptype, d.refobjid::regclass::text, a.attname)
    FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.refclassid = 'pg_class'::regclass
      AND d.deptype IN ('a', 'i')))::text
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE :users ORDER BY 1;
SELECT json_build_array('statistics', n.nspname, stxname, pg_get_statisticsobjdef(s.oid), coalesce(stxstattarget, -1))::text
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE :users ORDER BY 1;
SELECT json_build_array('operator', o.oid::regoperator::text, o.oprcode, o.oprcom::regoperator::text,
  o.oprnegate::regoperator::text, o.oprrest, o.oprjoin, o.oprcanmerge, o.oprcanhash)::text
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE :users AND o.oprcode <> 0 ORDER BY 1;
SELECT json_build_array('operator class', i.identity, o.opcintype::regtype, o.opcdefault, o.opckeytype::regtype)::text
FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace, pg_identify_object('pg_opclass'::regclass, o.oid, 0) i
WHERE :users ORDER BY 1;
WITH members (family, kind, lefttype, righttype, number, what) AS (
  SELECT amopfamily, amoppurpose, amoplefttype, amoprighttype, amopstrategy, amopopr::regoperator::text
  FROM pg_amop WHERE oid >= 16384
  UNION ALL SELECT amprocfamily, 'f', amproclefttype, amprocrighttype, amprocnum, amproc::text FROM pg_amproc WHERE oid >= 16384)
SELECT json_build_array('family member', i.identity, kind, lefttype::regtype, righttype::regtype, number, what)::text
FROM members, pg_identify_object('pg_opfamily'::regclass, family, 0) i ORDER BY 1;
SELECT json_build_array('collation', n.nspname, to_jsonb(c) - ARRAY['oid', 'collnamespace', 'collowner', 'collencoding'])::text
FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE :users
UNION ALL SELECT json_build_array('conversion', n.nspname, to_jsonb(c) - ARRAY['oid', 'connamespace', 'conowner'])::text
FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace WHERE :users
UNION ALL SELECT json_build_array('search template', n.nspname, to_jsonb(t) - ARRAY['oid', 'tmplnamespace'])::text
FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace WHERE :users
UNION ALL SELECT json_build_array('search parser', n.nspname, to_jsonb(p) - ARRAY['oid', 'prsnamespace'])::text
FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace WHERE :users
UNION ALL SELECT json_build_array('search dictionary', d.oid::regdictionary, i.identity, d.dictinitoption)::text
FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace,
  pg_identify_object('pg_ts_template'::regclass, d.dicttemplate, 0) i WHERE :users
UNION ALL SELECT json_build_array('search configuration', c.oid::regconfig, i.identity, m.maptokentype, m.mapseqno,
  m.mapdict::regdictionary)::text
FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace LEFT JOIN pg_ts_config_map m ON m.mapcfg = c.oid,
  pg_identify_object('pg_ts_parser'::regclass, c.cfgparser, 0) i WHERE :users
ORDER BY 1;

-- What belongs to no schema.
SELECT json_build_array('extension', e.extname, e.extversion, n.nspname,
  (SELECT array_agg(json_build_array(id::regclass, e.extcondition[place])::text ORDER BY id::regclass::text)
    FROM unnest(e.extconfig) WITH ORDINALITY u (id, place)))::text
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY 1;
SELECT json_build_array('cast', castsource::regtype, casttarget::regtype, castfunc::regprocedure::text, castcontext,
  castmethod)::text FROM pg_cast WHERE oid >= 16384
UNION ALL SELECT json_build_array('language', lanname, lanispl, lanpltrusted, lanplcallfoid::regprocedure::text,
  laninline::regprocedure::text, lanvalidator::regprocedure::text)::text FROM pg_language
UNION ALL SELECT json_build_array('access method', amname, amhandler, amtype)::text FROM pg_am WHERE oid >= 16384
UNION ALL SELECT json_build_array('transform', trftype::regtype, lanname, trffromsql, trftosql)::text
FROM pg_transform JOIN pg_language l ON l.oid = trflang
UNION ALL SELECT json_build_array('foreign data wrapper', fdwname, fdwhandler::regprocedure::text,
  fdwvalidator::regprocedure::text, (SELECT array_agg(o ORDER BY o) FROM unnest(fdwoptions) o))::text
FROM pg_foreign_data_wrapper
UNION ALL SELECT json_build_array('foreign server', srvname, fdwname, srvtype, srvversion,
  (SELECT array_agg(o ORDER BY o) FROM unnest(srvoptions) o))::text
FROM pg_foreign_server JOIN pg_foreign_data_wrapper w ON w.oid = srvfdw
UNION ALL SELECT json_build_array('user mapping', srvname, usename,
  (SELECT array_agg(o ORDER BY o) FROM unnest(umoptions) o))::text FROM pg_user_mappings
UNION ALL SELECT json_build_array('publication', to_jsonb(p) - ARRAY['oid', 'pubowner'])::text FROM pg_publication p
UNION ALL SELECT json_build_array('publication table', to_jsonb(p))::text FROM pg_publication_tables p
UNION ALL SELECT json_build_array('subscription', to_jsonb(s) - ARRAY['oid', 'subdbid', 'subskiplsn', 'subowner', 'subenabled'])::text
FROM pg_subscription s WHERE subdbid = :this_database
ORDER BY 1;
SELECT json_build_array('large object', m.oid, length(content), md5(content))
FROM pg_largeobject_metadata m, lo_get(m.oid) content ORDER BY m.oid;

-- Where the sequences stand.
SELECT format('SELECT json_build_array(''sequence value'', %L::text, last_value, is_called) FROM %s', name, name)
FROM (SELECT s.seqrelid::regclass AS name FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE :users) q ORDER BY name::text
\gexec

-- The rows of each table: how many, and what, hashed by the server. A row is told by the output functions of its
-- columns, in the order of their names. Two sums of 64-bit hashes do not depend on the order of rows, and see doubles.
WITH tables AS (
  SELECT c.oid, c.oid::regclass AS name, c.relkind = 'p' AS partitioned, c.relispartition AS part,
    EXISTS (SELECT FROM pg_partition_ancestors(c.oid) a JOIN pg_partitioned_table p ON p.partrelid = a.relid
      WHERE p.partstrat = 'h') AS under_hash,
    EXISTS (SELECT FROM pg_partition_tree(c.oid) a JOIN pg_partitioned_table p ON p.partrelid = a.relid
      WHERE p.partstrat = 'h') AS over_hash
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE :users AND c.relkind IN ('r', 'p'))
SELECT format('SELECT json_build_array(''rows'', %L::text, count(*), '
  'coalesce(sum(hashtextextended(r, 0)), 0), coalesce(sum(hashtextextended(r, 20231)), 0)) '
  'FROM (SELECT ROW(%s)::text COLLATE "C" AS r FROM %s %s t OFFSET 0) q', t.name,
  (SELECT string_agg(format('t.%I', attname), ', ' ORDER BY attname COLLATE "C") FROM pg_attribute
    WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped),
  CASE WHEN NOT t.partitioned THEN 'ONLY' END, t.name)
FROM tables t WHERE CASE WHEN t.partitioned THEN t.over_hash AND NOT t.part ELSE NOT t.under_hash END
ORDER BY t.name::text
\gexec
COMMIT;
