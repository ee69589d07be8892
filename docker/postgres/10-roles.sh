#!/bin/bash
# Roles and database, once, in a new data folder: the owner migrates, the sink writes, the reader reads one tenant's rows.
set -euo pipefail
secret() { cat "/run/secrets/postgres_$1_password"; }
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    --set owner="$(secret owner)" --set sink="$(secret sink)" --set reader="$(secret reader)" <<'SQL'
CREATE ROLE hostread_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'owner';
CREATE ROLE hostread_sink LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'sink';
CREATE ROLE hostread_reader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'reader';
CREATE DATABASE hostread OWNER hostread_owner;
REVOKE ALL ON DATABASE hostread FROM PUBLIC;
GRANT CONNECT ON DATABASE hostread TO hostread_sink, hostread_reader;
GRANT TEMPORARY ON DATABASE hostread TO hostread_sink;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
SQL
