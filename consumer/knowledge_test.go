package consumer

import (
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/topology"
)

func rabbit(version string) core.Server {
	return core.Server{Properties: wire.Table{"product": "RabbitMQ", "version": version}}
}

// A limit is a limit in whatever width of a number it was declared.
func TestLimitsOfAnyWidth(t *testing.T) {
	for _, n := range []any{7, int8(7), int16(7), int32(7), int64(7), uint8(7), uint16(7), uint32(7)} {
		q := topology.Queue{Name: "q", Arguments: topology.Table{"x-queue-type": topology.Quorum, "x-delivery-limit": n, "x-consumer-timeout": n}}
		if k := know(q, true, rabbit("4.3.0")); k.limit != 7 || !k.drops || k.ackTimeout != 7*time.Millisecond {
			t.Errorf("%T: %+v", n, k)
		}
	}
}

// What the broker delays itself is given back at once, and kept nowhere for longer than it may be.
func TestThePauseIsTheBrokersWhereItDelays(t *testing.T) {
	queue := func(delays string) topology.Queue {
		return topology.Queue{Name: "q", Arguments: topology.Table{"x-queue-type": topology.Quorum, "x-dead-letter-exchange": "dlx", "x-delayed-retry-type": delays}}
	}
	for delays, want := range map[string]struct{ failed, back bool }{
		"all": {true, true}, "failed": {true, false}, "returned": {false, true}, "disabled": {false, false},
	} {
		k := know(queue(delays), true, rabbit("4.3.1"))
		p := past{}
		if _, pause := k.afterFailure(p, 0, time.Second, time.Minute); (pause == 0) != want.failed {
			t.Errorf("%s: %s after a failure", delays, pause)
		}
		if k.delaysBack != want.back {
			t.Errorf("%s: delays what is returned: %t", delays, k.delaysBack)
		}
		if k := know(queue(delays), true, rabbit("4.0.9")); k.delaysFailed || k.delaysBack {
			t.Errorf("%s: RabbitMQ 4.0 delays nothing: %+v", delays, k)
		}
	}
}
