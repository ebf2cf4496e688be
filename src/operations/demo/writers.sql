-- What keeps changing the demo database while a backup runs. Any number of clients, any scale, for as long as wanted:
--
--   pgbench -n -f writers.sql -c 2 -T 30 demo
--
-- It never fails and never needs a retry: keys are fresh, rows to change are taken with SKIP LOCKED, parents are
-- locked before a child is added, and what must have a whole table gives up after a tenth of a second. Tables
-- neither grow nor shrink much. Names are written out, so the database's search path does not matter.

\set cents random(1, 90000)
\set rare random(1, 40)

-- Meters report, and one old reading goes.
INSERT INTO public.iot_readings (device_id, measured_at, metric, value, quality, payload, note)
SELECT id, clock_timestamp(), 'water', :cents * 0.001, 0.5, jsonb_build_object('rssi', -:rare, 'writer', :client_id),
  E'written\tduring the backup'
FROM public.iot_devices WHERE id >= (SELECT gen_random_uuid()) ORDER BY id LIMIT 4;
DELETE FROM public.iot_readings WHERE id IN (
  SELECT id FROM public.iot_readings WHERE id >= (SELECT gen_random_uuid()) ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED);
UPDATE public.iot_readings SET value = value + 1, note = 'corrected' WHERE id = (
  SELECT id FROM public.iot_readings WHERE id >= (SELECT gen_random_uuid()) ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED);

-- A payment and its place in the books, in one transaction; each payment writes the audit log by its trigger.
BEGIN;
INSERT INTO accounting.payments (contribution_id, amount_cents, idempotency_key, message)
SELECT id, :cents, 'writer-' || gen_random_uuid(), E'structured\\\nmessage 🏢'
FROM accounting.owner_contributions WHERE id >= (SELECT gen_random_uuid()) ORDER BY id LIMIT 1;
WITH entry AS (
  INSERT INTO accounting.journal_entries (organization_id, entry_date, description)
  SELECT id, current_date, 'payment of ' || :cents || ' cents' FROM public.organizations ORDER BY md5(id::text || :cents) LIMIT 1
  RETURNING id, organization_id)
INSERT INTO accounting.journal_entry_lines (entry_id, account_id, debit, credit)
SELECT entry.id, a.id, CASE a.code WHEN '550' THEN :cents * 0.01 ELSE 0 END, CASE a.code WHEN '400' THEN :cents * 0.01 ELSE 0 END
FROM entry JOIN accounting.accounts a ON a.organization_id = entry.organization_id AND a.code IN ('400', '550');
END;
UPDATE accounting.payments SET status = 'refunded' WHERE id = (
  SELECT id FROM accounting.payments WHERE id >= (SELECT gen_random_uuid()) ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED);
DELETE FROM accounting.payments WHERE id = (
  SELECT id FROM accounting.payments WHERE id >= (SELECT gen_random_uuid()) ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED);

-- Tickets come, are talked about, change, and go with their messages.
INSERT INTO public.tickets (organization_id, building_id, title, tags)
SELECT organization_id, id, 'written during the backup', ARRAY['writer', NULL]
FROM public.buildings WHERE id >= (SELECT gen_random_uuid()) ORDER BY id LIMIT 1;
WITH ticket AS MATERIALIZED (
  SELECT id FROM public.tickets WHERE id >= (SELECT gen_random_uuid()) ORDER BY id LIMIT 1 FOR KEY SHARE SKIP LOCKED)
INSERT INTO public.ticket_messages (ticket_id, body) SELECT id, 'seen by client ' || :client_id FROM ticket;
UPDATE public.tickets SET status = 'done' WHERE id = (
  SELECT id FROM public.tickets WHERE id >= (SELECT gen_random_uuid()) ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED);
DELETE FROM public.tickets WHERE id = (
  SELECT id FROM public.tickets WHERE id >= (SELECT gen_random_uuid()) ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED);

INSERT INTO public.audit_logs (actor, action, details) VALUES ('writer', 'login', jsonb_build_object('client', :client_id));
DELETE FROM public.audit_logs WHERE (occurred_at, id) IN (
  SELECT occurred_at, id FROM public.audit_logs ORDER BY occurred_at LIMIT 5 FOR UPDATE SKIP LOCKED);

-- Now and then: a small table is emptied and filled anew (unless somebody reads it), a large object is rewritten.
\if :rare = 1
DO $$
BEGIN
  PERFORM set_config('lock_timeout', '100ms', true);
  TRUNCATE accounting.exchange_rates;
  INSERT INTO accounting.exchange_rates
  SELECT c, 1 + random(), clock_timestamp() FROM unnest(ARRAY['CHF', 'GBP', 'USD', 'SEK', 'DKK', 'PLN', 'CZK', 'JPY']) c;
EXCEPTION WHEN lock_not_available THEN NULL;
END
$$;
\elif :rare = 2
BEGIN;
SELECT pg_advisory_xact_lock(90006);
SELECT lo_put(90006, 0, convert_to('rewritten ' || clock_timestamp()::text, 'UTF8'));
END;
\endif
