package client

import (
	"context"
	"encoding/binary"
	"net"
	"sync/atomic"
	"time"

	"github.com/warren-mq/warren/bench/internal/framing"
	"github.com/warren-mq/warren/bench/internal/job"
	"github.com/warren-mq/warren/bench/internal/meter"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/faultproxy"
)

// batch encodes n messages, or with 0 as many as are written at once.
func batch(j job.Job, n int) (b []byte, messages int) {
	one := framing.Publish(nil, 1, j.Queue, j.Size, j.Persistent)
	for messages < n || n == 0 && (messages == 0 || len(b)+len(one) <= framing.Buffer) {
		b = append(b, one...)
		messages++
	}
	return b, messages
}

func rawPublish(_ context.Context, j job.Job) (job.Result, error) {
	nc, r, err := framing.Dial(j.Addr)
	if err != nil {
		return job.Result{}, err
	}
	defer nc.Close()
	b, n := batch(j, 0)
	m := meter.Start(j.Duration, 0)
	for m.Running() {
		if _, err := nc.Write(b); err != nil {
			return job.Result{}, err
		}
		m.Count(n)
	}
	if _, err := framing.Call(nc, r, 0, &wire.ConnectionClose{ReplyCode: 200}); err != nil {
		return job.Result{}, err
	}
	return m.Stop(), nil
}

// rawConfirm writes a tenth of the window whenever that much of it is free.
func rawConfirm(_ context.Context, j job.Job) (job.Result, error) {
	nc, r, err := framing.Dial(j.Addr)
	if err != nil {
		return job.Result{}, err
	}
	defer nc.Close()
	if _, err := framing.Call(nc, r, 1, &wire.ConfirmSelect{}); err != nil {
		return job.Result{}, err
	}
	step := max(1, j.Window/10)
	b, _ := batch(j, step)
	confirmed := newConfirmed()
	m := meter.Start(j.Duration, 0)
	sent := 0
	for m.Running() {
		for sent-confirmed.count+step <= j.Window {
			if _, err := nc.Write(b); err != nil {
				return job.Result{}, err
			}
			sent += step
			m.Count(step)
		}
		if err := r.Read(confirmed.onFrame); err != nil {
			return job.Result{}, err
		}
	}
	for confirmed.count < sent {
		if err := r.Read(confirmed.onFrame); err != nil {
			return job.Result{}, err
		}
	}
	return m.Stop(), nil
}

// rawReturn opens a connection and publishes on it as soon as the protocol allows, with nothing to recover.
func rawReturn(_ context.Context, j job.Job) (job.Result, error) {
	var h hooks
	r, err := overProxy(j, func(proxy *faultproxy.Proxy) ([]time.Duration, error) {
		return recoveries(j, &h, func() (time.Duration, error) {
			h.dialled.Store(time.Now().UnixNano())
			err := rawFirstPublish(proxy.Addr(), j)
			return time.Since(time.Unix(0, h.dialled.Load())), err
		})
	})
	r.Attempt = r.P50
	return r, err
}

func rawFirstPublish(addr string, j job.Job) error {
	nc, r, err := framing.Dial(addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	if _, err := framing.Call(nc, r, 1, &wire.ConfirmSelect{}); err != nil {
		return err
	}
	if _, err := nc.Write(framing.Publish(nil, 1, publishQueue, j.Size, false)); err != nil {
		return err
	}
	_, err = r.Method(1)
	return err
}

// confirmed counts the publishes that acks confirm.
type confirmed struct {
	count int
	base  uint64              // all up to here are confirmed
	alone map[uint64]struct{} // confirmed beyond base
}

func newConfirmed() *confirmed { return &confirmed{alone: map[uint64]struct{}{}} }

func (c *confirmed) onFrame(typ uint8, _ uint16, payload []byte) error {
	if typ != wire.FrameMethod || wire.MethodID(binary.BigEndian.Uint32(payload)) != wire.MethodBasicAck {
		return nil
	}
	tag, multiple := binary.BigEndian.Uint64(payload[4:]), payload[12]&1 != 0
	switch {
	case !multiple && tag == c.base+1:
		c.base++
	case !multiple:
		c.alone[tag] = struct{}{}
	case tag > c.base:
		for t := range c.alone {
			if t <= tag {
				delete(c.alone, t)
			}
		}
		c.base = tag
	}
	for len(c.alone) > 0 {
		if _, ok := c.alone[c.base+1]; !ok {
			break
		}
		c.base++
		delete(c.alone, c.base)
	}
	c.count = int(c.base) + len(c.alone)
	return nil
}

// rawConsume skims deliveries, and acks all that one read brought with one frame.
func rawConsume(_ context.Context, j job.Job) (job.Result, error) {
	nc, r, err := framing.Dial(j.Addr)
	if err != nil {
		return job.Result{}, err
	}
	defer nc.Close()
	if j.Prefetch > 0 {
		if _, err := framing.Call(nc, r, 1, &wire.BasicQos{PrefetchCount: uint16(j.Prefetch)}); err != nil {
			return job.Result{}, err
		}
	}
	if err := framing.Send(nc, 1, &wire.BasicConsume{Queue: j.Queue, NoAck: j.Prefetch == 0}); err != nil {
		return job.Result{}, err
	}
	m := meter.Start(j.Duration, j.Messages)
	var timedOut atomic.Bool
	go func() {
		<-m.Stopped()
		timedOut.Store(true)
		_ = nc.Close() // ends a read that nothing comes for
	}()
	err = rawReceive(nc, r, j, m)
	if timedOut.Load() {
		err = nil
	}
	return m.Stop(), err
}

func rawReceive(nc net.Conn, r *framing.Reader, j job.Job, m *meter.Meter) error {
	var whole int
	var tag uint64
	var out []byte
	for m.Running() {
		whole = 0
		err := r.Read(func(typ uint8, _ uint16, payload []byte) error {
			if typ == wire.FrameMethod && wire.MethodID(binary.BigEndian.Uint32(payload)) == wire.MethodBasicDeliver {
				tag = binary.BigEndian.Uint64(payload[5+int(payload[4]):])
				whole++
			}
			return nil
		})
		if err != nil {
			return err
		}
		m.Count(whole)
		if j.Prefetch > 0 && whole > 0 {
			out = wire.AppendAck(out[:0], 1, tag, true)
			if _, err := nc.Write(out); err != nil {
				return err
			}
		}
	}
	return nil
}
