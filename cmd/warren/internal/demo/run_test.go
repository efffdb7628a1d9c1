package demo

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren"
	"github.com/warren-mq/warren/brokertest"
	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/docker/dockertest"
	"github.com/warren-mq/warren/internal/ledger"
	"github.com/warren-mq/warren/recovery"
)

// checkRun checks that a run of n messages lost nothing, and that faults did happen.
func checkRun(t *testing.T, s Result, err error, n int, out string) {
	t.Helper()
	if err != nil || s.Published != n || s.Confirmed != n || s.Unique != n || !s.OK() {
		t.Errorf("%v\n%s\n%s", err, s, out)
	}
	if want := "all " + strconv.Itoa(n) + " messages were confirmed and consumed"; !strings.Contains(s.String(), want) {
		t.Errorf("want %q in\n%s", want, s)
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
	checkSpread(t, out.String(), cfg.N, 5)
}

func TestRunOnURL(t *testing.T) {
	b := brokertest.New(t)
	var out bytes.Buffer
	cfg := Defaults()
	cfg.URL, cfg.N, cfg.Size, cfg.Out, cfg.Bar = b.URL(), 5_000, 100, &out, true
	cfg.Faults = Faults{Reset: 2, Soft: 2}
	s, err := Run(t.Context(), cfg)
	checkRun(t, s, err, cfg.N, out.String())
	checkSpread(t, out.String(), cfg.N, 4)
	if q := b.Queues(); len(q) > 0 {
		t.Errorf("the run left %v behind", q)
	}
}

// checkSpread checks that each of the faults struck within its equal part of the run.
func checkSpread(t *testing.T, out string, n, faults int) {
	t.Helper()
	struck := 0
	for _, m := range regexp.MustCompile(`fault (\d+) of (\d+), after (\d+) messages`).FindAllStringSubmatch(out, -1) {
		i, _ := strconv.Atoi(m[1])
		of, _ := strconv.Atoi(m[2])
		at, _ := strconv.Atoi(m[3])
		struck++
		if i != struck || of != faults || at < n*(i-1)/faults || at > n*i/faults {
			t.Errorf("%s; want it as fault %d of %d, at %d to %d", m[0], struck, faults, n*(struck-1)/faults, n*struck/faults)
		}
	}
	if struck != faults {
		t.Errorf("%d faults struck, want %d", struck, faults)
	}
	if t.Failed() {
		t.Log(out)
	}
}

// However fast the messages pass, faults do not gather at the end, least of all
// behind a bad publish, which right after a recovery is tried for seconds.
func TestFaultsAreSpread(t *testing.T) {
	for name, n := range map[string]int{"no more than a window": 1_000, "many windows": 40_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.New(t)
			var out bytes.Buffer
			cfg := Defaults()
			cfg.URL, cfg.N, cfg.Size, cfg.Out = b.URL(), n, 16, &out
			cfg.Faults = Faults{Reset: 3, Soft: 5}
			s, err := Run(t.Context(), cfg)
			checkRun(t, s, err, n, out.String())
			checkSpread(t, out.String(), n, 8)
		})
	}
}

// What is under way when the context ends is awaited: whenever that is, nothing
// that was published is left without its outcome or its delivery.
func TestRunEndsWithItsContext(t *testing.T) {
	for _, moment := range []string{"fault 1 of", "lost: main", "lost: publish", "recovered: publish", "channel lost", "killed", " confirmed, "} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var out bytes.Buffer
			cfg := Defaults()
			cfg.Out = writerFunc(func(p []byte) (int, error) {
				if strings.Contains(string(p), moment) {
					cancel()
				}
				return out.Write(p)
			})
			s, err := Run(ctx, cfg)
			if !errors.Is(err, ErrInterrupted) || strings.Contains(err.Error(), "canceled") || s.Published == 0 || s.Published >= cfg.N {
				t.Errorf("%v after %d messages", err, s.Published)
			}
			if s.Confirmed != s.Published || s.Unique != s.Published || s.NotConsumed != 0 || !s.OK() {
				t.Errorf("not everything was awaited:\n%s\n%s", s, &out)
			}
		})
	}
}

// A broker that does not come back when the run is interrupted keeps it no
// longer than it says, and what it holds is not called lost.
func TestInterruptedWithoutABroker(t *testing.T) {
	b := brokertest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	cfg := Defaults()
	cfg.URL, cfg.Faults, cfg.drain = b.URL(), Faults{Reset: 1}, time.Millisecond
	cfg.Out = writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), "fault 1 of") {
			b.Stop()
			cancel()
		}
		return out.Write(p)
	})
	s, err := Run(ctx, cfg)
	if !errors.Is(err, ErrInterrupted) || s.Lost != 0 || s.Pending != 0 || s.Unknown+s.NotSent == 0 || !strings.Contains(err.Error(), "are left on the broker") {
		t.Errorf("%v\n%s\n%s", err, s, &out)
	}
}

// What is confirmed and does not arrive is counted apart when the run is interrupted.
func TestInterruptedBeforeItArrived(t *testing.T) {
	b := brokertest.New(t)
	b.OnSend(wire.MethodBasicDeliver, brokertest.Always(brokertest.Swallow))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	cfg := Defaults()
	cfg.URL, cfg.Faults, cfg.drain = b.URL(), Faults{Reset: 1}, time.Millisecond
	cfg.Out = writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), "fault 1 of") {
			cancel()
		}
		return out.Write(p)
	})
	s, err := Run(ctx, cfg)
	if !errors.Is(err, ErrInterrupted) || s.Lost != 0 || s.NotConsumed == 0 || s.NotConsumed != s.Confirmed {
		t.Errorf("%v\n%s\n%s", err, s, &out)
	}
}

// A broker that was being restarted when the run is interrupted is there again.
func TestRestart(t *testing.T) {
	failed := errors.New("exit status 130")
	for name, tt := range map[string]struct {
		interruptedIn string
		fails         string
		want          string
		err           error
	}{
		"ordinary":             {"", "", "kill start", nil},
		"interrupted":          {"kill", "", "kill start", nil},
		"kill fails":           {"", "kill", "kill", failed},
		"start fails":          {"", "start", "kill start", failed},
		"kill is interrupted":  {"kill", "kill", "kill kill start", nil},
		"start is interrupted": {"start", "start", "kill start kill start", nil},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var did []string
			step := func(what string) func(context.Context) error {
				return func(ctx context.Context) error {
					first := !slices.Contains(did, what)
					did = append(did, what)
					if what == tt.interruptedIn {
						cancel()
					}
					if ctx.Err() != nil {
						return ctx.Err()
					}
					if first && what == tt.fails {
						return failed
					}
					return nil
				}
			}
			if err := restart(ctx, step("kill"), step("start")); !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Errorf("%v, want %v", err, tt.err)
			}
			if got := strings.Join(did, " "); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// Only a run that looked to the end may call a message lost.
func TestResultTellsLostFromNotConsumed(t *testing.T) {
	sum := ledger.Summary{Published: 9, Confirmed: 9, Unique: 5, Lost: 4, Duplicates: 2}
	whole, short := newResult(sum, false), newResult(sum, true)
	if whole.OK() || whole.Lost != 4 || whole.NotConsumed != 0 || strings.Contains(whole.String(), "not consumed yet") {
		t.Errorf("a whole run:\n%s", whole)
	}
	if !short.OK() || short.Lost != 0 || short.NotConsumed != 4 || !regexp.MustCompile(`(?m)^not consumed yet +4$`).MatchString(short.String()) {
		t.Errorf("a run cut short:\n%s", short)
	}
	for _, r := range []Result{whole, short} {
		if !strings.Contains(r.String(), "Duplicates: ") || strings.Contains(r.String(), "Nothing was lost") {
			t.Errorf("want duplicates explained, and no praise:\n%s", r)
		}
	}
	if r := newResult(ledger.Summary{Published: 9, Confirmed: 9, Unique: 9}, false); strings.Contains(r.String(), "Duplicates: ") {
		t.Errorf("there are none to explain:\n%s", r)
	}
}

// What the publisher has still reads as what it is.
func TestRecoveredTellsWhatIsSentAgain(t *testing.T) {
	e := warren.Event{Kind: recovery.EventRecovered, Connection: "publish", Report: &recovery.Report{
		Cause: errors.New("boom"), Attempts: 2, Total: 1500 * time.Millisecond, Survived: 1, Tally: recovery.Tally{Unknown: 3, NotSent: 4},
	}}
	if got, want := recovered(e), "recovered: publish connection: back after 1.5s, at attempt 2, 1 queue survived, 7 messages to be sent again"; got != want {
		t.Errorf("%q, want %q", got, want)
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
