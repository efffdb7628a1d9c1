package core

import (
	"sync"
	"sync/atomic"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/gate"
)

// outbox holds what waits to be written. Senders append whole frames under a
// short lock and ring the bell; the writer swaps the buffers against empty
// ones and writes all that was pending at once. So a lone frame leaves
// immediately, and under load one system call carries thousands.
//
// There are two lanes, written in this order at every swap. Publishes go to
// the data lane, which has a byte budget. Everything else goes to the control
// lane and is never refused, so that acks, RPCs and heartbeats overtake queued
// publishes — unless the same channel has data pending, in which case they
// follow it: within a channel, order never changes.
type outbox struct {
	budget   int64
	frameMax uint32        // what a frame may not exceed; 0: no limit
	queued   atomic.Int64  // bytes in the data lane, to look at without the lock
	bell     chan struct{} // capacity 1: the writer has something to do

	mu      sync.Mutex // guards the following
	control []byte
	data    []byte
	swaps   uint64     // those that had something to write
	written uint64     // how many of them the socket has taken
	taken   uint64     // data bytes handed to the writer: the stream offset of data[0]
	lanes   []lane     // by channel id
	acking  []*Channel // channels with acks to collect
	answers int        // bytes of answers to the server since the last swap
	space   gate.Gate  // a lane was emptied, or closed
	idle    bool       // the writer waits for the bell
	beat    bool       // a heartbeat was asked for
	done    bool       // the last frame was appended
	err     error      // set: nothing is accepted any more
}

// lane is where one channel id stands.
type lane struct {
	data   uint64 // 1 + the swap that takes its newest data; never cleared, so a reused id keeps its place
	inside bool   // a content is half appended: no other frame of the channel may follow
}

func newOutbox(budget int, frameMax uint32) *outbox {
	return &outbox{budget: int64(budget), frameMax: frameMax, bell: make(chan struct{}, 1)}
}

func (o *outbox) lane(id uint16) *lane {
	for int(id) >= len(o.lanes) {
		o.lanes = append(o.lanes, lane{})
	}
	return &o.lanes[id]
}

// forControl returns the buffer that a non-publish frame of channel id goes to.
func (o *outbox) forControl(id uint16) *[]byte {
	if o.lane(id).data == o.swaps+1 {
		return &o.data
	}
	return &o.control
}

// method appends one method frame behind the acks pending on its channel.
func (o *outbox) method(id uint16, a *acks, m wire.Method) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	_, err := o.append(id, a, m)
	return err
}

// append is method with the lock held. It returns the size of the frame.
func (o *outbox) append(id uint16, a *acks, m wire.Method) (size int, err error) {
	buf := o.forControl(id)
	if a != nil {
		*buf = a.collectBefore(*buf, m.ID())
	}
	frame, err := wire.AppendMethod(*buf, id, m)
	if err != nil {
		return 0, err
	}
	if size = len(frame) - len(*buf); o.frameMax > 0 && size > int(o.frameMax) {
		return 0, errMethodTooLarge(m.ID(), size, o.frameMax)
	}
	*buf = frame
	o.ringLocked()
	return size, nil
}

// closing appends the frame behind which nothing of the channel may follow: its
// acks are collected one last time, and later ones fail with stale.
func (o *outbox) closing(f farewell, m wire.Method, stale error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	a := f.acks
	o.cancelLocked(f)
	_, err := o.append(a.channel, a, m)
	if err == nil {
		a.close(stale)
	}
	return err
}

// farewell is what precedes the close of a channel.
type farewell struct {
	acks   *acks
	cancel []string // consumers, which would be sent again what is given back
}

// cancelLocked appends what ends the consumers, unless the channel was closed since f was made.
func (o *outbox) cancelLocked(f farewell) {
	if !f.acks.canGiveBack() {
		return
	}
	for _, tag := range f.cancel {
		// A tag that was sent once can be sent again.
		_, _ = o.append(f.acks.channel, f.acks, &wire.BasicCancel{ConsumerTag: tag, NoWait: true})
	}
}

// last appends the frame after which nothing may be written, behind
// everything that is pending and what the open channels give back, and refuses
// all later ones with err. Later acks fail too: one would meet a tag that was
// given back, and be written in front of m.
func (o *outbox) last(m wire.Method, open []farewell, err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	frame, encodeErr := wire.AppendMethod(nil, 0, m)
	if encodeErr != nil {
		return encodeErr
	}
	o.collectAcks()
	stale := because(ErrStale, err)
	for _, f := range open {
		if o.lane(f.acks.channel).inside {
			f.acks.close(stale)
			continue
		}
		o.cancelLocked(f)
		buf := o.forControl(f.acks.channel)
		*buf = f.acks.collectLast(*buf, stale)
	}
	o.data = append(o.data, frame...)
	o.done = true
	o.refuse(err)
	o.ringLocked()
	return nil
}

// publish appends method, content header and, unless the body is to be
// streamed, the body: one unit, all or nothing. It returns the offset of the
// first byte in the data stream.
func (o *outbox) publish(id uint16, a *acks, p *Publishing, stream bool) (start uint64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	if a.pending.Load() {
		buf := o.forControl(id)
		*buf = a.collect(*buf)
	}
	before := len(o.data)
	data, err := wire.AppendPublish(o.data, id, p.Exchange, p.RoutingKey, p.Mandatory, p.Immediate)
	if err != nil {
		return 0, err
	}
	header, err := wire.AppendHeader(data, id, wire.ClassBasic, uint64(len(p.Body)), &p.Properties)
	if err != nil {
		return 0, err
	}
	if o.frameMax > 0 && len(header)-len(data) > int(o.frameMax) {
		return 0, errHeadersTooLarge(len(header)-len(data), o.frameMax)
	}
	if stream {
		o.data = header
	} else {
		o.data = wire.AppendBody(header, id, p.Body, o.frameMax)
	}
	l := o.lane(id)
	l.data = o.swaps + 1
	l.inside = stream
	o.queued.Store(int64(len(o.data)))
	o.ringLocked()
	return o.taken + uint64(before), nil
}

// body appends a further part of a streamed body; final ends the content.
func (o *outbox) body(id uint16, part []byte, final bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	o.data = wire.AppendBody(o.data, id, part, o.frameMax)
	l := o.lane(id)
	l.data = o.swaps + 1
	l.inside = !final
	o.queued.Store(int64(len(o.data)))
	o.ringLocked()
	return nil
}

// abort ends a half-appended content whose channel died; its rest is never sent.
func (o *outbox) abort(id uint16) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lane(id).inside = false
}

// acksReady notes that ch has acks to collect.
func (o *outbox) acksReady(ch *Channel) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.acking = append(o.acking, ch)
	o.ringLocked()
}

// heartbeat asks for one with the next swap.
func (o *outbox) heartbeat() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.beat = true
	o.ringLocked()
}

// collectAcks appends the pending acks of every channel that is not in the
// middle of a content.
func (o *outbox) collectAcks() {
	waiting := o.acking[:0]
	for _, ch := range o.acking {
		if o.lane(ch.id).inside {
			waiting = append(waiting, ch)
			continue
		}
		buf := o.forControl(ch.id)
		*buf = ch.acks.collect(*buf)
	}
	clear(o.acking[len(waiting):])
	o.acking = waiting
}

// take swaps the pending bytes against the two empty buffers. start is the
// offset of data in the data stream. With nothing pending it notes that the
// writer goes idle, and the bell rings when there is more; done then says that
// there never will be.
func (o *outbox) take(emptyControl, emptyData []byte) (control, data []byte, start uint64, done bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.acking) > 0 && !o.done {
		o.collectAcks()
	}
	if o.beat && !o.done {
		o.control = wire.AppendHeartbeat(o.control)
	}
	o.beat = false
	start = o.taken
	control, data = o.control, o.data
	o.control, o.data = emptyControl[:0], emptyData[:0]
	o.written = o.swaps
	o.idle = len(control)+len(data) == 0
	o.answers = 0
	if !o.idle {
		o.swaps++
	}
	if len(data) > 0 {
		o.taken += uint64(len(data))
		o.queued.Store(0)
	}
	o.space.Wake()
	return control, data, start, o.done && o.idle
}

// ringLocked wakes the writer if it sleeps.
func (o *outbox) ringLocked() {
	if !o.idle {
		return
	}
	o.idle = false
	select {
	case o.bell <- struct{}{}:
	default:
	}
}

// close refuses everything from now on.
func (o *outbox) close(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refuse(err)
}

func (o *outbox) refuse(err error) {
	if o.err == nil {
		o.err = err
	}
	o.space.Wake()
}

// sent returns how many data bytes were handed to the writer.
func (o *outbox) sent() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.taken
}
