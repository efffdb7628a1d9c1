package script

import (
	"fmt"
	"reflect"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

// Parse reads what [Format] writes. The content is nil for a method without content.
func Parse(line string) (wire.Method, *Content, error) {
	s := &scanner{rest: line}
	name := s.word()
	id, ok := methodsByName[name]
	if !ok {
		return nil, nil, fmt.Errorf("script: unknown method %q", name)
	}
	m := wire.NewMethod(id)
	var c *Content
	if wire.HasContent(id) {
		c = &Content{}
	}
	for s.skipSpace(); s.rest != ""; s.skipSpace() {
		if err := parseField(s, m, c); err != nil {
			return nil, nil, fmt.Errorf("script: %s: %w", name, err)
		}
	}
	return m, c, nil
}

// methodsByName is never written to.
var methodsByName = func() map[string]wire.MethodID {
	names := map[string]wire.MethodID{}
	for _, class := range []uint16{10, 20, 30, 40, 50, 60, 85, 90} {
		for method := range uint16(128) {
			id := wire.MethodID(class)<<16 | wire.MethodID(method)
			if wire.NewMethod(id) != nil {
				names[id.String()] = id
			}
		}
	}
	return names
}()

func parseField(s *scanner, m wire.Method, c *Content) error {
	name := s.word()
	field := findField(m, c, name)
	if !field.IsValid() {
		return fmt.Errorf("no field %q", name)
	}
	var value any = true
	if s.accept('=') {
		value = s.value()
	}
	if s.err != nil {
		return fmt.Errorf("%s: %w", name, s.err)
	}
	return assign(field, name, value)
}

func findField(m wire.Method, c *Content, name string) reflect.Value {
	if f := reflect.ValueOf(m).Elem().FieldByName(name); f.IsValid() || c == nil {
		return f
	}
	if name == "Body" {
		return reflect.ValueOf(c).Elem().FieldByName(name)
	}
	return reflect.ValueOf(&c.Properties).Elem().FieldByName(name)
}

// assign stores value in field, which has one of the types that methods and properties use.
func assign(field reflect.Value, name string, value any) error {
	v := reflect.ValueOf(value)
	switch {
	case value == nil:
	case field.CanUint() && v.CanInt() && v.Int() >= 0:
		field.SetUint(uint64(v.Int()))
		return nil
	case field.Kind() == reflect.Slice && v.Kind() == reflect.String:
		field.SetBytes([]byte(v.String()))
		return nil
	case v.Type() == field.Type():
		field.Set(v)
		return nil
	}
	return fmt.Errorf("%s: %v cannot be a %s", name, value, field.Type())
}

// seconds is the value of an @ literal.
func seconds(n int64) time.Time { return time.Unix(n, 0).UTC() }
