package consumer

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/session"
)

func TestOptionsAreValidated(t *testing.T) {
	long := strings.Repeat("x", 256)
	for name, test := range map[string]struct {
		queue string
		opts  []Option
	}{
		"no queue":              {"", nil},
		"long queue":            {long, nil},
		"no prefetch":           {"q", []Option{Prefetch(0)}},
		"large prefetch":        {"q", []Option{Prefetch(math.MaxUint16 + 1)}},
		"no worker":             {"q", []Option{Workers(0)}},
		"long tag":              {"q", []Option{Tag(long)}},
		"bad argument":          {"q", []Option{Arguments(core.Table{"x": struct{}{}})}},
		"nil option":            {"q", []Option{Prefetch(1), nil}},
		"no pause":              {"q", []Option{RequeuePause(0, time.Second)}},
		"pauses in wrong order": {"q", []Option{RequeuePause(2*time.Second, time.Second)}},
	} {
		if _, err := New(session.New(session.Config{}), test.queue, test.opts...); err == nil || !strings.HasPrefix(err.Error(), "consumer: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(session.New(session.Config{}), "q", Prefetch(1), nil); err == nil || !strings.Contains(err.Error(), "option 2 ") {
		t.Errorf("of two options the second one is nil: %v", err)
	}
}

func TestTagsAreTheirOwn(t *testing.T) {
	a, err := New(session.New(session.Config{}), "q")
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(session.New(session.Config{}), "q")
	if err != nil {
		t.Fatal(err)
	}
	if a.Tag() == b.Tag() || !strings.HasPrefix(a.Tag(), "warren-") {
		t.Errorf("tags %q and %q", a.Tag(), b.Tag())
	}
}

func TestStreamOffsetsAreValidated(t *testing.T) {
	asArgument := func(from any) Option { return Arguments(core.Table{"x-stream-offset": from}) }
	for _, option := range []func(any) Option{FromOffset, asArgument} {
		for _, from := range []any{nil, -1, int32(-1), 1.5, uint64(math.MaxUint64), struct{}{}} {
			if _, err := New(session.New(session.Config{}), "s", option(from)); err == nil {
				t.Errorf("%v was accepted", from)
			}
		}
		for _, from := range []any{"first", 5, int32(5), uint32(5), int64(5), uint64(5), time.Now()} {
			if c, err := New(session.New(session.Config{}), "s", option(from)); err != nil || c.offsets == nil {
				t.Errorf("%v: %v", from, err)
			}
		}
		if _, err := New(session.New(session.Config{}), "s", option("first"), AutoAck()); err == nil {
			t.Error("a stream with automatic ack was accepted")
		}
	}
	if c, err := New(session.New(session.Config{}), "s", FromOffset(7), asArgument("first")); err != nil || c.cfg.from != int64(7) {
		t.Errorf("%v: the option says more than the argument", err)
	}
}
