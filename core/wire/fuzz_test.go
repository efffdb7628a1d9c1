package wire

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/internal/errs"
)

// typed fails the test unless err is nil or one of the errors that bytes can cause.
func typed(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if _, ok := errs.AsType[*ProtocolHeaderError](err); ok {
		return
	}
	if e, ok := errs.AsType[*Error](err); !ok || e.Code < 501 || e.Code > 540 || e.Where == "" || e.Reason == "" {
		t.Fatalf("error %#v", err)
	}
}

// same compares decoded values, NaN included.
func same(a, b any) bool { return fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b) }

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte(ProtocolHeader), uint32(0))
	f.Add([]byte("AMQP\x00\x01\x00\x00"), uint32(4096))
	f.Add(AppendHeartbeat(nil), uint32(4096))
	f.Add(AppendAck(AppendHeartbeat(nil), 1, 2, true), uint32(4096))
	f.Add(AppendBody(nil, 1, []byte("body"), 4096), uint32(4096))
	f.Add([]byte{3, 0, 1, 0xff, 0xff, 0xff, 0xff}, uint32(131072))
	f.Add([]byte{8, 0, 1, 0, 0, 0, 0, 0xce}, uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, maxSize uint32) {
		whole, n, err := ParseFrame(b, maxSize)
		typed(t, err)
		if n < 0 || n > len(b) || (n > 0) == (err != nil || len(whole.Payload) != n-FrameOverhead) {
			t.Fatalf("n %d of %d, frame %+v, error %v", n, len(b), whole, err)
		}
		if n > 0 {
			again := appendFrameStart(nil, whole.Type, whole.Channel, uint32(len(whole.Payload)))
			again = append(append(again, whole.Payload...), FrameEnd)
			if !bytes.Equal(again, b[:n]) {
				t.Fatalf("%x parsed from %x", again, b[:n])
			}
		}
		// What a part of the bytes says does not change when more come.
		for cut := range b {
			part, k, perr := ParseFrame(b[:cut], maxSize)
			if k > 0 && (k != n || !bytes.Equal(part.Payload, whole.Payload)) {
				t.Fatalf("%d octets make a frame of %d, %d octets one of %d", cut, k, len(b), n)
			}
			if perr != nil && err == nil {
				t.Fatalf("%d octets are refused (%v), %d are not", cut, perr, len(b))
			}
		}
	})
}

func FuzzMethod(f *testing.F) {
	for _, m := range allMethods() {
		_, payload := encode(f, m)
		f.Add(payload)
	}
	f.Add([]byte{0, 50, 0, 99})
	f.Add([]byte{0, 10, 0, 10, 0, 9, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, payload []byte) {
		var d Decoder
		m, err := d.Method(payload)
		typed(t, err)
		hot, hotErr := decodeHot(&d, payload)
		if hot != nil && ((err == nil) != (hotErr == nil) || err == nil && !same(hot, m)) {
			t.Fatalf("special decoder: %#v, error %v; walk: %#v, error %v", hot, hotErr, m, err)
		}
		if err != nil {
			return
		}
		frame, err := AppendMethod(nil, 1, m)
		if err != nil {
			t.Fatal(err)
		}
		back, err := d.Method(frame[frameHeaderSize : len(frame)-1])
		if err != nil || !same(back, m) {
			t.Fatalf("sent %#v, got %#v, error %v", m, back, err)
		}
	})
}

func FuzzPublish(f *testing.F) {
	f.Add(uint16(1), "orders", "eu.created", true, false)
	f.Add(uint16(65535), "", strings.Repeat("k", 255), false, true)
	f.Add(uint16(0), strings.Repeat("k", 256), "\xff", false, false)
	f.Fuzz(func(t *testing.T, channel uint16, exchange, key string, mandatory, immediate bool) {
		m := &BasicPublish{Exchange: exchange, RoutingKey: key, Mandatory: mandatory, Immediate: immediate}
		want, wantErr := AppendMethod(nil, channel, m)
		got, err := AppendPublish(nil, channel, exchange, key, mandatory, immediate)
		if (err == nil) != (wantErr == nil) || !bytes.Equal(got, want) {
			t.Fatalf("got %x, error %v; want %x, error %v", got, err, want, wantErr)
		}
		if err != nil {
			return
		}
		var back BasicPublish
		if err := new(Decoder).Publish(got[frameHeaderSize:len(got)-1], &back); err != nil || back != *m {
			t.Fatalf("sent %+v, got %+v, error %v", m, back, err)
		}
	})
}

// rawSeeds are properties in their encoded form.
func rawSeeds(f *testing.F) [][]byte {
	all := everyProperty()
	seeds := [][]byte{
		encodeProperties(f, nil), encodeProperties(f, &all),
		{0x10, 1, 0, 0, 2}, {0xff, 0xff, 0xff, 0xfe}, {0x20, 0, 0xff, 0xff, 0xff, 0xff},
		{0x20, 0, 0, 0, 0, 10, 1, 'a', 'V', 1, 'a', 't', 1, 0, 'b', 0xff},
		{0, 0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	}
	for _, c := range propertyCases {
		seeds = append(seeds, encodeProperties(f, &c.set))
	}
	return seeds
}

func FuzzHeader(f *testing.F) {
	for _, raw := range rawSeeds(f) {
		f.Add(header(raw...))
	}
	f.Add(header(0, 0)[:13])
	f.Fuzz(func(t *testing.T, payload []byte) {
		h, err := new(Decoder).Header(payload)
		typed(t, err)
		if err != nil {
			return
		}
		if _, err := DecodeProperties(h.Properties); err != nil {
			t.Fatalf("accepted and then not decoded: %v", err)
		}
		frame := AppendRawHeader(nil, 1, h.Class, h.BodySize, h.Properties)
		again, err := new(Decoder).Header(frame[frameHeaderSize : len(frame)-1])
		if err != nil || again.BodySize != h.BodySize || !bytes.Equal(again.Properties, h.Properties) {
			t.Fatalf("sent %+v, got %+v, error %v", h, again, err)
		}
	})
}

func FuzzProperties(f *testing.F) {
	for _, raw := range rawSeeds(f) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := DecodeProperties(raw)
		typed(t, err)
		if err != nil {
			return
		}
		frame, err := AppendHeader(nil, 1, ClassBasic, 0, &p)
		if err != nil { // the limits apply here, and not to bytes that no decoder has let through
			if _, ok := errs.AsType[*FieldError](err); !ok {
				t.Fatal(err)
			}
			return
		}
		back, err := DecodeProperties(frame[frameHeaderSize+headerFixedSize : len(frame)-1])
		if err != nil || !same(back, p) {
			t.Fatalf("sent %#v, got %#v, error %v", p, back, err)
		}
	})
}

func FuzzLookupHeader(f *testing.F) {
	for _, raw := range rawSeeds(f) {
		f.Add(raw, "a")
		f.Add(raw, "")
	}
	f.Fuzz(func(t *testing.T, raw []byte, key string) {
		v, ok := LookupHeader(raw, key)
		p, err := DecodeProperties(raw)
		if err != nil {
			return
		}
		want, has := p.Headers[key]
		if ok != has || !same(v, want) {
			t.Fatalf("found %#v, %v; decoded %#v, %v", v, ok, want, has)
		}
		for k, want := range p.Headers {
			if v, ok := LookupHeader(raw, k); !ok || !same(v, want) {
				t.Fatalf("%q: found %#v, %v; decoded %#v", k, v, ok, want)
			}
		}
		id, ok := LookupProperty(raw, PropertyMessageID)
		if string(id) != p.MessageID || !ok && p.MessageID != "" {
			t.Fatalf("message id: found %q, %v; decoded %q", id, ok, p.MessageID)
		}
	})
}

// FuzzTable reads the fields of a table and expects that what was read is written and read again as it was.
func FuzzTable(f *testing.F) {
	for _, t := range []Table{
		{}, {"a": nil}, {"t": true, "b": int8(-1), "B": uint8(1), "s": int16(-1), "u": uint16(1)},
		{"I": int32(-1), "i": uint32(1), "l": int64(-1), "f": float32(1), "d": 1.5, "D": Decimal{1, -1}},
		{"S": "x", "x": []byte{1}, "T": time.Unix(1, 0), "F": Table{"k": "v"}, "A": []any{1, []any{}, Table{}}},
	} {
		b, err := AppendTable(nil, t)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[4:])
	}
	f.Add([]byte{1, 'a', 'U', 0xff, 0xff, 1, 'a', 'L', 1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, fields []byte) {
		payload := []byte{0, 50, 0, 10, 0, 0, 0, 0}
		m, err := new(Decoder).Method(append(payload, appendLongstr(nil, fields)...))
		typed(t, err)
		if err != nil {
			return
		}
		table := m.(*QueueDeclare).Arguments
		if !same(table.Clone(), table) {
			t.Fatalf("clone of %#v differs", table)
		}
		first, err := AppendTable(nil, table)
		if err != nil {
			t.Fatal(err)
		}
		m, err = new(Decoder).Method(slices.Concat(payload, first))
		if err != nil || !same(m.(*QueueDeclare).Arguments, table) {
			t.Fatalf("sent %#v, got %#v, error %v", table, m, err)
		}
		second, err := AppendTable(nil, m.(*QueueDeclare).Arguments)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%x and %x, error %v", first, second, err)
		}
	})
}
