package rabbitmq_test

import (
	"math"
	"testing"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/rabbitmq"
)

func TestInteger(t *testing.T) {
	for _, v := range []any{7, int8(7), int16(7), int32(7), int64(7), uint8(7), uint16(7), uint32(7), uint(7), uint64(7)} {
		if n, ok := rabbitmq.Integer(v); !ok || n != 7 {
			t.Errorf("%T: %d, %t", v, n, ok)
		}
	}
	for _, v := range []any{nil, "7", 7.0, uint64(math.MaxInt64) + 1, true} {
		if _, ok := rabbitmq.Integer(v); ok {
			t.Errorf("%T %v counts as a whole number", v, v)
		}
	}
}

// TestListedAlike: what the management API shows alike is written alike, and nothing else.
func TestListedAlike(t *testing.T) {
	for _, alike := range [][2]any{
		{int8(5), uint64(5)}, {[]byte("a"), "a"}, {nil, "undefined"}, {wire.Table{"a": 1, "b": 2}, wire.Table{"b": int64(2), "a": uint8(1)}},
	} {
		if a, b := rabbitmq.Listed(alike[0]), rabbitmq.Listed(alike[1]); a != b {
			t.Errorf("%s, %s", a, b)
		}
	}
	for _, apart := range [][2]any{{5, 5.0}, {5, "5"}, {true, "true"}, {[]any{1}, []any{2}}, {"", nil}} {
		if a, b := rabbitmq.Listed(apart[0]), rabbitmq.Listed(apart[1]); a == b {
			t.Errorf("%#v and %#v are both %s", apart[0], apart[1], a)
		}
	}
}
