package brokertest

import (
	"flag"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
)

var update = flag.Bool("update", false, "write what the broker answers into the scenarios; with WARREN_CONFORMANCE_URL, what RabbitMQ answers")

// TestScenariosOnRabbitMQ plays the scenarios on the broker that WARREN_CONFORMANCE_URL names, a RabbitMQ that
// holds nothing else. What it answers is what a scenario has to say: -update writes it down.
func TestScenariosOnRabbitMQ(t *testing.T) {
	target := os.Getenv("WARREN_CONFORMANCE_URL")
	if target == "" {
		t.Skip("WARREN_CONFORMANCE_URL is not set")
	}
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	forEachScenario(t, func(t *testing.T, s *scenario) [][]string {
		p := &player{
			t:      t,
			dial:   func() (net.Conn, error) { return net.Dial("tcp", u.Host) },
			login:  [2]string{u.User.Username(), password},
			settle: settleByTime,
		}
		got := p.play(s)
		p.undo()
		return got
	})
}

// TestScenarios plays the scenarios on the broker of this package, in fake time.
func TestScenarios(t *testing.T) {
	forEachScenario(t, func(t *testing.T, s *scenario) (got [][]string) {
		synctest.Test(t, func(t *testing.T) {
			b := New(t)
			p := &player{
				t:      t,
				dial:   func() (net.Conn, error) { return b.DialContext(t.Context(), "tcp", "") },
				login:  [2]string{"guest", "guest"},
				settle: func(*player) { synctest.Wait() },
			}
			got = p.play(s)
		})
		return got
	})
}

// settleByTime waits until nothing has come for a while.
func settleByTime(p *player) {
	const quiet = 150 * time.Millisecond
	for end := time.Now().Add(quiet); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if p.grown() {
			end = time.Now().Add(quiet)
		}
	}
}

// forEachScenario plays every scenario under testdata and compares, or updates.
func forEachScenario(t *testing.T, play func(*testing.T, *scenario) [][]string) {
	files, err := filepath.Glob("testdata/conformance/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			preamble, scenarios := readScenarios(t, file)
			var text strings.Builder
			text.WriteString(preamble)
			for _, s := range scenarios {
				t.Run(s.title, func(t *testing.T) {
					got := play(t, s)
					text.WriteString(s.format(got) + "\n")
					if *update {
						return
					}
					for i, step := range s.steps {
						if g, w := strings.Join(got[i], "\n"), strings.Join(step.want, "\n"); g != w {
							t.Errorf("> %s\n got:\n%s\nwant:\n%s", strings.Join(step.sends, "\n> "), g, w)
						}
					}
				})
			}
			if *update && !t.Failed() {
				if err := os.WriteFile(file, []byte(strings.TrimRight(text.String(), "\n")+"\n"), 0o644); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// undo deletes what the scenario has declared.
func (p *player) undo() {
	p.clients, p.opened = map[string]*rawClient{}, map[string]bool{}
	defer p.hangup()
	for _, m := range p.created {
		if err := p.open("z", "1"); err != nil {
			p.t.Fatal(err)
		}
		if reply, err := p.call("z", 1, m); err != nil {
			p.t.Fatal(err)
		} else if _, refused := reply.(*wire.ChannelClose); refused {
			_ = p.clients["z"].send(1, &wire.ChannelCloseOk{}, nil)
			delete(p.opened, "z1")
		}
	}
}

// grown reports whether anything has come since it was last asked.
func (p *player) grown() bool {
	n := 0
	for _, c := range p.clients {
		c.mu.Lock()
		n += len(c.received)
		c.mu.Unlock()
	}
	grown := n != p.seen
	p.seen = n
	return grown
}
