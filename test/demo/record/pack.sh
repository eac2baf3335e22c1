#!/bin/bash
# Packs the logs of record.sh for package shoplog:  pack.sh TREE ../shoplog/shop-logs.tar.gz
# One line is left out: nginx names the recording machine's kernel when it starts.
set -eu
tree=$1 out=$(realpath "$2")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
log=$tree/var/log
cp "$log/syslog" "$dir/syslog.log"
cp "$log/postgresql/postgresql-15-main.log" "$dir/postgres.log"
cp "$log/redis/redis-server.log" "$dir/redis.log"
cp "$log/orders/orders.log" "$dir/orders.log"
cp "$log/nginx/access.log" "$dir/nginx-access.log"
grep -v ' OS: Linux ' "$log/nginx/error.log" > "$dir/nginx-error.log"
sed '/: end$/d; s/ minute [0-9]*:/:/; s/Z:* /Z /' "$log/faults.txt" > "$dir/events.txt"
for f in "$dir"/*.log; do
	twice=$(sort "$f" | uniq -d | head -3)
	[ -z "$twice" ] || echo "$(basename "$f"): lines that Loki could not tell apart: $twice" >&2
done
wc -l "$dir"/*
tar -C "$dir" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - . | gzip -9n > "$out"
ls -l "$out"
