#!/bin/sh
# Run by ClickHouse's image on the first start: the two users, with the passwords of the secrets as hashes.
set -eu
hash_of() { tr -d '\n' < "/run/secrets/$1" | sha256sum | cut -d ' ' -f 1; }
# The comments of the file name the places too, which harms nobody.
sed -e "s/WRITER_PASSWORD_SHA256/$(hash_of clickhouse_writer)/" \
    -e "s/GRAFANA_PASSWORD_SHA256/$(hash_of clickhouse_grafana)/" /opt/spanledger/users.sql |
    clickhouse-client --user "$CLICKHOUSE_USER" --password "$(cat "$CLICKHOUSE_PASSWORD_FILE")" --multiquery
