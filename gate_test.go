package warren_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/publisher"
	"github.com/warren-mq/warren/recovery"
)

// routes is an exchange, a queue and a binding, none of which a broker keeps over a restart.
var routes = warren.Topology{
	Exchanges: []warren.Exchange{{Name: "x", Type: "fanout", Transient: true}},
	Queues:    []warren.Queue{{Name: "q", Transient: true}},
	Bindings:  []warren.Binding{{Source: "x", Destination: "q"}},
}

// TestNothingIsPublishedBeforeTheTopologyIsThere: the publishing connection may find the broker, or another one, long
// before the main connection is known to be dead, or while it lives: on another node, for example. What is published is
// confirmed and in the queue all the same.
func TestNothingIsPublishedBeforeTheTopologyIsThere(t *testing.T) {
	for name, lose := range map[string]func(e *env, main, publish *brokertest.Link){
		"the main connection is half open and the broker starts anew": func(e *env, main, _ *brokertest.Link) {
			main.HalfOpen()
			e.broker.Restart(brokertest.Forget)
		},
		"it loses what is transient": func(e *env, main, _ *brokertest.Link) {
			main.HalfOpen()
			e.broker.Restart()
		},
		"it starts anew twice": func(e *env, main, _ *brokertest.Link) {
			main.HalfOpen()
			e.broker.Restart(brokertest.Forget)
			time.Sleep(5 * time.Second)
			e.broker.Restart(brokertest.Forget)
		},
		"the main connection was lost long before": func(e *env, main, _ *brokertest.Link) {
			e.broker.RefuseConnections()
			main.Reset()
			time.Sleep(time.Minute)
			e.broker.Stop(brokertest.Forget)
			e.broker.Start()
		},
		"the main connection lives on another node": func(e *env, _, publish *brokertest.Link) {
			e.broker.DeleteQueue("q") // it was on the node that is lost
			publish.Reset()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				client := e.dial()
				e.declare(client, routes)
				pub, err := client.Publisher(publisher.Exchange("x"))
				if err != nil {
					t.Fatal(err)
				}
				if err := pub.Publish(e.ctx, warren.Message{}); err != nil {
					t.Fatal(err)
				}
				links := e.broker.Links()
				lose(e, links[0], links[1])
				synctest.Wait()
				begun := time.Now()
				receipt, err := pub.Send(e.ctx, warren.Message{})
				if err != nil {
					t.Fatal(err)
				}
				if outcome, err := receipt.Wait(e.ctx); outcome != core.OutcomeConfirmed {
					t.Errorf("%v, %v", outcome, err)
				}
				if took := time.Since(begun); took > 30*time.Second {
					t.Errorf("it took %v", took)
				}
				if q, ok := e.broker.Queue("q"); !ok || q.Ready == 0 {
					t.Errorf("the queue holds %+v, is there %v", q, ok)
				}
				e.close(client)
			})
		})
	}
}

// TestWhatAPublisherFindsMissingIsToldOf: a queue that is declared again is empty, whoever finds out.
func TestWhatAPublisherFindsMissingIsToldOf(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		var recreated int
		client.Listen(func(ev warren.Event) {
			if ev.Kind == recovery.EventRecreated && ev.Connection == "main" {
				recreated++
			}
		})
		e.declare(client, routes)
		pub, err := client.Publisher(publisher.Exchange("x"))
		if err != nil {
			t.Fatal(err)
		}
		if err := pub.Publish(e.ctx, warren.Message{}); err != nil {
			t.Fatal(err)
		}
		declared := e.broker.OnReceive(wire.MethodQueueDeclare, brokertest.Always(brokertest.Pass))
		publish := e.broker.Links()[1]
		publish.Reset()
		synctest.Wait()
		if err := pub.Publish(e.ctx, warren.Message{}); err != nil || declared.Hits() != 1 { // a look
			t.Errorf("%v, after %d declarations", err, declared.Hits())
		}
		e.broker.DeleteQueue("q")
		publish = e.broker.Links()[1]
		publish.Reset()
		synctest.Wait()
		if err := pub.Publish(e.ctx, warren.Message{}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if recreated != 1 || client.State().Epoch == 0 || !client.State().Ready() {
			t.Errorf("%d queues are said to be recreated; %+v", recreated, client.State())
		}
		e.close(client)
	})
}

// Who declares nothing depends on nothing of the main connection: messages leave also while that cannot come back.
func TestWithoutATopologyPublishersDoNotWaitForTheMainConnection(t *testing.T) {
	inBubble(t, func(e *env) {
		other := e.dial()
		e.declare(other, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		e.close(other)
		client := e.dial()
		e.broker.Stop()
		time.Sleep(10 * time.Second) // the main connection is waiting to try again
		opened := 0
		e.broker.OnConnect(func(l *brokertest.Link) {
			if opened++; opened > 1 {
				l.Reset()
			}
		})
		e.broker.Start()
		pub, err := client.Publisher()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(e.ctx, time.Second)
		defer cancel()
		if err := pub.Publish(ctx, warren.Message{RoutingKey: "q"}); err != nil {
			t.Errorf("publish: %v", err)
		}
	})
}

// The publish connection is opened late. A broker that is down then is an outage like any other: the message is
// kept until it is back, however often connecting fails.
func TestAPublisherMadeDuringAnOutageWaitsForTheBroker(t *testing.T) {
	inBubble(t, func(e *env) {
		client := e.dial()
		e.declare(client, warren.Topology{Queues: []warren.Queue{{Name: "q"}}})
		e.broker.Stop()
		pub, err := client.Publisher()
		if err != nil {
			t.Fatal(err)
		}
		receipt, err := pub.Send(e.ctx, warren.Message{RoutingKey: "q"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if v := receipt.Verdict(); v.Outcome != core.OutcomePending {
			t.Fatalf("%s during the outage: %v", v.Outcome, v.Err())
		}
		e.broker.Start()
		if outcome, err := receipt.Wait(e.ctx); outcome != core.OutcomeConfirmed {
			t.Errorf("%s: %v", outcome, err)
		}
		e.close(client)
	})
}
