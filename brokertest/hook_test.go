package brokertest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

func TestHooksOnReceivedMethods(t *testing.T) {
	const declare = "a1 queue.declare Queue=q Durable"
	for _, tc := range []struct {
		name string
		f    func(Event) Action
		want []string
	}{
		{"pass", Always(Pass), []string{"a1 queue.declare-ok Queue=q", "a1 queue.declare-ok Queue=q"}},
		{"swallow the second", Nth(2, Swallow), []string{"a1 queue.declare-ok Queue=q"}},
		{"reply", Nth(1, Reply(&wire.QueueDeclareOk{Queue: "other"})), []string{"a1 queue.declare-ok Queue=other", "a1 queue.declare-ok Queue=q"}},
		{"refuse on the channel", Nth(2, Refuse(406, "PRECONDITION_FAILED - no")), []string{"a1 queue.declare-ok Queue=q",
			`a1 channel.close ReplyCode=406 ReplyText="PRECONDITION_FAILED - no" ClassID=50 MethodID=10`}},
		{"refuse on the connection", Nth(2, Refuse(541, "INTERNAL_ERROR")), []string{
			"a0 connection.close ReplyCode=541 ReplyText=INTERNAL_ERROR ClassID=50 MethodID=10", "a1 queue.declare-ok Queue=q"}},
		{"cut at the second", Nth(2, Cut), []string{"a end", "a1 queue.declare-ok Queue=q"}},
		{"end at the second", Nth(2, End), []string{"a end", "a1 queue.declare-ok Queue=q"}},
		{"hang at the second", Nth(2, Hang), []string{"a1 queue.declare-ok Queue=q"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
				h := b.OnReceive(wire.MethodQueueDeclare, tc.f)
				expect(t, say(declare, declare), tc.want...)
				if h.Hits() != 2 {
					t.Errorf("asked %d times, want 2", h.Hits())
				}
			})
		})
	}
}

func TestHooksOnSentMethods(t *testing.T) {
	for _, tc := range []struct {
		name string
		f    func(Event) Action
		want []string
	}{
		{"pass", Always(Pass), []string{"a1 queue.declare-ok Queue=q", "a1 queue.declare-ok Queue=q"}},
		{"swallow the second", Nth(2, Swallow), []string{"a1 queue.declare-ok Queue=q"}},
		{"another in its place", Nth(1, Reply(&wire.QueueDeclareOk{Queue: "other"})), []string{"a1 queue.declare-ok Queue=other", "a1 queue.declare-ok Queue=q"}},
		{"hang at the second", Nth(2, Hang), []string{"a1 queue.declare-ok Queue=q"}},
		{"hang at the first", Nth(1, Hang), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
				b.OnSend(wire.MethodQueueDeclareOk, tc.f)
				expect(t, say("a1 queue.declare Queue=q Durable", "a1 queue.declare Queue=q Durable"), tc.want...)
			})
		})
	}
}

func TestHookSeesContentBothWays(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		var seen []string
		look := func(e Event) Action {
			seen = append(seen, e.Method.ID().String()+" "+e.Properties.MessageID+" "+string(e.Body))
			return Pass
		}
		b.OnReceive(wire.MethodBasicPublish, look)
		b.OnSend(wire.MethodBasicGetOk, look)
		long := strings.Repeat("x", 200000)
		say("a1 queue.declare Queue=q Durable", `a1 basic.publish RoutingKey=q MessageID=m Body="`+long+`"`, "a1 basic.get Queue=q")
		expect(t, seen, "basic.publish m "+long, "basic.get-ok m "+long)
	})
}

func TestDelayedMethod(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		b.OnReceive(wire.MethodQueueDeclare, Always(Delay(time.Second)))
		expect(t, say("a1 queue.declare Queue=q Durable"))
		expect(t, say("sleep 1s"), "a1 queue.declare-ok Queue=q")
		b.OnSend(wire.MethodQueueDeleteOk, Always(Delay(time.Second)))
		expect(t, say("a1 queue.delete Queue=q"))
		expect(t, say("sleep 1s"), "a1 queue.delete-ok")
	})
}

func TestRemovedHook(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		h := b.OnReceive(0, Always(Swallow))
		h.Remove()
		expect(t, say("a1 queue.declare Queue=q Durable"), "a1 queue.declare-ok Queue=q")
		if h.Hits() != 0 {
			t.Error("a removed hook was asked")
		}
	})
}

func TestVerdictsOnOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 confirm.select", "a1 queue.declare Queue=q Durable")
		b.OnReceive(wire.MethodBasicPublish, func(e Event) Action {
			switch string(e.Body) {
			case "never":
				return Unconfirmed
			case "nack":
				return Nack
			case "late":
				return ConfirmAfter(time.Second)
			}
			return Pass
		})
		publish := func(body string) string { return `a1 basic.publish RoutingKey=q Body="` + body + `"` }
		expect(t, say(publish("1"), publish("never"), publish("nack"), publish("late"), publish("5")),
			"a1 confirms acked=[1 5] nacked=[3]")
		expect(t, say("sleep 1s"), "a1 confirms acked=[4]")
		if q, _ := b.Queue("q"); q.Ready != 4 {
			t.Errorf("%d messages, want all but the nacked", q.Ready)
		}
	})
}

// TestHandshakeFaults stops every step of the handshake, asked or answered, in every way but a word.
func TestHandshakeFaults(t *testing.T) {
	steps := []wire.MethodID{wire.MethodConnectionStartOk, wire.MethodConnectionTuneOk, wire.MethodConnectionOpen}
	answers := []wire.MethodID{wire.MethodConnectionStart, wire.MethodConnectionTune, wire.MethodConnectionOpenOk}
	for i := range steps {
		for _, a := range []Action{Swallow, Hang, Cut, End} {
			for _, sent := range []bool{false, true} {
				inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
					h := &Hook{}
					if sent {
						h = b.OnSend(answers[i], Always(a))
					} else {
						h = b.OnReceive(steps[i], Always(a))
					}
					p := newTalk(t, b)
					defer p.hangup()
					done := make(chan error, 1)
					go func() { done <- p.handshake("a") }()
					synctest.Wait()
					select {
					case err := <-done:
						if err == nil {
							t.Errorf("step %d, sent %v, %+v: the handshake is complete", i, sent, a)
						}
					default:
						if a.cut || a.end {
							t.Errorf("step %d, sent %v: the connection did not end", i, sent)
						}
						b.Cut()
						<-done
					}
					if h.Hits() != 1 {
						t.Errorf("step %d: asked %d times", i, h.Hits())
					}
				})
			}
		}
	}
}

// TestHandshakeRefused stops every step of the handshake with a word.
func TestHandshakeRefused(t *testing.T) {
	steps := slices.Concat(loginLines[2:], []string{"a0 connection.tune-ok FrameMax=131072 ChannelMax=10", "a0 connection.open VirtualHost=/"})
	for i, id := range []wire.MethodID{wire.MethodConnectionStartOk, wire.MethodConnectionTuneOk, wire.MethodConnectionOpen} {
		inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
			h := b.OnReceive(id, Always(Refuse(530, "NOT_ALLOWED - no")))
			say(loginLines[:2]...)
			say(steps[:i]...)
			expect(t, say(steps[i]),
				fmt.Sprintf(`a0 connection.close ReplyCode=530 ReplyText="NOT_ALLOWED - no" ClassID=%d MethodID=%d`, id.Class(), id.Method()))
			expect(t, say("a0 connection.close-ok"), "a end")
			if h.Hits() != 1 || len(b.Links()) != 0 {
				t.Errorf("step %d: asked %d times, %d links are left", i, h.Hits(), len(b.Links()))
			}
		})
	}
}

// TestActionsOnFrames meets the second of two frames, in each direction, with everything that has a meaning for frames.
func TestActionsOnFrames(t *testing.T) {
	const ask, answer = "a1 queue.declare Queue=q Durable", "a1 queue.declare-ok Queue=q"
	for name, c := range map[string]struct {
		action      Action
		early, late []string // within a second, and after it
	}{
		"pass":    {Pass, []string{answer, answer}, nil},
		"swallow": {Swallow, []string{answer}, nil},
		"delay":   {Delay(time.Second), []string{answer}, []string{answer}},
		"hang":    {Hang, []string{answer}, nil},
		"cut":     {Cut, []string{"a end", answer}, nil},
		"end":     {End, []string{"a end", answer}, nil},
	} {
		second := func(f Frame) Action {
			if f.N == 2 {
				return c.action
			}
			return Pass
		}
		for direction, on := range map[string]func(*Broker) *Hook{
			"received": func(b *Broker) *Hook { return b.OnReceiveFrame(second) },
			"sent":     func(b *Broker) *Hook { return b.OnSendFrame(second) },
		} {
			t.Run(name+" "+direction, func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
					say(ask)
					h := on(b)
					expect(t, say(ask, ask), c.early...)
					expect(t, say("sleep 1s"), c.late...)
					expect(t, say("sleep 1h"))
					if n := len(b.Links()); h.Hits() != 2 || n != map[bool]int{false: 1}[c.action.cut || c.action.end] {
						t.Errorf("asked %d times, %d links are left", h.Hits(), n)
					}
				})
			})
		}
	}
}

// TestFramesAreShown looks at the frames of a message both ways, and drops its body on the way in.
func TestFramesAreShown(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		var seen []Frame
		swallow := false
		look := func(f Frame) Action {
			seen = append(seen, f)
			return map[bool]Action{true: Swallow}[swallow && f.Type == wire.FrameBody]
		}
		say("a1 queue.declare Queue=q Durable", "a1 basic.consume Queue=q ConsumerTag=c")
		b.OnReceiveFrame(look)
		b.OnSendFrame(look)
		expect(t, say(`a1 basic.publish RoutingKey=q Body="12345"`), `a1 basic.deliver ConsumerTag=c DeliveryTag=1 RoutingKey=q Body="12345"`)
		var want []Frame
		for _, method := range []int{10, 18} { // octets of publish and of deliver
			want = append(want,
				Frame{Connection: 1, Channel: 1, Type: wire.FrameMethod, Size: method, N: 1},
				Frame{Connection: 1, Channel: 1, Type: wire.FrameHeader, Size: 14, N: 2},
				Frame{Connection: 1, Channel: 1, Type: wire.FrameBody, Size: 5, N: 3})
		}
		if !slices.Equal(seen, want) {
			t.Errorf("saw %+v\nwant %+v", seen, want)
		}
		swallow = true
		expect(t, say(`a1 basic.publish RoutingKey=q Body="12345"`))
	})
}

func TestFrameHooks(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable", `a1 basic.publish RoutingKey=q Body="1"`)
		bodies := 0
		h := b.OnSendFrame(func(f Frame) Action {
			if f.Type == wire.FrameBody {
				bodies++
				return Cut
			}
			return Pass
		})
		got := say("a1 basic.get Queue=q")
		if !slices.Contains(got, "a end") || bodies != 1 || h.Hits() != 3 {
			t.Errorf("%q after %d frames, %d bodies", got, h.Hits(), bodies)
		}
	})
}

func TestInject(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 confirm.select")
		id := b.Connections()[0].ID
		if ok, err := b.Inject(id, 1, &wire.BasicAck{DeliveryTag: 99}, wire.Properties{}, nil); !ok || err != nil {
			t.Fatal(ok, err)
		}
		expect(t, say(), "a1 confirms")
		if ok, err := b.Inject(id, 1, &wire.BasicDeliver{ConsumerTag: "c", DeliveryTag: 1}, wire.Properties{MessageID: "m"}, []byte("1")); !ok || err != nil {
			t.Fatal(ok, err)
		}
		expect(t, say(), `a1 basic.deliver ConsumerTag=c DeliveryTag=1 MessageID=m Body="1"`)
		if ok, _ := b.Inject(77, 1, &wire.BasicAck{}, wire.Properties{}, nil); ok {
			t.Error("there is no connection 77")
		}
		if !b.InjectBytes(id, []byte("\x07nonsense")) {
			t.Error("no octets were sent")
		}
		if got := say(); len(got) != 1 || !strings.Contains(got[0], "frame error") {
			t.Errorf("%q", got)
		}
	})
}

func TestSometimesIsTheSameForASeed(t *testing.T) {
	draw := func(seed uint64) (s string) {
		b := New(t, WithSeed(seed))
		f := b.Sometimes(0.5, Swallow)
		for range 64 {
			if f(Event{}).swallow {
				s += "x"
			} else {
				s += "."
			}
		}
		return s
	}
	if first, again := draw(1), draw(1); first != again || first == draw(2) {
		t.Error("chance does not follow the seed")
	}
}

// TestSometimesIsTheSameWhateverElseIsMadeUp draws while the broker makes up names.
func TestSometimesIsTheSameWhateverElseIsMadeUp(t *testing.T) {
	draw := func(names bool) (s []bool) {
		b := New(t, WithSeed(1))
		f := b.Sometimes(0.5, Swallow)
		for range 64 {
			if names {
				b.mu.Lock()
				b.newName("amq.gen-")
				b.mu.Unlock()
			}
			s = append(s, f(Event{}).swallow)
		}
		return s
	}
	if !slices.Equal(draw(false), draw(true)) {
		t.Error("chance depends on the names that the broker makes up")
	}
}

func TestTranscript(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		say("a1 queue.declare Queue=q Durable")
		say(`a1 basic.publish RoutingKey=q Body="1"`)
		say("a1 basic.get Queue=q NoAck")
		got := b.Transcript(1)
		expect(t, got[len(got)-5:],
			"> 1 queue.declare Queue=q Durable",
			"< 1 queue.declare-ok Queue=q",
			`> 1 basic.publish RoutingKey=q Body="1"`,
			"> 1 basic.get Queue=q NoAck",
			`< 1 basic.get-ok DeliveryTag=1 RoutingKey=q Body="1"`)
		for _, line := range got {
			if strings.Contains(line, `x00guest`) {
				t.Errorf("a password: %s", line)
			}
		}
	}, WithTranscript())
}

// A test that fails in a hook must not leave a client waiting for an answer as well.
func TestAHookThatExitsHasPassed(t *testing.T) {
	const declare = "a1 queue.declare Queue=q Durable"
	inBubble(t, func(t *testing.T, b *Broker, say func(...string) []string) {
		exit := func(Event) Action { runtime.Goexit(); return Pass }
		b.OnReceive(wire.MethodQueueDeclare, exit)
		b.OnSend(wire.MethodQueueDeclareOk, exit)
		b.OnReceiveFrame(func(Frame) Action { runtime.Goexit(); return Pass })
		expect(t, say(declare), "a1 queue.declare-ok Queue=q")
	})
}
