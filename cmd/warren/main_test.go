package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/cmd/warren/internal/demo"
	"github.com/warren-mq/warren/core"
)

// Every mistake is one clear line, and an error.
func TestMistakesAreOneClearLine(t *testing.T) {
	b := brokertest.New(t)
	u := strings.TrimSuffix(b.URL(), "/")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	free.Close()
	for _, tt := range []struct {
		args, want string
	}{
		{"", "a command is missing"},
		{"dance", `unknown command "dance"`},
		{"demo extra", `unexpected argument "extra"`},
		{"demo -faults fire", `unknown kind "fire"`},
		{"demo -n 0", "1 to 100 million"},
		{"demo -docker -url amqp://h", "one broker is enough"},
		{"demo -url " + u + " -faults kill", "cannot be killed"},
		{"demo -url localhost:5672", "scheme"},
		{"demo -url http://localhost", `scheme "http": want amqp or amqps`},
		{"demo -url amqp://" + nobody, "connection refused"},
		{"demo -url " + strings.Replace(u, "guest:guest", "guest:wrong", 1), "authentication refused"},
		{"demo -url " + u + "/missing", "vhost"},
		{"broker -addr 127.0.0.1:none", "broker:"},
		{"broker extra", `unexpected argument "extra"`},
	} {
		var out, errOut bytes.Buffer
		err := command(t.Context(), strings.Fields(tt.args), &out, &errOut)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("warren %s: %v; want one line with %q", tt.args, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "wrong") {
			t.Errorf("warren %s: %v shows the password", tt.args, err)
		}
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	if err := command(t.Context(), []string{"help"}, &out, &out); err != nil || !strings.Contains(out.String(), "demo") {
		t.Errorf("%v: %s", err, &out)
	}
}

// With -json stdout is JSON and nothing else, also of a run that is interrupted;
// what people read is on stderr.
func TestDemoJSON(t *testing.T) {
	for _, tt := range []struct {
		name, args, cancelAt string
		want                 map[string]float64
	}{
		{"whole", "demo -n 500 -size 64 -faults reset,soft -json", "", map[string]float64{
			"published": 500, "confirmed": 500, "consumed_unique": 500, "lost": 0, "unknown": 0, "not_consumed": 0,
		}},
		{"interrupted", "demo -size 64 -faults reset -json", "fault 1 of 1", map[string]float64{"lost": 0, "unknown": 0, "not_consumed": 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var out, errOut bytes.Buffer
			watched := writerFunc(func(p []byte) (int, error) {
				if tt.cancelAt != "" && strings.Contains(string(p), tt.cancelAt) {
					cancel()
				}
				return errOut.Write(p)
			})
			err := command(ctx, strings.Fields(tt.args), &out, watched)
			if interrupted := errors.Is(err, demo.ErrInterrupted); interrupted != (tt.cancelAt != "") || !interrupted && err != nil {
				t.Fatalf("%v\n%s", err, &errOut)
			}
			var lines []map[string]any
			for line := range strings.Lines(out.String()) {
				var l map[string]any
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					t.Errorf("%v: %q", err, line)
				}
				lines = append(lines, l)
			}
			if len(lines) != 1 {
				t.Fatalf("%d lines on stdout, want the ledger alone:\n%s", len(lines), &out)
			}
			for key, want := range tt.want {
				if got := lines[0][key]; got != want {
					t.Errorf("%s is %v, want %v", key, got, want)
				}
			}
			if _, said := lines[0]["error"]; said != (err != nil) {
				t.Errorf("error is %v after %v", lines[0]["error"], err)
			}
			for _, want := range []string{"fault 1 of", "consumed unique"} {
				if !strings.Contains(errOut.String(), want) {
					t.Errorf("stderr lacks %q:\n%s", want, &errOut)
				}
			}
		})
	}
}

// A run that never began has no ledger to print, not even one of zeros.
func TestDemoJSONOfNothing(t *testing.T) {
	var out, errOut bytes.Buffer
	if err := command(t.Context(), strings.Fields("demo -json -n 0"), &out, &errOut); err == nil || out.Len() > 0 {
		t.Errorf("%v, and on stdout %q", err, &out)
	}
}

// A served broker says where it is and that it keeps nothing, serves clients there, and ends with its context.
func TestBroker(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	said := make(chan string, 8)
	out := writerFunc(func(p []byte) (int, error) { said <- string(p); return len(p), nil })
	ended := make(chan error, 1)
	go func() { ended <- command(ctx, []string{"broker", "-addr", "127.0.0.1:0"}, out, out) }()
	where, what := <-said, <-said
	if !strings.Contains(where, "amqp://guest:guest@127.0.0.1:") || !strings.Contains(what, "nothing beyond its end") {
		t.Errorf("%s%s", where, what)
	}
	publishAndConsume(t, strings.TrimSpace(where[strings.Index(where, "amqp://"):]))
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// publishAndConsume sends a message through the broker at a URL.
func publishAndConsume(t *testing.T, at string) {
	t.Helper()
	cfg, err := core.ParseURL(at)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := core.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	ch, err := conn.Channel(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare(t.Context(), core.QueueDeclare{Queue: "q", Durable: true}); err != nil {
		t.Fatal(err)
	}
	consumer, err := ch.Consume(t.Context(), core.BasicConsume{Queue: "q"})
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.Publish(t.Context(), &core.Publishing{RoutingKey: "q", Body: []byte("hello")}); err != nil {
		t.Fatal(err)
	}
	for d, err := range consumer.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if string(d.Body) != "hello" {
			t.Errorf("consumed %q", d.Body)
		}
		if err := d.Ack(); err != nil {
			t.Error(err)
		}
		break
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
