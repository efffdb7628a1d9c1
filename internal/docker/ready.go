package docker

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	readyInterval = 100 * time.Millisecond // between two attempts
	helloTimeout  = 2 * time.Second        // for one attempt: a paused broker accepts and stays silent
)

// WaitReady waits until the broker answers AMQP, or until the context ends. It returns early when the
// container has stopped; the error then ends with its last log line.
func (b *Broker) WaitReady(ctx context.Context) error {
	return WaitReady(ctx, b.Addr(), func() error {
		if !b.exited(ctx) {
			return nil
		}
		logs, _ := b.Logs(ctx)
		return fmt.Errorf("broker %s has stopped%s", b.name, lastLine(logs))
	})
}

// WaitReady waits until a broker at addr answers AMQP, or until the context ends, or until check, which is
// called about once a second, returns an error.
func WaitReady(ctx context.Context, addr string, check func() error) error {
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for attempt := 1; ; attempt++ {
		err := Hello(ctx, addr)
		if err == nil {
			return nil
		}
		if attempt%10 == 0 {
			if err := check(); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("broker at %s is not ready: %w (%w)", addr, context.Cause(ctx), err)
		}
	}
}

// Hello returns nil when a broker at addr answers a protocol header with a method frame, its
// connection.start, within 2 s. A mere dial proves nothing: the engine's proxy accepts connections while
// the broker is still down.
func Hello(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, "AMQP\x00\x00\x09\x01"); err != nil {
		return err
	}
	var header [7]byte // type, channel, size
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return fmt.Errorf("no answer to the protocol header: %w", err)
	}
	if header[0] != 1 {
		return fmt.Errorf("no AMQP 0-9-1 broker at %s: it answered %q", addr, header)
	}
	return nil
}

func (b *Broker) exited(ctx context.Context) bool {
	running, err := run(ctx, nil, "inspect", "--format", "{{.State.Running}}", b.id)
	return err == nil && running == "false"
}
