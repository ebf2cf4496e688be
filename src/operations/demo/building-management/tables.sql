-- Part one of the demo database: schemas, types, sequences, tables with what is checked row by row.
-- Foreign keys, further indexes and triggers come after the rows, in rules.sql: that is much quicker.

CREATE SCHEMA accounting;

CREATE TYPE public.unit_kind AS ENUM ('apartment', 'parking', 'cellar', 'commercial', 'other');
CREATE TYPE public.subscription_plan AS ENUM ('starter', 'professional', 'enterprise');
CREATE TYPE public.ticket_status AS ENUM ('open', 'assigned', 'done', 'closed');
CREATE TYPE public.ticket_priority AS ENUM ('low', 'normal', 'urgent');
CREATE TYPE public.vote_choice AS ENUM ('for', 'against', 'abstain');
CREATE TYPE public.metric AS ENUM ('temperature', 'humidity', 'water', 'gas', 'electricity', 'co2');
CREATE TYPE accounting.account_kind AS ENUM ('asset', 'liability', 'income', 'cost');
CREATE TYPE accounting.payment_status AS ENUM ('pending', 'succeeded', 'failed');

CREATE DOMAIN public.email_address AS text
  CONSTRAINT looks_like_an_address CHECK (VALUE ~ '^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$');
CREATE DOMAIN accounting.amount AS numeric(14, 2) DEFAULT 0 CHECK (VALUE > -1000000000);
CREATE TYPE public.postal_address AS (street text, box text, postal_code text, city text, country character(2));
CREATE TYPE accounting.price_range AS RANGE (subtype = numeric, multirange_type_name = accounting.price_ranges);

CREATE SEQUENCE public.ticket_number_seq AS integer INCREMENT 10 START 1000 MINVALUE 1000 MAXVALUE 9999990 CACHE 5 CYCLE;
CREATE SEQUENCE public.contract_number_seq START 500;
CREATE SEQUENCE accounting.countdown_seq AS smallint INCREMENT -1 MINVALUE -32000 MAXVALUE -1;

CREATE TABLE public.organizations (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL,
  slug text NOT NULL UNIQUE CHECK (slug = lower(slug)),
  contact_email public.email_address NOT NULL,
  plan public.subscription_plan NOT NULL DEFAULT 'starter',
  main_building_id uuid,
  settings jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE public.buildings (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  organization_id uuid NOT NULL,
  name text NOT NULL,
  address public.postal_address NOT NULL,
  construction_year smallint CHECK (construction_year BETWEEN 1700 AND 2100),
  total_shares integer NOT NULL DEFAULT 10000 CHECK (total_shares > 0),
  tags text[] NOT NULL DEFAULT '{}',
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE public.units (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  building_id uuid NOT NULL,
  unit_number text NOT NULL,
  kind public.unit_kind NOT NULL,
  floor smallint,
  surface numeric(8, 2) NOT NULL CHECK (surface > 0),
  shares integer NOT NULL,
  shares_per_square_metre numeric GENERATED ALWAYS AS (round(shares / surface, 4)) STORED,
  UNIQUE (building_id, unit_number)
);
CREATE TABLE public.owners (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  first_name text NOT NULL,
  last_name text NOT NULL,
  email public.email_address,
  phone text,
  address public.postal_address,
  language character(2) NOT NULL DEFAULT 'fr',
  birth_date date,
  sealed_account_number bytea,
  notes text,
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE public.unit_owners (
  unit_id uuid NOT NULL,
  owner_id uuid NOT NULL,
  percentage numeric(7, 4) NOT NULL CHECK (percentage > 0 AND percentage <= 100),
  held daterange NOT NULL CHECK (NOT isempty(held)),
  PRIMARY KEY (unit_id, owner_id)
);
CREATE TABLE public.users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  organization_id uuid NOT NULL,
  email public.email_address NOT NULL,
  password_hash text NOT NULL,
  roles text[] NOT NULL DEFAULT ARRAY['member'],
  last_seen_from inet,
  disabled boolean NOT NULL DEFAULT false
);
CREATE TABLE public.two_factor_secrets (
  user_id uuid PRIMARY KEY,
  secret_encrypted bytea NOT NULL,
  recovery_codes text[] NOT NULL
);
-- The child has its own column before the parent gets one: a restore puts its columns in another order.
CREATE TABLE public.contacts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
CREATE TABLE public.suppliers (trade text NOT NULL, vat_number text, PRIMARY KEY (id)) INHERITS (public.contacts);
ALTER TABLE public.contacts ADD COLUMN phone text;

CREATE TABLE accounting.accounts (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  organization_id uuid NOT NULL,
  code text NOT NULL,
  label text NOT NULL,
  kind accounting.account_kind NOT NULL,
  parent_id uuid,
  UNIQUE (organization_id, code)
);
CREATE TABLE accounting.journal_entries (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  number bigint GENERATED ALWAYS AS IDENTITY (START 100001) UNIQUE,
  organization_id uuid NOT NULL,
  entry_date date NOT NULL,
  description text NOT NULL
);
CREATE TABLE accounting.journal_entry_lines (
  id bigserial PRIMARY KEY,
  entry_id uuid NOT NULL,
  account_id uuid NOT NULL,
  debit accounting.amount NOT NULL,
  credit accounting.amount NOT NULL,
  label text,
  CONSTRAINT debit_xor_credit CHECK (debit >= 0 AND credit >= 0 AND (debit > 0) <> (credit > 0))
);
CREATE TABLE accounting.expenses (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  building_id uuid NOT NULL,
  supplier_id uuid,
  entry_id uuid,
  net numeric(12, 2) NOT NULL,
  vat_rate numeric(5, 2) NOT NULL DEFAULT 21,
  gross numeric(14, 2) GENERATED ALWAYS AS (round(net * (1 + vat_rate / 100), 2)) STORED,
  expected accounting.price_range,
  due date,
  description text NOT NULL
);
CREATE TABLE accounting.call_for_funds (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  building_id uuid NOT NULL,
  title text NOT NULL,
  total accounting.amount NOT NULL,
  period daterange NOT NULL
);
CREATE TABLE accounting.owner_contributions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  call_id uuid NOT NULL,
  owner_id uuid NOT NULL,
  amount accounting.amount NOT NULL,
  due date NOT NULL,
  paid_on date,
  CHECK (paid_on IS NULL OR paid_on > date '2000-01-01')
);
CREATE TABLE accounting.payments (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  contribution_id uuid NOT NULL,
  amount_cents bigint NOT NULL CHECK (amount_cents <> 0),
  currency character(3) NOT NULL DEFAULT 'EUR',
  idempotency_key text NOT NULL UNIQUE CHECK (length(idempotency_key) >= 16),
  status accounting.payment_status NOT NULL DEFAULT 'pending',
  message text,
  updated_at timestamptz NOT NULL DEFAULT now()
);
-- No foreign key points here: the writers may truncate and refill it.
CREATE TABLE accounting.exchange_rates (
  currency character(3) PRIMARY KEY,
  rate numeric NOT NULL,
  seen_at timestamptz NOT NULL
);

CREATE TABLE public.meetings (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  number integer GENERATED BY DEFAULT AS IDENTITY (START 10 INCREMENT 5),
  building_id uuid NOT NULL,
  starts_at timestamptz NOT NULL,
  lasted interval,
  quorum double precision,
  minutes text
);
CREATE TABLE public.resolutions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  meeting_id uuid NOT NULL,
  place smallint NOT NULL,
  title text NOT NULL,
  majority_needed real NOT NULL DEFAULT 0.5,
  UNIQUE (meeting_id, place)
);
CREATE TABLE public.votes (
  resolution_id uuid NOT NULL,
  owner_id uuid NOT NULL,
  choice public.vote_choice NOT NULL,
  shares integer NOT NULL,
  PRIMARY KEY (resolution_id, owner_id)
);
CREATE TABLE public.documents (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  building_id uuid NOT NULL,
  title text NOT NULL,
  sha256 bytea NOT NULL CHECK (length(sha256) = 32),
  content oid,
  thumbnail bytea,
  words tsvector GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, title)) STORED
);
CREATE TABLE public.tickets (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  number integer NOT NULL DEFAULT nextval('public.ticket_number_seq'),
  organization_id uuid NOT NULL,
  building_id uuid NOT NULL,
  status public.ticket_status NOT NULL DEFAULT 'open',
  priority public.ticket_priority NOT NULL DEFAULT 'normal',
  title text NOT NULL,
  tags text[],
  updated_at timestamptz NOT NULL DEFAULT now()
);
ALTER SEQUENCE public.ticket_number_seq OWNED BY public.tickets.number;
CREATE TABLE public.ticket_messages (
  id serial PRIMARY KEY,
  ticket_id uuid NOT NULL,
  author text,
  body text NOT NULL
);
CREATE TABLE public.notifications (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id uuid NOT NULL,
  body text NOT NULL,
  sent_at timestamptz NOT NULL DEFAULT now(),
  read_at timestamptz
);
CREATE TABLE public.resource_bookings (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  room integer NOT NULL,
  during tstzrange NOT NULL,
  booked_by text NOT NULL,
  CONSTRAINT one_booking_at_a_time EXCLUDE USING gist (int4range(room, room, '[]') WITH =, during WITH &&)
);
CREATE TABLE public.audit_logs (
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  occurred_at timestamptz NOT NULL DEFAULT now(),
  actor text,
  action text NOT NULL,
  details jsonb
) PARTITION BY RANGE (occurred_at);
CREATE TABLE public.audit_logs_2023 PARTITION OF public.audit_logs FOR VALUES FROM (MINVALUE) TO ('2024-01-01 00:00:00+00');
CREATE TABLE public.audit_logs_2024 PARTITION OF public.audit_logs
  FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2025-01-01 00:00:00+00');
CREATE TABLE public.audit_logs_2025 PARTITION OF public.audit_logs
  FOR VALUES FROM ('2025-01-01 00:00:00+00') TO ('2026-01-01 00:00:00+00');
CREATE TABLE public.audit_logs_later PARTITION OF public.audit_logs FOR VALUES FROM ('2026-01-01 00:00:00+00') TO (MAXVALUE);
CREATE TABLE public.iot_devices (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  building_id uuid NOT NULL,
  wire_name text,
  hardware macaddr NOT NULL,
  address inet,
  place point,
  calibration integer[],
  reports_every interval NOT NULL DEFAULT '00:15:00'
);
CREATE TABLE public.iot_readings (
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  device_id uuid NOT NULL,
  measured_at timestamptz NOT NULL,
  metric public.metric NOT NULL,
  value numeric(12, 3),
  quality real,
  payload jsonb,
  note text
);

CREATE UNLOGGED TABLE public.web_sessions (token text PRIMARY KEY, user_id uuid NOT NULL, expires_at timestamptz NOT NULL);
CREATE TABLE public.polls (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), question text NOT NULL, closes_at timestamptz);
CREATE TABLE public.presence ();
CREATE TABLE public."Étage: ""niveau""" (
  "select" integer PRIMARY KEY,
  "colonne avec espaces" text,
  "Majuscule" character varying(40),
  "a""b'c" text,
  "semi;colon -- no comment" text,
  "back\slash" bytea,
  U&"new\000Aline" text,
  "%s $1 :name {}" numeric,
  "🏢" json
);
CREATE TABLE public.edge_values (
  id smallint PRIMARY KEY,
  whole bigint,
  exact numeric,
  float4 real,
  float8 double precision,
  price money,
  day date,
  at_time time with time zone,
  moment timestamptz,
  local_moment timestamp(3),
  span interval,
  padded character(6),
  letter "char",
  flags bit varying(12),
  raw bytea,
  document json,
  tree jsonb,
  grid integer[],
  words text[],
  network cidr,
  shape polygon,
  days datemultirange,
  price_steps accounting.price_ranges,
  homes public.postal_address[],
  search tsquery,
  path jsonpath,
  relation regclass
);
