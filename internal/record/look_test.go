package record_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/record"
)

// gone returns which of the queues the broker does not have.
func gone(t *testing.T, conn *core.Conn, names ...string) []string {
	t.Helper()
	steps := make([]record.Step, len(names))
	for i, name := range names {
		steps[i] = record.LookForQueue(name)
	}
	missing, err := record.Missing(t.Context(), conn, steps, 0)
	if err != nil {
		t.Error(err)
	}
	var out []string
	for _, s := range steps {
		if record.Gone(missing[s.Method]) {
			out = append(out, s.Name)
		}
	}
	return out
}

func TestMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, f := connect(t, time.Millisecond, func(_ uint16, m wire.Method) wire.Method {
			switch {
			case declares(m, "gone"), declares(m, "gone too"):
				return refusal(core.ErrNotFound, m)
			case declares(m, "away"):
				away := refusal(core.ErrNotFound, m).(*wire.ChannelClose)
				away.ReplyText = "NOT_FOUND - home node 'rabbit@rabbit1' of durable queue 'away' in vhost '/' is down or inaccessible"
				return away
			case declares(m, "somebody's"):
				return refusal(core.ErrResourceLocked, m)
			}
			return nil
		})
		if got := gone(t, conn, "a", "gone", "somebody's", "away", "gone too", "b"); !slices.Equal(got, []string{"gone", "gone too"}) {
			t.Errorf("gone are %q", got)
		}
		if got := f.log(); !slices.Equal(got, []string{"q? a", "q? b"}) {
			t.Errorf("the broker was asked %q", got)
		}
	})
}

func TestMissingCostsRoundTripsNotQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := connect(t, 5*time.Millisecond, nil)
		var names []string
		for i := range 20_000 {
			names = append(names, fmt.Sprintf("q%d", i))
		}
		begun := time.Now()
		if got := gone(t, conn, names...); got != nil {
			t.Errorf("gone are %q", got)
		}
		if took := time.Since(begun); took > 30*time.Millisecond {
			t.Errorf("took %s", took)
		}
	})
}
