// Command sqlport asks the SQL endpoint what Grafana's plugin asks, through the driver it uses.
//
// usage: sqlport ADDRESS COMPRESSION, where COMPRESSION is none, gzip, deflate, lz4 or zstd.
// Prints one line per check and exits with 1 if one of them failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/shopspring/decimal"
)

var compressions = map[string]clickhouse.CompressionMethod{
	"none":    clickhouse.CompressionNone,
	"gzip":    clickhouse.CompressionGZIP,
	"deflate": clickhouse.CompressionDeflate,
	"lz4":     clickhouse.CompressionLZ4,
	"zstd":    clickhouse.CompressionZSTD,
}

type check struct {
	name string
	run  func(context.Context, driver.Conn) error
}

var checks = []check{
	{"ping", func(ctx context.Context, conn driver.Conn) error { return conn.Ping(ctx) }},
	{"version", version},
	{"values", values},
	{"calls", calls},
	{"columns of an empty result", empty},
	{"parameters", parameters},
	{"settings", settings},
	{"typed errors", typedErrors},
	{"a large result", large},
	{"tables for the schema browser", tables},
}

func main() {
	address, compression := os.Args[1], os.Args[2]
	conn, err := open(address, compression, "grafana", "pass word")
	if err != nil {
		fail("open", err)
	}
	defer conn.Close()
	failed := false
	for _, check := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		if err := check.run(ctx, conn); err != nil {
			fmt.Printf("FAILED %s: %v\n", check.name, err)
			failed = true
		} else {
			fmt.Printf("ok %s\n", check.name)
		}
		cancel()
	}
	if err := wrongPassword(address, compression); err != nil {
		fmt.Printf("FAILED wrong password: %v\n", err)
		failed = true
	} else {
		fmt.Println("ok wrong password")
	}
	if failed {
		os.Exit(1)
	}
}

func open(address, compression, user, password string) (driver.Conn, error) {
	return clickhouse.Open(&clickhouse.Options{
		Addr:        []string{address},
		Protocol:    clickhouse.HTTP,
		Auth:        clickhouse.Auth{Username: user, Password: password},
		Compression: &clickhouse.Compression{Method: compressions[compression]},
	})
}

func fail(what string, err error) {
	fmt.Printf("FAILED %s: %v\n", what, err)
	os.Exit(1)
}

func version(_ context.Context, conn driver.Conn) error {
	version, err := conn.ServerVersion()
	if err == nil && version.DisplayName == "" {
		return errors.New("no name")
	}
	return err
}

func values(ctx context.Context, conn driver.Conn) error {
	var (
		amount  decimal.Decimal
		unknown *decimal.Decimal
		counts  map[string]uint64
		list    []string
		when    time.Time
		name    string
		number  uint64
		pair    []any
	)
	row := conn.QueryRow(ctx, `SELECT toDecimal64('1.000000000001', 12), CAST(NULL AS Nullable(Decimal(18, 12))),
		map('a', toUInt64(1)), ['x', 'y'], toDateTime64('2026-11-01 01:02:03.456789', 6, 'UTC'),
		toLowCardinality('é'), toUInt64(18446744073709551615), tuple('a', toUInt8(1))`)
	if err := row.Scan(&amount, &unknown, &counts, &list, &when, &name, &number, &pair); err != nil {
		return err
	}
	got := []any{amount.String(), unknown == nil, counts, list, when.UTC().Format(time.RFC3339Nano), name, number}
	want := []any{
		"1.000000000001", true, map[string]uint64{"a": 1}, []string{"x", "y"}, "2026-11-01T01:02:03.456789Z", "é",
		uint64(18446744073709551615),
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

func calls(ctx context.Context, conn driver.Conn) error {
	rows, err := conn.Query(ctx, `SELECT toStartOfInterval(toDateTime(timestamp), INTERVAL 3600 second) AS time,
		agent_id AS series, sum(cost_usd) FROM calls GROUP BY time, series ORDER BY time`)
	if err != nil {
		return err
	}
	defer rows.Close()
	total := decimal.Zero
	for rows.Next() {
		var (
			at     time.Time
			series string
			spend  *decimal.Decimal
		)
		if err := rows.Scan(&at, &series, &spend); err != nil {
			return err
		}
		if spend != nil {
			total = total.Add(*spend)
		}
	}
	if total.String() != "40.5" {
		return fmt.Errorf("total is %s", total)
	}
	return rows.Err()
}

func empty(ctx context.Context, conn driver.Conn) error {
	rows, err := conn.Query(ctx, "SELECT agent_id, cost_usd FROM calls WHERE 0")
	if err != nil {
		return err
	}
	defer rows.Close()
	if rows.Next() {
		return errors.New("there is a row")
	}
	if columns := rows.Columns(); !reflect.DeepEqual(columns, []string{"agent_id", "cost_usd"}) {
		return fmt.Errorf("columns are %v", columns)
	}
	if kind := rows.ColumnTypes()[1].DatabaseTypeName(); kind != "Nullable(Decimal(18, 12))" {
		return fmt.Errorf("type is %s", kind)
	}
	return rows.Err()
}

func parameters(ctx context.Context, conn driver.Conn) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters{"agent": "it's"}))
	var count uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM calls WHERE agent_id = {agent:String}").Scan(&count); err != nil {
		return err
	}
	if count != 100 {
		return fmt.Errorf("count is %d", count)
	}
	return nil
}

func settings(ctx context.Context, conn driver.Conn) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_block_size": 777}))
	var rows uint64
	if err := conn.QueryRow(ctx, "SELECT toUInt64(getSetting('max_block_size'))").Scan(&rows); err != nil {
		return err
	}
	if rows != 777 {
		return fmt.Errorf("max_block_size is %d", rows)
	}
	return nil
}

func typedErrors(ctx context.Context, conn driver.Conn) error {
	for sql, code := range map[string]int32{
		"SELECT nope FROM calls":     47,
		"SELECT * FROM nope":         60,
		"SELECT file('/etc/passwd')": 497,
		"SELECT FROM WHERE":          62,
	} {
		rows, err := conn.Query(ctx, sql)
		if err == nil {
			for rows.Next() {
			}
			err = rows.Err()
			rows.Close()
		}
		if err := hasCode(err, code); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return hasCode(conn.Exec(ctx, "DROP TABLE calls"), 164)
}

func hasCode(err error, code int32) error {
	var exception *clickhouse.Exception
	if !errors.As(err, &exception) {
		return fmt.Errorf("not an exception of ClickHouse but %T: %v", err, err)
	}
	if exception.Code != code {
		return fmt.Errorf("code is %d, not %d: %v", exception.Code, code, err)
	}
	return nil
}

func large(ctx context.Context, conn driver.Conn) error {
	rows, err := conn.Query(ctx, "SELECT number FROM numbers(1000000)")
	if err != nil {
		return err
	}
	defer rows.Close()
	var sum, number uint64
	for rows.Next() {
		if err := rows.Scan(&number); err != nil {
			return err
		}
		sum += number
	}
	if sum != 499999500000 {
		return fmt.Errorf("sum is %d", sum)
	}
	return rows.Err()
}

func tables(ctx context.Context, conn driver.Conn) error {
	rows, err := conn.Query(ctx, "SELECT name FROM system.tables WHERE database = 'spanledger' AND name = 'calls'")
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		return errors.New("the table is not listed")
	}
	return rows.Err()
}

func wrongPassword(address, compression string) error {
	conn, err := open(address, compression, "grafana", "wrong")
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return hasCode(conn.Ping(ctx), 516)
}
