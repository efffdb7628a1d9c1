package wire

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/warren-mq/warren/internal/errs"
)

// hotCases are methods that have functions of their own, which must agree with the field walk.
func hotCases() []Method {
	long := strings.Repeat("k", 255)
	return []Method{
		&BasicPublish{},
		&BasicPublish{Exchange: "orders", RoutingKey: "eu.created", Mandatory: true},
		&BasicPublish{Exchange: long, RoutingKey: long, Immediate: true},
		&BasicPublish{Exchange: "\xff\x00", Mandatory: true, Immediate: true},
		&BasicDeliver{},
		&BasicDeliver{ConsumerTag: "ctag", DeliveryTag: 1<<64 - 1, Redelivered: true, Exchange: "orders", RoutingKey: "eu.created"},
		&BasicDeliver{ConsumerTag: long, DeliveryTag: 0x0102030405060708, Exchange: long, RoutingKey: long},
		&BasicAck{},
		&BasicAck{DeliveryTag: 0x0102030405060708, Multiple: true},
		&BasicNack{DeliveryTag: 0x0102030405060708, Multiple: true},
		&BasicNack{DeliveryTag: 1, Requeue: true},
		&BasicReject{DeliveryTag: 0x0102030405060708, Requeue: true},
		&BasicReject{DeliveryTag: 1},
	}
}

// appendHot is AppendMethod by the special functions.
func appendHot(dst []byte, channel uint16, m Method) ([]byte, error) {
	switch m := m.(type) {
	case *BasicPublish:
		return AppendPublish(dst, channel, m.Exchange, m.RoutingKey, m.Mandatory, m.Immediate)
	case *BasicDeliver:
		return AppendDeliver(dst, channel, m)
	case *BasicAck:
		return AppendAck(dst, channel, m.DeliveryTag, m.Multiple), nil
	case *BasicNack:
		return AppendNack(dst, channel, m.DeliveryTag, m.Multiple, m.Requeue), nil
	case *BasicReject:
		return AppendReject(dst, channel, m.DeliveryTag, m.Requeue), nil
	}
	return nil, errors.ErrUnsupported
}

// decodeHot is Decoder.Method by the special functions, nil for methods without one.
func decodeHot(d *Decoder, payload []byte) (Method, error) {
	id, _ := PeekMethod(payload)
	switch id {
	case MethodBasicPublish:
		m := &BasicPublish{Exchange: "before"}
		return m, d.Publish(payload, m)
	case MethodBasicDeliver:
		m := &BasicDeliver{Exchange: "before"}
		return m, d.Deliver(payload, m)
	case MethodBasicAck:
		m := &BasicAck{DeliveryTag: 7}
		return m, d.Ack(payload, m)
	}
	return nil, nil
}

func TestHotEncodersAgreeWithTheWalk(t *testing.T) {
	for _, m := range hotCases() {
		want, err := AppendMethod([]byte("x"), 0x0102, m)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := appendHot([]byte("x"), 0x0102, m); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s %+v:\n got %x, error %v\nwant %x", m.ID(), m, got, err, want)
		}
	}
}

func TestHotDecodersAgreeWithTheWalk(t *testing.T) {
	var d Decoder
	for _, m := range hotCases() {
		_, payload := encode(t, m)
		got, err := decodeHot(&d, append(payload, 9, 9))
		if got != nil && (err != nil || !reflect.DeepEqual(got, m)) {
			t.Errorf("%s: got %+v, error %v; want %+v", m.ID(), got, err, m)
		}
	}
}

func TestHotDecodersRefuseWhatIsCutOff(t *testing.T) {
	var d Decoder
	for _, m := range hotCases() {
		_, payload := encode(t, m)
		for cut := 4; cut < len(payload); cut++ {
			got, err := decodeHot(&d, payload[:cut:cut])
			if got == nil {
				continue // no decoder of its own
			}
			if e, ok := errs.AsType[*Error](err); !ok || e.Code != 502 || e.Where != m.ID().String() {
				t.Fatalf("%s cut to %d octets: error %v", m.ID(), cut, err)
			}
			fresh, _ := decodeHot(&d, payload[:4])
			if !reflect.DeepEqual(got, fresh) {
				t.Fatalf("%s cut to %d octets has changed the result to %+v", m.ID(), cut, got)
			}
		}
	}
}

func TestHotDecodersRefuseOtherMethods(t *testing.T) {
	var d Decoder
	decoders := map[string]func([]byte) error{
		"publish": func(b []byte) error { return d.Publish(b, new(BasicPublish)) },
		"deliver": func(b []byte) error { return d.Deliver(b, new(BasicDeliver)) },
		"ack":     func(b []byte) error { return d.Ack(b, new(BasicAck)) },
	}
	for name, decode := range decoders {
		_, payload := encode(t, &BasicGetEmpty{})
		if e, ok := errs.AsType[*Error](decode(payload)); !ok || e.Code != 503 {
			t.Errorf("%s: error %v for a basic.get-empty", name, e)
		}
		for cut := range 4 {
			if e, ok := errs.AsType[*Error](decode(payload[:cut])); !ok || e.Code != 501 {
				t.Errorf("%s: error %v for %d octets", name, e, cut)
			}
		}
	}
}

func TestHotEncodersRefuseLongNames(t *testing.T) {
	long := strings.Repeat("x", 256)
	for path, m := range map[string]Method{
		"exchange":     &BasicPublish{Exchange: long},
		"routing key":  &BasicPublish{RoutingKey: long},
		"consumer tag": &BasicDeliver{ConsumerTag: long},
		"exchange ":    &BasicDeliver{Exchange: long},
		"routing key ": &BasicDeliver{RoutingKey: long},
	} {
		dst := append(make([]byte, 0, 2048), "before"...)
		got, err := appendHot(dst, 1, m)
		if e, ok := errs.AsType[*FieldError](err); !ok || e.Path != strings.TrimSpace(path) {
			t.Errorf("%s: error %v", path, err)
		}
		if string(got) != "before" {
			t.Errorf("%s: dst is %q", path, got)
		}
		_, want := AppendMethod(nil, 1, m)
		if err.Error() != want.Error() {
			t.Errorf("%s: error %v, the walk says %v", path, err, want)
		}
	}
}

func TestValidateShortstr(t *testing.T) {
	if err := ValidateShortstr("queue", strings.Repeat("x", 255)); err != nil {
		t.Error(err)
	}
	err := ValidateShortstr("queue", strings.Repeat("x", 256))
	if e, ok := errs.AsType[*FieldError](err); !ok || e.Path != "queue" {
		t.Errorf("error %v", err)
	}
}

// TestAllocations holds the hot paths to no allocation at all.
func TestAllocations(t *testing.T) {
	var d Decoder
	dst := make([]byte, 0, 4096)
	body := make([]byte, 64)
	p := everyProperty()
	deliver := &BasicDeliver{ConsumerTag: "ctag", DeliveryTag: 9, Exchange: "orders", RoutingKey: "eu.created"}
	publish := &BasicPublish{Exchange: "orders", RoutingKey: "eu.created"}
	frame := func(m Method) []byte { f, _ := encode(t, m); return f }
	delivered, published, acked := frame(deliver), frame(publish), frame(&BasicAck{DeliveryTag: 1})
	raw := encodeProperties(t, &p)
	payload := header(raw...)
	tests := map[string]func(){
		"AppendPublish":   func() { _, _ = AppendPublish(dst, 1, "orders", "eu.created", true, false) },
		"AppendHeader":    func() { _, _ = AppendHeader(dst, 1, ClassBasic, 64, &p) },
		"AppendRawHeader": func() { AppendRawHeader(dst, 1, ClassBasic, 64, raw) },
		"AppendBody":      func() { AppendBody(dst, 1, body, 4096) },
		"AppendHeartbeat": func() { AppendHeartbeat(dst) },
		"AppendAck":       func() { AppendAck(dst, 1, 2, true) },
		"AppendNack":      func() { AppendNack(dst, 1, 2, true, true) },
		"AppendReject":    func() { AppendReject(dst, 1, 2, true) },
		"AppendDeliver":   func() { _, _ = AppendDeliver(dst, 1, deliver) },
		"AppendTable":     func() { _, _ = AppendTable(dst, p.Headers) },
		"ParseFrame":      func() { _, _, _ = ParseFrame(delivered, 4096) },
		"Deliver":         func() { _ = d.Deliver(delivered[7:], deliver) },
		"Publish":         func() { _ = d.Publish(published[7:], publish) },
		"Ack":             func() { _ = d.Ack(acked[7:], new(BasicAck)) },
		"Header":          func() { _, _ = d.Header(payload) },
		"LookupProperty":  func() { LookupProperty(raw, PropertyMessageID) },
		"LookupHeader":    func() { LookupHeader(raw, "absent") },
		"PeekMethod":      func() { PeekMethod(delivered[7:]) },
		"String":          func() { _ = MethodBasicDeliver.String() },
	}
	for name, f := range tests {
		if allocs := testing.AllocsPerRun(100, f); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// TestDeliveryCostsItsKeyAtMost has routing keys that never come again.
func TestDeliveryCostsItsKeyAtMost(t *testing.T) {
	var d Decoder
	m := &BasicDeliver{ConsumerTag: "ctag", Exchange: "orders"}
	key := []byte("order-00000000")
	var out []byte
	allocs := testing.AllocsPerRun(10_000, func() {
		for i := len(key) - 1; ; i-- {
			if key[i]++; key[i] <= '9' {
				break
			}
			key[i] = '0'
		}
		out, _ = AppendDeliver(out[:0], 1, &BasicDeliver{ConsumerTag: "ctag", Exchange: "orders", RoutingKey: ""})
		out = append(out[:len(out)-2], byte(len(key)))
		out = append(out, key...)
		if err := d.Deliver(out[7:], m); err != nil || m.RoutingKey != string(key) {
			t.Fatal(m.RoutingKey, err)
		}
	})
	if allocs > 1 {
		t.Errorf("%v allocations for a delivery with a new routing key", allocs)
	}
}

func TestDecodedNamesSurviveTheBuffer(t *testing.T) {
	var d Decoder
	var m BasicDeliver
	_, payload := encode(t, &BasicDeliver{ConsumerTag: "ctag", Exchange: "orders", RoutingKey: "eu.created"})
	if err := d.Deliver(slices.Clone(payload), &m); err != nil {
		t.Fatal(err)
	}
	want := m
	for i := range payload {
		payload[i] = 'x'
	}
	if m != want || m.RoutingKey != "eu.created" {
		t.Errorf("changed to %+v", m)
	}
}
