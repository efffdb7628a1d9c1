package script_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/script"
)

func TestFormatAndParseAreInverse(t *testing.T) {
	everyValue := wire.Table{
		"bool": true, "i8": int8(-1), "i16": int16(2), "i32": int32(-3), "i64": int64(1) << 40,
		"u8": uint8(5), "u16": uint16(6), "u32": uint32(7), "f32": float32(0.5), "f64": 1e300,
		"dec": wire.Decimal{Scale: 2, Value: -99}, "s": "word", "odd": "two words", "digits": "12", "kw": "true",
		"empty": "", "bytes": []byte("\x00\xff"), "time": time.Unix(7, 0).UTC(), "void": nil,
		"list": []any{int32(1), "a", []any{}}, "table": wire.Table{"x y": wire.Table{}},
	}
	tests := []struct {
		line    string
		method  wire.Method
		content *script.Content
	}{
		{`basic.qos PrefetchCount=10 Global`, &wire.BasicQos{PrefetchCount: 10, Global: true}, nil},
		{`channel.open`, &wire.ChannelOpen{}, nil},
		{`basic.ack DeliveryTag=18446744073709551`, &wire.BasicAck{DeliveryTag: 18446744073709551}, nil},
		{`queue.declare Queue="a b" Arguments={x-max-length=10}`,
			&wire.QueueDeclare{Queue: "a b", Arguments: wire.Table{"x-max-length": int32(10)}}, nil},
		{`connection.secure Challenge="\x00"`, &wire.ConnectionSecure{Challenge: []byte{0}}, nil},
		{`basic.publish RoutingKey=q Headers={a=1l} DeliveryMode=2 Timestamp=@9 Body="hi"`,
			&wire.BasicPublish{RoutingKey: "q"},
			&script.Content{Properties: wire.Properties{Headers: wire.Table{"a": int64(1)}, DeliveryMode: 2, Timestamp: time.Unix(9, 0).UTC()}, Body: []byte("hi")}},
		{"", &wire.QueueBind{Queue: "q", Arguments: everyValue}, nil},
	}
	for _, tt := range tests {
		line := script.Format(tt.method, tt.content)
		if tt.line != "" && line != tt.line {
			t.Errorf("Format gives %s, want %s", line, tt.line)
		}
		m, c, err := script.Parse(line)
		if err != nil {
			t.Errorf("Parse(%s): %v", line, err)
			continue
		}
		if wire.HasContent(m.ID()) && tt.content == nil {
			tt.content = &script.Content{}
		}
		if !reflect.DeepEqual(m, tt.method) || !reflect.DeepEqual(c, tt.content) {
			t.Errorf("Parse(%s) = %+v %+v, want %+v %+v", line, m, c, tt.method, tt.content)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, line := range []string{
		"", "queue.frobnicate", "queue.declare Colour=red", "queue.declare Queue=5", "queue.declare Queue=",
		"queue.declare Arguments={a=1", `queue.declare Queue="a`, "queue.declare Arguments={a=12q}",
		"queue.declare Arguments={a}", "basic.qos PrefetchCount=-1", "queue.declare Arguments={a=D(1}", "queue.declare ?",
		"queue.declare Arguments=[", "queue.declare Arguments={a=@x}", "basic.qos PrefetchCount=void", "queue.declare Arguments={a=-}",
	} {
		if m, _, err := script.Parse(line); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", line, m)
		}
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	got := script.Format(&wire.ConnectionStartOk{Mechanism: "PLAIN", Response: wire.Secret("\x00guest\x00guest")}, nil)
	if want := "connection.start-ok Mechanism=PLAIN Response=[redacted]"; got != want {
		t.Errorf("Format gives %s, want %s", got, want)
	}
}
