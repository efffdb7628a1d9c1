package wire

import (
	"encoding/xml"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The protocol's XML, as far as the tests compare with it.
type (
	specDoc struct {
		Constants []specConstant `xml:"constant"`
		Domains   []specField    `xml:"domain"`
		Classes   []specClass    `xml:"class"`
	}
	specConstant struct {
		Name  string `xml:"name,attr"`
		Value int    `xml:"value,attr"`
	}
	specClass struct {
		Name    string       `xml:"name,attr"`
		Index   uint16       `xml:"index,attr"`
		Fields  []specField  `xml:"field"`
		Methods []specMethod `xml:"method"`
	}
	specMethod struct {
		Name      string      `xml:"name,attr"`
		Index     uint16      `xml:"index,attr"`
		Content   int         `xml:"content,attr"`
		Fields    []specField `xml:"field"`
		Responses []struct {
			Name string `xml:"name,attr"`
		} `xml:"response"`
	}
	specField struct {
		Name     string `xml:"name,attr"`
		Type     string `xml:"type,attr"`
		Domain   string `xml:"domain,attr"`
		Reserved int    `xml:"reserved,attr"`
	}
)

// kind is the elementary type of a field.
func (s *specDoc) kind(f specField) string {
	if f.Type != "" {
		return f.Type
	}
	i := slices.IndexFunc(s.Domains, func(d specField) bool { return d.Name == f.Domain })
	return s.Domains[i].Type
}

func readSpec(t *testing.T) *specDoc {
	t.Helper()
	name := os.Getenv("WARREN_SPEC_XML")
	if name == "" {
		t.Skip("set WARREN_SPEC_XML to the path of amqp0-9-1.extended.xml to compare with the specification")
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var s specDoc
	if err := xml.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Classes) < 7 {
		t.Fatalf("%d classes in %s", len(s.Classes), name)
	}
	return &s
}

func TestSpecMethods(t *testing.T) {
	spec := readSpec(t)
	seen := map[MethodID]bool{}
	for _, c := range spec.Classes {
		for _, sm := range c.Methods {
			id := MethodID(c.Index)<<16 | MethodID(sm.Index)
			seen[id] = true
			m := NewMethod(id)
			if m == nil {
				t.Errorf("%s.%s (%d.%d) is missing", c.Name, sm.Name, c.Index, sm.Index)
				continue
			}
			if got, want := id.String(), c.Name+"."+sm.Name; got != want {
				t.Errorf("%s is called %s", want, got)
			}
			if got := HasContent(id); got != (sm.Content == 1) {
				t.Errorf("%s: content %v", id, got)
			}
			compareFields(t, spec, m, sm)
			compareReplies(t, c, id, sm)
		}
	}
	for id := range methods {
		// RabbitMQ still answers the access class of AMQP 0.8.
		if !seen[id] && id.Class() != ClassAccess {
			t.Errorf("%s is not in the specification", id)
		}
	}
}

// compareFields compares order, types and names, and the names of the struct's fields.
func compareFields(t *testing.T, spec *specDoc, m Method, sm specMethod) {
	t.Helper()
	var want, got []string
	for _, f := range sm.Fields {
		name := f.Name
		if f.Reserved == 1 {
			name = "reserved"
		}
		want = append(want, spec.kind(f)+" "+name)
	}
	r := &recorder{}
	m.fields(r)
	for _, f := range r.fields {
		if f.reserved {
			f.name = "reserved"
		} else if field := goName(m, f.at); field != camel(f.name) {
			t.Errorf("%s: %s is the struct's %s", m.ID(), f.name, field)
		}
		got = append(got, f.kind+" "+f.name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", m.ID(), got, want)
	}
}

// goName returns the name of the struct field that at points to.
func goName(m Method, at any) string {
	s := reflect.ValueOf(m).Elem()
	for i := range s.NumField() {
		if s.Field(i).Addr().Pointer() == reflect.ValueOf(at).Pointer() {
			return s.Type().Field(i).Name
		}
	}
	return fmt.Sprintf("unknown field at %v", at)
}

// camel is a name of the specification as a Go name.
func camel(name string) string {
	if name == "nowait" { // only in confirm.select
		return "NoWait"
	}
	var b strings.Builder
	for part := range strings.SplitSeq(name, "-") {
		if part == "id" {
			part = "ID"
		}
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

func compareReplies(t *testing.T, c specClass, id MethodID, sm specMethod) {
	t.Helper()
	var want []MethodID
	for _, r := range sm.Responses {
		i := slices.IndexFunc(c.Methods, func(m specMethod) bool { return m.Name == r.Name })
		want = append(want, MethodID(c.Index)<<16|MethodID(c.Methods[i].Index))
	}
	if id == MethodBasicRecover { // says so in its prose, not in its links
		want = []MethodID{MethodBasicRecoverOk}
	}
	if got := Replies(id); !slices.Equal(got, want) {
		t.Errorf("%s: replies %v, want %v", id, got, want)
	}
}

func TestSpecConstants(t *testing.T) {
	spec := readSpec(t)
	got := map[string]int{
		"frame-method": FrameMethod, "frame-header": FrameHeader, "frame-body": FrameBody,
		"frame-heartbeat": FrameHeartbeat, "frame-end": FrameEnd, "frame-min-size": FrameMinSize,
		"frame-error": codeFrameError, "syntax-error": codeSyntaxError, "command-invalid": codeCommandInvalid,
		"unexpected-frame": codeUnexpectedFrame, "not-implemented": codeNotImplemented,
	}
	for _, c := range spec.Constants {
		if v, ok := got[c.Name]; ok {
			if v != c.Value {
				t.Errorf("%s is %d, want %d", c.Name, v, c.Value)
			}
			delete(got, c.Name)
		}
	}
	if len(got) > 0 {
		t.Errorf("not in the specification: %v", got)
	}
}

func TestSpecProperties(t *testing.T) {
	spec := readSpec(t)
	i := slices.IndexFunc(spec.Classes, func(c specClass) bool { return c.Index == ClassBasic })
	fields := spec.Classes[i].Fields
	if len(fields) != len(propertyCases) {
		t.Fatalf("%d properties, want %d", len(propertyCases), len(fields))
	}
	for i, f := range fields {
		c := propertyCases[i]
		name := f.Name
		if name == "reserved" {
			name = "cluster-id"
		}
		if c.name != name || c.property != 1<<(15-i) || c.kind != spec.kind(f) {
			t.Errorf("property %d is %s %s with flag %04x, want %s %s", i, c.kind, c.name, uint16(c.property), spec.kind(f), name)
		}
	}
}
