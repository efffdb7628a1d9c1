package channel

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/session"
	"github.com/warren-mq/warren/recovery"
)

// The report of a recovery is completed when the consumers are back, each with its outcome.
func TestReportOfTheConsumers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, session.Config{})
		soon, late := b.channel(t), b.channel(t)
		consume(t, soon, declare(t, soon, core.QueueDeclare{Queue: "a", Durable: true}), "soon")
		consume(t, late, declare(t, late, core.QueueDeclare{Queue: "b", Durable: true}), "late")
		if n := len(b.journal.Of(recovery.EventResumed)); n != 0 {
			t.Errorf("%d events before any loss", n)
		}
		time.Sleep(time.Minute)
		b.OnReceive(wire.MethodBasicConsume, brokertest.Nth(1, brokertest.Refuse(403, "ACCESS_REFUSED")))
		b.cut(t)
		b.ready(t)
		first, full := b.journal.Last(t, recovery.EventRecovered).Report, b.journal.Last(t, recovery.EventResumed).Report
		if first.ConsumeReady != 0 || first.Consumers != nil {
			t.Errorf("the report at publish-ready has %s, %v", first.ConsumeReady, first.Consumers)
		}
		if full.ConsumeReady < full.Total || full.Attempts != first.Attempts || len(full.Consumers) != 2 {
			t.Errorf("report %+v", full)
		}
		refused := 0
		for _, o := range full.Consumers {
			if o.After > full.ConsumeReady || len(o.Refused) > 0 != (o.After > 0) {
				t.Errorf("outcome %+v", o)
			}
			for _, f := range o.Refused {
				if refused++; !errors.Is(f, core.ErrAccessRefused) {
					t.Errorf("refused with %v", f)
				}
			}
		}
		if refused != 1 || !strings.Contains(full.String(), "consume-ready after "+full.ConsumeReady.Round(time.Millisecond).String()) {
			t.Errorf("%d were refused: %s", refused, full)
		}
		b.cut(t)
		b.ready(t)
		if again := b.journal.Last(t, recovery.EventResumed).Report; again == full || again.ConsumeReady != again.Total || len(again.Consumers[0].Refused) > 0 {
			t.Errorf("after another loss: %+v", again)
		}
		must(t, late.Close(t.Context()))
		must(t, soon.Close(t.Context()))
		b.cut(t)
		b.ready(t)
		if n := len(b.journal.Of(recovery.EventResumed)); n != 2 {
			t.Errorf("%d events; want none without consumers", n)
		}
	})
}
