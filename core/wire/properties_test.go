package wire

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/internal/errs"
)

// propertyCases has the properties in wire order, each with a message that has only this one, and its octets.
var propertyCases = []struct {
	name, kind string
	property   Property
	set        Properties
	want       string
}{
	{"content-type", "shortstr", PropertyContentType, Properties{ContentType: "a/b"}, "8000 03612f62"},
	{"content-encoding", "shortstr", PropertyContentEncoding, Properties{ContentEncoding: "gz"}, "4000 02677a"},
	{"headers", "table", PropertyHeaders, Properties{Headers: Table{"a": true}}, "2000 00000004 01617401"},
	{"delivery-mode", "octet", PropertyDeliveryMode, Properties{DeliveryMode: 2}, "1000 02"},
	{"priority", "octet", PropertyPriority, Properties{Priority: 9}, "0800 09"},
	{"correlation-id", "shortstr", PropertyCorrelationID, Properties{CorrelationID: "c"}, "0400 0163"},
	{"reply-to", "shortstr", PropertyReplyTo, Properties{ReplyTo: "r"}, "0200 0172"},
	{"expiration", "shortstr", PropertyExpiration, Properties{Expiration: "60"}, "0100 023630"},
	{"message-id", "shortstr", PropertyMessageID, Properties{MessageID: "m"}, "0080 016d"},
	{"timestamp", "timestamp", PropertyTimestamp, Properties{Timestamp: time.Unix(258, 0).UTC()}, "0040 0000000000000102"},
	{"type", "shortstr", PropertyType, Properties{Type: "t"}, "0020 0174"},
	{"user-id", "shortstr", PropertyUserID, Properties{UserID: "u"}, "0010 0175"},
	{"app-id", "shortstr", PropertyAppID, Properties{AppID: "p"}, "0008 0170"},
	{"cluster-id", "shortstr", PropertyClusterID, Properties{ClusterID: "l"}, "0004 016c"},
}

// everyProperty has all properties set.
func everyProperty() Properties {
	return Properties{
		ContentType: "text/plain", ContentEncoding: "utf-8",
		Headers:      Table{"s": "x", "n": Table{"a": []any{int32(-1), nil}}, "bin": []byte{0, 255}},
		DeliveryMode: 2, Priority: 5, CorrelationID: "corr", ReplyTo: "amq.rabbitmq.reply-to", Expiration: "60000",
		MessageID: "id-1", Timestamp: time.Unix(1700000000, 0).UTC(), Type: "created", UserID: "guest",
		AppID: "shop", ClusterID: "c1",
	}
}

// encodeProperties returns flags and list.
func encodeProperties(t testing.TB, p *Properties) []byte {
	t.Helper()
	frame, err := AppendHeader(nil, 1, ClassBasic, 7, p)
	if err != nil {
		t.Fatal(err)
	}
	f, n, err := ParseFrame(frame, 0)
	if err != nil || n != len(frame) || f.Type != FrameHeader {
		t.Fatalf("frame %+v, n %d of %d, error %v", f, n, len(frame), err)
	}
	h, err := new(Decoder).Header(f.Payload)
	if err != nil || h.Class != ClassBasic || h.BodySize != 7 {
		t.Fatalf("header %+v, error %v", h, err)
	}
	return h.Properties
}

func unspace(s string) string { return strings.ReplaceAll(s, " ", "") }

func TestEachProperty(t *testing.T) {
	for _, tt := range propertyCases {
		t.Run(tt.name, func(t *testing.T) {
			raw := encodeProperties(t, &tt.set)
			if got, want := hex.EncodeToString(raw), unspace(tt.want); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			back, err := DecodeProperties(raw)
			if err != nil || !reflect.DeepEqual(back, tt.set) {
				t.Errorf("reads back as %+v, error %v", back, err)
			}
			for _, other := range propertyCases {
				value, ok := LookupProperty(raw, other.property)
				if ok != (other.name == tt.name) {
					t.Errorf("lookup of %s: %x, %v", other.name, value, ok)
				}
			}
		})
	}
}

func TestHeaderFrame(t *testing.T) {
	got, err := AppendHeader(nil, 0x0102, ClassBasic, 0x0304, &Properties{ContentType: "a", DeliveryMode: 2})
	want := "02 0102 00000011 003c 0000 0000000000000304 9000 0161 02 ce"
	if err != nil || hex.EncodeToString(got) != unspace(want) {
		t.Errorf("got %x, error %v; want %s", got, err, want)
	}
	none := "02 0001 0000000e 003c 0000 ffffffffffffffff 0000 ce"
	for _, p := range []*Properties{nil, {}} {
		got, err = AppendHeader(nil, 1, ClassBasic, 1<<64-1, p)
		if err != nil || hex.EncodeToString(got) != unspace(none) {
			t.Errorf("got %x, error %v; want %s", got, err, none)
		}
	}
	if got := AppendRawHeader(nil, 1, ClassBasic, 1<<64-1, nil); hex.EncodeToString(got) != unspace(none) {
		t.Errorf("raw: got %x, want %s", got, none)
	}
}

func TestRawHeaderRepeatsWhatCame(t *testing.T) {
	p := everyProperty()
	frame, err := AppendHeader([]byte("x"), 3, ClassBasic, 9, &p)
	if err != nil {
		t.Fatal(err)
	}
	raw := frame[1+frameHeaderSize+headerFixedSize : len(frame)-1]
	if got := AppendRawHeader([]byte("x"), 3, ClassBasic, 9, raw); !bytes.Equal(got, frame) {
		t.Errorf("got  %x\nwant %x", got, frame)
	}
}

func TestPropertiesRoundTrip(t *testing.T) {
	full := everyProperty()
	dst := time.FixedZone("CEST", 7200)
	tests := map[string]struct{ in, want Properties }{
		"none":           {},
		"all":            {full, full},
		"content type":   {in: Properties{ContentType: "text/plain"}, want: Properties{ContentType: "text/plain"}},
		"empty headers":  {in: Properties{Headers: Table{}}, want: Properties{Headers: Table{}}},
		"mode, priority": {in: Properties{DeliveryMode: 2, Priority: 255}, want: Properties{DeliveryMode: 2, Priority: 255}},
		"headers": {
			in:   Properties{Headers: Table{"foo": 7, "bar": "baz", "d": Table{"foo2": -7, "e": Table{}}}},
			want: Properties{Headers: Table{"foo": int32(7), "bar": "baz", "d": Table{"foo2": int32(-7), "e": Table{}}}},
		},
		"times": {
			in:   Properties{Headers: Table{"t": time.Date(2026, 7, 1, 12, 0, 0, 999, dst)}, Timestamp: time.Date(2026, 7, 1, 12, 0, 0, 0, dst)},
			want: Properties{Headers: Table{"t": time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)}, Timestamp: time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)},
		},
		"decimals": {
			in:   Properties{Headers: Table{"a": Decimal{1, 101}, "b": Decimal{3, -1987654193}}},
			want: Properties{Headers: Table{"a": Decimal{1, 101}, "b": Decimal{3, -1987654193}}},
		},
		"the first second": {in: Properties{Timestamp: time.Unix(0, 0)}, want: Properties{Timestamp: time.Unix(0, 0).UTC()}},
		"any octets":       {in: Properties{MessageID: "\xff\x00\n"}, want: Properties{MessageID: "\xff\x00\n"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := tt.in.Validate(); err != nil {
				t.Fatal(err)
			}
			raw := encodeProperties(t, &tt.in)
			got, err := DecodeProperties(raw)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v, error %v\nwant %+v", got, err, tt.want)
			}
			for key, want := range tt.want.Headers {
				if v, ok := LookupHeader(raw, key); !ok || !reflect.DeepEqual(v, want) {
					t.Errorf("header %s: %v, %v; want %v", key, v, ok, want)
				}
			}
			if v, ok := LookupHeader(raw, "absent"); ok || v != nil {
				t.Errorf("found an absent header: %v", v)
			}
		})
	}
}

func TestPropertiesRefused(t *testing.T) {
	long := strings.Repeat("x", 256)
	tests := []struct {
		path string
		p    Properties
	}{
		{"content type", Properties{ContentType: long}},
		{"content encoding", Properties{ContentEncoding: long}},
		{"correlation id", Properties{CorrelationID: long}},
		{"reply to", Properties{ReplyTo: long}},
		{"expiration", Properties{Expiration: long}},
		{"message id", Properties{MessageID: long}},
		{"type", Properties{Type: long}},
		{"user id", Properties{UserID: long}},
		{"app id", Properties{AppID: long}},
		{"cluster id", Properties{ClusterID: long}},
		{"headers.t", Properties{Headers: Table{"t": time.Time{}}}},
		{"headers.a[2]", Properties{Headers: Table{"a": []any{1, 2, make(chan int)}}, MessageID: long}},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			dst := append(make([]byte, 0, 2048), "before"...)
			got, err := AppendHeader(dst, 1, ClassBasic, 0, &tt.p)
			e, ok := errs.AsType[*FieldError](err)
			if !ok || e.Path != tt.path || !bytes.Equal(got, []byte("before")) {
				t.Errorf("dst %q, error %v", got, err)
			}
			if verr := tt.p.Validate(); verr == nil || verr.Error() != err.Error() {
				t.Errorf("Validate says %v, AppendHeader %v", verr, err)
			}
		})
	}
}

// header is the payload of a content header frame with these properties.
func header(raw ...byte) []byte {
	return append([]byte{0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, raw...)
}

func TestHeaderCutAnywhereIsRefused(t *testing.T) {
	p := everyProperty()
	raw := encodeProperties(t, &p)
	payload := header(raw...)
	var d Decoder
	for cut := range len(payload) {
		h, err := d.Header(payload[:cut:cut])
		e, ok := errs.AsType[*Error](err)
		if !ok || h.Properties != nil {
			t.Fatalf("cut to %d of %d octets: %+v, error %v", cut, len(payload), h, err)
		}
		if want := map[bool]uint16{true: 501, false: 502}[cut < 12]; e.Code != want {
			t.Errorf("cut to %d octets: code %d, want %d", cut, e.Code, want)
		}
		if cut >= 12 {
			if p, err := DecodeProperties(payload[12:cut:cut]); err == nil || !reflect.DeepEqual(p, Properties{}) {
				t.Errorf("properties cut to %d octets: %+v, error %v", cut-12, p, err)
			}
		}
	}
}

func TestHeaderTolerance(t *testing.T) {
	tests := map[string]string{
		"octets behind the last property":    "1000 02 aabbcc",
		"a weight":                           "1000 02",
		"a second word of flags":             "1001 0000 02",
		"many words of flags":                "1001 ffff ffff 0001 fffe 02",
		"unknown properties behind the rest": "1003 8000 02 0161",
		"the unused bit":                     "1002 02",
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			raw, err := hex.DecodeString(unspace(in))
			if err != nil {
				t.Fatal(err)
			}
			payload := header(raw...)
			payload[3] = 1 // weight
			h, err := new(Decoder).Header(payload)
			if err != nil || !bytes.Equal(h.Properties, raw) {
				t.Fatalf("header %+v, error %v", h, err)
			}
			p, err := DecodeProperties(h.Properties)
			if err != nil || !reflect.DeepEqual(p, Properties{DeliveryMode: 2}) {
				t.Errorf("properties %+v, error %v", p, err)
			}
		})
	}
}

func TestHeaderOfOtherClasses(t *testing.T) {
	payload := header(0, 0)
	payload[1] = 50
	_, err := new(Decoder).Header(payload)
	if e, ok := errs.AsType[*Error](err); !ok || e.Code != 505 {
		t.Errorf("error %v, want code 505", err)
	}
}

func TestLookupInMalformedProperties(t *testing.T) {
	for _, in := range []string{"", "80", "8001", "8000 05 61", "a000 0161 00000009 0161", "a000 0161 00000003 01617a"} {
		raw, err := hex.DecodeString(unspace(in))
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := LookupHeader(raw, "a"); ok {
			t.Errorf("%s: found %v", in, v)
		}
		if _, ok := LookupProperty(raw, PropertyHeaders); ok {
			t.Errorf("%s: found headers", in)
		}
	}
}

func TestLookupHeaderTakesTheLast(t *testing.T) {
	raw, _ := hex.DecodeString(unspace("2000 0000000c 01617401 01625601 6174 00"))
	raw[5] = byte(len(raw) - 6)
	p, err := DecodeProperties(raw)
	if err != nil || p.Headers["a"] != false {
		t.Fatalf("headers %v, error %v", p.Headers, err)
	}
	if v, ok := LookupHeader(raw, "a"); !ok || v != false {
		t.Errorf("found %v, %v", v, ok)
	}
	if v, ok := LookupHeader(raw, "b"); !ok || v != nil {
		t.Errorf("found %v, %v; want a present nil", v, ok)
	}
}

func TestTimestampsNeverFail(t *testing.T) {
	seen := map[time.Time]string{}
	for _, in := range []string{"0000000000000000", "0000000000000001", "7fffffffffffffff", "8000000000000000", "ffffffffffffffff", "00000fffffffffff"} {
		octets, _ := hex.DecodeString(in)
		p, err := DecodeProperties(append([]byte{0, 0x40}, octets...))
		if err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if other, ok := seen[p.Timestamp]; ok {
			t.Errorf("%s and %s are one time", in, other)
		}
		seen[p.Timestamp] = in
		if back := fmt.Sprintf("%016x", uint64(p.Timestamp.Unix())); back != in {
			t.Errorf("%s came back as %s", in, back)
		}
	}
}

func TestDecodedPropertiesShareNoMemory(t *testing.T) {
	want := everyProperty()
	raw := slices.Clone(encodeProperties(t, &want))
	got, err := DecodeProperties(raw)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := LookupHeader(raw, "bin")
	clear(raw)
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(v, []byte{0, 255}) {
		t.Errorf("changed with the bytes: %+v, %v", got, v)
	}
}
