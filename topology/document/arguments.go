package document

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/topology"
)

// AMQP has more types than YAML and JSON. A value of one that they lack is
// written as an object of a single field that names the type:
//
//	{$int64: 5}  {$bytes: "AAE="}  {$time: "2006-01-02T15:04:05Z"}  {$decimal: "1.25"}
//
// A plain whole number stands for an int32, or an int64 if it does not fit. In
// RabbitMQ's definitions, which have neither widths nor such objects, it is an
// int64, as it is for RabbitMQ when it imports them.

// argumentsNode writes arguments; exact keeps the widths of whole numbers.
func argumentsNode(t topology.Table, exact bool) (*node, error) {
	t, err := t.Canonical()
	if err != nil {
		return nil, err
	}
	return tableNode(t, exact), nil
}

func tableNode(t topology.Table, exact bool) *node {
	n := objectNode()
	for _, key := range slices.Sorted(maps.Keys(t)) {
		n.set(key, valueNode(t[key], exact))
	}
	return n
}

func typed(name string, value *node) *node {
	n := objectNode()
	n.set("$"+name, value)
	return n
}

func valueNode(v any, exact bool) *node {
	switch v := v.(type) {
	case bool:
		return boolNode(v)
	case string:
		if !utf8.ValidString(v) {
			return typed("string", textNode(base64.StdEncoding.EncodeToString([]byte(v))))
		}
		return textNode(v)
	case []byte:
		return typed("bytes", textNode(base64.StdEncoding.EncodeToString(v)))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return typed("float64", textNode(strconv.FormatFloat(v, 'g', -1, 64)))
		}
		return numberNode(v)
	case float32:
		return typed("float32", textNode(strconv.FormatFloat(float64(v), 'g', -1, 32)))
	case time.Time:
		return typed("time", textNode(v.UTC().Format(time.RFC3339)))
	case core.Decimal:
		return typed("decimal", textNode(formatDecimal(v)))
	case topology.Table:
		n := tableNode(v, exact)
		if len(n.fields) == 1 && strings.HasPrefix(n.fields[0].key, "$") {
			return typed("table", n) // or it would be taken for a type
		}
		return n
	case []any:
		n := listNode()
		for _, item := range v {
			n.items = append(n.items, valueNode(item, exact))
		}
		return n
	case nil:
		return &node{}
	}
	return wholeNode(v, exact)
}

// wholeNode writes one of the seven widths of whole numbers.
func wholeNode(v any, exact bool) *node {
	var n int64
	_, _ = fmt.Sscan(fmt.Sprint(v), &n) // every canonical one fits
	_, plain := v.(int32)
	if _, wide := v.(int64); wide && (n < math.MinInt32 || n > math.MaxInt32) {
		plain = true
	}
	if plain || !exact {
		return intNode(n)
	}
	return typed(fmt.Sprintf("%T", v), intNode(n))
}

// table reads arguments.
func (d *decoder) table(p *topology.Table) into {
	return func(n *node, path string) {
		if n.kind == null || !d.is(n, path, object) {
			return
		}
		*p = d.tableOf(n, path)
	}
}

func (d *decoder) tableOf(n *node, path string) topology.Table {
	t := topology.Table{}
	for _, f := range n.fields {
		if _, twice := t[f.key]; twice {
			d.mistake(f.line, 0, join(path, f.key), "occurs twice")
		}
		t[f.key] = d.value(f.value, join(path, f.key))
	}
	return t
}

func (d *decoder) value(n *node, path string) any {
	switch n.kind {
	case boolean:
		return n.boolean
	case integer:
		if d.plain {
			return n.integer
		}
		return wholeOf(n.integer)
	case number:
		return n.number
	case text:
		return n.text
	case list:
		items := []any{}
		for i, item := range n.items {
			items = append(items, d.value(item, fmt.Sprintf("%s[%d]", path, i)))
		}
		return items
	case object:
		if !d.plain && len(n.fields) == 1 && strings.HasPrefix(n.fields[0].key, "$") {
			f := n.fields[0]
			v, err := d.typed(strings.TrimPrefix(f.key, "$"), f.value, path)
			if err != nil {
				d.mistake(f.line, 0, join(path, f.key), "%w", err)
			}
			return v
		}
		return d.tableOf(n, path)
	}
	return nil
}

// wholeOf gives a plain number the width that an int has on the wire.
func wholeOf(n int64) any {
	if n >= math.MinInt32 && n <= math.MaxInt32 {
		return int32(n)
	}
	return n
}

// typed reads a value of a named type.
func (d *decoder) typed(name string, n *node, path string) (any, error) {
	if name == "table" && n.kind == object {
		return d.tableOf(n, path), nil
	}
	if n.kind == integer {
		return wholeOfType(name, n.integer)
	}
	if n.kind != text {
		return nil, fmt.Errorf("cannot be %s", n.kind)
	}
	switch name {
	case "string", "bytes":
		b, err := base64.StdEncoding.DecodeString(n.text)
		if name == "string" {
			return string(b), err
		}
		return b, err
	case "time":
		return time.Parse(time.RFC3339, n.text)
	case "decimal":
		return parseDecimal(n.text)
	case "float32":
		f, err := strconv.ParseFloat(n.text, 32)
		return float32(f), err
	case "float64":
		return strconv.ParseFloat(n.text, 64)
	}
	return nil, errUnknownType
}

var errUnknownType = errors.New("is no type for this value; there are $string, $bytes, $time, $decimal, $float32, $float64, $table, " +
	"$int8, $int16, $int32, $int64, $uint8, $uint16, $uint32")

func wholeOfType(name string, n int64) (any, error) {
	var v any
	switch name {
	case "int8":
		v = int8(n)
	case "int16":
		v = int16(n)
	case "int32":
		v = int32(n)
	case "int64":
		v = n
	case "uint8":
		v = uint8(n)
	case "uint16":
		v = uint16(n)
	case "uint32":
		v = uint32(n)
	default:
		return nil, errUnknownType
	}
	if fmt.Sprint(v) != fmt.Sprint(n) {
		return nil, fmt.Errorf("%d does not fit", n)
	}
	return v, nil
}

// formatDecimal writes value and scale: "1.25" is 125 with a scale of 2.
func formatDecimal(d core.Decimal) string {
	digits, sign := strconv.FormatInt(int64(d.Value), 10), ""
	if d.Value < 0 {
		digits, sign = digits[1:], "-"
	}
	if pad := int(d.Scale) + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	if d.Scale == 0 {
		return sign + digits
	}
	at := len(digits) - int(d.Scale)
	return sign + digits[:at] + "." + digits[at:]
}

func parseDecimal(s string) (core.Decimal, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	value, err := strconv.ParseInt(whole+fraction, 10, 32)
	if err != nil || len(fraction) > math.MaxUint8 {
		return core.Decimal{}, fmt.Errorf("%q is no decimal of 32 bits", s)
	}
	return core.Decimal{Scale: uint8(len(fraction)), Value: int32(value)}, nil
}
