package logging

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Fields have the names that log searches rely on.
func TestFieldNames(t *testing.T) {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range []zap.Field{
		Connection("main"), Endpoint("h:1"), Entity(`queue "q"`), Attempt(2), Delay(time.Second), Err(errors.New("gone")),
	} {
		f.AddTo(enc)
	}
	for name, want := range map[string]any{
		"connection": "main", "endpoint": "h:1", "entity": `queue "q"`, "attempt": int64(2), "delay": time.Second, "error": "gone",
	} {
		if got := enc.Fields[name]; got != want {
			t.Errorf("%s is %v (%T), want %v", name, got, got, want)
		}
	}
}

func slogged(t *testing.T, level slog.Level, write func(*zap.Logger)) string {
	t.Helper()
	var out bytes.Buffer
	h := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	write(FromSlog(h))
	return out.String()
}

func TestSlogGetsLevelMessageAndFieldsInOrder(t *testing.T) {
	got := slogged(t, slog.LevelInfo, func(log *zap.Logger) {
		log.Debug("too fine")
		log.With(Connection("main")).Warn("lost", Attempt(3), Err(errors.New("eof")), Delay(2*time.Second))
		log.Error("bad")
	})
	want := "level=WARN msg=lost connection=main attempt=3 error=eof delay=2s\nlevel=ERROR msg=bad\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestSlogLevels(t *testing.T) {
	for zl, sl := range map[zapcore.Level]slog.Level{
		zapcore.DebugLevel: slog.LevelDebug, zapcore.InfoLevel: slog.LevelInfo,
		zapcore.WarnLevel: slog.LevelWarn, zapcore.ErrorLevel: slog.LevelError,
	} {
		core := newSlogCore(slog.NewTextHandler(&bytes.Buffer{}, &slog.HandlerOptions{Level: sl}))
		if !core.Enabled(zl) || core.Enabled(zl-1) {
			t.Errorf("%s: handled as %v: %v, one below: %v", zl, sl, core.Enabled(zl), core.Enabled(zl-1))
		}
	}
}

type failing struct{ slog.Handler }

func (failing) Handle(context.Context, slog.Record) error { return errors.New("disk full") }

// What the handler refuses is reported where zap reports such things.
func TestSlogErrorsReachZap(t *testing.T) {
	var reports bytes.Buffer
	log := FromSlog(failing{slog.NewTextHandler(&bytes.Buffer{}, nil)}).
		WithOptions(zap.ErrorOutput(zapcore.AddSync(&reports)))
	log.Info("hello")
	if !strings.Contains(reports.String(), "disk full") {
		t.Errorf("reported: %q", &reports)
	}
	if err := log.Sync(); err != nil {
		t.Error(err)
	}
}
