#!/bin/bash
# Inside the chroot, before the recording: the deploy user with its key, the shop's database.
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
id deploy >/dev/null 2>&1 || useradd -m -s /bin/bash deploy
[ -f /root/.ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -C deploy -f /root/.ssh/id_ed25519
install -d -o deploy -m 700 /home/deploy/.ssh
install -o deploy -m 600 /root/.ssh/id_ed25519.pub /home/deploy/.ssh/authorized_keys
dpkg --purge htop lsof jq libjq1 libonig5 libnl-genl-3-200 libnl-3-200 >/dev/null 2>&1 || :
: >/var/log/dpkg.log
cd /tmp
sed -i "s/^listen_addresses.*/listen_addresses = '127.0.0.1'/" /etc/postgresql/15/main/conf.d/shop.conf
pg_ctlcluster 15 main start
su postgres -c psql <<'Q' >/dev/null
DROP DATABASE IF EXISTS shop;
DROP ROLE IF EXISTS orders;
CREATE ROLE orders LOGIN PASSWORD 'orders';
CREATE DATABASE shop OWNER orders;
\c shop
CREATE TABLE products (id integer PRIMARY KEY, name text, price numeric(8,2), stock integer, sold integer);
CREATE TABLE orders (id serial PRIMARY KEY, customer integer, product integer, price numeric(8,2), placed timestamptz DEFAULT now());
INSERT INTO products SELECT n, 'product ' || n, (random() * 90 + 5)::numeric(8,2), 40 + (20000 / n)::integer, (random() * 1000)::integer FROM generate_series(1, 799) n;
ALTER ROLE postgres SET log_min_duration_statement = -1; -- pg_dump's statements have many lines
ALTER TABLE products OWNER TO orders;
ALTER TABLE orders OWNER TO orders;
Q
pg_ctlcluster 15 main stop
sed -i "s/^listen_addresses.*/listen_addresses = '10.20.0.13'/" /etc/postgresql/15/main/conf.d/shop.conf
rm -f /var/log/postgresql/*
