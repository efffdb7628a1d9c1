// Package logging holds the names of Warren's log fields, a bridge from
// log/slog, and the redaction of secrets in URLs. It is a leaf: it imports
// nothing of Warren.
package logging

import (
	"log/slog"
	"time"

	"go.uber.org/zap"
)

// Connection is the field that names a logical connection: "main", "publish".
func Connection(name string) zap.Field { return zap.String("connection", name) }

// Endpoint is the field for a broker's address, host:port.
func Endpoint(addr string) zap.Field { return zap.String("endpoint", addr) }

// Entity is the field for an exchange, queue, binding or consumer.
func Entity(name string) zap.Field { return zap.String("entity", name) }

// Attempt is the field for the number of an attempt, from 1.
func Attempt(n int) zap.Field { return zap.Int("attempt", n) }

// Delay is the field for a wait that lies ahead.
func Delay(d time.Duration) zap.Field { return zap.Duration("delay", d) }

// Err is the field for an error. Warren's errors hold no secrets.
func Err(err error) zap.Field { return zap.Error(err) }

// FromSlog returns a zap logger that writes to a slog handler.
func FromSlog(h slog.Handler) *zap.Logger { return zap.New(newSlogCore(h)) }
