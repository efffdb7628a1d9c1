package demo

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/internal/docker/dockertest"
	"github.com/warren-mq/warren/internal/ledger"
)

// checkRun checks that a run of n messages lost nothing, and that faults did happen.
func checkRun(t *testing.T, s ledger.Summary, err error, n int, out string) {
	t.Helper()
	if err != nil || s.Published != n || s.Confirmed != n || s.Unique != n || !s.OK() {
		t.Errorf("%v\n%s\n%s", err, s, out)
	}
	if s.Recoveries == 0 || !strings.Contains(out, "channel lost") {
		t.Errorf("no fault had an effect:\n%s", out)
	}
}

func TestRunInMemory(t *testing.T) {
	var out bytes.Buffer
	cfg := Defaults()
	cfg.N, cfg.Size, cfg.Out = 5_000, 100, &out
	cfg.Faults = Faults{Kill: 1, Reset: 2, Soft: 2}
	s, err := Run(t.Context(), cfg)
	checkRun(t, s, err, cfg.N, out.String())
}

func TestRunOnURL(t *testing.T) {
	b := brokertest.New(t)
	var out bytes.Buffer
	cfg := Defaults()
	cfg.URL, cfg.N, cfg.Size, cfg.Out, cfg.Bar = b.URL(), 5_000, 100, &out, true
	cfg.Faults = Faults{Reset: 2, Soft: 2}
	s, err := Run(t.Context(), cfg)
	checkRun(t, s, err, cfg.N, out.String())
	if q := b.Queues(); len(q) > 0 {
		t.Errorf("the run left %v behind", q)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	cfg := Defaults()
	cfg.Out = writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), "fault") {
			cancel()
		}
		return out.Write(p)
	})
	s, err := Run(ctx, cfg)
	if err == nil || s.Published == 0 || s.Published >= cfg.N {
		t.Errorf("%v after %d messages", err, s.Published)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A queue that exists with other arguments is refused at once, by name.
func TestRunRefusesAnotherQueue(t *testing.T) {
	b := brokertest.New(t)
	declareClassic(t, b.URL(), "warren.demo")
	cfg := Defaults()
	cfg.URL, cfg.Out, cfg.Faults = b.URL(), &bytes.Buffer{}, Faults{}
	_, err := Run(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), `queue "warren.demo"`) || !strings.Contains(err.Error(), "406") {
		t.Error(err)
	}
}

func declareClassic(t *testing.T, url, name string) {
	t.Helper()
	cfg, err := core.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := core.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := conn.Channel(t.Context())
	if err == nil {
		_, err = ch.QueueDeclare(t.Context(), core.QueueDeclare{Queue: name, Durable: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The run that "warren demo -docker" makes: RabbitMQ killed, cut off, channels closed.
func TestRunOnRabbitMQ(t *testing.T) {
	dockertest.Image(t, "4.3")
	var out bytes.Buffer
	cfg := Defaults()
	cfg.Docker, cfg.Out = true, &out
	cfg.Faults = Faults{Kill: 1, Reset: 2, Soft: 2}
	s, err := Run(t.Context(), cfg)
	checkRun(t, s, err, cfg.N, out.String())
}
