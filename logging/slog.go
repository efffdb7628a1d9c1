package logging

import (
	"context"
	"log/slog"

	"go.uber.org/zap/zapcore"
)

// slogCore is a zapcore.Core in front of a slog handler.
type slogCore struct{ handler slog.Handler }

func newSlogCore(h slog.Handler) zapcore.Core { return slogCore{h} }

// Enabled asks the handler.
func (c slogCore) Enabled(l zapcore.Level) bool {
	return c.handler.Enabled(context.Background(), slogLevel(l))
}

// With adds fields to every entry.
func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	return slogCore{c.handler.WithAttrs(attrs(fields))}
}

// Check adds the core to an entry that it will write.
func (c slogCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write hands an entry to the handler.
func (c slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	r := slog.NewRecord(e.Time, slogLevel(e.Level), e.Message, e.Caller.PC)
	r.AddAttrs(attrs(fields)...)
	return c.handler.Handle(context.Background(), r)
}

// Sync does nothing: slog has no buffers.
func (c slogCore) Sync() error { return nil }

// attrs encodes fields one by one, so that their order is kept.
func attrs(fields []zapcore.Field) []slog.Attr {
	out := make([]slog.Attr, 0, len(fields))
	for _, f := range fields {
		m := zapcore.NewMapObjectEncoder()
		f.AddTo(m)
		for k, v := range m.Fields {
			out = append(out, slog.Any(k, v))
		}
	}
	return out
}

// slogLevel maps zap's levels on slog's, which have the same order.
func slogLevel(l zapcore.Level) slog.Level { return slog.Level(l * 4) }
