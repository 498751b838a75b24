-- Who may do what in the database `banyan`. Run once by a superuser, in that database:
--   psql -d banyan -f deploy/postgres/roles.sql
-- Roles have no password here: set one each (\password banyan_gateway), or use peer or certificates.
--
--   banyan_owner    owns the tables of the order book; `banyan migrate` runs as it, nothing else
--   banyan_gateway  reads and writes rows of the order book; changes no table, truncates none
--   banyan_indexer  owns the mirror, which may be thrown away at any time
--   banyan_reader   reads the mirror: gateways, auditors, people with their own tools
--   banyan_backup   reads everything, for pg_dump

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['owner', 'gateway', 'indexer', 'reader', 'backup'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'banyan_' || name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT', 'banyan_' || name);
        END IF;
    END LOOP;
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA IF NOT EXISTS orders AUTHORIZATION banyan_owner;
CREATE SCHEMA IF NOT EXISTS mirror AUTHORIZATION banyan_indexer;

-- `banyan migrate` says CREATE SCHEMA IF NOT EXISTS, and that right is asked for first.
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO banyan_owner, banyan_indexer', current_database()); END $$;

GRANT USAGE ON SCHEMA orders TO banyan_gateway, banyan_backup;
ALTER DEFAULT PRIVILEGES FOR ROLE banyan_owner IN SCHEMA orders
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO banyan_gateway;
ALTER DEFAULT PRIVILEGES FOR ROLE banyan_owner IN SCHEMA orders
    GRANT USAGE ON SEQUENCES TO banyan_gateway;
ALTER DEFAULT PRIVILEGES FOR ROLE banyan_owner IN SCHEMA orders
    GRANT SELECT ON TABLES TO banyan_backup;
ALTER DEFAULT PRIVILEGES FOR ROLE banyan_owner IN SCHEMA orders
    GRANT SELECT ON SEQUENCES TO banyan_backup;

GRANT USAGE ON SCHEMA mirror TO banyan_reader, banyan_backup;
ALTER DEFAULT PRIVILEGES FOR ROLE banyan_indexer IN SCHEMA mirror
    GRANT SELECT ON TABLES TO banyan_reader, banyan_backup;

-- For tables that were there before this file was run.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA orders TO banyan_gateway;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA orders TO banyan_gateway;
GRANT SELECT ON ALL TABLES IN SCHEMA orders TO banyan_backup;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA orders TO banyan_backup;
GRANT SELECT ON ALL TABLES IN SCHEMA mirror TO banyan_reader, banyan_backup;
