package script

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// Format returns the text of m and, if it has content, of c. Secrets are shown as "[redacted]".
func Format(m wire.Method, c *Content) string {
	var b strings.Builder
	b.WriteString(m.ID().String())
	formatStruct(&b, reflect.ValueOf(m).Elem())
	if c != nil {
		formatStruct(&b, reflect.ValueOf(c.Properties))
		formatField(&b, "Body", c.Body)
	}
	return b.String()
}

func formatStruct(b *strings.Builder, v reflect.Value) {
	for i := range v.NumField() {
		if f := v.Field(i); !f.IsZero() {
			formatField(b, v.Type().Field(i).Name, f.Interface())
		}
	}
}

func formatField(b *strings.Builder, name string, value any) {
	b.WriteByte(' ')
	b.WriteString(name)
	switch v := value.(type) {
	case bool:
		return
	case string:
		b.WriteString("=" + word(v))
	case wire.Table:
		b.WriteString("=" + FormatValue(v))
	case time.Time:
		b.WriteString("=" + FormatValue(v))
	case []byte:
		b.WriteString("=" + strconv.Quote(string(v)))
	default:
		fmt.Fprintf(b, "=%v", v) // numbers, secrets
	}
}

// FormatValue returns the text of a table's value.
func FormatValue(value any) string {
	switch v := value.(type) {
	case nil:
		return "void"
	case string:
		return word(v)
	case []byte:
		return "x" + strconv.Quote(string(v))
	case time.Time:
		return "@" + strconv.FormatInt(v.Unix(), 10)
	case wire.Decimal:
		return fmt.Sprintf("D(%d,%d)", v.Value, v.Scale)
	case wire.Table:
		return formatTable(v)
	case []any:
		items := make([]string, len(v))
		for i, e := range v {
			items[i] = FormatValue(e)
		}
		return "[" + strings.Join(items, " ") + "]"
	default:
		return fmt.Sprint(v) + suffix(v)
	}
}

func formatTable(t wire.Table) string {
	items := make([]string, 0, len(t))
	for _, k := range slices.Sorted(maps.Keys(t)) {
		items = append(items, word(k)+"="+FormatValue(t[k]))
	}
	return "{" + strings.Join(items, " ") + "}"
}

// suffix tells the type of a number; int32 and bool have none.
func suffix(number any) string {
	switch number.(type) {
	case int8:
		return "b"
	case int16:
		return "s"
	case int64:
		return "l"
	case uint8:
		return "B"
	case uint16:
		return "u"
	case uint32:
		return "i"
	case float32:
		return "f"
	case float64:
		return "d"
	}
	return ""
}

// word is s itself where a reader cannot take it for anything else, s in quotes otherwise.
func word(s string) string {
	switch s {
	case "", "true", "false", "void":
		return strconv.Quote(s)
	}
	if !letter(s[0]) {
		return strconv.Quote(s)
	}
	for i := range len(s) {
		if !inWord(s[i]) {
			return strconv.Quote(s)
		}
	}
	return s
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '/' || c == '$'
}

func inWord(c byte) bool {
	return letter(c) || c >= '0' && c <= '9' || strings.IndexByte(".-:#*%", c) >= 0
}
