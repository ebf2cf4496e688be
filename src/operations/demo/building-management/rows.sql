-- Part two of the demo database: the rows. Every value is computed from a row number, so every run makes the
-- same; the hash functions are those of hash partitioning, which no release of PostgreSQL may change.

-- A number from 0 to bound - 1; each salt gives another series.
CREATE FUNCTION pg_temp.draw(n bigint, salt bigint, bound bigint) RETURNS integer LANGUAGE sql IMMUTABLE AS
  $$ SELECT ((hashint8extended(n, salt) & 4611686018427387903) % bound)::integer $$;
-- The uuid of the n-th thing of a kind.
CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
  $$ SELECT md5(kind || n::text)::uuid $$;
CREATE FUNCTION pg_temp.pick(list text[], n bigint, salt bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
  $$ SELECT list[1 + ((hashint8extended(n, salt) & 4611686018427387903) % array_length(list, 1))::integer] $$;

CREATE FUNCTION pg_temp.city(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT pg_temp.pick(ARRAY[
    'Bruxelles', 'Liège', 'Namur', 'Gent', 'Antwerpen', 'Mons', 'Charleroi', 'Leuven', 'Brugge', 'Arlon', 'Tournai',
    'Hasselt', 'Ixelles', 'Uccle', 'Wavre', 'Mechelen'
  ], n, 1) $$;
CREATE FUNCTION pg_temp.street(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT pg_temp.pick(ARRAY[
    'Rue de la Station', 'Avenue des Tilleuls', 'Chaussée de Wavre', 'Rue Haute', 'Place du Marché', 'Kerkstraat',
    'Avenue Louise', 'Quai au Bois', 'Boulevard du Midi', 'Rue du Moulin', 'Molenweg', 'Clos des Érables',
    'Drève du Château', 'Stationsstraat', 'Square Montgomery', 'Rue de l''Église'
  ], n, 2) || ' ' || (1 + pg_temp.draw(n, 3, 240))::text $$;
CREATE FUNCTION pg_temp.first_name(n bigint, salt bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT pg_temp.pick(ARRAY[
    'Anne', 'Bernard', 'Chloé', 'David', 'Élise', 'François', 'Greta', 'Hugo', 'Inès', 'Jan', 'Karim', 'Lotte',
    'Maxime', 'Nadia', 'Olivier', 'Pauline', 'Quentin', 'Rosa', 'Samir', 'Thérèse', 'Ulrich', 'Véronique', 'Wout',
    'Yasmine'
  ], n, salt) $$;
CREATE FUNCTION pg_temp.last_name(n bigint, salt bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT pg_temp.pick(ARRAY[
    'Peeters', 'Janssens', 'Dubois', 'Lambert', 'Maes', 'Dupont', 'Martin', 'Jacobs', 'Mertens', 'Willems', 'Claes',
    'Simon', 'Leroy', 'Goossens', 'Wouters', 'Laurent', 'El Amrani', 'De Smet', 'Van Damme', 'O''Brien', 'Renard',
    'Noël', 'Da Silva', 'Nguyen', 'Yılmaz', 'Kowalski', 'Lefèvre', 'Hermans', 'Michel', 'Fontaine', 'Charlier',
    'Stevens'
  ], n, salt) $$;
-- Words of the trade: what was done, to what, where, and how it stands.
CREATE FUNCTION pg_temp.verb(n bigint, salt bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT pg_temp.pick(ARRAY[
    'repair', 'inspect', 'replace', 'clean', 'paint', 'insulate', 'maintain', 'renew', 'measure', 'test', 'order',
    'approve', 'check', 'drain', 'install', 'remove', 'adjust', 'secure', 'survey', 'invoice', 'quote', 'plan', 'close',
    'reopen'
  ], n, salt) $$;
CREATE FUNCTION pg_temp.thing(n bigint, salt bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT pg_temp.pick(ARRAY[
    'lift', 'boiler', 'roof', 'façade', 'gutter', 'intercom', 'garage door', 'staircase', 'water meter', 'heat pump',
    'fire alarm', 'letter boxes', 'cellar light', 'chimney', 'terrace', 'window frames', 'sewer', 'ventilation',
    'solar panels', 'hedge', 'bicycle room', 'entrance hall', 'radiator', 'main fuse', 'parking gate', 'water softener',
    'balcony rail', 'skylight', 'waste room', 'pump', 'expansion tank', 'emergency exit'
  ], n, salt) $$;
CREATE FUNCTION pg_temp.place(n bigint, salt bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT pg_temp.pick(ARRAY[
    'block A', 'block B', 'ground floor', 'first floor', 'second floor', 'third floor', 'top floor', 'basement',
    'courtyard', 'street side', 'garden side', 'north wing', 'south wing', 'left entrance', 'right entrance', 'car park'
  ], n, salt) $$;
CREATE FUNCTION pg_temp.state(n bigint, salt bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT pg_temp.pick(ARRAY[
    'urgent', 'accepted by the council', 'waiting for a second quote', 'under warranty', 'to be paid by the owner',
    'covered by insurance', 'postponed to spring', 'done and checked', 'disputed', 'approved by the meeting',
    'in the yearly budget', 'tenant informed', 'key at the caretaker', 'no answer so far', 'access by the neighbour',
    'report attached'
  ], n, salt) $$;
CREATE FUNCTION pg_temp.phrase(n bigint, salt bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT pg_temp.verb(n, salt) || ' ' || pg_temp.thing(n, salt + 1) || ', ' || pg_temp.place(n, salt + 2)
    || ' ' || pg_temp.draw(n, salt + 3, 10000)::text || ': ' || pg_temp.state(n, salt + 4) $$;
-- What breaks careless quoting: tabs, newlines, backslashes, the end mark of COPY, characters of two to four bytes.
CREATE FUNCTION pg_temp.awkward(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $body$
  SELECT (ARRAY[E'first line\nsecond\tline', E'C:\\temp\\new \\N \\.', E'\\.', E'\\N', '', 'NULL', E'\r\n',
    E'"quoted", ''twice'' $$ ; --', 'façade 🏢 ≈ 12 m² – ok 👍🏽', E'\u0001 control', '{"a": [1]}',
    ' spaces '])[1 + (n % 12)::integer] $body$;

INSERT INTO public.organizations
SELECT pg_temp.id('organization', n), 'Syndic ' || pg_temp.last_name(n, 5) || ' ' || pg_temp.city(n), 'syndic-' || n,
  'office' || n || '@syndic.example', (ARRAY['starter', 'professional', 'enterprise'])[1 + n % 3]::public.subscription_plan,
  NULL,
  jsonb_build_object('language', CASE n % 2 WHEN 0 THEN 'fr' ELSE 'nl' END,
    'fiscalYear', jsonb_build_object('month', 1 + n % 12)),
  timestamptz '2021-03-01 08:00:00+00' + n * interval '11 days 3 hours'
FROM generate_series(1, :n_organizations) n;

INSERT INTO public.buildings
SELECT pg_temp.id('building', n), pg_temp.id('organization', 1 + n % :n_organizations),
  'Résidence ' || pg_temp.last_name(n, 6) || ' ' || n,
  ROW(pg_temp.street(n), CASE WHEN n % 5 = 0 THEN 'boîte "' || n % 9 || '"' END, (1000 + pg_temp.draw(n, 7, 8990))::text,
    pg_temp.city(n), 'BE')::public.postal_address,
  1850 + pg_temp.draw(n, 8, 170), 10000,
  CASE WHEN n % 4 = 0 THEN ARRAY['lift', NULL, 'A, B', '{"curly"}', '']
    ELSE ARRAY[pg_temp.thing(n, 9), pg_temp.place(n, 10)] END,
  timestamptz '2025-06-01 00:00:00+00' + n * interval '7 minutes'
FROM generate_series(1, :n_buildings) n;
UPDATE public.organizations o
SET main_building_id = (SELECT min(b.id::text)::uuid FROM public.buildings b WHERE b.organization_id = o.id);

INSERT INTO public.units (id, building_id, unit_number, kind, floor, surface, shares)
SELECT pg_temp.id('unit', n), pg_temp.id('building', 1 + n % :n_buildings), 'U' || n,
  (ARRAY['apartment', 'apartment', 'parking', 'cellar', 'commercial', 'other'])[1 + pg_temp.draw(n, 11, 6)]::public.unit_kind,
  nullif(pg_temp.draw(n, 12, 9), 8) - 1, 8 + pg_temp.draw(n, 13, 20000) * 0.01, 50 + pg_temp.draw(n, 14, 900)
FROM generate_series(1, :n_units) n;

INSERT INTO public.owners
SELECT pg_temp.id('owner', n), pg_temp.first_name(n, 15), pg_temp.last_name(n, 16),
  CASE WHEN n % 11 > 0 THEN 'owner' || n || '@mail.example' END, '+32 4' || (70000000 + pg_temp.draw(n, 17, 29999999)),
  CASE WHEN n % 7 > 0 THEN
    ROW(pg_temp.street(n), NULL, (1000 + pg_temp.draw(n, 18, 8990))::text, pg_temp.city(n), 'BE')::public.postal_address END,
  (ARRAY['fr', 'nl', 'de', 'en'])[1 + n % 4], date '1935-01-01' + pg_temp.draw(n, 19, 25000),
  sha256(n::text::bytea), CASE WHEN n % 20 = 0 THEN pg_temp.awkward(n / 20) WHEN n % 3 = 0 THEN pg_temp.phrase(n, 20) END,
  timestamptz '2025-01-01 00:00:00+00' + n * interval '41 minutes'
FROM generate_series(1, :n_owners) n;
INSERT INTO public.unit_owners
SELECT pg_temp.id('unit', 1 + n % :n_units), pg_temp.id('owner', 1 + (n * 7 + n / :n_units) % :n_owners), 100.0 / (1 + n % 3),
  daterange(date '2015-01-01' + pg_temp.draw(n, 25, 3000), CASE WHEN n % 6 = 0 THEN date '2024-01-01' + n % 300 END)
FROM generate_series(1, :n_units + :n_units / 8) n ON CONFLICT DO NOTHING;

INSERT INTO public.users
SELECT pg_temp.id('user', n), pg_temp.id('organization', 1 + n % :n_organizations), 'user' || n || '@syndic.example',
  '$argon2id$v=19$m=65536$' || md5('salt' || n) || md5('hash' || n),
  ARRAY['member', (ARRAY['accountant', 'syndic', 'council'])[1 + n % 3]],
  ('10.' || n % 200 || '.' || n % 250 || '.' || 1 + n % 99)::inet, n % 40 = 0
FROM generate_series(1, :n_users) n;
INSERT INTO public.two_factor_secrets
SELECT pg_temp.id('user', n), sha256(('totp' || n)::bytea), ARRAY[left(md5('code' || n), 8), right(md5('code' || n), 8)]
FROM generate_series(1, :n_users, 3) n;
INSERT INTO public.contacts
SELECT pg_temp.id('contact', n), pg_temp.first_name(n, 26) || ' ' || pg_temp.last_name(n, 27), '112' FROM generate_series(1, 12) n;
INSERT INTO public.suppliers (id, name, trade, vat_number, phone)
SELECT pg_temp.id('supplier', n), pg_temp.last_name(n, 28) || ' & fils', pg_temp.thing(n, 29),
  'BE0' || (400000000 + pg_temp.draw(n, 30, 99999999)),
  CASE WHEN n % 3 > 0 THEN '+32 2 ' || (2000000 + pg_temp.draw(n, 31, 7999999)) END
FROM generate_series(1, :n_suppliers) n;

INSERT INTO accounting.accounts
SELECT pg_temp.id('account', o * 10 + a.place), pg_temp.id('organization', o), a.code, a.label,
  a.kind::accounting.account_kind, CASE WHEN a.place > 1 THEN pg_temp.id('account', o * 10 + 1) END
FROM generate_series(1, :n_organizations) o,
  (VALUES (1, '1', 'all', 'asset'), (2, '400', 'owners', 'asset'), (3, '411', 'VAT to recover', 'asset'),
    (4, '440', 'suppliers', 'liability'), (5, '550', 'bank', 'asset'), (6, '610', 'upkeep', 'cost'),
    (7, '700', 'calls for funds', 'income')) a (place, code, label, kind);
INSERT INTO accounting.journal_entries (id, organization_id, entry_date, description)
SELECT pg_temp.id('entry', n), pg_temp.id('organization', 1 + n % :n_organizations),
  date '2023-01-02' + n * 1000 / :n_entries, pg_temp.phrase(n, 32)
FROM generate_series(1, :n_entries) n;
INSERT INTO accounting.journal_entry_lines (entry_id, account_id, debit, credit, label)
SELECT pg_temp.id('entry', n), pg_temp.id('account', (1 + n % :n_organizations) * 10 + l.account),
  CASE l.place WHEN 1 THEN net WHEN 2 THEN vat ELSE 0 END, CASE l.place WHEN 3 THEN net + vat ELSE 0 END,
  CASE l.place WHEN 1 THEN pg_temp.thing(n, 33) WHEN 3 THEN 'invoice ' || pg_temp.draw(n, 37, 900000) END
FROM generate_series(1, :n_entries) n,
  LATERAL (SELECT (100 + pg_temp.draw(n, 38, 900000)) * 0.01 AS net, (20 + pg_temp.draw(n, 39, 90000)) * 0.01 AS vat) m,
  (VALUES (1, 6), (2, 3), (3, 4)) l (place, account);
INSERT INTO accounting.expenses (id, building_id, supplier_id, entry_id, net, vat_rate, expected, due, description)
SELECT pg_temp.id('expense', n), pg_temp.id('building', 1 + n % :n_buildings),
  CASE WHEN n % 9 > 0 THEN pg_temp.id('supplier', 1 + pg_temp.draw(n, 40, :n_suppliers)) END,
  CASE WHEN n % 4 > 0 THEN pg_temp.id('entry', 1 + n % :n_entries) END, (500 + pg_temp.draw(n, 41, 800000)) * 0.01,
  (ARRAY[0, 6, 12, 21])[1 + n % 4],
  CASE WHEN n % 5 = 0 THEN accounting.price_range(n % 100, 100 + n % 5000, '[]') END, date '2024-01-15' + n % 700,
  pg_temp.phrase(n, 42)
FROM generate_series(1, :n_expenses) n;
INSERT INTO accounting.call_for_funds
SELECT pg_temp.id('call', n), pg_temp.id('building', 1 + n % :n_buildings), 'Provision ' || 2023 + n % 4 || '/' || 1 + n % 12,
  1000 + pg_temp.draw(n, 47, 5000000) * 0.01, daterange(date '2023-01-01' + n % 1000, date '2023-04-01' + n % 1000)
FROM generate_series(1, :n_calls) n;
INSERT INTO accounting.owner_contributions
SELECT pg_temp.id('contribution', n), pg_temp.id('call', 1 + n % :n_calls),
  pg_temp.id('owner', 1 + pg_temp.draw(n, 48, :n_owners)), (1000 + pg_temp.draw(n, 49, 90000)) * 0.01, date '2023-02-01' + n % 1100,
  CASE WHEN n % 5 > 0 THEN date '2023-02-10' + n % 1100 END
FROM generate_series(1, :n_contributions) n;
INSERT INTO accounting.payments
SELECT pg_temp.id('payment', n), pg_temp.id('contribution', 1 + pg_temp.draw(n, 50, :n_contributions)),
  1000 + pg_temp.draw(n, 51, 90000),
  CASE n % 50 WHEN 0 THEN 'CHF' ELSE 'EUR' END, 'transfer-' || left(md5('key' || n), 16),
  (ARRAY['succeeded', 'succeeded', 'succeeded', 'pending', 'failed'])[1 + pg_temp.draw(n, 52, 5)]::accounting.payment_status,
  CASE WHEN n % 3 = 0 THEN '+++' || concat_ws('/', pg_temp.draw(n, 53, 1000), pg_temp.draw(n, 54, 10000),
    pg_temp.draw(n, 55, 100000)) || '+++' END,
  timestamptz '2024-01-01 00:00:00+00' + n * interval '29 minutes 13.217 seconds'
FROM generate_series(1, :n_payments) n;
INSERT INTO accounting.exchange_rates
SELECT c, 0.5 + pg_temp.draw(n, 56, 2000000) * 0.000001, timestamptz '2026-01-01 06:00:00+00' + n * interval '1 second'
FROM unnest(ARRAY['CHF', 'GBP', 'USD', 'SEK', 'DKK', 'PLN', 'CZK', 'JPY']) WITH ORDINALITY u (c, n);

INSERT INTO public.meetings (id, building_id, starts_at, lasted, quorum, minutes)
SELECT pg_temp.id('meeting', n), pg_temp.id('building', 1 + n % :n_buildings),
  timestamptz '2023-01-10 18:00:00+00' + n * interval '13 hours',
  CASE WHEN n % 6 > 0 THEN interval '1 hour' + n % 90 * interval '1 minute' END, pg_temp.draw(n, 57, 1000000) / 1000000.0,
  CASE WHEN n % 4 > 0 THEN (
    SELECT string_agg(pg_temp.phrase(n * 10 + p, 58), E'.\n' ORDER BY p) FROM generate_series(1, 5) p) END
FROM generate_series(1, :n_meetings) n;
INSERT INTO public.resolutions
SELECT pg_temp.id('resolution', n), pg_temp.id('meeting', 1 + n % :n_meetings), 1 + n / :n_meetings, pg_temp.phrase(n, 63),
  (ARRAY[0.5, 0.6666667, 0.8])[1 + n % 3]
FROM generate_series(0, :n_resolutions - 1) n;
INSERT INTO public.votes
SELECT pg_temp.id('resolution', n % :n_resolutions), pg_temp.id('owner', 1 + pg_temp.draw(n, 68, :n_owners)),
  (ARRAY['for', 'for', 'for', 'against', 'abstain'])[1 + pg_temp.draw(n, 69, 5)]::public.vote_choice,
  10 + pg_temp.draw(n, 70, 900)
FROM generate_series(1, :n_votes) n ON CONFLICT DO NOTHING;

INSERT INTO public.documents (id, building_id, title, sha256, content, thumbnail)
SELECT pg_temp.id('document', n), pg_temp.id('building', 1 + n % :n_buildings), pg_temp.phrase(n, 71) || '.pdf',
  sha256(('document' || n)::bytea), CASE WHEN n <= 6 THEN 90000 + n END,
  CASE WHEN n % 25 = 0 THEN decode(repeat(md5(n::text) || '00ff5c0a', 12), 'hex') WHEN n % 26 = 0 THEN '' END
FROM generate_series(1, :n_documents) n;
INSERT INTO public.tickets (id, organization_id, building_id, status, priority, title, tags, updated_at)
SELECT pg_temp.id('ticket', n), pg_temp.id('organization', 1 + (1 + n % :n_buildings) % :n_organizations),
  pg_temp.id('building', 1 + n % :n_buildings),
  (ARRAY['open', 'assigned', 'done', 'closed'])[1 + pg_temp.draw(n, 76, 4)]::public.ticket_status,
  (ARRAY['low', 'normal', 'normal', 'urgent'])[1 + pg_temp.draw(n, 77, 4)]::public.ticket_priority,
  pg_temp.phrase(n, 78), CASE WHEN n % 3 > 0 THEN ARRAY[pg_temp.thing(n, 79), pg_temp.place(n, 80)] END,
  timestamptz '2025-03-01 00:00:00+00' + n * interval '53 minutes'
FROM generate_series(1, :n_tickets) n;
INSERT INTO public.ticket_messages (ticket_id, author, body)
SELECT pg_temp.id('ticket', 1 + n % :n_tickets), CASE WHEN n % 8 > 0 THEN pg_temp.first_name(n, 83) END,
  CASE WHEN n % 50 = 0 THEN pg_temp.awkward(n / 50) ELSE pg_temp.phrase(n, 84) || E'\n' || pg_temp.phrase(n, 89) END
FROM generate_series(1, :n_messages) n;
INSERT INTO public.notifications
SELECT pg_temp.id('notification', n), pg_temp.id('user', 1 + pg_temp.draw(n, 94, :n_users)),
  'Reminder: ' || pg_temp.phrase(n, 95), timestamptz '2025-05-01 00:00:00+00' + n * interval '9 minutes',
  CASE WHEN n % 3 > 0 THEN timestamptz '2025-05-02 00:00:00+00' + n * interval '9 minutes' END
FROM generate_series(1, :n_notifications) n;
INSERT INTO public.resource_bookings (room, during, booked_by)
SELECT n % 5, tstzrange(timestamptz '2026-01-01 10:00:00+00' + n * interval '1 hour',
  timestamptz '2026-01-01 11:00:00+00' + n * interval '1 hour'), pg_temp.last_name(n, 100)
FROM generate_series(1, 60) n;
INSERT INTO public.audit_logs
SELECT pg_temp.id('audit', n), timestamptz '2023-06-01 00:00:00+00' + n * (interval '1100 days' / :n_audits),
  pg_temp.last_name(n, 101), (ARRAY['login', 'payment.created', 'ticket.updated', 'document.read', 'vote.cast'])[1 + pg_temp.draw(n, 102, 5)],
  CASE WHEN n % 10 > 0 THEN jsonb_build_object(
    'ip', concat_ws('.', 10, pg_temp.draw(n, 103, 250), pg_temp.draw(n, 104, 250), 7),
    'entity', pg_temp.id('payment', 1 + n % :n_payments),
    'changes', jsonb_build_array(pg_temp.verb(n, 105), pg_temp.thing(n, 106), n % 1000 / 10.0, n % 2 = 0, NULL),
    'agent', CASE WHEN n % 30 = 1 THEN pg_temp.awkward(n / 30) ELSE pg_temp.place(n, 107) END) END
FROM generate_series(1, :n_audits) n;

INSERT INTO public.iot_devices
SELECT pg_temp.id('device', n), pg_temp.id('building', 1 + n % :n_buildings), 'wire ' || n,
  left(md5('mac' || n), 12)::macaddr, CASE WHEN n % 6 > 0 THEN ('2001:db8::' || to_hex(1 + n % 60000))::inet END,
  point(4 + n % 1000 / 700.0, 50 + n % 777 / 900.0),
  CASE WHEN n % 3 = 0 THEN ARRAY[[n % 7, 2], [3, n % 5]] END, (5 * (1 + n % 12)) * interval '1 minute'
FROM generate_series(1, :n_devices) n;
INSERT INTO public.iot_readings
SELECT pg_temp.id('reading', n), pg_temp.id('device', 1 + pg_temp.draw(n, 108, :n_devices)),
  timestamptz '2024-01-01 00:00:00+00' + (n * 61000 + pg_temp.draw(n, 109, 61000)) * interval '1 millisecond',
  (ARRAY['temperature', 'humidity', 'water', 'gas', 'electricity', 'co2'])[1 + pg_temp.draw(n, 110, 6)]::public.metric,
  CASE WHEN n % 97 > 0 THEN pg_temp.draw(n, 111, 90000) * 0.001 END, (pg_temp.draw(n, 112, 1000) * 0.001)::real,
  jsonb_build_object('rssi', -30 - pg_temp.draw(n, 113, 70), 'battery', pg_temp.draw(n, 114, 100),
    'firmware', (ARRAY['2.4.1', '2.4.2', '3.0.0-rc1'])[1 + n % 3], 'room', pg_temp.place(n, 115)),
  CASE WHEN n % 2 = 0 THEN pg_temp.phrase(n, 116) END
FROM generate_series(1, :n_readings::bigint) n;

INSERT INTO public.web_sessions
SELECT md5('session' || n), pg_temp.id('user', 1 + n % :n_users), timestamptz '2026-02-01 00:00:00+00' + n * interval '1 hour'
FROM generate_series(1, 40) n;
INSERT INTO public.presence SELECT FROM generate_series(1, 3);
INSERT INTO public."Étage: ""niveau"""
SELECT n, pg_temp.awkward(n), CASE WHEN n % 3 > 0 THEN 'É' || n END, pg_temp.awkward(n + 1), E'a\\b;\n--',
  decode('5c2e0a00ff', 'hex') || n::text::bytea, E'\t', CASE n WHEN 5 THEN 'NaN' ELSE n / 7.0 END,
  CASE WHEN n % 2 = 0 THEN E'{"b" :\t1,\n "a": "\\u00e9", "a": [ ]}'::json END
FROM generate_series(-3, 24) n;
INSERT INTO public.edge_values VALUES
  (-32768, -9223372036854775808, 'NaN', 'NaN', '-Infinity', '-12.34', '-infinity', '00:00:00+15:59', 'infinity',
    '0099-01-01 BC', '-1 mons +3 days -04:05:06.7', 'a  b', 'x', B'', '', '{"a":1, "a":2}', 'null', '{}', '{}', '10.0.0.0/8',
    '((0,0),(1,1),(1e-300,2))', '{}', '{}', '{}', '', '$.a', 'public.buildings'),
  (32767, 9223372036854775807, 'Infinity', 3.4028235e38, 1.7976931348623157e308, '92233720368547758.07', 'infinity',
    '24:00:00-15:59', '-infinity', 'infinity', '178000000 years', ' é ', '', B'000000000001', '\x00', ' [ ] ', '{"a": 1e30}',
    '[0:1]={1,2}', '{NULL,"NULL","",",","\"","\\"}', '::/0', NULL, '{(,2020-01-01),[2021-01-01,)}', '{[1,2),(3,4]}',
    '{"(,,,,)",NULL}', '''a b'':*A & !c', 'strict $[*] ? (@.x > 1)', 'public."Étage: ""niveau"""'),
  (0, 0, 1e-40, '-0', 4.9406564584124654e-324, 0, '4713-01-01 BC', '12:00:00+00', '2024-03-31 01:30:00+00',
    '2024-02-29 23:59:59.999', 'P0Y', '', '\', NULL, convert_to(E'\\x41 \\N', 'UTF8'), '1', '"\ud83c\udfe2"',
    '{{1,2},{3,NULL}}', ARRAY[E'tab\there', E'new\nline'], '192.168.1.1/32', NULL, '{[2020-02-29,2020-03-01)}', NULL,
    ARRAY[ROW(E'a "b"\n, c', '', NULL, '\', 'BE')::public.postal_address], 'a <-> b', 'lax $."é"', 'accounting.payments'),
  (1, NULL, 0.1000, 0.1, 0.1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL);

-- Large objects, by number so that every run makes the same: a plan of 300 kB that nothing can compress, a text,
-- an empty one, one of exactly two pages, one with a hole, and small ones.
SELECT count(lo_from_bytea(o.oid, o.content)) FROM (VALUES
  (90001::oid, (SELECT string_agg(sha256(n::text::bytea), '' ORDER BY n) FROM generate_series(1, 9600) n)),
  (90002, (SELECT convert_to(string_agg(pg_temp.phrase(n, 121), E'\n' ORDER BY n), 'UTF8') FROM generate_series(1, 700) n)),
  (90003, ''), (90004, decode(repeat('5c0a', 2048), 'hex')), (90005, '\x00'),
  (90006, convert_to(E'\\.\n', 'UTF8'))) o (oid, content) \g /dev/null
SELECT lo_put(90005, 20000, '\xff') \g /dev/null
