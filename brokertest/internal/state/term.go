package state

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// typeName is RabbitMQ's name for the type of a value in a table.
func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "void"
	case bool:
		return "bool"
	case int8:
		return "byte"
	case int16:
		return "short"
	case int32:
		return "signedint"
	case int64:
		return "long"
	case uint8:
		return "unsignedbyte"
	case uint16:
		return "unsignedshort"
	case uint32:
		return "unsignedint"
	case float32:
		return "float"
	case float64:
		return "double"
	case string:
		return "longstr"
	case []byte:
		return "binary"
	case wire.Decimal:
		return "decimal"
	case time.Time:
		return "timestamp"
	case wire.Table:
		return "table"
	default:
		return "array"
	}
}

// typeClass groups the types that may stand for each other in a declaration.
func typeClass(v any) string {
	switch v.(type) {
	case int8, int16, int32, int64, uint8, uint16, uint32, wire.Decimal:
		return "int"
	case float32, float64:
		return "float"
	}
	return typeName(v)
}

// integer returns the value of a whole number of any width.
func integer(v any) (int64, bool) {
	switch r := reflect.ValueOf(v); {
	case v == nil:
		return 0, false
	case r.CanInt():
		return r.Int(), true
	case r.CanUint():
		return int64(r.Uint()), true
	}
	return 0, false
}

// equalTerm reports whether RabbitMQ takes two values of tables for the same: whole numbers of any width by
// value, text and bytes by their octets.
func equalTerm(a, b any) bool {
	if x, ok := integer(a); ok {
		y, ok := integer(b)
		return ok && x == y
	}
	if x, ok := octets(a); ok {
		y, ok := octets(b)
		return ok && bytes.Equal(x, y)
	}
	if x, ok := a.(float32); ok {
		a = float64(x)
	}
	if y, ok := b.(float32); ok {
		b = float64(y)
	}
	return reflect.DeepEqual(a, b)
}

func octets(v any) ([]byte, bool) {
	switch v := v.(type) {
	case string:
		return []byte(v), true
	case []byte:
		return v, true
	}
	return nil, false
}

// term is a value as Erlang's ~p writes it.
func term(v any) string {
	switch v := v.(type) {
	case nil:
		return "undefined"
	case string:
		return octetString(v)
	case []byte:
		return octetString(string(v))
	case float32:
		return float(float64(v))
	case float64:
		return float(v)
	case wire.Table:
		var fields []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			fields = append(fields, "{"+octetString(k)+","+typeName(v[k])+","+term(v[k])+"}")
		}
		return "[" + strings.Join(fields, ",") + "]"
	case []any:
		var items []string
		for _, e := range v {
			items = append(items, "{"+typeName(e)+","+term(e)+"}")
		}
		return "[" + strings.Join(items, ",") + "]"
	case time.Time:
		return strconv.FormatInt(v.Unix(), 10)
	default:
		return fmt.Sprint(v)
	}
}

func octetString(s string) string {
	if s == "" {
		return "<<>>"
	}
	if !printable(s) {
		return Numbers([]byte(s))
	}
	return "<<\"" + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + "\">>"
}

// printable reports whether Erlang shows the octets as text.
func printable(s string) bool {
	for _, c := range []byte(s) {
		if (c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}

func float(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e16 {
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// Numbers is a binary as Erlang's ~w writes it.
func Numbers(b []byte) string {
	numbers := make([]string, len(b))
	for i, c := range b {
		numbers[i] = strconv.Itoa(int(c))
	}
	return "<<" + strings.Join(numbers, ",") + ">>"
}

// Octets is a binary as Erlang's ~p writes it.
func Octets(b []byte) string { return octetString(string(b)) }
