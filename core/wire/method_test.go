package wire

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/warren-mq/warren/internal/errs"
)

// encode returns the method's frame and its payload.
func encode(t testing.TB, m Method) (frame, payload []byte) {
	t.Helper()
	frame, err := AppendMethod(nil, 1, m)
	if err != nil {
		t.Fatalf("%s: %v", m.ID(), err)
	}
	f, n, err := ParseFrame(frame, 0)
	if err != nil || n != len(frame) || f.Type != FrameMethod || f.Channel != 1 {
		t.Fatalf("%s: frame %+v, n %d of %d, error %v", m.ID(), f, n, len(frame), err)
	}
	return frame, f.Payload
}

func TestMethodFrames(t *testing.T) {
	tests := []struct {
		method Method
		want   string
	}{
		{&ConnectionTuneOk{ChannelMax: 2047, FrameMax: 131072, Heartbeat: 10},
			"01 0001 0000000c 000a001f 07ff 00020000 000a ce"},
		{&ConnectionOpen{VirtualHost: "/"}, "01 0001 00000008 000a0028 012f 00 00 ce"},
		{&ConnectionCloseOk{}, "01 0001 00000004 000a0033 ce"},
		{&ConnectionClose{ReplyCode: 320, ReplyText: "bye", ClassID: 60, MethodID: 40},
			"01 0001 0000000e 000a0032 0140 03627965 003c 0028 ce"},
		{&ConnectionSecureOk{Response: Secret("\x00a\x00b")}, "01 0001 0000000c 000a0015 00000004 00610062 ce"},
		{&ChannelOpen{}, "01 0001 00000005 0014000a 00 ce"},
		{&ChannelOpenOk{}, "01 0001 00000008 0014000b 00000000 ce"},
		{&ChannelFlow{Active: true}, "01 0001 00000005 00140014 01 ce"},
		{&ExchangeDeclare{Exchange: "e", Type: "fanout", Durable: true, Internal: true},
			"01 0001 00000014 0028000a 0000 0165 0666616e6f7574 0a 00000000 ce"},
		{&ExchangeUnbindOk{}, "01 0001 00000004 00280033 ce"},
		{&QueueDeclare{Queue: "q", Passive: true, Exclusive: true, NoWait: true, Arguments: Table{"foo": int32(7)}},
			"01 0001 00000016 0032000a 0000 0171 15 00000009 03666f6f 4900000007 ce"},
		{&QueueDeclareOk{Queue: "q", MessageCount: 1, ConsumerCount: 2},
			"01 0001 0000000e 0032000b 0171 00000001 00000002 ce"},
		{&QueueUnbind{Queue: "q", Exchange: "e", RoutingKey: "k"},
			"01 0001 00000010 00320032 0000 0171 0165 016b 00000000 ce"},
		{&BasicQos{PrefetchCount: 100, Global: true}, "01 0001 0000000b 003c000a 00000000 0064 01 ce"},
		{&BasicConsume{Queue: "q", ConsumerTag: "t", NoAck: true, NoWait: true},
			"01 0001 0000000f 003c0014 0000 0171 0174 0a 00000000 ce"},
		{&BasicPublish{Exchange: "e", RoutingKey: "k", Mandatory: true},
			"01 0001 0000000b 003c0028 0000 0165 016b 01 ce"},
		{&BasicDeliver{ConsumerTag: "t", DeliveryTag: 1, Redelivered: true, Exchange: "e", RoutingKey: "k"},
			"01 0001 00000013 003c003c 0174 0000000000000001 01 0165 016b ce"},
		{&BasicGetEmpty{}, "01 0001 00000005 003c0048 00 ce"},
		{&BasicNack{DeliveryTag: 3, Multiple: true, Requeue: true},
			"01 0001 0000000d 003c0078 0000000000000003 03 ce"},
		{&ConfirmSelect{NoWait: true}, "01 0001 00000005 0055000a 01 ce"},
		{&TxCommit{}, "01 0001 00000004 005a0014 ce"},
		{&AccessRequest{Realm: "/", Active: true, Write: true, Read: true}, "01 0001 00000007 001e000a 012f 1c ce"},
	}
	var d Decoder
	for _, tt := range tests {
		t.Run(tt.method.ID().String(), func(t *testing.T) {
			frame, payload := encode(t, tt.method)
			if got, want := hex.EncodeToString(frame), strings.ReplaceAll(tt.want, " ", ""); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			back, err := d.Method(payload)
			if err != nil || !reflect.DeepEqual(back, tt.method) {
				t.Errorf("reads back as %+v, error %v", back, err)
			}
		})
	}
}

func TestEveryMethodRoundTrips(t *testing.T) {
	var d Decoder
	for _, m := range allMethods() {
		for _, m := range []Method{m, NewMethod(m.ID())} {
			_, payload := encode(t, m)
			back, err := d.Method(payload)
			if err != nil || !reflect.DeepEqual(back, m) {
				t.Errorf("%s: sent %+v, got %+v, error %v", m.ID(), m, back, err)
			}
		}
	}
}

func TestEveryMethodCutAnywhereIsRefused(t *testing.T) {
	var d Decoder
	for _, m := range allMethods() {
		_, payload := encode(t, m)
		for cut := range len(payload) {
			got, err := d.Method(payload[:cut:cut])
			e, ok := errs.AsType[*Error](err)
			if !ok || got != nil {
				t.Fatalf("%s cut to %d of %d octets: %+v, error %v", m.ID(), cut, len(payload), got, err)
			}
			if want := map[bool]uint16{true: 501, false: 502}[cut < 4]; e.Code != want {
				t.Errorf("%s cut to %d octets: code %d, want %d", m.ID(), cut, e.Code, want)
			}
			if cut >= 4 && !strings.HasPrefix(e.Where, m.ID().String()) {
				t.Errorf("error does not name %s: %v", m.ID(), e)
			}
		}
	}
}

func TestEveryMethodWithMoreBehindItIsAccepted(t *testing.T) {
	var d Decoder
	for _, m := range allMethods() {
		_, payload := encode(t, m)
		back, err := d.Method(append(slices.Clone(payload), 1, 2, 3))
		if err != nil || !reflect.DeepEqual(back, m) {
			t.Errorf("%s: got %+v, error %v", m.ID(), back, err)
		}
	}
}

func TestDecodedMethodSharesNoMemory(t *testing.T) {
	var d Decoder
	for _, m := range allMethods() {
		_, payload := encode(t, m)
		back, err := d.Method(payload)
		if err != nil {
			t.Fatal(err)
		}
		for i := range payload {
			payload[i] ^= 0xff
		}
		if !reflect.DeepEqual(back, m) {
			t.Errorf("%s changed with the payload: %+v", m.ID(), back)
		}
	}
}

func TestReservedFieldsAreIgnored(t *testing.T) {
	var d Decoder
	for in, want := range map[string]Method{
		"000a0028 012f 0461626364 01":           &ConnectionOpen{VirtualHost: "/"},
		"0014000b 00000002 6869":                &ChannelOpenOk{},
		"003c0028 ffff 0165 016b fd":            &BasicPublish{Exchange: "e", RoutingKey: "k", Mandatory: true},
		"003c0048 0161":                         &BasicGetEmpty{},
		"0032001e 0102 0171 00":                 &QueuePurge{Queue: "q"},
		"003c0014 0009 0171 0174 f0 00000000":   &BasicConsume{Queue: "q", ConsumerTag: "t"},
		"0028000a 0007 0165 0174 e1 00000000ff": &ExchangeDeclare{Exchange: "e", Type: "t", Passive: true},
	} {
		payload, err := hex.DecodeString(strings.ReplaceAll(in, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Method(payload)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, error %v; want %+v", in, got, err, want)
		}
	}
}

func TestUnknownMethods(t *testing.T) {
	tests := []struct {
		id   MethodID
		code uint16
		name string
	}{
		{50<<16 | 99, 540, "method 50.99"},
		{60 << 16, 540, "method 60.0"},
		{85<<16 | 12, 540, "method 85.12"},
		{0, 503, "method 0.0"},
		{70<<16 | 10, 503, "method 70.10"},
		{0xffffffff, 503, "method 65535.65535"},
	}
	var d Decoder
	for _, tt := range tests {
		payload := []byte{byte(tt.id >> 24), byte(tt.id >> 16), byte(tt.id >> 8), byte(tt.id), 0, 0, 0, 0}
		m, err := d.Method(payload)
		e, ok := errs.AsType[*Error](err)
		if !ok || e.Code != tt.code || m != nil {
			t.Errorf("%s: %v, error %v, want code %d", tt.name, m, err, tt.code)
		}
		if tt.id.String() != tt.name {
			t.Errorf("name %q, want %q", tt.id, tt.name)
		}
		if NewMethod(tt.id) != nil || Replies(tt.id) != nil || HasContent(tt.id) {
			t.Errorf("%s is known", tt.name)
		}
	}
}

func TestMethodID(t *testing.T) {
	id := MethodQueueDeclareOk
	if id.Class() != 50 || id.Method() != 11 || id.String() != "queue.declare-ok" {
		t.Errorf("class %d, method %d, name %s", id.Class(), id.Method(), id)
	}
	for id := range methods {
		if got := NewMethod(id).ID(); got != id {
			t.Errorf("%s makes a %s", id, got)
		}
		if got, ok := PeekMethod([]byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}); !ok || got != id {
			t.Errorf("%s peeks as %s", id, got)
		}
	}
	if _, ok := PeekMethod([]byte{0, 10, 0}); ok {
		t.Error("three octets name a method")
	}
}

func TestReplies(t *testing.T) {
	tests := map[MethodID][]MethodID{
		MethodBasicGet:               {MethodBasicGetOk, MethodBasicGetEmpty},
		MethodQueueDeclare:           {MethodQueueDeclareOk},
		MethodExchangeUnbind:         {MethodExchangeUnbindOk},
		MethodBasicRecover:           {MethodBasicRecoverOk},
		MethodChannelFlow:            {MethodChannelFlowOk},
		MethodConnectionUpdateSecret: {MethodConnectionUpdateSecretOk},
		MethodBasicPublish:           nil,
		MethodBasicRecoverAsync:      nil,
		MethodQueueDeclareOk:         nil,
		MethodConnectionBlocked:      nil,
	}
	for id, want := range tests {
		if got := Replies(id); !slices.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
	Replies(MethodBasicGet)[0] = 0
	if Replies(MethodBasicGet)[0] != MethodBasicGetOk {
		t.Error("a caller can change the replies of all")
	}
}

func TestAppendMethodErrorLeavesDst(t *testing.T) {
	long := strings.Repeat("x", 256)
	tests := []struct {
		method Method
		path   string
	}{
		{&QueueDeclare{Queue: long}, "queue"},
		{&QueueBind{Queue: "q", RoutingKey: long}, "routing key"},
		{&BasicConsume{ConsumerTag: long}, "consumer tag"},
		{&ConnectionOpen{VirtualHost: long}, "virtual host"},
		{&ConnectionStartOk{ClientProperties: Table{"capabilities": Table{"a": []any{1, struct{}{}}}}}, "client properties.capabilities.a[1]"},
		{&QueueDeclare{Arguments: Table{"x-max-length": uint64(1 << 63)}}, "arguments.x-max-length"},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			dst := append(make([]byte, 0, 1024), "before"...)
			got, err := AppendMethod(dst, 1, tt.method)
			e, ok := errs.AsType[*FieldError](err)
			if !ok || e.Path != tt.path {
				t.Errorf("error %v, want path %q", err, tt.path)
			}
			if !bytes.Equal(got, []byte("before")) {
				t.Errorf("dst is %q", got)
			}
			if !strings.HasPrefix(err.Error(), "wire: "+tt.path+": ") {
				t.Errorf("text %q", err)
			}
		})
	}
}

func TestHasContent(t *testing.T) {
	var got []MethodID
	for _, m := range allMethods() {
		if HasContent(m.ID()) {
			got = append(got, m.ID())
		}
	}
	if want := []MethodID{MethodBasicPublish, MethodBasicReturn, MethodBasicDeliver, MethodBasicGetOk}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
