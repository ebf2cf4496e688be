-- Everything that makes a database what it is, as facts: one JSON array a line, the same for equal databases.
--
--   psql -X -q -A -t -d CONNINFO [-v snapshot=ID] -f database-facts.sql
--
-- It only reads, in one read-only transaction, on the exported snapshot where one is given. It shares nothing with
-- coffre: what the server says is the whole of it. Left out on purpose: the database's name, system objects, the
-- order of columns, the rows of materialized views (a restore refreshes them) and of foreign tables. Rows spread
-- over partitions by hash are told of the root. Sequence values are not under a snapshot: PostgreSQL has it so.
-- Needs a superuser, or row security fails it and large objects are refused.

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

-- Pieces of the queries below. `users` is true of a schema that is neither the system's nor temporary.
\set users '(n.nspname !~ ''^pg_'' AND n.nspname <> ''information_schema'')'
\set sorted 'ORDER BY 1'

-- The database itself.
SELECT json_build_array('database', to_jsonb(d) - ARRAY['oid', 'datname', 'datdba', 'dattablespace', 'datfrozenxid', 'datminmxid', 'datacl',
    'datlastsysoid', 'datallowconn', 'datistemplate'] || jsonb_build_object('owner', d.datdba::regrole::text, 'comment', shobj_description(d.oid, 'pg_database'),
    'encoding', pg_encoding_to_char(d.encoding), 'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = d.dattablespace)))
FROM pg_database d WHERE d.datname = current_database();
SELECT json_build_array('database privilege', x.grantee::regrole::text, x.privilege_type, x.is_grantable, x.grantor::regrole::text)::text
FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x WHERE d.datname = current_database() :sorted;
SELECT json_build_array('database setting', s.setrole::regrole::text, c)::text
FROM pg_db_role_setting s, unnest(s.setconfig) c WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) :sorted;
SELECT json_build_array('database label', l.provider, l.label)::text FROM pg_shseclabel l
WHERE l.classoid = 'pg_catalog.pg_database'::regclass AND l.objoid = (SELECT oid FROM pg_database WHERE datname = current_database()) :sorted;

-- Owners and privileges of whatever has them. A missing list of privileges means the default one, so that is told.
-- Of system objects only what was changed since the cluster was made.
WITH things (class, id, owner, acl, usual, schema) AS (
  SELECT 'pg_class'::regclass, c.oid, c.relowner, c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner), c.relnamespace
    FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL SELECT 'pg_proc', p.oid, proowner, proacl, acldefault('f', proowner), pronamespace FROM pg_proc p
  UNION ALL SELECT 'pg_type', t.oid, typowner, typacl, acldefault('T', typowner), typnamespace FROM pg_type t
    WHERE typtype IN ('b', 'd', 'e', 'r', 'c') AND (typrelid = 0 OR EXISTS (SELECT FROM pg_class WHERE oid = typrelid AND relkind = 'c'))
      AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
  UNION ALL SELECT 'pg_operator', o.oid, oprowner, NULL, NULL, oprnamespace FROM pg_operator o
  UNION ALL SELECT 'pg_opclass', o.oid, opcowner, NULL, NULL, opcnamespace FROM pg_opclass o
  UNION ALL SELECT 'pg_opfamily', o.oid, opfowner, NULL, NULL, opfnamespace FROM pg_opfamily o
  UNION ALL SELECT 'pg_collation', c.oid, collowner, NULL, NULL, collnamespace FROM pg_collation c
  UNION ALL SELECT 'pg_conversion', c.oid, conowner, NULL, NULL, connamespace FROM pg_conversion c
  UNION ALL SELECT 'pg_statistic_ext', s.oid, stxowner, NULL, NULL, stxnamespace FROM pg_statistic_ext s
  UNION ALL SELECT 'pg_ts_dict', d.oid, dictowner, NULL, NULL, dictnamespace FROM pg_ts_dict d
  UNION ALL SELECT 'pg_ts_config', c.oid, cfgowner, NULL, NULL, cfgnamespace FROM pg_ts_config c
  UNION ALL SELECT 'pg_namespace', n.oid, nspowner, nspacl, acldefault('n', nspowner), n.oid FROM pg_namespace n
  UNION ALL SELECT 'pg_language', l.oid, lanowner, lanacl, acldefault('l', lanowner), 0 FROM pg_language l
  UNION ALL SELECT 'pg_foreign_data_wrapper', f.oid, fdwowner, fdwacl, acldefault('F', fdwowner), 0 FROM pg_foreign_data_wrapper f
  UNION ALL SELECT 'pg_foreign_server', s.oid, srvowner, srvacl, acldefault('S', srvowner), 0 FROM pg_foreign_server s
  UNION ALL SELECT 'pg_largeobject', m.oid, lomowner, lomacl, acldefault('L', lomowner), 0 FROM pg_largeobject_metadata m
  UNION ALL SELECT 'pg_event_trigger', e.oid, evtowner, NULL, NULL, 0 FROM pg_event_trigger e
  UNION ALL SELECT 'pg_publication', p.oid, pubowner, NULL, NULL, 0 FROM pg_publication p
  UNION ALL SELECT 'pg_subscription', s.oid, subowner, NULL, NULL, 0 FROM pg_subscription s WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
), told AS (
  SELECT i.type, i.identity, t.owner, coalesce(t.acl, t.usual) AS acl, coalesce(p.initprivs, t.usual) AS initial, n.nspname IS NULL AND t.id >= 16384 OR n.nspname IS NOT NULL AND :users AS users, n.nspname = 'pg_catalog' AS system
  FROM things t LEFT JOIN pg_namespace n ON n.oid = t.schema
    LEFT JOIN pg_init_privs p ON p.classoid = t.class AND p.objoid = t.id AND p.objsubid = 0, pg_identify_object(t.class, t.id, 0) i
  WHERE coalesce(n.nspname, '') !~ '^pg_(toast|temp)')
SELECT json_build_array('owner', type, identity, owner::regrole::text)::text FROM told WHERE users OR type = 'schema' AND identity IN ('public', 'pg_catalog')
UNION ALL
SELECT json_build_array('privilege', type, identity, x.grantee::regrole::text, x.privilege_type, x.is_grantable, x.grantor::regrole::text)::text
FROM told, aclexplode(acl) x WHERE users OR system AND NOT (acl @> initial AND acl <@ initial) :sorted;
SELECT json_build_array('privilege', 'column', i.identity, x.grantee::regrole::text, x.privilege_type, x.is_grantable, x.grantor::regrole::text)::text
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
  aclexplode(a.attacl) x, pg_identify_object('pg_class'::regclass, a.attrelid, a.attnum) i
WHERE :users AND NOT a.attisdropped :sorted;
SELECT json_build_array('default privilege', d.defaclrole::regrole::text, n.nspname, d.defaclobjtype, x.grantee::regrole::text, x.privilege_type, x.is_grantable)::text
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) x :sorted;

-- Comments and security labels on anything that is not the system's.
WITH notes (kind, classoid, objoid, objsubid, note) AS (
  SELECT 'comment', classoid, objoid, objsubid, description FROM pg_description
  UNION ALL SELECT 'label of ' || provider, classoid, objoid, objsubid, label FROM pg_seclabel)
SELECT json_build_array(d.kind, i.type, i.identity, d.note)::text FROM notes d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
WHERE (d.objoid >= 16384 OR d.classoid IN ('pg_extension'::regclass, 'pg_namespace'::regclass))
  AND coalesce(i.schema, '') !~ '^pg_(toast|temp)' :sorted;

-- Relations, columns, constraints.
SELECT json_build_array('relation', n.nspname, c.relname, json_build_object('kind', c.relkind, 'persistence', c.relpersistence,
    'options', (SELECT array_agg(o ORDER BY o) FROM unnest(c.reloptions) o), 'toast options', (SELECT array_agg(o ORDER BY o) FROM pg_class t, unnest(t.reloptions) o WHERE t.oid = c.reltoastrelid),
    'access method', (SELECT amname FROM pg_am WHERE oid = c.relam), 'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace),
    'of type', nullif(c.reloftype, 0)::regtype::text, 'row security', c.relrowsecurity, 'forced', c.relforcerowsecurity, 'replica identity', c.relreplident,
    'populated', c.relispopulated, 'partition key', pg_get_partkeydef(c.oid), 'bound', pg_get_expr(c.relpartbound, c.oid),
    'parents', (SELECT array_agg(i.inhparent::regclass::text ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid AND NOT i.inhdetachpending),
    'view', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
    'foreign', (SELECT json_build_array(s.srvname, f.ftoptions) FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid)))::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE :users AND c.relkind IN ('r', 'p', 'v', 'm', 'f') :sorted;
SELECT json_build_array('column', n.nspname, c.relname, a.attname, json_build_object('type', format_type(a.atttypid, a.atttypmod), 'not null', a.attnotnull,
    'default', pg_get_expr(d.adbin, d.adrelid), 'generated', a.attgenerated, 'identity', a.attidentity, 'collation', nullif(a.attcollation, 0)::regcollation::text,
    'storage', a.attstorage, 'compression', a.attcompression, 'statistics', coalesce(a.attstattarget, -1), 'options', a.attoptions, 'foreign options', a.attfdwoptions,
    'place', CASE WHEN c.relkind IN ('c', 'v', 'm') THEN row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum) END))::text
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE :users AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped :sorted;
-- The copies that a foreign key to or on a partitioned table keeps per partition are named by the server as it likes.
SELECT json_build_array('constraint', n.nspname, coalesce(nullif(c.conrelid, 0)::regclass::text, c.contypid::regtype::text), c.conname,
    json_build_object('definition', pg_get_constraintdef(c.oid), 'validated', c.convalidated, 'triggers', (SELECT array_agg(DISTINCT t.tgenabled) FROM pg_trigger t WHERE t.tgconstraint = c.oid AND t.tgrelid = c.conrelid)))::text
FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE :users AND NOT (c.contype = 'f' AND c.conparentid <> 0) :sorted;
SELECT json_build_array('index', n.nspname, c.relname, json_build_object('definition', pg_get_indexdef(c.oid), 'valid', i.indisvalid, 'ready', i.indisready, 'immediate', i.indimmediate,
    'clustered', i.indisclustered, 'replica identity', i.indisreplident, 'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace),
    'parent', (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = c.oid),
    'statistics', (SELECT json_agg(json_build_array(a.attnum, a.attstattarget) ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND coalesce(a.attstattarget, -1) >= 0)))::text
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE :users :sorted;

-- Programs: functions, aggregates, triggers, rules, policies.
SELECT json_build_array('function', p.oid::regprocedure::text, CASE WHEN p.prokind <> 'a' THEN to_jsonb(pg_get_functiondef(p.oid))
    ELSE (SELECT to_jsonb(a) - 'aggfnoid' || jsonb_build_object('parallel', p.proparallel, 'aggtranstype', a.aggtranstype::regtype::text, 'aggmtranstype', a.aggmtranstype::regtype::text,
      'aggsortop', a.aggsortop::regoperator::text, 'arguments', pg_get_function_arguments(p.oid)) FROM pg_aggregate a WHERE a.aggfnoid = p.oid) END)::text
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE :users :sorted;
SELECT json_build_array('trigger', t.tgrelid::regclass::text, t.tgname, pg_get_triggerdef(t.oid), t.tgenabled)::text
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE :users AND NOT t.tgisinternal :sorted;
SELECT json_build_array('rule', r.ev_class::regclass::text, r.rulename, pg_get_ruledef(r.oid), r.ev_enabled)::text
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace WHERE :users AND r.rulename <> '_RETURN' :sorted;
SELECT json_build_array('policy', p.polrelid::regclass::text, p.polname, p.polcmd, p.polpermissive, (SELECT array_agg(r::regrole::text ORDER BY r::regrole::text) FROM unnest(p.polroles) r),
  pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))::text FROM pg_policy p :sorted;
SELECT json_build_array('event trigger', evtname, evtevent, evtfoid::regprocedure::text, evtenabled, evttags)::text FROM pg_event_trigger :sorted;

-- Types; the columns and constraints above hold the attributes of composite types and the checks of domains.
SELECT json_build_array('type', t.oid::regtype::text, json_build_object('kind', t.typtype, 'category', t.typcategory, 'preferred', t.typispreferred, 'delimiter', t.typdelim,
    'base', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END, 'not null', t.typnotnull, 'default', t.typdefault, 'collation', nullif(t.typcollation, 0)::regcollation::text,
    'storage', t.typstorage, 'alignment', t.typalign, 'bytes', CASE WHEN t.typtype <> 'c' THEN t.typlen END, 'input', t.typinput, 'output', t.typoutput, 'receive', t.typreceive, 'send', t.typsend,
    'analyze', t.typanalyze, 'labels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
    'range', (SELECT json_build_array(r.rngsubtype::regtype, r.rngmultitypid::regtype, nullif(r.rngcollation, 0)::regcollation, r.rngcanonical, r.rngsubdiff, o.opcname) FROM pg_range r JOIN pg_opclass o ON o.oid = r.rngsubopc WHERE r.rngtypid = t.oid)))::text
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE :users AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_class WHERE oid = t.typrelid AND relkind = 'c')) AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid) :sorted;

-- What else a schema can hold.
SELECT json_build_array('sequence', s.seqrelid::regclass::text, s.seqtypid::regtype, to_jsonb(s) - ARRAY['seqrelid', 'seqtypid'], c.relpersistence,
  (SELECT json_build_array(d.deptype, d.refobjid::regclass::text, a.attname) FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass))::text
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE :users :sorted;
SELECT json_build_array('extended statistics', n.nspname, s.stxname, pg_get_statisticsobjdef(s.oid), coalesce(s.stxstattarget, -1))::text
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE :users :sorted;
SELECT json_build_array('operator', o.oid::regoperator::text, o.oprcode, o.oprcom::regoperator::text, o.oprnegate::regoperator::text, o.oprrest, o.oprjoin, o.oprcanmerge, o.oprcanhash)::text
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE :users :sorted;
SELECT json_build_array('operator class', i.identity, o.opcintype::regtype, o.opcdefault, nullif(o.opckeytype, 0)::regtype)::text
FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace, pg_identify_object('pg_opclass'::regclass, o.oid, 0) i WHERE :users :sorted;
SELECT json_build_array('family member', f.identity, 'operator', a.amoplefttype::regtype, a.amoprighttype::regtype, a.amopstrategy, a.amoppurpose, a.amopopr::regoperator::text)::text
FROM pg_amop a, pg_identify_object('pg_opfamily'::regclass, a.amopfamily, 0) f WHERE a.oid >= 16384
UNION ALL SELECT json_build_array('family member', f.identity, 'function', a.amproclefttype::regtype, a.amprocrighttype::regtype, a.amprocnum, a.amproc)::text
FROM pg_amproc a, pg_identify_object('pg_opfamily'::regclass, a.amprocfamily, 0) f WHERE a.oid >= 16384 :sorted;
SELECT json_build_array('cast', c.castsource::regtype, c.casttarget::regtype, c.castfunc::regprocedure::text, c.castcontext, c.castmethod)::text FROM pg_cast c WHERE c.oid >= 16384 :sorted;
SELECT json_build_array('collation', n.nspname, to_jsonb(c) - ARRAY['oid', 'collnamespace', 'collowner'])::text
FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE :users
UNION ALL SELECT json_build_array('conversion', n.nspname, to_jsonb(c) - ARRAY['oid', 'connamespace', 'conowner'])::text
FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace WHERE :users
UNION ALL SELECT json_build_array('text search template', n.nspname, to_jsonb(t) - ARRAY['oid', 'tmplnamespace'])::text
FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace WHERE :users
UNION ALL SELECT json_build_array('text search parser', n.nspname, to_jsonb(p) - ARRAY['oid', 'prsnamespace'])::text
FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace WHERE :users
UNION ALL SELECT json_build_array('text search dictionary', d.oid::regdictionary, i.identity, d.dictinitoption)::text
FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace, pg_identify_object('pg_ts_template'::regclass, d.dicttemplate, 0) i WHERE :users
UNION ALL SELECT json_build_array('text search configuration', c.oid::regconfig, i.identity, m.maptokentype, m.mapseqno, m.mapdict::regdictionary)::text
FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace LEFT JOIN pg_ts_config_map m ON m.mapcfg = c.oid, pg_identify_object('pg_ts_parser'::regclass, c.cfgparser, 0) i WHERE :users :sorted;

-- What belongs to no schema.
SELECT json_build_array('extension', e.extname, e.extversion, n.nspname, (SELECT array_agg(json_build_array(c::regclass, e.extcondition[o])::text ORDER BY c::regclass::text) FROM unnest(e.extconfig) WITH ORDINALITY u (c, o)))::text
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace :sorted;
SELECT json_build_array('language', to_jsonb(l) - ARRAY['oid', 'lanowner', 'lanacl', 'lanplcallfoid', 'laninline', 'lanvalidator'] || jsonb_build_object('programs', ARRAY[l.lanplcallfoid::regprocedure::text, l.laninline::regprocedure::text, l.lanvalidator::regprocedure::text]))::text FROM pg_language l
UNION ALL SELECT json_build_array('access method', amname, amhandler, amtype)::text FROM pg_am WHERE oid >= 16384
UNION ALL SELECT json_build_array('transform', trftype::regtype, l.lanname, trffromsql, trftosql)::text FROM pg_transform JOIN pg_language l ON l.oid = trflang
UNION ALL SELECT json_build_array('foreign data wrapper', fdwname, fdwhandler, fdwvalidator, fdwoptions)::text FROM pg_foreign_data_wrapper
UNION ALL SELECT json_build_array('foreign server', s.srvname, w.fdwname, s.srvtype, s.srvversion, s.srvoptions)::text FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
UNION ALL SELECT json_build_array('user mapping', srvname, usename, umoptions)::text FROM pg_user_mappings
UNION ALL SELECT json_build_array('publication', to_jsonb(p) - ARRAY['oid', 'pubowner'])::text FROM pg_publication p
UNION ALL SELECT json_build_array('publication table', to_jsonb(p))::text FROM pg_publication_tables p
UNION ALL SELECT json_build_array('subscription', s.subname, s.subslotname, s.subpublications)::text FROM pg_subscription s
  WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) :sorted;
SELECT json_build_array('large object', m.oid, length(c), md5(c))::text FROM pg_largeobject_metadata m, lo_get(m.oid) c ORDER BY m.oid;

-- Values of sequences, then rows: counted, and hashed by the server. A row's text is the output functions of its
-- columns in the order of their names; two sums of 64-bit hashes do not depend on the order of rows and see doubled ones.
SELECT format('SELECT json_build_array(''sequence value'', %L::text, last_value, is_called) FROM %s', s.seqrelid::regclass, s.seqrelid::regclass)
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE :users :sorted
\gexec
WITH tables AS (
  SELECT c.oid, c.relkind = 'p' AS partitioned, EXISTS (
    SELECT FROM pg_partition_ancestors(c.oid) a JOIN pg_partitioned_table p ON p.partrelid = a.relid WHERE p.partstrat = 'h') AS by_hash,
    c.relispartition AS part, EXISTS (SELECT FROM pg_partition_tree(c.oid) a JOIN pg_partitioned_table p ON p.partrelid = a.relid WHERE p.partstrat = 'h') AS holds_hash
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE :users AND c.relkind IN ('r', 'p'))
SELECT format('SELECT json_build_array(''rows'', %L::text, count(*), coalesce(sum(hashtextextended(r, 0)), 0), coalesce(sum(hashtextextended(r, 20231)), 0)) FROM (SELECT ROW(%s)::text COLLATE "C" AS r FROM %s %s t OFFSET 0) q',
  t.oid::regclass, (SELECT string_agg(format('t.%I', a.attname), ', ' ORDER BY a.attname COLLATE "C") FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped),
  CASE WHEN NOT t.partitioned THEN 'ONLY' END, t.oid::regclass)
FROM tables t WHERE CASE WHEN t.partitioned THEN t.holds_hash AND NOT t.part ELSE NOT t.by_hash END :sorted
\gexec
COMMIT;
