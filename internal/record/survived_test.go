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

func TestSurvived(t *testing.T) {
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
		there, err := record.Survived(t.Context(), conn, []string{"a", "gone", "somebody's", "away", "gone too", "b"})
		if want := []bool{true, false, true, true, false, true}; err != nil || !slices.Equal(there, want) {
			t.Errorf("%v, error %v", there, err)
		}
		if got := f.log(); !slices.Equal(got, []string{"q? a", "q? b"}) {
			t.Errorf("the broker was asked %q", got)
		}
	})
}

func TestSurvivedCostsRoundTripsNotQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := connect(t, 5*time.Millisecond, nil)
		var names []string
		for i := range 20_000 {
			names = append(names, fmt.Sprintf("q%d", i))
		}
		begun := time.Now()
		if there, err := record.Survived(t.Context(), conn, names); err != nil || slices.Contains(there, false) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begun); took > 30*time.Millisecond {
			t.Errorf("took %s", took)
		}
	})
}
