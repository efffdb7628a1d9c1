package meter_test

import (
	"testing"
	"time"

	"github.com/warren-mq/warren/bench/internal/meter"
)

func TestMeterStopsAtItsLimit(t *testing.T) {
	m := meter.Start(time.Hour, 3)
	for range 3 {
		if !m.Running() {
			t.Fatal("over before the limit")
		}
		m.Count(1)
	}
	if m.Running() {
		t.Error("still running at the limit")
	}
	if r := m.Stop(); r.Messages != 3 || r.Seconds <= 0 {
		t.Errorf("result %+v, want 3 messages in some time", r)
	}
}

func TestMeterStopsAfterItsTime(t *testing.T) {
	m := meter.Start(time.Millisecond, 0)
	<-m.Stopped()
	if m.Running() {
		t.Error("running after the end of its time")
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[99-i] = time.Duration(i + 1)
	}
	for _, tt := range []struct {
		d    []time.Duration
		p    float64
		want time.Duration
	}{{nil, 0.5, 0}, {hundred, 0.5, 51}, {hundred, 0.99, 100}, {hundred, 1, 100}, {[]time.Duration{7}, 0.99, 7}} {
		if got := meter.Percentile(tt.d, tt.p); got != tt.want {
			t.Errorf("Percentile of %d values at %v is %d, want %d", len(tt.d), tt.p, got, tt.want)
		}
	}
}
