package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/publisher"
)

func timeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, errEnough)
}

// TestEndOfTheContextIsToldTruthfully ends a sender's context at each point of
// a message's way.
func TestEndOfTheContextIsToldTruthfully(t *testing.T) {
	for _, test := range []struct {
		name string
		way  func(e *env, p *publisher.Publisher)
		want core.Outcome
	}{
		{"no connection yet", func(e *env, p *publisher.Publisher) { e.broker.Stop() }, core.OutcomeNotSent},
		{"window full", func(e *env, p *publisher.Publisher) {
			e.wantConfirmed(e.sendTo(p, "q"))
			e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Unconfirmed))
			e.send(p, 1, 10)
		}, core.OutcomeNotSent},
		{"blocked", func(e *env, p *publisher.Publisher) {
			e.broker.Block("low on memory")
			_, err := p.Send(e.ctx, to("q", "takes note")) // the broker tells who publishes
			if err != nil {
				e.Fatal(err)
			}
			synctest.Wait()
		}, core.OutcomeNotSent},
		{"in flight", func(e *env, p *publisher.Publisher) {
			e.wantConfirmed(e.sendTo(p, "q"))
			e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Unconfirmed))
		}, core.OutcomeUnknown},
		{"to be sent again", func(e *env, p *publisher.Publisher) {
			e.wantConfirmed(e.sendTo(p, "q"))
			e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Cut))
			e.broker.RefuseConnections()
		}, core.OutcomeUnknown},
		{"nacked", func(e *env, p *publisher.Publisher) {
			e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Nack))
		}, core.OutcomeNacked},
		{"returned within the grace", func(e *env, p *publisher.Publisher) {
			e.wantConfirmed(e.sendTo(p, "q"))
			e.broker.DeleteQueue("q")
			e.broker.Cut()
			synctest.Wait()
		}, core.OutcomeReturned},
	} {
		for _, sent := range []bool{false, true} {
			name := test.name + ", Publish"
			if sent {
				name = test.name + ", Send"
			}
			t.Run(name, func(t *testing.T) {
				inBubble(t, func(e *env) {
					e.queue("q", nil)
					p := e.publisher(publisher.Window(10, 1<<20))
					defer e.closeOf(p)
					test.way(e, p)
					open := p.Stats().Open
					ctx, cancel := timeout(e.ctx, time.Second)
					defer cancel()
					begun := time.Now()
					err := publishOrSend(ctx, p, to("q", "x"), sent)
					if got := outcomeOf(err); got != test.want || !errors.Is(err, errEnough) {
						t.Errorf("%v (%v); want %v", got, err, test.want)
					}
					if took := time.Since(begun); took != time.Second {
						t.Errorf("took %s; want 1 s", took)
					}
					if s := p.Stats(); s.Open != open {
						t.Errorf("%d messages open; want %d", s.Open, open)
					}
				})
			})
		}
	}
}

func publishOrSend(ctx context.Context, p *publisher.Publisher, m publisher.Message, send bool) error {
	if !send {
		return p.Publish(ctx, m)
	}
	r, err := p.Send(ctx, m)
	if err == nil {
		_, err = r.Wait(context.Background())
	}
	return err
}

func TestContextThatHasEndedSendsNothing(t *testing.T) {
	for _, connected := range []bool{true, false} {
		inBubble(t, func(e *env) {
			e.queue("q", nil)
			p := e.publisher()
			defer e.closeOf(p)
			if connected {
				e.wantConfirmed(e.sendTo(p, "q"))
			}
			ctx, cancel := context.WithCancelCause(e.ctx)
			cancel(errEnough)
			if err := p.Publish(ctx, to("q", "1")); outcomeOf(err) != core.OutcomeNotSent || !errors.Is(err, errEnough) {
				t.Errorf("connected %t: %v", connected, err)
			}
			if r, err := p.Send(ctx, to("q", "1")); r != nil || outcomeOf(err) != core.OutcomeNotSent || !errors.Is(err, errEnough) {
				t.Errorf("connected %t, Send: %v, %v", connected, r, err)
			}
			if s := p.Stats(); s.Open != 0 || s.NotSent != 2 {
				t.Errorf("connected %t: %+v", connected, s)
			}
		})
	}
}

func TestWindowBoundsMessagesAndBytes(t *testing.T) {
	for _, test := range []struct {
		name            string
		messages, bytes int
		size            int
		admitted        int64
	}{
		{"messages", 3, 1 << 20, 10, 3},
		{"bytes", 100, 50, 10, 5},
		{"one larger than the window", 100, 50, 60, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(e *env) {
				e.queue("q", nil)
				e.broker.Stop()
				p := e.publisher(publisher.Window(test.messages, test.bytes))
				var admitted atomic.Int64
				for range 10 {
					go func() {
						r, err := p.Send(e.ctx, publisher.Message{RoutingKey: "q", Body: make([]byte, test.size)})
						if err == nil {
							admitted.Add(1)
							_, err = r.Wait(e.ctx)
						}
						if !errors.Is(err, core.ErrNotSent) || !errors.Is(err, core.ErrClosed) {
							t.Errorf("%v", err)
						}
					}()
				}
				synctest.Wait()
				if n := admitted.Load(); n != test.admitted {
					t.Errorf("%d admitted; want %d", n, test.admitted)
				}
				e.closeOf(p)
				synctest.Wait()
			})
		})
	}
}

func TestSendersWaitForTheWindow(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		e.broker.Stop()
		p := e.publisher(publisher.Window(2, 1<<20))
		defer e.closeOf(p)
		done := make(chan error, 10)
		for range 10 {
			go func() { done <- p.Publish(e.ctx, to("q", "x")) }()
		}
		time.Sleep(time.Hour)
		if s := p.Stats(); s.Open != 2 {
			t.Errorf("%d open", s.Open)
		}
		e.broker.Start()
		for range 10 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// A sender whose context ends learns what its message was waiting for.
func TestEndOfTheContextNamesWhatWasWaitedFor(t *testing.T) {
	for _, test := range []struct {
		name string
		way  func(e *env, p *publisher.Publisher)
		want error
		text string
	}{
		{"blocked", func(e *env, p *publisher.Publisher) {
			e.wantConfirmed(e.sendTo(p, "q"))
			e.broker.Block("low on memory")
			e.send(p, 1, 1) // the broker tells who publishes
			synctest.Wait()
		}, core.ErrBlocked, "low on memory"},
		{"blocked, the window full", func(e *env, p *publisher.Publisher) {
			e.wantConfirmed(e.sendTo(p, "q"))
			e.broker.Block("low on memory")
			e.send(p, 1, 1)
			synctest.Wait()
			for range 9 {
				go func() { _ = p.Publish(e.ctx, to("q", "x")) }() // it ends with the publisher
			}
			synctest.Wait()
		}, core.ErrBlocked, "low on memory"},
		{"no longer blocked", func(e *env, p *publisher.Publisher) {
			e.wantConfirmed(e.sendTo(p, "q"))
			e.broker.Block("low on memory")
			e.send(p, 1, 1)
			synctest.Wait()
			e.broker.Unblock()
			synctest.Wait()
			e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Unconfirmed))
		}, nil, ""},
		{"blocked, then lost", func(e *env, p *publisher.Publisher) {
			e.wantConfirmed(e.sendTo(p, "q"))
			e.broker.Block("low on memory")
			e.send(p, 1, 1)
			synctest.Wait()
			e.broker.RefuseConnections()
			e.broker.Cut()
			synctest.Wait()
		}, nil, ""},
		{"no channel left", func(e *env, p *publisher.Publisher) {
			s, err := e.conn.Session(e.ctx)
			if err != nil {
				e.Fatal(err)
			}
			for range channelMax {
				if _, err := s.Conn.Channel(e.ctx); err != nil {
					e.Fatal(err)
				}
			}
		}, core.ErrChannelsExhausted, "waiting for a channel: no channel: "},
		{"the limit of connections", func(e *env, p *publisher.Publisher) {
			e.broker.OnReceive(wire.MethodConnectionOpen, brokertest.Always(brokertest.Refuse(530, "NOT_ALLOWED - connection limit (1) is reached")))
		}, core.ErrNotAllowed, "connection limit (1) is reached"},
		{"the limit of connections, the window full", func(e *env, p *publisher.Publisher) {
			e.broker.OnReceive(wire.MethodConnectionOpen, brokertest.Always(brokertest.Refuse(530, "NOT_ALLOWED - connection limit (1) is reached")))
			e.send(p, 1, 10)
		}, core.ErrNotAllowed, "waiting for room in the window: 10 of 10 messages and 11 of 1048576 bytes have no outcome yet: no connection: "},
		{"the window full, and nothing confirmed", func(e *env, p *publisher.Publisher) {
			e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Unconfirmed))
			e.send(p, 1, 10)
		}, errEnough, "waiting for room in the window: 10 of 10 messages"},
		{"no confirm", func(e *env, p *publisher.Publisher) {
			e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Unconfirmed))
			e.send(p, 1, 1)
		}, errEnough, "waiting for the broker's confirm"},
		{"nacked", func(e *env, p *publisher.Publisher) {
			e.broker.OnReceive(wire.MethodBasicPublish, brokertest.Always(brokertest.Nack))
			e.send(p, 1, 1)
			time.Sleep(time.Minute) // the pauses are long by now
		}, errEnough, "waiting for "},
	} {
		for _, sent := range []bool{false, true} {
			t.Run(fmt.Sprint(test.name, ", Send ", sent), func(t *testing.T) {
				inBubble(t, func(e *env) {
					e.queue("q", nil)
					p := e.publisher(publisher.Window(10, 1<<20))
					defer e.closeOf(p)
					test.way(e, p)
					ctx, cancel := timeout(e.ctx, time.Second)
					defer cancel()
					err := publishOrSend(ctx, p, to("q", "x"), sent)
					if !errors.Is(err, errEnough) || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
						t.Errorf("%v", err)
					}
					if test.want == nil && errors.Is(err, core.ErrBlocked) {
						t.Errorf("%v, and the broker does not block", err)
					}
				}, brokertest.WithChannelMax(channelMax))
			})
		}
	}
}

const channelMax = 3

// TestBlockedBrokerHoldsPublishersBack is what a memory or disk alarm does.
func TestBlockedBrokerHoldsPublishersBack(t *testing.T) {
	inBubble(t, func(e *env) {
		e.queue("q", nil)
		p := e.publisher()
		defer e.closeOf(p)
		e.wantConfirmed(e.sendTo(p, "q"))
		e.broker.Block("low on disk")
		receipts := e.send(p, 1, 1)
		synctest.Wait()
		sent := make(chan struct{})
		go func() {
			receipts = append(receipts, e.send(p, 2, 3)...)
			close(sent)
		}()
		time.Sleep(time.Hour)
		select {
		case <-sent:
			t.Error("published while the broker blocks")
		default:
		}
		e.broker.Unblock()
		<-sent
		e.wantConfirmed(receipts...)
		if e.dials() != 1 {
			t.Errorf("%d connections", e.dials())
		}
		e.wantBodies("q", []string{"before", "1", "2", "3"})
	})
}
