package rabbitmq

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/warren-mq/warren/core/wire"
)

// OnWire returns arguments as the broker gets them, or as they are if it cannot.
func OnWire(t wire.Table) wire.Table {
	if c, err := t.Canonical(); err == nil {
		return c
	}
	return t
}

// Listed writes a value of an argument with no more detail than RabbitMQ's management API shows: two
// values that it shows alike are written alike. It knows neither the widths of numbers
// nor times, writes bytes as text, and nil and decimals in words of its own. Whole
// numbers and others stay apart, as they do for the broker.
func Listed(v any) string {
	if n, ok := Integer(v); ok {
		return strconv.FormatInt(n, 10)
	}
	switch v := v.(type) {
	case wire.Table:
		var b strings.Builder
		for _, k := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(&b, "%q:%s,", k, Listed(v[k]))
		}
		return "{" + b.String() + "}"
	case []any:
		var items []string
		for _, item := range v {
			items = append(items, Listed(item))
		}
		return "[" + strings.Join(items, ",") + "]"
	case string:
		return text(v)
	case []byte:
		return text(string(v))
	case nil:
		return text("undefined")
	case float32:
		return fraction(float64(v))
	case float64:
		return fraction(v)
	case time.Time:
		return strconv.FormatInt(v.Unix(), 10)
	case wire.Decimal:
		f, _ := strconv.ParseFloat(fmt.Sprintf("%d.%d", v.Scale, v.Value), 64) // 0 for a negative one, which is no JSON
		return fraction(f)
	}
	return fmt.Sprint(v)
}

func text(s string) string {
	if !utf8.ValidString(s) {
		s = "Not UTF-8, base64 is: " + base64.StdEncoding.EncodeToString([]byte(s))
	}
	return strconv.Quote(s)
}

// fraction keeps a number apart from a whole one: the broker takes 5.0 for
// another value than 5.
func fraction(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".eIN") {
		s += ".0"
	}
	return s
}

// Integer returns any Go integer that fits an int64.
func Integer(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int8:
		return int64(n), true
	case int16:
		return int64(n), true
	case int32:
		return int64(n), true
	case int64:
		return n, true
	case uint8:
		return int64(n), true
	case uint16:
		return int64(n), true
	case uint32:
		return int64(n), true
	case uint:
		return int64(n), n <= math.MaxInt64
	case uint64:
		return int64(n), n <= math.MaxInt64
	}
	return 0, false
}
