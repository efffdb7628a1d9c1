package consumer

import (
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/topology"
)

func server(version string) core.Server {
	return core.Server{Properties: wire.Table{"product": "RabbitMQ", "version": version}}
}

func TestWhatIsKnownOfAQueue(t *testing.T) {
	quorum := topology.Queue{Name: "q", Type: topology.Quorum}
	for name, test := range map[string]struct {
		q        topology.Queue
		declared bool
		version  string
		want     knowledge
	}{
		"of others, 4.3":     {topology.Queue{}, false, "4.3.2", knowledge{limit: -1}},
		"of others, 4.2":     {topology.Queue{}, false, "4.2.0", knowledge{limit: -1, counts: true}},
		"of others, 3.10":    {topology.Queue{}, false, "3.10.8", knowledge{limit: -1, counts: true}},
		"of others, no name": {topology.Queue{}, false, "", knowledge{limit: -1}},
		"quorum, 4.3":        {quorum, true, "4.3.0", knowledge{declared: true, plain: true, limit: 20, drops: true}},
		"quorum, 5.0":        {quorum, true, "5.0.0", knowledge{declared: true, plain: true, limit: 20, drops: true}},
		"quorum, 4.0":        {quorum, true, "4.0.5", knowledge{declared: true, plain: true, limit: 20, drops: true, counts: true}},
		"quorum, 3.10":       {quorum, true, "3.10.8", knowledge{declared: true, plain: true, limit: 20, counts: true}},
		"limited, 3.10":      {quorum.With(topology.DeliveryLimit(3)), true, "3.10.8", knowledge{declared: true, plain: true, limit: 3, drops: true, counts: true}},
		"unlimited":          {quorum.With(topology.DeliveryLimit(-1)), true, "4.3.0", knowledge{declared: true, plain: true, limit: -1}},
		"dead letters":       {quorum.With(topology.DeadLetter("x")), true, "4.3.0", knowledge{declared: true, plain: true, limit: 20}},
		"single": {quorum.With(topology.SingleActiveConsumer()), true, "4.3.0",
			knowledge{declared: true, plain: true, single: true, limit: 20, drops: true}},
		"ack timeout": {quorum.With(topology.Argument("x-consumer-timeout", 60000)), true, "4.3.0",
			knowledge{declared: true, plain: true, limit: 20, drops: true, ackTimeout: time.Minute}},
		"delays failed": {quorum.With(topology.Argument("x-delayed-retry-type", "failed")), true, "4.3.0",
			knowledge{declared: true, plain: true, limit: 20, drops: true, delaysFailed: true}},
		"delays returned": {quorum.With(topology.Argument("x-delayed-retry-type", "returned")), true, "4.3.0",
			knowledge{declared: true, plain: true, limit: 20, drops: true, delaysBack: true}},
		"delays all": {quorum.With(topology.Argument("x-delayed-retry-type", "all")), true, "4.3.0",
			knowledge{declared: true, plain: true, limit: 20, drops: true, delaysFailed: true, delaysBack: true}},
		"delays nothing before 4.3": {quorum.With(topology.Argument("x-delayed-retry-type", "all")), true, "4.0.0",
			knowledge{declared: true, plain: true, limit: 20, drops: true, counts: true}},
		"classic, 4.0":                 {topology.Queue{Name: "q", Type: topology.Classic}, true, "4.0.0", knowledge{declared: true, plain: true, classic: true, limit: -1}},
		"exclusive, 4.0":               {topology.Queue{Name: "q", Exclusive: true}, true, "4.0.0", knowledge{declared: true, plain: true, classic: true, limit: -1}},
		"of the broker's default type": {topology.Queue{Name: "q"}, true, "4.0.0", knowledge{declared: true, limit: -1, counts: true}},
		"stream, 4.0":                  {topology.Queue{Name: "q", Type: topology.Stream}, true, "4.0.0", knowledge{declared: true, stream: true, limit: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := know(test.q, test.declared, server(test.version)); got != test.want {
				t.Errorf("%+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestTheWayAfterAFailure(t *testing.T) {
	drops := knowledge{declared: true, limit: 20, drops: true}
	for name, test := range map[string]struct {
		k    knowledge
		p    past
		age  time.Duration
		want way
	}{
		"new":                                  {knowledge{}, past{}, 0, failed},
		"again, not counted: classic":          {knowledge{}, past{redelivered: true}, 0, again},
		"a classic one, kept for long":         {knowledge{}, past{redelivered: true}, keepTime, back},
		"again, counted":                       {knowledge{}, past{redelivered: true, counted: 1}, 0, failed},
		"again, given back":                    {knowledge{}, past{redelivered: true, acquired: 1}, 0, failed},
		"less than half of what it drops":      {drops, past{redelivered: true, counted: 9}, 0, failed},
		"half of what it drops":                {drops, past{redelivered: true, counted: 10}, 0, again},
		"half of it, kept for long":            {drops, past{redelivered: true, counted: 10}, keepTime, back},
		"half of it, where giving back counts": {knowledge{limit: 20, drops: true, counts: true}, past{redelivered: true, counted: 10}, keepTime, again},
		"half of it, where it counts, late":    {knowledge{limit: 20, drops: true, counts: true}, past{redelivered: true, counted: 10}, keepTimeCounts, back},
		"half of it, an ack timeout":           {knowledge{limit: 20, drops: true, ackTimeout: time.Minute}, past{redelivered: true, counted: 10}, 30 * time.Second, back},
		"a limit of nothing":                   {knowledge{drops: true}, past{}, 0, again},
	} {
		if got, _ := test.k.afterFailure(test.p, test.age, time.Second, time.Minute); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func TestPausesGrowWithTheFailuresOfAMessage(t *testing.T) {
	for _, test := range []struct {
		p    past
		want time.Duration
	}{
		{past{}, time.Second}, {past{here: 1}, 2 * time.Second}, {past{redelivered: true}, 2 * time.Second},
		{past{redelivered: true, counted: 2}, 4 * time.Second}, {past{redelivered: true, acquired: 3, counted: 2}, 8 * time.Second},
		{past{redelivered: true, counted: 100}, 10 * time.Second}, {past{redelivered: true, counted: 1, here: 1}, 4 * time.Second},
	} {
		for range 100 {
			_, got := knowledge{}.afterFailure(test.p, 0, time.Second, 10*time.Second)
			if got > test.want || got < test.want-test.want/8 {
				t.Fatalf("%+v: %s, want %s", test.p, got, test.want)
			}
		}
	}
	if got := (knowledge{}).afterRequeue(past{}, time.Second, time.Minute); got != 0 {
		t.Errorf("a first requeue waits %s", got)
	}
	if got := (knowledge{}).afterRequeue(past{redelivered: true}, time.Second, time.Minute); got < 800*time.Millisecond || got > time.Second {
		t.Errorf("a second requeue waits %s", got)
	}
	asks := topology.Queue{Name: "q", Type: topology.Quorum}.With(topology.Argument("x-delayed-retry-type", "all"),
		topology.Argument("x-delayed-retry-min", 2000), topology.Argument("x-delayed-retry-max", 5000))
	before := know(asks, true, server("4.0.0")) // which delays nothing: the consumer does in its stead
	for attempts, want := range []time.Duration{2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
		p := past{redelivered: attempts > 0, counted: int64(attempts)}
		if _, got := before.afterFailure(p, 0, time.Millisecond, time.Millisecond); got != want {
			t.Errorf("failed %d times, a delay of the queue's: %s, want %s", attempts+1, got, want)
		}
		if got := before.afterRequeue(p, time.Millisecond, time.Millisecond); got != want {
			t.Errorf("requeued %d times, a delay of the queue's: %s, want %s", attempts+1, got, want)
		}
	}
	if got := (knowledge{delaysBack: true}).afterRequeue(past{redelivered: true}, time.Second, time.Minute); got != 0 {
		t.Errorf("a requeue that the queue delays waits %s", got)
	}
}
