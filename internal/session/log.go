package session

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/warren-mq/warren/logging"
	"github.com/warren-mq/warren/recovery"
)

// logEvent writes an event as one line.
func logEvent(log *zap.Logger, e recovery.Event) {
	level := zapcore.InfoLevel
	switch e.Kind {
	case recovery.EventLost, recovery.EventRetrying, recovery.EventQuarantined, recovery.EventBlocked,
		recovery.EventConsumerLost, recovery.EventConsumerEnded, recovery.EventChannelLost, recovery.EventHandlerFailed,
		recovery.EventHandlerSlow, recovery.EventFailuresDropped, recovery.EventWarning, recovery.EventRecreated,
		recovery.EventSecretNotRenewed, recovery.EventNotRecorded, recovery.EventQosDropped, recovery.EventTooLarge,
		recovery.EventDropped:
		level = zapcore.WarnLevel
	case recovery.EventStageChanged, recovery.EventConsumerRestored, recovery.EventChannelRestored:
		level = zapcore.DebugLevel
	}
	entry := log.Check(level, e.Kind.String())
	if entry == nil {
		return
	}
	fields := []zap.Field{logging.Connection(e.Connection)}
	if e.Endpoint != "" {
		fields = append(fields, logging.Endpoint(e.Endpoint))
	}
	if e.Entity != "" {
		fields = append(fields, logging.Entity(e.Entity))
	}
	if e.Name != "" {
		fields = append(fields, zap.String("name", e.Name))
	}
	if e.Kind == recovery.EventStageChanged {
		fields = append(fields, zap.Stringer("stage", e.State.Stage), zap.Int("degraded", len(e.State.Degraded)))
	}
	if e.Attempt > 0 {
		fields = append(fields, logging.Attempt(e.Attempt))
	}
	if e.Delay > 0 {
		fields = append(fields, logging.Delay(e.Delay))
	}
	if e.Report != nil {
		fields = append(fields, zap.Stringer("report", e.Report))
	}
	if e.Err != nil {
		fields = append(fields, logging.Err(e.Err))
	}
	entry.Write(fields...)
}
