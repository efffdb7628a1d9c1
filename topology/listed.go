package topology

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/warren-mq/warren/core"
)

// onWire returns arguments as the broker gets them, or as they are if it cannot.
func onWire(t Table) Table {
	if c, err := t.Canonical(); err == nil {
		return c
	}
	return t
}

// listed writes a value of an argument as far as RabbitMQ's management API shows it: two
// that it shows alike are written alike. It knows neither the widths of numbers
// nor times, writes bytes as text, and nil and decimals in words of its own. Whole
// numbers and others stay apart, as they do for the broker.
func listed(v any) string {
	if n, ok := integer(v); ok {
		return strconv.FormatInt(n, 10)
	}
	switch v := v.(type) {
	case Table:
		var b strings.Builder
		for _, k := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(&b, "%q:%s,", k, listed(v[k]))
		}
		return "{" + b.String() + "}"
	case []any:
		var items []string
		for _, item := range v {
			items = append(items, listed(item))
		}
		return "[" + strings.Join(items, ",") + "]"
	case string:
		return listedText(v)
	case []byte:
		return listedText(string(v))
	case nil:
		return listedText("undefined")
	case float32:
		return listedNumber(float64(v))
	case float64:
		return listedNumber(v)
	case time.Time:
		return strconv.FormatInt(v.Unix(), 10)
	case core.Decimal:
		f, _ := strconv.ParseFloat(fmt.Sprintf("%d.%d", v.Scale, v.Value), 64) // 0 for a negative one, which is no JSON
		return listedNumber(f)
	}
	return fmt.Sprint(v)
}

func listedText(s string) string {
	if !utf8.ValidString(s) {
		s = "Not UTF-8, base64 is: " + base64.StdEncoding.EncodeToString([]byte(s))
	}
	return strconv.Quote(s)
}

// listedNumber keeps a number apart from a whole one: the broker takes 5.0 for
// another value than 5.
func listedNumber(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".eIN") {
		s += ".0"
	}
	return s
}
