package publisher_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/errs"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// Expirations as people write them: the wrong ones are refused before they are sent, whether there is a channel or not, and
// cost nobody else anything.
func TestWrongPropertiesCostNoChannel(t *testing.T) {
	bad := map[int]core.Properties{
		100: {Expiration: "60s"}, 300: {Expiration: "60000.0"}, 500: {Expiration: "-1"}, 700: {Expiration: "9999999999999"},
		800: {Headers: core.Table{"CC": "q"}}, 900: {Expiration: " 5000"}, 901: {Expiration: "5000 "}, 902: {ReplyTo: "amq.rabbitmq.reply-to"},
	}
	for _, connected := range []bool{true, false} {
		inBubble(t, func(e *env) {
			e.queue("q", nil)
			p := e.publisher()
			defer e.closeOf(p)
			if connected {
				e.wantConfirmed(e.sendTo(p, "q"))
			} else {
				e.broker.Stop()
			}
			var good []*publisher.Receipt
			for i := range 1000 {
				m := publisher.Message{RoutingKey: "q", Body: fmt.Append(nil, i), Properties: bad[i]}
				r, err := p.Send(e.ctx, m)
				if _, wrong := bad[i]; !wrong {
					good = append(good, r)
					continue
				}
				if err == nil { // what only a channel knows
					e.broker.Start()
					_, err = r.Wait(e.ctx)
				}
				if _, ok := errs.AsType[*core.ValidationError](err); !ok {
					t.Errorf("connected %t: %+v: %v", connected, bad[i], err)
				}
			}
			e.broker.Start()
			e.wantConfirmed(good...)
			if s := p.Stats(); s.Republished != 0 || e.count(recovery.EventChannelLost) != 0 {
				t.Errorf("connected %t: %d channels lost, %+v", connected, e.count(recovery.EventChannelLost), s)
			}
		})
	}
}

func TestTheErrorOfAWrongPropertySaysWhatIsRight(t *testing.T) {
	inBubble(t, func(e *env) {
		p := e.publisher()
		defer e.closeOf(p)
		err := p.Publish(e.ctx, publisher.Message{RoutingKey: "q", Properties: core.Properties{Expiration: "60s"}})
		if err == nil || !strings.Contains(err.Error(), `expiration "60s": must be a whole number of milliseconds`) {
			t.Error(err)
		}
	})
}
