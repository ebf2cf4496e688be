-- Part three of the demo database: what guards and serves the rows. Keys, indexes, functions, triggers, views,
-- rights, comments, and settings of the database itself.

-- A label put in between later: its place in the catalog is a fraction. No row may use it in this transaction.
ALTER TYPE accounting.payment_status ADD VALUE 'refunded' BEFORE 'failed';
-- A column that was dropped, and one whose value the rows do not hold (the catalog does).
ALTER TABLE public.iot_devices DROP COLUMN wire_name;
ALTER TABLE public.iot_devices ADD COLUMN firmware_channel text NOT NULL DEFAULT 'stable';
ALTER TABLE public.documents ALTER COLUMN thumbnail SET STORAGE EXTERNAL;
ALTER TABLE public.notifications SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE public.owners ALTER COLUMN last_name SET STATISTICS 300;
SELECT setval('public.contract_number_seq', 742, false) \g /dev/null
SELECT nextval('accounting.countdown_seq') \g /dev/null

ALTER TABLE public.iot_readings ADD PRIMARY KEY (id);
ALTER TABLE public.audit_logs ADD PRIMARY KEY (occurred_at, id);
-- These two point at each other.
ALTER TABLE public.buildings ADD CONSTRAINT managed_by FOREIGN KEY (organization_id) REFERENCES public.organizations;
ALTER TABLE public.organizations ADD CONSTRAINT has_main_building FOREIGN KEY (main_building_id)
  REFERENCES public.buildings ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE public.units ADD FOREIGN KEY (building_id) REFERENCES public.buildings ON DELETE CASCADE;
ALTER TABLE public.unit_owners
  ADD FOREIGN KEY (unit_id) REFERENCES public.units,
  ADD FOREIGN KEY (owner_id) REFERENCES public.owners;
ALTER TABLE public.users ADD FOREIGN KEY (organization_id) REFERENCES public.organizations;
ALTER TABLE public.two_factor_secrets ADD FOREIGN KEY (user_id) REFERENCES public.users ON DELETE CASCADE;
ALTER TABLE accounting.accounts
  ADD FOREIGN KEY (organization_id) REFERENCES public.organizations,
  ADD FOREIGN KEY (parent_id) REFERENCES accounting.accounts;
ALTER TABLE accounting.journal_entries ADD FOREIGN KEY (organization_id) REFERENCES public.organizations;
ALTER TABLE accounting.journal_entry_lines
  ADD FOREIGN KEY (entry_id) REFERENCES accounting.journal_entries ON DELETE CASCADE,
  ADD FOREIGN KEY (account_id) REFERENCES accounting.accounts;
ALTER TABLE accounting.expenses
  ADD FOREIGN KEY (building_id) REFERENCES public.buildings,
  ADD FOREIGN KEY (supplier_id) REFERENCES public.suppliers (id),
  ADD FOREIGN KEY (entry_id) REFERENCES accounting.journal_entries ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE accounting.call_for_funds ADD FOREIGN KEY (building_id) REFERENCES public.buildings;
ALTER TABLE accounting.owner_contributions
  ADD FOREIGN KEY (call_id) REFERENCES accounting.call_for_funds,
  ADD FOREIGN KEY (owner_id) REFERENCES public.owners;
ALTER TABLE accounting.payments ADD FOREIGN KEY (contribution_id) REFERENCES accounting.owner_contributions;
ALTER TABLE public.meetings ADD FOREIGN KEY (building_id) REFERENCES public.buildings;
ALTER TABLE public.resolutions ADD FOREIGN KEY (meeting_id) REFERENCES public.meetings;
ALTER TABLE public.votes
  ADD FOREIGN KEY (resolution_id) REFERENCES public.resolutions,
  ADD FOREIGN KEY (owner_id) REFERENCES public.owners;
ALTER TABLE public.documents ADD FOREIGN KEY (building_id) REFERENCES public.buildings;
ALTER TABLE public.tickets
  ADD FOREIGN KEY (organization_id) REFERENCES public.organizations,
  ADD FOREIGN KEY (building_id) REFERENCES public.buildings;
ALTER TABLE public.ticket_messages ADD FOREIGN KEY (ticket_id) REFERENCES public.tickets ON DELETE CASCADE;
ALTER TABLE public.notifications ADD FOREIGN KEY (user_id) REFERENCES public.users;
ALTER TABLE public.iot_devices ADD FOREIGN KEY (building_id) REFERENCES public.buildings;
ALTER TABLE public.iot_readings ADD FOREIGN KEY (device_id) REFERENCES public.iot_devices;

CREATE INDEX ON public.buildings USING gin (tags);
CREATE INDEX ON public.units (building_id, floor DESC NULLS LAST) INCLUDE (surface);
CREATE UNIQUE INDEX owners_email_key ON public.owners (lower(email)) WHERE email IS NOT NULL;
CREATE INDEX owners_name ON public.owners (last_name COLLATE "C", first_name);
CREATE INDEX ON public.unit_owners USING gist (held);
CREATE INDEX ON accounting.journal_entry_lines (entry_id);
CREATE INDEX ON accounting.journal_entry_lines (account_id) WHERE debit > 0;
CREATE INDEX ON accounting.owner_contributions (call_id);
CREATE INDEX payments_pending ON accounting.payments (updated_at) WHERE status = 'pending';
CREATE INDEX ON public.documents USING gin (words);
CREATE INDEX ON public.tickets (building_id) WHERE status <> 'closed';
CREATE INDEX ON public.ticket_messages USING hash (ticket_id);
CREATE INDEX ON public.notifications (user_id) WHERE read_at IS NULL;
CREATE INDEX audit_logs_details ON public.audit_logs USING gin (details jsonb_path_ops);
CREATE INDEX iot_readings_measured_at ON public.iot_readings USING brin (measured_at) WITH (pages_per_range = 32);
CREATE INDEX iot_readings_device ON public.iot_readings (device_id, measured_at);
CREATE STATISTICS public.unit_kinds (dependencies, mcv) ON kind, floor FROM public.units;
ALTER TABLE public.tickets ADD CONSTRAINT tickets_number_key UNIQUE (number) DEFERRABLE;
ALTER TABLE public.units CLUSTER ON units_pkey;
ALTER TABLE public.organizations REPLICA IDENTITY USING INDEX organizations_slug_key;

CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END
$$;
CREATE FUNCTION public.record_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $body$
BEGIN
  INSERT INTO public.audit_logs (actor, action, details)
  VALUES (session_user, TG_TABLE_NAME || '.' || lower(TG_OP), to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END));
  RETURN NULL;
END
$body$;
CREATE FUNCTION accounting.check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  difference numeric;
BEGIN
  SELECT coalesce(sum(debit - credit), 0) INTO difference FROM accounting.journal_entry_lines WHERE entry_id = NEW.entry_id;
  IF difference <> 0 THEN
    RAISE EXCEPTION 'entry % is off balance by %', NEW.entry_id, difference USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END
$$;
CREATE FUNCTION accounting.balance_of(account uuid, OUT debit numeric, OUT credit numeric)
  LANGUAGE sql STABLE PARALLEL SAFE COST 250 AS
  'SELECT sum(l.debit), sum(l.credit) FROM accounting.journal_entry_lines l WHERE l.account_id = $1';
CREATE FUNCTION accounting.cents(euros numeric DEFAULT 0.01) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT
  RETURN (round(euros * 100))::bigint;
CREATE PROCEDURE accounting.mark_paid(contribution uuid, VARIADIC remarks text[] DEFAULT '{}') LANGUAGE plpgsql AS $$
BEGIN
  UPDATE accounting.owner_contributions SET paid_on = current_date WHERE id = contribution;
  RAISE NOTICE E'paid: %\n\\', remarks;
END
$$;
CREATE AGGREGATE accounting.total_cents (bigint)
  (SFUNC = int8pl, STYPE = bigint, INITCOND = '0', PARALLEL = SAFE, COMBINEFUNC = int8pl);

CREATE TRIGGER touch BEFORE UPDATE ON public.buildings
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION public.touch();
CREATE TRIGGER touch BEFORE UPDATE ON public.owners FOR EACH ROW EXECUTE FUNCTION public.touch();
CREATE TRIGGER touch BEFORE UPDATE OF status, title ON public.tickets FOR EACH ROW EXECUTE FUNCTION public.touch();
CREATE TRIGGER touch BEFORE UPDATE ON accounting.payments FOR EACH ROW EXECUTE FUNCTION public.touch();
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON accounting.payments
  FOR EACH ROW EXECUTE FUNCTION public.record_change();
CREATE TRIGGER record_change AFTER UPDATE OR DELETE ON public.tickets FOR EACH ROW EXECUTE FUNCTION public.record_change();
CREATE CONSTRAINT TRIGGER balanced AFTER INSERT OR UPDATE ON accounting.journal_entry_lines DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION accounting.check_balance();
CREATE TRIGGER former_rule BEFORE UPDATE ON public.votes FOR EACH ROW EXECUTE FUNCTION public.touch();
ALTER TABLE public.votes DISABLE TRIGGER former_rule;
ALTER TABLE public.buildings ENABLE ALWAYS TRIGGER touch;

CREATE VIEW public.current_unit_owners AS
  SELECT u.building_id, u.unit_number, o.first_name, o.last_name, uo.percentage
  FROM public.unit_owners uo JOIN public.units u ON u.id = uo.unit_id JOIN public.owners o ON o.id = uo.owner_id
  WHERE upper_inf(uo.held);
CREATE VIEW accounting.account_balances WITH (security_barrier) AS
  SELECT a.organization_id, a.code, a.label, coalesce(sum(l.debit - l.credit), 0) AS balance
  FROM accounting.accounts a LEFT JOIN accounting.journal_entry_lines l ON l.account_id = a.id GROUP BY a.id;
CREATE VIEW accounting.open_contributions AS
  SELECT * FROM accounting.owner_contributions WHERE paid_on IS NULL WITH LOCAL CHECK OPTION;
CREATE MATERIALIZED VIEW public.building_summary AS
  SELECT b.id AS building_id, b.name, (b.address).city, count(u.*) AS units, sum(u.shares) AS shares,
    accounting.cents(sum(u.surface)) AS surface_cents
  FROM public.buildings b LEFT JOIN public.units u ON u.building_id = b.id GROUP BY b.id;
CREATE UNIQUE INDEX building_summary_key ON public.building_summary (building_id);

ALTER TABLE public.tickets ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON public.tickets
  USING (organization_id = nullif(current_setting('coffre_demo.organization', true), '')::uuid)
  WITH CHECK (status <> 'closed');
CREATE POLICY nothing_urgent ON public.tickets AS RESTRICTIVE FOR DELETE USING (priority <> 'urgent');

REVOKE ALL ON FUNCTION public.record_change() FROM PUBLIC;
GRANT USAGE ON SCHEMA accounting TO PUBLIC;
GRANT SELECT ON public.current_unit_owners TO PUBLIC;
GRANT SELECT (id, name), REFERENCES (id) ON public.buildings TO PUBLIC;
GRANT SELECT ON LARGE OBJECT 90002 TO PUBLIC;
\if :roles
DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['coffre_demo_accountant', 'coffre_demo_reader'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another demo database of this cluster has made it
    END;
  END LOOP;
END
$$;
ALTER TABLE accounting.exchange_rates OWNER TO coffre_demo_accountant;
ALTER FUNCTION accounting.cents(numeric) OWNER TO coffre_demo_accountant;
ALTER LARGE OBJECT 90002 OWNER TO coffre_demo_accountant;
ALTER LARGE OBJECT 90006 OWNER TO coffre_demo_reader;
GRANT SELECT ON LARGE OBJECT 90001 TO coffre_demo_reader WITH GRANT OPTION;
GRANT SELECT ON ALL TABLES IN SCHEMA accounting TO coffre_demo_reader;
GRANT INSERT, UPDATE (status) ON accounting.payments TO coffre_demo_accountant;
ALTER DEFAULT PRIVILEGES IN SCHEMA accounting GRANT SELECT ON TABLES TO coffre_demo_reader;
CREATE POLICY reader_sees_all ON public.tickets FOR SELECT TO coffre_demo_reader USING (true);
ALTER ROLE coffre_demo_reader IN DATABASE :"DBNAME" SET work_mem = '8MB';
\endif

COMMENT ON SCHEMA accounting IS 'Double entry, per organization';
COMMENT ON TABLE public.units IS E'What is owned: it''s a "lot"\n\tsecond line, C:\\path; -- no comment\n';
COMMENT ON COLUMN public.units.shares IS 'in ten-thousandths; "tantièmes" 🏢';
COMMENT ON TABLE public."Étage: ""niveau""" IS $$it's "here"$$;
COMMENT ON COLUMN public."Étage: ""niveau""".U&"new\000Aline" IS 'a column whose name has two lines';
COMMENT ON CONSTRAINT debit_xor_credit ON accounting.journal_entry_lines IS 'one side of the book or the other';
COMMENT ON FUNCTION accounting.balance_of(uuid) IS 'the two sides of an account';
COMMENT ON TYPE public.unit_kind IS 'apartment, parking, …';
COMMENT ON DOMAIN public.email_address IS 'looks like one';
COMMENT ON TRIGGER balanced ON accounting.journal_entry_lines IS 'at commit';
COMMENT ON POLICY own_organization ON public.tickets IS 'a user sees the tickets of its syndic';
COMMENT ON INDEX public.owners_email_key IS 'one owner per address';
COMMENT ON VIEW public.current_unit_owners IS E'\\.';
COMMENT ON SEQUENCE public.contract_number_seq IS 'set, and not yet called';
COMMENT ON LARGE OBJECT 90001 IS E'plan of the cellar\n300 kB';
COMMENT ON DATABASE :"DBNAME" IS E'demo of coffre: "co-owned" buildings\nit''s made up';
-- Settings under which a careless dump writes other values than it read.
ALTER DATABASE :"DBNAME" SET datestyle = 'SQL, DMY';
ALTER DATABASE :"DBNAME" SET intervalstyle = 'sql_standard';
ALTER DATABASE :"DBNAME" SET timezone = 'Europe/Brussels';
ALTER DATABASE :"DBNAME" SET extra_float_digits = 0;
ALTER DATABASE :"DBNAME" SET bytea_output = 'escape';
ALTER DATABASE :"DBNAME" SET search_path = public, accounting;
ALTER DATABASE :"DBNAME" CONNECTION LIMIT 90;
