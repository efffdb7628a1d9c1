package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

func TestCloseIsConfirmedByTheServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openConn(t, Config{})
		done := async0(func() error { return c.CloseWith(bg, 320, "going home") })
		m := want[*wire.ConnectionClose](p, 0)
		if m.ReplyCode != 320 || m.ReplyText != "going home" {
			t.Errorf("close %+v", m)
		}
		done.waits(t)
		mustIs(t, c.Err(), ErrClosed)
		p.send(0, &wire.ConnectionCloseOk{})
		done.get(t)
		<-c.Done()
		p.hangsUp()
		noErr(t, c.Close(bg)) // again
		mustIs(t, c.Err(), ErrClosed)
	})
}

// What was sent before the close is written before it.
func TestCloseWritesWhatIsQueued(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.nc.In().Stall()
		for range 100 {
			noErr(t, ch.Publish(bg, &Publishing{Body: []byte("x")}))
		}
		done := async0(func() error { return ch.Conn().Close(bg) })
		done.waits(t)
		mustIs(t, ch.Publish(bg, &Publishing{}), ErrClosed)
		p.nc.In().Resume()
		for range 100 {
			p.content(ch.ID())
		}
		want[*wire.ConnectionClose](p, 0)
		p.send(0, &wire.ConnectionCloseOk{})
		done.get(t)
	})
}

func TestCloseIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openConn(t, Config{CloseTimeout: 2 * time.Second})
		begin := time.Now()
		err := c.Close(bg)
		mustIs(t, err, ErrTimeout)
		if d := time.Since(begin); d != 2*time.Second {
			t.Errorf("took %s", d)
		}
		<-c.Done()
		mustIs(t, c.Err(), ErrClosed)
		want[*wire.ConnectionClose](p, 0)
		p.hangsUp()
	})
}

func TestCloseEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, _ := openConn(t, Config{})
		ctx, cancel := context.WithCancel(bg)
		done := async0(func() error { return c.Close(ctx) })
		done.waits(t)
		cancel()
		mustIs(t, done.fail(t), context.Canceled)
		<-c.Done()
	})
}

func TestConcurrentClosesSendOneFrame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openConn(t, Config{})
		var calls []*result[struct{}]
		for range 10 {
			calls = append(calls, async0(func() error { return c.Close(bg) }))
		}
		want[*wire.ConnectionClose](p, 0)
		p.quiet()
		p.send(0, &wire.ConnectionCloseOk{})
		for _, call := range calls {
			call.get(t)
		}
	})
}

func TestCloseRefusesATextThatDoesNotFit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openConn(t, Config{})
		mustAs[*ValidationError](t, c.CloseWith(bg, 200, strings.Repeat("x", 256)))
		p.quiet()
		noErr(t, c.Err())
	})
}

// What is unsettled is given back in front of the close: an ack that came later would
// overtake that, and meet a tag that the server has forgotten.
func TestNothingIsAckedBehindTheClose(t *testing.T) {
	for _, givesBack := range []bool{true, false} {
		t.Run(fmt.Sprintf("gives back %t", givesBack), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d, ch, p := held(t, 3)
				ch.acks.givesBack = givesBack
				p.nc.In().SetBuffer(1) // the writer is busy
				noErr(t, d[0].Ack())
				synctest.Wait()
				done := async0(func() error { return ch.Conn().Close(bg) })
				done.waits(t)
				mustIs(t, d[1].Ack(), ErrStale)
				mustIs(t, d[2].Nack(true), ErrStale)
				nack := ""
				if givesBack {
					nack = "nack 0+r "
				}
				if sent := settlements(p); sent != "ack 1 "+nack+"*wire.ConnectionClose " {
					t.Errorf("sent %q", sent)
				}
				p.send(0, &wire.ConnectionCloseOk{})
				done.get(t)
			})
		})
	}
}

// The server's close is answered, and nothing follows the answer.
func TestNothingIsAckedBehindTheAnswerToAClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, _, p := held(t, 2)
		p.nc.In().SetBuffer(1) // the writer is busy
		noErr(t, d[0].Ack())
		synctest.Wait()
		p.send(0, &wire.ConnectionClose{ReplyCode: 320})
		synctest.Wait()
		_ = d[1].Ack()
		if sent := settlements(p); sent != "ack 1 *wire.ConnectionCloseOk " {
			t.Errorf("sent %q", sent)
		}
	})
}

// A close that is refused ends nothing.
func TestARefusedCloseGivesNothingBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, ch, p := held(t, 1)
		ch.conn.givesBack, ch.acks.givesBack = true, true
		mustAs[*ValidationError](t, ch.Conn().CloseWith(bg, 200, strings.Repeat("x", 256)))
		p.quiet()
		noErr(t, d[0].Ack())
		if sent := settlements(p); sent != "ack 1 " {
			t.Errorf("sent %q", sent)
		}
	})
}

// Frames that cross the close are handled as ever.
func TestFramesThatCrossTheClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		conf, err := ch.PublishConfirm(bg, &Publishing{})
		noErr(t, err)
		p.content(ch.ID())
		done := async0(func() error { return ch.Conn().Close(bg) })
		want[*wire.ConnectionClose](p, 0)
		p.send(ch.ID(), &wire.BasicAck{DeliveryTag: 1}, &wire.ChannelFlow{Active: false}, &wire.BasicCancel{ConsumerTag: "x"})
		p.send(0, &wire.ConnectionBlocked{Reason: "late"})
		done.waits(t)
		p.send(0, &wire.ConnectionCloseOk{})
		done.get(t)
		if v := conf.Verdict(); v.Outcome != OutcomeConfirmed {
			t.Errorf("verdict %+v", v)
		}
	})
}

func TestServerClosesTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		conf, err := ch.PublishConfirm(bg, &Publishing{})
		noErr(t, err)
		p.content(ch.ID())
		rpc := async(func() (QueueDeclareOk, error) { return ch.QueueDeclare(bg, QueueDeclare{Queue: "q"}) })
		want[*wire.QueueDeclare](p, ch.ID())
		p.send(0, &wire.ConnectionClose{ReplyCode: 541, ReplyText: "INTERNAL_ERROR", ClassID: 50, MethodID: 10})
		want[*wire.ConnectionCloseOk](p, 0)
		p.hangsUp()
		c := ch.Conn()
		<-c.Done()
		for _, err := range []error{c.Err(), ch.Err(), rpc.fail(t), conf.Verdict().Cause} {
			e := mustAs[*Error](t, err)
			if e.Code != ErrInternal || !e.Server || e.Scope != ScopeConnection || e.Method != "queue.declare" || e.Channel != 0 {
				t.Errorf("%+v", e)
			}
		}
		if o := conf.Verdict().Outcome; o != OutcomeUnknown {
			t.Errorf("outcome %s", o)
		}
		noErr(t, c.Close(bg))
		if _, err := c.Channel(bg); !errors.Is(err, ErrInternal) {
			t.Errorf("channel on a dead connection: %v", err)
		}
	})
}

// A call that fails because the server closes the connection finds it ended, also while its answer is not written.
func TestACallFailsOnlyOnceTheConnectionSaysWhy(t *testing.T) {
	for name, end := range map[string]func(p *peer){
		"closed by the server": func(p *peer) { p.send(0, &wire.ConnectionClose{ReplyCode: 541}) },
		"a breach":             func(p *peer) { p.send(0, &wire.ConnectionTune{}) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{Heartbeat: -1})
				p.nc.In().SetBuffer(0) // the writer waits
				end(p)
				synctest.Wait()
				_, err := ch.QueueDeclare(bg, QueueDeclare{})
				if why := ch.Conn().Err(); err == nil || why == nil || !errors.Is(err, why) {
					t.Errorf("the call failed with %v, the connection with %v", err, why)
				}
			})
		})
	}
}

func TestCloseCrossesTheServersClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openConn(t, Config{})
		done := async0(func() error { return c.Close(bg) })
		want[*wire.ConnectionClose](p, 0)
		p.send(0, &wire.ConnectionClose{ReplyCode: 320})
		mustIs(t, done.fail(t), ErrConnectionForced) // what was queued before is not handled any more
		<-c.Done()
		mustIs(t, c.Err(), ErrClosed)
		noErr(t, c.Close(bg)) // again
	})
}

// Without the server's confirmation what was queued may be lost, and Close
// says so.
func TestConnectionIsLostWhileItCloses(t *testing.T) {
	for name, tt := range map[string]struct {
		lose func(p *peer)
		want []error
	}{
		"eof":         {func(p *peer) { _ = p.nc.Close() }, []error{ErrLost}}, // EOF or EPIPE, whichever comes first
		"reset":       {func(p *peer) { p.nc.Reset() }, []error{ErrLost, syscall.ECONNRESET}},
		"write stall": {func(*peer) { time.Sleep(2 * time.Second) }, []error{ErrTimeout}},
		"a fault":     {func(p *peer) { p.send(1, &wire.QueueBindOk{}) }, []error{ErrCommandInvalid}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{WriteTimeout: time.Second})
				p.nc.In().SetBuffer(1000) // the rest waits in the client
				for range 100 {
					noErr(t, ch.Publish(bg, &Publishing{Body: make([]byte, 100)}))
				}
				done := async0(func() error { return ch.Conn().Close(bg) })
				if name != "write stall" {
					done.waits(t)
				}
				tt.lose(p)
				err := done.fail(t)
				for _, want := range tt.want {
					mustIs(t, err, want)
				}
				<-ch.Conn().Done()
				mustIs(t, ch.Conn().Err(), ErrClosed)
			})
		})
	}
}

func TestConnectionIsLost(t *testing.T) {
	for name, tt := range map[string]struct {
		lose func(p *peer)
		want error
	}{
		"eof":            {func(p *peer) { _ = p.nc.Close() }, io.EOF},
		"reset":          {func(p *peer) { p.nc.Reset() }, syscall.ECONNRESET},
		"within a frame": {func(p *peer) { p.raw([]byte{1, 0}); _ = p.nc.Close() }, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{})
				consumer := p.consume(ch, BasicConsume{Queue: "q", ConsumerTag: "c"})
				recv := async(func() (*Delivery, error) { return consumer.Receive(bg) })
				recv.waits(t)
				rpc := async0(func() error { return ch.ExchangeDeclare(bg, ExchangeDeclare{Exchange: "e"}) })
				open := async(func() (*Channel, error) { return ch.Conn().Channel(bg) })
				secret := async0(func() error { return ch.Conn().UpdateSecret(bg, "s", "r") })
				synctest.Wait()
				tt.lose(p)
				for _, err := range []error{recv.fail(t), rpc.fail(t), open.fail(t), secret.fail(t)} {
					mustIs(t, err, ErrLost)
					mustIs(t, err, tt.want)
				}
				<-ch.Done()
				<-ch.Conn().Done()
				for _, err := range []error{ch.Err(), ch.Conn().Err(), consumer.Err(), ch.Publish(bg, &Publishing{})} {
					mustIs(t, err, ErrLost)
					mustIs(t, err, tt.want)
				}
				noErr(t, ch.Close(bg))
				noErr(t, ch.Conn().Close(bg))
			})
		})
	}
}

// A server that says why it hangs up is believed, also when a write has failed
// before its word was read.
func TestWriteFailsBeforeTheServersCloseIsRead(t *testing.T) {
	for name, tt := range map[string]struct {
		late time.Duration // after the write has failed
		want error
	}{
		"in time":  {99 * time.Millisecond, ErrInternal},
		"too late": {101 * time.Millisecond, syscall.EPIPE},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ch, p := openChannel(t, Config{})
				p.nc.Out().Stall()
				p.send(0, &wire.ConnectionClose{ReplyCode: 541})
				_ = p.nc.Close()
				noErr(t, ch.Publish(bg, &Publishing{}))
				synctest.Wait()
				noErr(t, ch.Conn().Err())
				time.Sleep(tt.late)
				synctest.Wait()
				p.nc.Out().Resume()
				<-ch.Conn().Done()
				mustIs(t, ch.Conn().Err(), tt.want)
			})
		})
	}
}

// An end that has a name of its own is no loss of the network.
func TestWhatIsNotLost(t *testing.T) {
	for _, err := range []error{
		ErrClosed, ErrSilent, because(ErrTimeout, io.EOF), because(ErrSilent, io.EOF), fault(ErrFrame, "x"), &Error{Server: true},
	} {
		if got := lost(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
	if s := lost(io.EOF).Error(); s != "amqp: connection lost: EOF" {
		t.Error(s)
	}
}

// A fault in the server's bytes is told to the server, then the connection ends.
func TestFaultOfTheServerIsReported(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openConn(t, Config{})
		p.send(7, &wire.BasicAck{DeliveryTag: 1})
		m := want[*wire.ConnectionClose](p, 0)
		if Code(m.ReplyCode) != ErrChannel || !strings.Contains(m.ReplyText, "channel 7") {
			t.Errorf("close %+v", m)
		}
		p.hangsUp()
		<-c.Done()
		e := mustAs[*Error](t, c.Err())
		if e.Code != ErrChannel || e.Server || e.Scope != ScopeConnection {
			t.Errorf("%+v", e)
		}
	})
}

func TestUpdateSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, p := openConn(t, Config{RPCTimeout: time.Second})
		done := async0(func() error { return c.UpdateSecret(bg, "new", "rotation") })
		m := want[*wire.ConnectionUpdateSecret](p, 0)
		if string(m.NewSecret) != "new" || m.Reason != "rotation" {
			t.Errorf("%q %q", []byte(m.NewSecret), m.Reason)
		}
		done.waits(t)
		p.send(0, &wire.ConnectionUpdateSecretOk{})
		done.get(t)

		mustIs(t, c.UpdateSecret(bg, "late", ""), ErrTimeout)
		want[*wire.ConnectionUpdateSecret](p, 0)
		noErr(t, c.Err())
		done = async0(func() error { return c.UpdateSecret(bg, "next", "") })
		want[*wire.ConnectionUpdateSecret](p, 0)
		p.send(0, &wire.ConnectionUpdateSecretOk{}) // answers the one before
		done.waits(t)
		p.send(0, &wire.ConnectionUpdateSecretOk{})
		done.get(t)
		mustAs[*ValidationError](t, c.UpdateSecret(bg, Secret(strings.Repeat("x", 1<<18)), ""))
		p.quiet()
	})
}

// heldVerdict is a settler that waits.
type heldVerdict chan struct{}

func (v heldVerdict) Settle(Verdict) { <-v }

// A channel that is given up dies in the step that sends its close: whatever
// is seen of it, the answer finds it dead, and the connection lives on.
func TestCloseOkWhileAChannelIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ch, p := openChannel(t, Config{})
		p.confirm(ch)
		held := make(heldVerdict)
		noErr(t, ch.PublishTo(bg, &Publishing{}, held))
		p.content(ch.id)
		gone := async0(func() error { ch.condemn(ErrClosed); return nil })
		want[*wire.ChannelClose](p, ch.id)
		p.send(ch.id, &wire.ChannelCloseOk{})
		synctest.Wait()
		close(held)
		gone.get(t)
		noErr(t, ch.conn.Err())
		if next := p.channel(ch.conn); next.conn.Err() != nil {
			t.Error(next.conn.Err())
		}
	})
}
