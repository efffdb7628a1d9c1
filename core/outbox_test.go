package core

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/warren-mq/warren/core/wire"
)

// outboxModel is what was sent on each channel, and what must come out.
type outboxModel struct {
	o        *outbox
	channels [4]*Channel // 1 … 3
	sent     [4][]string // in order, without acks
	left     [4]int      // parts of the body that is being streamed
	acked    [4]uint64   // tags acked, from 1
	closed   [4]bool
	written  []byte
	data     []byte         // what went through the data lane
	starts   map[string]int // where each publish must begin in it
}

const partSize = 40

// runOutbox plays ops on an outbox, and checks what it writes: each channel's
// frames in the order in which they were sent, contents whole, acks never
// inside one, all of them written, and publishes where their offset says.
func runOutbox(ops []byte) error {
	m := &outboxModel{o: newOutbox(1<<20, 0), starts: map[string]int{}}
	for id := uint16(1); id < 4; id++ {
		m.channels[id] = &Channel{id: id, acks: newAcks(id, false)}
	}
	for ; len(ops) >= 2; ops = ops[2:] {
		if err := m.step(ops[0]%9, uint16(ops[1]%3)+1); err != nil {
			return err
		}
	}
	for id := range m.left {
		for m.left[id] > 0 {
			if err := m.step(2, uint16(id)); err != nil {
				return err
			}
		}
	}
	m.take()
	m.take()
	return m.check()
}

func (m *outboxModel) step(op byte, id uint16) error {
	ch := m.channels[id]
	key := fmt.Sprint(id, "-", len(m.sent[id]))
	switch {
	case op == 5:
		m.take()
	case op == 6:
		m.o.heartbeat()
	case m.closed[id]:
	case op == 4:
		if tell, err := ch.acks.ack(m.acked[id] + 1); err != nil {
			return err
		} else if tell {
			m.o.acksReady(ch)
		}
		m.acked[id]++
	case op == 2 && m.left[id] > 0:
		m.left[id]--
		return m.o.body(id, make([]byte, partSize), m.left[id] == 0)
	case m.left[id] > 0: // the channel sends nothing else meanwhile
	case op == 0 || op == 1:
		body := partSize * int(op*3)
		start, err := m.o.publish(id, ch.acks, &Publishing{RoutingKey: key, Body: make([]byte, body)}, op == 1)
		m.sent[id] = append(m.sent[id], fmt.Sprint("publish ", key, " ", body))
		m.left[id] = int(op) * 3
		m.starts[key] = int(start)
		return err
	case op == 3:
		m.sent[id] = append(m.sent[id], "bind "+key)
		return m.o.method(id, ch.acks, &wire.QueueBind{RoutingKey: key})
	case op == 7:
		m.sent[id] = append(m.sent[id], "close "+key)
		m.closed[id] = true
		return m.o.closing(farewell{acks: ch.acks}, &wire.ChannelClose{ReplyText: key}, ErrStale)
	}
	return nil
}

func (m *outboxModel) take() {
	control, data, _, _ := m.o.take(nil, nil)
	m.written = append(append(m.written, control...), data...)
	m.data = append(m.data, data...)
}

func (m *outboxModel) check() error {
	var dec wire.Decoder
	var got [4][]string
	var acked [4]uint64
	var inside [4]uint64 // bytes of a body still to come
	for b := m.written; len(b) > 0; {
		f, n, err := wire.ParseFrame(b, 0)
		if err != nil || n == 0 {
			return fmt.Errorf("no whole frame: %v", err)
		}
		b = b[n:]
		id := f.Channel
		if f.Type == wire.FrameBody {
			inside[id] -= uint64(len(f.Payload))
			continue
		}
		if inside[id] > 0 {
			return fmt.Errorf("frame of type %d inside a content of channel %d", f.Type, id)
		}
		switch f.Type {
		case wire.FrameHeartbeat:
		case wire.FrameHeader:
			h, err := dec.Header(f.Payload)
			if err != nil {
				return err
			}
			last := len(got[id]) - 1
			got[id][last] += fmt.Sprint(" ", h.BodySize)
			inside[id] = h.BodySize
		default:
			s, err := dec.Method(f.Payload)
			if err != nil {
				return err
			}
			switch s := s.(type) {
			case *wire.BasicPublish:
				got[id] = append(got[id], "publish "+s.RoutingKey)
			case *wire.QueueBind:
				got[id] = append(got[id], "bind "+s.RoutingKey)
			case *wire.ChannelClose:
				got[id] = append(got[id], "close "+s.ReplyText)
			case *wire.BasicAck:
				if n := len(got[id]); n > 0 && got[id][n-1][:5] == "close" {
					return errors.New("an ack behind the close")
				}
				acked[id] = max(acked[id], s.DeliveryTag)
			}
		}
	}
	for id := 1; id < 4; id++ {
		if !slices.Equal(got[id], m.sent[id]) {
			return fmt.Errorf("channel %d: wrote %v, sent %v", id, got[id], m.sent[id])
		}
		if acked[id] != m.acked[id] {
			return fmt.Errorf("channel %d: acks to %d written, %d called", id, acked[id], m.acked[id])
		}
	}
	return m.checkStarts(&dec)
}

// checkStarts looks for each publish where its offset says.
func (m *outboxModel) checkStarts(dec *wire.Decoder) error {
	for key, start := range m.starts {
		f, n, err := wire.ParseFrame(m.data[start:], 0)
		if err != nil || n == 0 {
			return fmt.Errorf("publish %s: no frame at %d: %v", key, start, err)
		}
		p, err := dec.Method(f.Payload)
		if p, ok := p.(*wire.BasicPublish); err != nil || !ok || p.RoutingKey != key {
			return fmt.Errorf("publish %s: %v at %d", key, p, start)
		}
	}
	return nil
}

// FuzzOutbox: whatever is sent, in whatever order, and whenever the writer
// comes by, the wire keeps every rule.
func FuzzOutbox(f *testing.F) {
	f.Add([]byte{1, 0, 4, 0, 3, 1, 5, 0, 2, 0, 2, 0, 2, 0, 3, 0, 7, 0, 4, 0})
	f.Add([]byte{0, 0, 4, 0, 0, 1, 4, 1, 5, 0, 3, 0, 6, 0, 7, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 400 {
			return
		}
		if err := runOutbox(ops); err != nil {
			t.Error(err)
		}
	})
}

func TestOutboxAgainstTheModel(t *testing.T) {
	for seed := range uint64(3000) {
		if err := runOutbox(randomOps(seed, 150)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// A connection that is closed takes leave of its channels as they were a moment ago.
func TestNothingIsCancelledBehindTheCloseOfAChannel(t *testing.T) {
	for name, end := range map[string]func(o *outbox, a *acks) error{
		"closed": func(o *outbox, a *acks) error {
			return o.closing(farewell{acks: a}, &wire.ChannelClose{}, ErrStale)
		},
		"closed by the server": func(o *outbox, a *acks) error {
			return o.closing(farewell{acks: a}, &wire.ChannelCloseOk{}, ErrStale)
		},
		"committing": func(o *outbox, a *acks) error {
			return errors.Join(o.method(1, a, &wire.TxSelect{}), o.method(1, a, &wire.TxCommit{}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, a := newOutbox(1<<20, 0), newAcks(1, true)
			before := farewell{acks: a, cancel: []string{"c"}}
			if err := end(o, a); err != nil {
				t.Fatal(err)
			}
			if err := o.last(&wire.ConnectionClose{}, []farewell{before}, ErrClosed); err != nil {
				t.Fatal(err)
			}
			for _, m := range written(t, o) {
				if m == wire.MethodBasicCancel || m == wire.MethodBasicNack {
					t.Errorf("%v was written", m)
				}
			}
		})
	}
}

// written returns the methods that wait in o.
func written(t *testing.T, o *outbox) (ids []wire.MethodID) {
	t.Helper()
	control, data, _, _ := o.take(nil, nil)
	for b := append(control, data...); len(b) > 0; {
		f, n, err := wire.ParseFrame(b, 0)
		if err != nil || n == 0 {
			t.Fatalf("no whole frame: %v", err)
		}
		b = b[n:]
		if id, ok := wire.PeekMethod(f.Payload); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
