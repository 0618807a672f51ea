#!/bin/sh
# Makes the passwords that compose.yaml mounts. What exists is left alone, so it can be run again.
set -eu
cd "$(dirname "$0")"
mkdir -p -m 0700 secrets
printf '*\n' > secrets/.gitignore
for name in clickhouse_admin clickhouse_writer clickhouse_grafana grafana_admin; do
    [ -s "secrets/$name" ] && continue
    # Letters and digits only. Readable by every container user that mounts it; the folder keeps others on this machine out.
    LC_ALL=C tr -dc 'A-Za-z0-9' < /dev/urandom | head -c 32 > "secrets/$name"
    chmod 0444 "secrets/$name"
done
